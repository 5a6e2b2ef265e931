"""The order in which an apply changes routes and authorizer: API Gateway deletes no authorizer that a route uses."""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from scripts.emulator import Emulator
from scripts.terraform import terraform_env
from tests.terraform.plans import ACCOUNT, REGION, Json
from tests.terraform.runner import SOURCE, Terraform

pytestmark = pytest.mark.terraform

JWT = {"type": "JWT", "issuer": "https://issuer.example", "audience": ["inference"]}
IAM = {"type": "AWS_IAM"}
NONE = {"type": "NONE"}

ALIAS = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:api:live"
ROOT: Json = {
    "provider": {"aws": {"region": REGION}},
    "variable": {"authorizer": {"type": "any"}},
    "module": {
        "api": {
            "source": str(SOURCE / "modules" / "http_api"),
            "name": "authorizer",
            "function": {
                "name": "api",
                "alias_name": "live",
                "alias_invoke_arn": f"arn:aws:apigateway:{REGION}:lambda:path/2015-03-31/functions/{ALIAS}/invocations",
            },
            "routes": ["POST /predict", "GET /status/{request_id}"],
            "authorizer": "${var.authorizer}",
        }
    },
}


@pytest.fixture
def terraform(tmp_path: Path) -> Iterator[Terraform]:
    """Terraform with an emulator, in a folder with nothing but the API."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    emulator = Emulator(port, tmp_path / "emulator", lifetime_seconds=300)
    emulator.start()
    (tmp_path / "main.tf.json").write_text(json.dumps(ROOT))
    yield Terraform(tmp_path, emulator.client_env(terraform_env()))
    emulator.stop()


@pytest.mark.parametrize("after", [IAM, NONE], ids=["AWS_IAM", "NONE"])
def test_routes_leave_an_authorizer_before_it_is_deleted(terraform: Terraform, after: Json) -> None:
    terraform.init(".")
    created = _apply(terraform, JWT)
    assert created.index("authorizer.jwt[0] create") < created.index('route.this["POST /predict"] create')
    changed = _apply(terraform, after)
    assert changed[-1] == "authorizer.jwt[0] delete"
    assert sorted(changed[:-1]) == [
        'route.this["GET /status/{request_id}"] update',
        'route.this["POST /predict"] update',
    ]


def _apply(terraform: Terraform, authorizer: Json) -> list[str]:
    """What an apply did to routes and authorizers, in the order in which it was done."""
    # Only the routes and what they need: the permissions want a function that is there.
    shown = terraform.run(
        ".",
        "apply",
        "-json",
        "-auto-approve",
        f"-var=authorizer={json.dumps(authorizer)}",
        "-target=module.api.aws_apigatewayv2_route.this",
        "-target=module.api.aws_apigatewayv2_authorizer.jwt",
    )
    hooks = [event["hook"] for event in map(json.loads, shown.splitlines()) if event["type"] == "apply_complete"]
    named = [f"{hook['resource']['resource']} {hook['action']}" for hook in hooks]
    return [
        name.removeprefix("aws_apigatewayv2_") for name in named if re.match(r"aws_apigatewayv2_(route|auth)", name)
    ]
