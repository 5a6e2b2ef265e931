"""A deployment with what is off by default: a VPC and a KMS key of the user's own, made with the documented key policy,
alarms, API keys, pages of another origin, and a default webhook."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from inference.store.key_table import KeyTable
from inference.telemetry import now_ms
from scripts.console import ROOT
from scripts.local.emulator import Emulator
from scripts.operate import api_keys
from tests.e2e.deployment import Deployment
from tests.e2e.http_client import Api
from tests.e2e.webhooks import Hooks, webhooks
from tests.integration.receivers import Receiver

PREFIX = "inference-own"
ORIGIN = "https://app.example.com"
CACHE_SECONDS = 2
DEFAULT_PATH = "/default"


@dataclass(frozen=True)
class Own:
    """The deployment, its KMS key's ARN, its VPC, and the receiver of webhooks that no client has named."""

    deployment: Deployment
    kms_key_arn: str
    vpc: dict[str, list[str]]
    hooks: Hooks

    def make_key(self, name: str) -> str:
        """A new API key, as `make api-key` makes it."""
        table = KeyTable(self.deployment.client("dynamodb"), self.deployment.output("api_keys")["table"])
        key, _ = api_keys.make(table, name, None, now_ms())
        return key

    def api(self, key: str | None = None) -> Api:
        """The API, for a client with this key, or without one."""
        return Api(self.deployment.base_url, **({"x_api_key": key} if key else {}))


@contextmanager
def own_deployment(emulator: Emulator, tree: Path, provider: Mapping[str, str]) -> Iterator[Own]:
    """Applied, and destroyed at the end."""
    folder = tree / "terraform" / "environments" / "own"
    ignored = shutil.ignore_patterns(".terraform*", "*.tfstate*", "*_override.tf*")
    shutil.copytree(folder.with_name("local"), folder, ignore=ignored, dirs_exist_ok=True)
    deployment = Deployment(folder, emulator, tree, provider)
    with Receiver().running() as receiver:
        own = Own(deployment, _create_key(deployment), _create_vpc(deployment), Hooks(receiver))
        deployment.override(
            name_prefix=PREFIX,
            kms_key_arn=own.kms_key_arn,
            vpc=own.vpc,
            monitoring={"alarms": True, "access_log": True},
            authorizer={"type": "API_KEY", "cache_seconds": CACHE_SECONDS},
            cors={"allow_origins": [ORIGIN]},
            webhooks=webhooks(deployment, default_url=own.hooks.url(DEFAULT_PATH)),
        )
        deployment.apply()
        yield own
        deployment.destroy()
    assert PREFIX not in str(deployment.left())


def _create_key(deployment: Deployment) -> str:
    policy = (ROOT / "docs" / "key-policy.json").read_text(encoding="utf-8")
    for name, value in {"REGION": "us-east-1", "ACCOUNT": "000000000000", "PREFIX": PREFIX}.items():
        policy = policy.replace(name, value)
    arn: str = deployment.client("kms").create_key(Policy=policy)["KeyMetadata"]["Arn"]
    return arn


def _create_vpc(deployment: Deployment) -> dict[str, list[str]]:
    ec2 = deployment.client("ec2")
    vpc = ec2.create_vpc(CidrBlock="10.1.0.0/16")["Vpc"]["VpcId"]
    subnets = [
        ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.1.{number}.0/24")["Subnet"]["SubnetId"] for number in range(2)
    ]
    group = ec2.create_security_group(VpcId=vpc, GroupName="functions", Description="of the test")["GroupId"]
    return {"subnet_ids": subnets, "security_group_ids": [group]}
