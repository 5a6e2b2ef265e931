"""Changes that AWS takes in one order only, applied to an emulator."""

from __future__ import annotations

import json
import socket
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from scripts.deployment.terraform import terraform_env
from scripts.local.emulator import Emulator
from tests.terraform.plans import DIGEST, REGION, Json
from tests.terraform.runner import SOURCE, Terraform

pytestmark = pytest.mark.terraform

JWT = {"type": "JWT", "issuer": "https://issuer.example", "audience": ["inference"]}
IAM = {"type": "AWS_IAM"}
NONE = {"type": "NONE"}

ZIP = {"zip": {"path": "api.zip", "handler": "api.handler", "runtime": "python3.13"}}
IMAGE = {"image": {"uri": f"repository@{DIGEST}"}}


class Changing:
    """A function, with or without an API, that is applied again and again."""

    def __init__(self, folder: Path, emulator: Emulator) -> None:
        self._folder = folder
        self._terraform = Terraform(folder, emulator.client_env(terraform_env()))

    def apply(self, package: Json, authorizer: Json | None = None) -> list[str]:
        """Returns what was done, in its order, as `resource action`."""
        modules: Json = {
            "function": {
                "source": str(SOURCE / "modules" / "function"),
                "name": "changes",
                "description": "Is changed.",
                "package": package,
                "architecture": "x86_64",
                "memory_mb": 256,
                "ephemeral_storage_mb": 512,
                "timeout_seconds": 30,
                "environment": {},
                "policies": {},
                "provisioned_concurrency": 1,
                "reserved_concurrency": None,
                "log_retention_days": 1,
            }
        }
        if authorizer:
            modules["api"] = {
                "source": str(SOURCE / "modules" / "http_api"),
                "name": "changes",
                "function": {
                    name: f"${{module.function.{name}}}" for name in ("name", "alias_name", "alias_invoke_arn")
                },
                "routes": ["POST /predict", "GET /status/{request_id}"],
                "authorizer": authorizer,
                "throttling": {"burst": 100, "rate": 50},
                "cors": None,
                "log_retention_days": 1,
            }
        root = {"provider": {"aws": {"region": REGION}}, "module": modules}
        (self._folder / "main.tf.json").write_text(json.dumps(root))
        self._terraform.init(".")
        done = self._hooks("apply_complete", "apply", "-json", "-auto-approve")
        return [f"{hook['resource']['resource']} {hook['action']}" for hook in done]

    def planned(self) -> list[str]:
        """The resources that another apply would change."""
        return [change["resource"]["resource"] for change in self._hooks("planned_change", "plan", "-json")]

    def _hooks(self, kind: str, *command: str) -> list[Json]:
        events = map(json.loads, self._terraform.run(".", *command).splitlines())
        hooks = [event.get("hook") or event["change"] for event in events if event["type"] == kind]
        return [hook for hook in hooks if hook["action"] != "read"]


@pytest.fixture
def changing(tmp_path: Path) -> Iterator[Changing]:
    """A folder of Terraform's with an emulator of its own."""
    with zipfile.ZipFile(tmp_path / "api.zip", "w") as archive:
        archive.writestr("api.py", "def handler(event, context): ...")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    emulator = Emulator(port, tmp_path / "emulator", lifetime_seconds=300)
    emulator.start()
    yield Changing(tmp_path, emulator)
    emulator.stop()


@pytest.mark.parametrize("after", [IAM, NONE], ids=["AWS_IAM", "NONE"])
def test_routes_leave_an_authorizer_before_it_is_deleted(changing: Changing, after: Json) -> None:
    """API Gateway deletes no authorizer that a route uses."""
    created = changing.apply(ZIP, JWT)
    authorizer, route = "aws_apigatewayv2_authorizer.jwt[0]", "aws_apigatewayv2_route.this"
    assert created.index(f"{authorizer} create") < created.index(f'{route}["POST /predict"] create')
    changed = changing.apply(ZIP, after)
    assert changed[-1] == f"{authorizer} delete"
    assert sorted(changed[:-1]) == [f'{route}["GET /status/{{request_id}}"] update', f'{route}["POST /predict"] update']


def test_a_function_of_another_package_type_keeps_its_alias(changing: Changing) -> None:
    """It is another function, of the same name: the old one takes its alias and its warm instances with it."""
    changing.apply(ZIP)
    assert changing.planned() == []
    changing.apply(IMAGE)
    assert changing.planned() == [], "nothing is missing after one apply"
