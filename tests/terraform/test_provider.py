"""Where `init` really gets the provider: from a mirror with no network, and from the registry with no mirror.

The mirror holds an empty file in the provider's place: `init` installs a provider and does not run it. All network goes
through a proxy that writes down whom Terraform asks for, and connects nobody.
"""

from __future__ import annotations

import os
import platform
import socketserver
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from scripts.deployment import provider_mirror
from scripts.deployment.provider_mirror import provider_env
from scripts.deployment.terraform import terraform_binary
from scripts.deployment.terraform_errors import registry_host

pytestmark = pytest.mark.terraform

VERSION = "5.100.0"
CONFIGURATION = f"""
terraform {{
  required_providers {{
    aws = {{
      source  = "hashicorp/aws"
      version = "{VERSION}"
    }}
  }}
}}
"""


class Proxy(socketserver.ThreadingTCPServer):
    """Refuses to connect anywhere, and knows where it should have."""

    daemon_threads = True

    def __init__(self) -> None:
        self.asked: list[str] = []
        super().__init__(("127.0.0.1", 0), _Reject)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Reject(socketserver.StreamRequestHandler):
    server: Proxy

    def handle(self) -> None:
        method, target, *_ = self.rfile.readline().decode().split()
        if method == "CONNECT":
            self.server.asked.append(target)
        self.wfile.write(b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    with Proxy() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


class Machine:
    """A machine of its own: a home, a folder for mirrors, an environment that needs the provider."""

    def __init__(self, folder: Path, proxy: Proxy) -> None:
        self.folder = folder
        self.environment = folder / "environments" / "local"
        self.environment.mkdir(parents=True)
        (self.environment / "main.tf").write_text(CONFIGURATION, encoding="utf-8")
        kept = {name: value for name, value in os.environ.items() if name in ("PATH", "LANG", "TF")}
        proxies = dict.fromkeys(("HTTPS_PROXY", "HTTP_PROXY"), proxy.url)
        data = {name: str(folder / "data") for name in ("XDG_DATA_HOME", "XDG_DATA_DIRS")}
        self._base = kept | proxies | data | {"HOME": str(folder), "CHECKPOINT_DISABLE": "1", "NO_PROXY": ""}

    def mirror(self, folder: str) -> Path:
        """Put the provider into a mirror there."""
        machine = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
        system = f"{platform.system().lower()}_{machine}"
        place = self.folder / folder / registry_host() / "hashicorp" / "aws" / VERSION / system
        place.mkdir(parents=True)
        (place / f"terraform-provider-aws_v{VERSION}").touch(mode=0o755)
        return self.folder / folder

    def init(self, **more: str) -> subprocess.CompletedProcess[str]:
        env = provider_env(self._base | more, host=registry_host(), environments=self.environment.parent)
        return subprocess.run(
            [terraform_binary(), "init", "-no-color", "-input=false"],
            cwd=self.environment,
            env=env,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            check=False,
            timeout=120,
        )


@pytest.fixture
def machine(tmp_path: Path, proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> Machine:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(provider_mirror, "SEARCHED", tmp_path / "opt")
    monkeypatch.setattr(provider_mirror, "CONFIG", tmp_path / "build" / "cli.tfrc")
    monkeypatch.setattr(provider_mirror, "CACHE", tmp_path / "build" / "plugins")
    return Machine(tmp_path, proxy)


@pytest.mark.parametrize("place", ["opt/anything", ".terraform.d/plugins", "data/terraform/plugins"])
def test_a_mirror_serves_where_the_registry_is_out_of_reach(machine: Machine, proxy: Proxy, place: str) -> None:
    machine.mirror(place)
    done = machine.init()
    assert done.returncode == 0, done.stderr
    assert f"Installed hashicorp/aws v{VERSION}" in done.stdout
    assert proxy.asked == []


def test_the_variable_names_a_mirror_anywhere(machine: Machine, proxy: Proxy) -> None:
    done = machine.init(TF_PROVIDER_MIRROR=str(machine.mirror("somewhere/else")))
    assert done.returncode == 0, done.stderr
    assert proxy.asked == []


def test_the_registry_is_asked_where_no_mirror_is(machine: Machine, proxy: Proxy) -> None:
    done = machine.init()
    assert set(proxy.asked) == {f"{registry_host()}:443"}
    assert done.returncode != 0, "the proxy connects nobody"
    assert "could not connect to registry" in done.stderr


def test_a_mirror_without_the_pinned_version_hides_no_registry(machine: Machine, proxy: Proxy) -> None:
    mirror = machine.mirror("opt/old") / registry_host() / "hashicorp" / "aws"
    (mirror / VERSION).rename(mirror / "5.99.0")
    machine.init()
    assert set(proxy.asked) == {f"{registry_host()}:443"}
