"""Webhooks go to public addresses only, whatever a host is called."""

from __future__ import annotations

import socket
from typing import Any

import pytest

from inference.webhooks.addresses import RefusedAddressError, addresses_of, is_allowed, is_public, literal_address

PUBLIC = ["93.184.216.34", "8.8.8.8", "2606:2800:220:1:248:1893:25c8:1946", "2a00:1450:4001:81b::200e"]
NOT_PUBLIC = [
    *("127.0.0.1", "127.255.255.254", "0.0.0.0", "0.1.2.3", "::1", "::"),  # this machine
    *("10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "100.64.0.1", "fd00::1", "fec0::1"),  # a network's own
    *("169.254.169.254", "169.254.170.2", "169.254.170.23", "fd00:ec2::254", "fe80::1", "fe80::1%eth0"),  # link
    *("224.0.0.1", "239.255.255.255", "255.255.255.255", "240.0.0.1", "ff02::1", "ff0e::1"),  # to many
    *("192.0.2.1", "198.51.100.1", "203.0.113.1", "198.18.0.1", "192.0.0.1", "2001:db8::1", "3fff::1"),  # examples
    *("::ffff:127.0.0.1", "::ffff:8.8.8.8", "::127.0.0.1", "::8.8.8.8"),  # IPv4 in IPv6
    *("64:ff9b::7f00:1", "64:ff9b::808:808", "64:ff9b:1::a9fe:a9fe", "2002:7f00:1::", "2001:0:1::1"),  # by a translator
    *("192.88.99.1", "5f00::1", "100::1"),
    *("", "localhost", "2130706433", "0x7f.1", "127.1", "1.2.3", "300.1.1.1"),  # no address
]


@pytest.mark.parametrize("address", PUBLIC)
def test_public(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize("address", NOT_PUBLIC)
def test_not_public(address: str) -> None:
    assert not is_public(address)


def test_loopback_is_allowed_by_a_variable_and_nothing_else_is() -> None:
    allowed = {address for address in NOT_PUBLIC if is_allowed(address, allow_loopback=True)}
    assert allowed - {"::ffff:127.0.0.1"} == {"127.0.0.1", "127.255.255.254", "::1"}
    assert not any(is_allowed(address, allow_loopback=False) for address in NOT_PUBLIC)


def answers(*addresses: str) -> Any:
    """A resolver that has these addresses for every name."""

    def resolve(host: str, port: int, **_: Any) -> list[tuple[Any, ...]]:
        families = [socket.AF_INET6 if ":" in address else socket.AF_INET for address in addresses]
        return [
            (family, socket.SOCK_STREAM, 6, "", (address, port, *((0, 0) if family == socket.AF_INET6 else ())))
            for family, address in zip(families, addresses, strict=True)
        ]

    return resolve


def test_a_host_with_public_addresses() -> None:
    found = addresses_of("example.com", 443, resolve=answers("8.8.8.8", "2a00:1450::1"))
    assert found == [(socket.AF_INET, ("8.8.8.8", 443)), (socket.AF_INET6, ("2a00:1450::1", 443, 0, 0))]


@pytest.mark.parametrize("addresses", [("10.0.0.1",), ("8.8.8.8", "169.254.169.254"), ("::1", "8.8.8.8")])
def test_one_address_that_is_not_public_is_one_too_many(addresses: tuple[str, ...]) -> None:
    with pytest.raises(RefusedAddressError, match=r"^internal\.example has an address that is not public$"):
        addresses_of("internal.example", 443, resolve=answers(*addresses))


def test_a_host_without_addresses() -> None:
    with pytest.raises(OSError, match="no address"):
        addresses_of("example.com", 443, resolve=answers())


@pytest.mark.parametrize("host", ["2130706433", "0x7f.1", "127.1", "017700000001"])
def test_what_the_resolver_reads_as_loopback_is_refused(host: str) -> None:
    """The system's own resolver: it asks no name server about these."""
    with pytest.raises(RefusedAddressError):
        addresses_of(host, 443)


def test_plain_addresses_are_told_from_names() -> None:
    assert literal_address("8.8.8.8") == "8.8.8.8"
    assert literal_address("2A00::1") == "2a00::1"
    assert literal_address("127.1") is None
