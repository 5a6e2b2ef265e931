"""Run commands where nothing but loopback exists, and tell what they tried to reach beyond it.

    unshare --net --mount python -m tests.e2e.loopback_only    (commands on stdin, the report on stdout, as JSON)

In a network namespace of its own there is no route to anywhere, and the kernel counts what finds none, whatever library
sent it. Names go to a resolver of ours, so that the report can say which were asked for.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

RESOLVER = ("127.0.0.53", 53)
ELSEWHERE = ("192.0.2.1", 443)  # TEST-NET-1
SECONDS = 240
_SIOCSIFFLAGS, _IFF_UP_RUNNING = 0x8914, 0x41


@dataclass(frozen=True)
class Report:
    """What the commands did: their exit codes and output, the names asked for, and the packets that had no route."""

    done: list[tuple[int, str]]
    names: list[str]
    unroutable: int


def ran(command: list[str], cwd: Path | str, env: Mapping[str, str]) -> tuple[int, str]:
    """A command's exit code, and what it printed."""
    done = subprocess.run(
        command,
        cwd=cwd,
        env=dict(env),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
        timeout=SECONDS,
        check=False,
    )
    return done.returncode, done.stdout


def namespace() -> list[str] | None:
    """The command that gives another a namespace of its own, or None where the system rejects that."""
    if not shutil.which("unshare"):
        return None
    command = ["unshare", "--net", "--mount", *([] if os.geteuid() == 0 else ["--map-root-user"])]
    return command if subprocess.run([*command, "true"], capture_output=True, check=False).returncode == 0 else None


def run(unshare: list[str], commands: list[list[str]], *, cwd: Path, env: dict[str, str]) -> Report:
    """Run the commands one after the other, the last one always; what follows the first that fails is left out."""
    source = json.dumps({"commands": commands, "cwd": str(cwd), "env": env})
    result = subprocess.run(
        [*unshare, sys.executable, "-m", __name__], input=source, capture_output=True, encoding="utf-8", check=False
    )
    assert result.returncode == 0, result.stderr
    report = json.loads(result.stdout)
    return Report([(code, said) for code, said in report["done"]], report["names"], report["unroutable"])


def _unroutable() -> int:
    """Packets and connections of this namespace that found no route, since it was made (IPv4 and IPv6)."""
    heads, values = (line.split() for line in Path("/proc/net/snmp").read_text().splitlines() if line.startswith("Ip:"))
    found = int(values[heads.index("OutNoRoutes")])
    six = Path("/proc/net/snmp6")
    if six.exists():
        found += sum(int(line.split()[1]) for line in six.read_text().splitlines() if line.startswith("Ip6OutNoRoutes"))
    return found


def _resolve(server: socket.socket, names: list[str]) -> None:
    """Answer every question with 'no such name', and keep the name."""
    while True:
        question, sender = server.recvfrom(4096)
        labels, at = [], 12
        while length := question[at]:
            labels.append(question[at + 1 : at + 1 + length].decode(errors="replace"))
            at += 1 + length
        names.append(".".join(labels))
        server.sendto(question[:2] + b"\x81\x83" + question[4:6] + bytes(6) + question[12 : at + 5], sender)


def _cut_off(names: list[str]) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, _SIOCSIFFLAGS, struct.pack("16sh", b"lo", _IFF_UP_RUNNING))
    with tempfile.NamedTemporaryFile("w", suffix=".conf") as file:
        file.write(f"nameserver {RESOLVER[0]}\n")
        file.flush()
        subprocess.run(["mount", "--bind", file.name, os.path.realpath("/etc/resolv.conf")], check=True)
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind(RESOLVER)
    threading.Thread(target=_resolve, args=(server, names), daemon=True).start()


def _prove_that_it_sees(names: list[str]) -> None:
    """A name and an address from here are both noticed; else the report would mean nothing."""
    with contextlib.suppress(socket.gaierror):
        socket.getaddrinfo("seen.example", 443)
    assert "seen.example" in names, "the resolver was not asked"
    before = _unroutable()
    with socket.socket() as client:
        assert client.connect_ex(ELSEWHERE) == errno.ENETUNREACH, "there is a route to elsewhere"
    assert _unroutable() > before, "the kernel does not count what finds no route"


def main() -> None:
    """Cut off, run, report."""
    source = json.load(sys.stdin)
    names: list[str] = []
    _cut_off(names)
    _prove_that_it_sees(names)
    names.clear()
    before = _unroutable()
    done: list[tuple[int, str]] = []
    *commands, last = source["commands"]
    for command in commands:
        done.append(ran(command, source["cwd"], source["env"]))
        if done[-1][0]:
            break
    done.append(ran(last, source["cwd"], source["env"]))
    print(json.dumps({"done": done, "names": names, "unroutable": _unroutable() - before}))


if __name__ == "__main__":
    main()
