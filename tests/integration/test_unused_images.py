"""Deleting the images that nothing can run any more, on the emulator."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import boto3
import pytest
from botocore.exceptions import ClientError
from botocore.stub import Stubber

from scripts.deployment import aws_session, deployed_images, unused_images
from scripts.deployment.environment_config import ConfiguredModel, EnvironmentConfig
from scripts.deployment.unused_images import Clients, delete, delete_unused_images

PREFIX = "inference-dev"
FUNCTION = f"{PREFIX}-worker-mine"
REGISTRY = f"123456789012.dkr.ecr.us-east-1.amazonaws.com/{PREFIX}-worker"


class Registry:
    """A registry with images, a worker, and what the tool sees of them."""

    def __init__(self) -> None:
        self.clients = Clients(boto3.client("ecr"), boto3.client("lambda"), boto3.client("ssm"))
        self.clients.ecr.create_repository(repositoryName=f"{PREFIX}-worker", imageTagMutability="IMMUTABLE")

    def push(self, name: str) -> str:
        """Push an image with a tag. Returns its digest."""
        blob = {"size": 1, "digest": f"sha256:{hashlib.sha256(name.encode()).hexdigest()}"}
        media = "application/vnd.docker.distribution.manifest.v2+json"
        manifest = {"schemaVersion": 2, "mediaType": media, "config": blob, "layers": [blob]}
        pushed = self.clients.ecr.put_image(
            repositoryName=f"{PREFIX}-worker", imageManifest=json.dumps(manifest), imageTag=name
        )
        digest: str = pushed["image"]["imageId"]["imageDigest"]
        return digest

    def deploy(self, digest: str) -> str:
        """Update the worker, or create it, and publish. Returns the version."""
        uri = f"{REGISTRY}@{digest}"
        functions = self.clients.functions
        try:
            functions.update_function_code(FunctionName=FUNCTION, ImageUri=uri)
        except ClientError:
            functions.create_function(
                FunctionName=FUNCTION, PackageType="Image", Code={"ImageUri": uri}, Role=self._role()
            )
        version: str = functions.publish_version(FunctionName=FUNCTION)["Version"]
        return version

    def _role(self) -> str:
        trust = {"Statement": [{"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}}]}
        made = boto3.client("iam").create_role(RoleName="worker", AssumeRolePolicyDocument=json.dumps(trust))
        arn: str = made["Role"]["Arn"]
        return arn

    def tags(self) -> list[str]:
        images = self.clients.ecr.describe_images(repositoryName=f"{PREFIX}-worker")["imageDetails"]
        return sorted(tag for image in images for tag in image.get("imageTags", ()))


@pytest.fixture
def registry(on_emulator: None) -> Iterator[Registry]:
    registry = Registry()
    yield registry
    registry.clients.ecr.delete_repository(repositoryName=f"{PREFIX}-worker", force=True)
    registry.clients.functions.delete_function(FunctionName=FUNCTION)
    boto3.client("iam").delete_role(RoleName="worker")
    registry.clients.ssm.delete_parameters(Names=[f"/{PREFIX}/worker-images/{name}" for name in ("mine", "removed")])


def later(days: float) -> datetime:
    return datetime.now(UTC) + timedelta(days=days)


def test_what_a_version_can_run_stays(registry: Registry) -> None:
    first, second, live, noted, removed, _ = (
        registry.push(name) for name in ("first", "second", "live", "noted", "removed", "interrupted")
    )
    old, *_ = [registry.deploy(digest) for digest in (first, second, live)]
    deployed_images.write(
        registry.clients.ssm, PREFIX, {"mine": f"{REGISTRY}@{noted}", "removed": f"{REGISTRY}@{removed}"}
    )
    assert delete(registry.clients, PREFIX, ["mine"], later(unused_images.KEPT_DAYS + 1)) == 2
    assert registry.tags() == ["first", "live", "noted", "second"]
    registry.clients.functions.delete_function(FunctionName=FUNCTION, Qualifier=old)
    assert delete(registry.clients, PREFIX, ["mine"], later(unused_images.KEPT_DAYS + 1)) == 1
    assert registry.tags() == ["live", "noted", "second"]


def test_what_was_pushed_lately_stays(registry: Registry) -> None:
    registry.deploy(registry.push("live"))
    registry.push("pushed")
    assert delete(registry.clients, PREFIX, ["mine"], later(unused_images.KEPT_DAYS - 1)) == 0
    assert registry.tags() == ["live", "pushed"]


def test_many_are_deleted_in_several_calls(registry: Registry) -> None:
    registry.deploy(registry.push("live"))
    for number in range(205):
        registry.push(f"old-{number}")
    assert delete(registry.clients, PREFIX, ["mine"], later(unused_images.KEPT_DAYS + 1)) == 205
    assert registry.tags() == ["live"]


def test_where_a_function_is_not_found_nothing_is_deleted(
    registry: Registry, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    registry.deploy(registry.push("live"))
    registry.push("old")
    config = EnvironmentConfig("x86_64", {"mine": ConfiguredModel("mine", Path("mine"))}, PREFIX)
    made = {"ecr": registry.clients.ecr, "lambda": boto3.client("lambda"), "ssm": registry.clients.ssm}
    monkeypatch.setattr(aws_session, "client_in", lambda service, region: made[service])
    monkeypatch.setattr(unused_images, "KEPT_DAYS", -1)
    with Stubber(made["lambda"]) as stub:
        stub.add_client_error("list_versions_by_function", "ResourceNotFoundException")
        delete_unused_images(config)
    assert registry.tags() == ["live", "old"]
    assert "images that no version uses were not deleted: " in capsys.readouterr().err
    delete_unused_images(config)
    assert registry.tags() == ["live"]
    assert "no version of a function uses them: 1 images" in capsys.readouterr().err
