"""ENV=local in a shell and with AWS files that aim elsewhere, from a folder with spaces: nothing leaves this machine.

Where the system allows a network namespace, everything runs in one that has no way out, and counts what was tried: DNS
and direct connections included. Elsewhere (macOS) only what goes through an HTTP proxy is seen.
"""

from __future__ import annotations

import os
import socketserver
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e import loopback_only
from tests.e2e.conftest import free_port

CONFIG = """\
[default]
region = eu-west-1
ignore_configured_endpoint_urls = true
use_fips_endpoint = true
use_dualstack_endpoint = true
services = mine
[profile prod]
region = eu-west-1
ignore_configured_endpoint_urls = true
credential_process = /bin/false
[services mine]
sts =
  endpoint_url = https://sts.eu-west-1.amazonaws.com
"""
CREDENTIALS = """\
[default]
aws_access_key_id = AKIAREAL
aws_secret_access_key = real
"""
PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy", "ALL_PROXY")


class Trap(socketserver.ThreadingTCPServer):
    """A proxy that lets nobody through and keeps what was asked of it."""

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self) -> None:
        self.asked: list[str] = []
        trap = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                trap.asked.append(self.rfile.readline().decode(errors="replace").strip())
                self.wfile.write(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")

        super().__init__(("127.0.0.1", 0), Handler)


@pytest.fixture
def trap() -> Iterator[Trap]:
    with Trap() as trap:
        thread = threading.Thread(target=trap.serve_forever, daemon=True)
        thread.start()
        yield trap
        trap.shutdown()
        thread.join()


@pytest.fixture
def shell(tmp_path: Path, trap: Trap) -> dict[str, str]:
    """Everything in one shell that public reports of such tools name."""
    home = tmp_path / "home"
    (home / ".aws").mkdir(parents=True)
    (home / ".aws" / "config").write_text(CONFIG)
    (home / ".aws" / "credentials").write_text(CREDENTIALS)
    proxy = f"http://127.0.0.1:{trap.server_address[1]}"
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "TF_VAR_"))}
    return kept | {
        "HOME": str(home),
        "EMULATOR_PORT": str(free_port()),
        "AWS_PROFILE": "prod",
        "AWS_CONFIG_FILE": str(home / ".aws" / "config"),
        "AWS_ENDPOINT_URL": "https://example.com",
        "AWS_ENDPOINT_URL_DYNAMODB": "https://dynamodb.eu-west-1.amazonaws.com",
        "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true",
        "AWS_USE_FIPS_ENDPOINT": "true",
        "AWS_SESSION_TOKEN": "real",
        "AWS_WEB_IDENTITY_TOKEN_FILE": "/nowhere",
        "AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://169.254.170.2/x",
        "AWS_CA_BUNDLE": "/nowhere.pem",
        "TF_WORKSPACE": "other",
        "TF_DATA_DIR": str(tmp_path / "data"),
        "TF_VAR_default_model": "nobody",
        "TF_CLI_ARGS": "-compact-warnings",
        "TF_CLI_ARGS_apply": "-destroy",
        "LC_ALL": "POSIX",
        "PYTHONUTF8": "0",
        "PYTHONCOERCECLOCALE": "0",
        **dict.fromkeys(PROXIES, proxy),
    }


def test_nothing_leaves_the_machine(clone: Path, shell: dict[str, str], trap: Trap) -> None:
    def tool(*arguments: str) -> list[str]:
        return [sys.executable, "-m", *arguments]

    commands = [
        tool("scripts.deployment.apply", "--env", "local"),
        tool("scripts.operate.predict", "what a lovely day"),
        tool("scripts.operate.logs"),
        tool("scripts.operate.dead_letters", "list"),
        tool("scripts.deployment.destroy", "--env", "local"),
        tool("scripts.local.emulator", "stop"),
    ]
    unshare = loopback_only.namespace()
    if unshare:
        direct = {name: value for name, value in shell.items() if name not in PROXIES}
        report = loopback_only.run(unshare, commands, cwd=clone, env=direct)
    else:
        report = through_trap(commands, clone, shell)
    for command, (code, said) in zip(commands, report.done, strict=False):
        assert code == 0, f"{command[2:]}: {said[-5000:]}"
    assert len(report.done) == len(commands)
    applied, predicted, logged, *_ = (said for _, said in report.done)
    assert "ENV=local ignores what your shell sets: TF_CLI_ARGS, TF_CLI_ARGS_apply" in applied
    assert "positive" in predicted
    assert '"status":202' in logged
    assert (report.names, report.unroutable) == ([], 0)
    assert set(trap.asked) == set()
    assert not list(clone.rglob("terraform.tfstate.d")), "another workspace's state"


def through_trap(commands: list[list[str]], clone: Path, shell: dict[str, str]) -> loopback_only.Report:
    """Without a namespace: the same, with the trap as everybody's proxy."""
    done: list[tuple[int, str]] = []
    for command in commands:
        if command == commands[-1] or all(code == 0 for code, _ in done):
            done.append(loopback_only.ran(command, clone, shell))
    return loopback_only.Report(done, [], 0)
