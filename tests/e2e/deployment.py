"""Drives Terraform with python-terraform, and AWS clients with localstack_client, against one emulator."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from localstack_client.session import Session
from python_terraform import Terraform

from scripts.deployment.terraform import terraform_binary
from scripts.local.emulator import Emulator


class TerraformFailed(AssertionError):
    """Terraform ended with an error; the text is what it printed."""


class Deployment:
    """One environment's folder, applied to an emulator.

    Args:
        folder: the environment's Terraform folder.
        emulator: where it is applied to.
        tree: the copy of the repository that the folder is in.
        provider: the variables with the provider's running process, as tests/provider_process.py gives it.
    """

    def __init__(self, folder: Path, emulator: Emulator, tree: Path, provider: Mapping[str, str]) -> None:
        self.folder = folder
        self.tree = tree
        self._emulator = emulator
        self._provider = provider
        self._overrides = folder / "e2e_override.tf.json"
        self._terraform = Terraform(working_dir=str(folder), terraform_bin_path=terraform_binary())
        self._initialised = False
        self.outputs: dict[str, Any] = {}

    def override(self, **settings: Any) -> None:
        """Override the environment's settings for the stack, from the next plan or apply on."""
        self._overrides.write_text(json.dumps({"module": {"stack": settings}}))

    def apply(self) -> None:
        """Apply what the environment and the overrides say."""
        self._init()
        self._run(self._terraform.apply, skip_plan=True)
        self.outputs = self._terraform.output()["deployment"]["value"]

    def plan(self) -> dict[str, Any]:
        """The plan, as JSON (`terraform show -json`)."""
        self._init()
        self._run(self._terraform.plan, out="e2e.tfplan", good=(0, 2))
        plan: dict[str, Any] = json.loads(self._run(self._terraform.cmd, "show -json e2e.tfplan"))
        return plan

    def changes(self) -> dict[str, list[str]]:
        """Address -> actions of everything that the next apply would change; empty when nothing."""
        changes = self.plan().get("resource_changes", [])
        actions = {change["address"]: change["change"]["actions"] for change in changes}
        return {address: action for address, action in actions.items() if action not in (["no-op"], ["read"])}

    def destroy(self) -> None:
        """Destroy everything."""
        # force is python-terraform's wording of a flag that Terraform dropped; auto-approve is what it became.
        self._run(self._terraform.destroy, force=None, auto_approve=True)

    def left(self) -> dict[str, list[str]]:
        """What exists on the emulator, by kind: nothing after a destroy."""
        found = {
            "queues": self.client("sqs").list_queues().get("QueueUrls", []),
            "tables": self.client("dynamodb").list_tables()["TableNames"],
            "functions": [f["FunctionName"] for f in self.client("lambda").list_functions()["Functions"]],
            "mappings": [m["UUID"] for m in self.client("lambda").list_event_source_mappings()["EventSourceMappings"]],
            "roles": [role["RoleName"] for role in self.client("iam").list_roles()["Roles"]],
            "log groups": [g["logGroupName"] for g in self.client("logs").describe_log_groups()["logGroups"]],
            "apis": [api["Name"] for api in self.client("apigatewayv2").get_apis()["Items"]],
            "repositories": [r["repositoryName"] for r in self.client("ecr").describe_repositories()["repositories"]],
            "buckets": [
                bucket["Name"]
                for bucket in self.client("s3").list_buckets()["Buckets"]
                if bucket["Name"].startswith("inference-")  # that of test_bootstrap stays
            ],
            "rules": [rule["Name"] for rule in self.client("events").list_rules()["Rules"]],
        }
        return {kind: names for kind, names in found.items() if names}

    def output(self, name: str) -> Any:
        """What the environment tells of itself, by its output's keys."""
        return self.outputs[name]

    @property
    def base_url(self) -> str:
        """Where the API answers on the emulator."""
        return f"{self._emulator.endpoint}/_aws/execute-api/{self.output('api_id')}"

    def client(self, service: str) -> Any:
        """A root client of the emulator."""
        host = self._emulator.endpoint.removeprefix("http://")
        session = Session(aws_access_key_id="test", aws_secret_access_key="test", localstack_host=host)
        return session.client(service)

    def _init(self) -> None:
        if not self._initialised:
            self._run(self._terraform.init)
            self._initialised = True

    def _run(self, command: Callable[..., Any], *arguments: str, good: tuple[int, ...] = (0,), **options: Any) -> str:
        """What a command of python-terraform printed. It hands its own environment on to Terraform."""
        os.environ.update(self._provider)
        try:
            code, output, errors = command(*arguments, **options)
        finally:
            for name in self._provider:
                del os.environ[name]
        if code not in good:
            raise TerraformFailed(f"terraform ended with {code}:\n{output[-3000:]}\n{errors[-3000:]}")
        return str(output)
