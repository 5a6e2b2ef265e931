"""Terraform with no account and no network: on a copy of terraform/, planning against a stub of STS."""

import json
import shutil
import threading
from collections.abc import Callable, Iterator
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from scripts.deployment.terraform import terraform_env
from tests.provider_process import install_provider, running_provider
from tests.terraform.plans import ACCOUNT, DIGEST, PARTITIONS, REGION, Json, Plan
from tests.terraform.runner import ENVIRONMENTS, SOURCE, Terraform

MANIFEST: Json = {
    "batch_size": 10,
    "batch_window_seconds": 3,
    "memory_mb": 1769,
    "timeout_seconds": 40,
    "input_files": {"image": "bytes"},
}

IDENTITY = f"""\
<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">
  <GetCallerIdentityResult>
    <Arn>arn:{{partition}}:iam::{ACCOUNT}:user/test</Arn><UserId>TEST</UserId><Account>{ACCOUNT}</Account>
  </GetCallerIdentityResult>
  <ResponseMetadata><RequestId>test</RequestId></ResponseMetadata>
</GetCallerIdentityResponse>
"""

ZONES = """\
<DescribeAvailabilityZonesResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/">
  <requestId>test</requestId>
  <availabilityZoneInfo>
    <item><zoneName>{region}a</zoneName><zoneId>1-az1</zoneId><zoneState>available</zoneState></item>
    <item><zoneName>{region}b</zoneName><zoneId>1-az2</zoneId><zoneState>available</zoneState></item>
    <item><zoneName>{region}c</zoneName><zoneId>1-az4</zoneId><zoneState>available</zoneState></item>
  </availabilityZoneInfo>
</DescribeAvailabilityZonesResponse>
"""


@pytest.fixture(scope="session")
def provider(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The AWS provider that the environments pin."""
    return install_provider(tmp_path_factory.mktemp("provider"), terraform_env())


@pytest.fixture(scope="session")
def terraform(tmp_path_factory: pytest.TempPathFactory, sts: str, provider: Path) -> Iterator[Terraform]:
    """Terraform in a fresh copy: the checkout stays as it is. All its commands share one process of the provider."""
    copy = tmp_path_factory.mktemp("repository") / "terraform"
    shutil.copytree(SOURCE, copy, ignore=shutil.ignore_patterns(".terraform*", "*.tfstate*", "*_override.tf*"))
    (copy.parent / "worker").symlink_to(SOURCE.parent / "worker")  # the manifests, which the stack reads
    (copy.parent / "lambda").symlink_to(SOURCE.parent / "lambda")  # openapi.json, from which it takes the routes
    own = {name: value for name, value in terraform_env().items() if not name.startswith(("AWS_", "TF_VAR_"))}
    credentials = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_REGION": REGION}
    env = own | credentials | {"AWS_ENDPOINT_URL": sts, "AWS_EC2_METADATA_DISABLED": "true"}
    with running_provider(provider, copy / "environments" / "local", env) as attached:
        terraform = Terraform(copy, env | attached)
        for environment in ENVIRONMENTS:
            terraform.override(f"environments/{environment}", {})  # no bucket is there
        yield terraform


@pytest.fixture(scope="session")
def sts() -> Iterator[str]:
    """Base URL of a stub that knows the account and the zones: all that a plan from nothing asks AWS."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            region = self.headers["authorization"].split("/")[2]
            answers = {
                b"Action=GetCallerIdentity": IDENTITY.format(partition=PARTITIONS.get(region, "aws")),
                b"Action=DescribeAvailabilityZones": ZONES.format(region=region),
            }
            known = next((text for action, text in answers.items() if action in body), None)
            answer = (known or "the stub only knows GetCallerIdentity and DescribeAvailabilityZones").encode()
            self.send_response(200 if known else 501)
            self.send_header("content-type", "text/xml")
            self.send_header("content-length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="session")
def inputs_of(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that has the models and the zips of the plans."""
    return tmp_path_factory.mktemp("inputs")


@pytest.fixture(scope="session")
def plan_of(terraform: Terraform, inputs_of: Path) -> Callable[..., Plan]:
    """plan_of("dev", "sentiment", "tiny") is the plan of dev with these models; each plan is made once. `each` are
    settings of each model; all other keywords are the stack's."""
    inputs = inputs_of
    placeholder = inputs / "lambda.zip"
    placeholder.write_text("stands for a zip")
    shutil.copy(placeholder, inputs / "dispatcher.zip")

    @cache
    def make(environment: str, models: tuple[str, ...], region: str | None, given: str) -> Plan:
        each, others = json.loads(given)
        settings: Json = {
            "packages_dir": str(inputs),
            "default_model": models[0],
            "images_from_parameters": False,  # nobody answers for SSM
            "models": {},
        }
        for name in models:
            manifest = inputs / name / "manifest.json"
            manifest.parent.mkdir(exist_ok=True)
            manifest.write_text(json.dumps({"name": name} | MANIFEST))
            shutil.copy(placeholder, inputs / f"worker-{name}.zip")
            settings["models"][name] = {"models_dir": str(inputs), "ephemeral_storage_mb": 1024} | each
            if environment != "local":
                settings["models"][name]["package"] = {"image": {"uri": f"repository@{DIGEST}"}}
        return terraform.plan(f"environments/{environment}", settings | others, region)

    def plan_of(
        environment: str, *models: str, region: str | None = None, each: Json | None = None, **others: Any
    ) -> Plan:
        return make(environment, models or ("sentiment",), region, json.dumps([each or {}, others], sort_keys=True))

    return plan_of
