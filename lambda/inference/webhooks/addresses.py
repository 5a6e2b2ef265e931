"""Which addresses a webhook may be sent to: public ones. Else a client could have the deliverer call what only the
deployment can reach: the metadata service, hosts of its network, itself.

A host's name is resolved once, all its addresses are checked, and the connection is made to one of those: a name that
resolves to something else a moment later changes nothing.
"""

from __future__ import annotations

import ipaddress
import socket
import time
from collections.abc import Callable, Sequence
from typing import Any

_NOT_PUBLIC = tuple(
    ipaddress.ip_network(network)
    for network in (
        "::/96",  # IPv4-compatible addresses
        "::ffff:0:0/96",  # IPv4-mapped addresses
        "64:ff9b::/96",  # NAT64: reaches IPv4 addresses
        "64:ff9b:1::/48",
        "2001::/32",  # Teredo
        "2002::/16",  # 6to4
        "3fff::/20",  # documentation
        "5f00::/16",  # segment routing
        "fec0::/10",  # site-local, of old
        "192.88.99.0/24",  # 6to4 relays
    )
)
"""What `is_global` of ipaddress calls global in some version of Python, and is not a receiver's."""

CONNECT_SECONDS = 3.0
"""For each address of a host."""

Resolve = Callable[..., Sequence[tuple[Any, ...]]]
"""socket.getaddrinfo, or a test's."""


class RefusedAddressError(Exception):
    """The host has an address that webhooks are not sent to."""


def is_public(address: str) -> bool:
    """Whether an address is one of the internet. False for everything else, also for what is no address."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return False
    if not found.is_global or found.is_multicast or found.is_reserved:
        return False
    return not any(found in network for network in _NOT_PUBLIC if network.version == found.version)


def is_allowed(address: str, allow_loopback: bool) -> bool:
    """Whether webhooks may be sent to an address."""
    if allow_loopback:
        try:
            if ipaddress.ip_address(address).is_loopback:
                return True
        except ValueError:
            return False
    return is_public(address)


def literal_address(host: str) -> str | None:
    """The address that a URL's host is in its plain form; None for a name. Other forms of an IPv4 address, such as
    `2130706433` or `0x7f.1`, are names here: the resolver reads them, and what it reads is checked."""
    try:
        return str(ipaddress.ip_address(host))
    except ValueError:
        return None


def addresses_of(
    host: str, port: int, allow_loopback: bool = False, resolve: Resolve = socket.getaddrinfo
) -> list[tuple[int, tuple[Any, ...]]]:
    """The addresses of a host, each as address family and what `connect` takes.

    Raises:
        RefusedAddressError: one of them is not allowed; then none is.
        OSError: the name could not be resolved.
    """
    found = [(entry[0], entry[4]) for entry in resolve(host, port, type=socket.SOCK_STREAM)]
    for _, place in found:
        if not is_allowed(str(place[0]), allow_loopback):
            raise RefusedAddressError(f"{host} has an address that is not public")
    if not found:
        raise OSError(f"{host} has no address")
    return found


def is_loopback(place: tuple[Any, ...]) -> bool:
    """Whether what `connect` takes is this machine."""
    return str(place[0]).startswith("127.") or place[0] == "::1"


def connect(places: Sequence[tuple[int, tuple[Any, ...]]], end: float) -> socket.socket | None:
    """A connection to the first of these addresses that accepts one; None: none does before `end` (monotonic time)."""
    for family, place in places:
        left = end - time.monotonic()
        if left <= 0:
            return None
        connection = socket.socket(family, socket.SOCK_STREAM)
        connection.settimeout(min(CONNECT_SECONDS, left))
        try:
            connection.connect(place)
        except OSError:
            connection.close()
            continue
        return connection
    return None
