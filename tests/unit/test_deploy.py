"""Deploying to AWS in one go: in which order, what is built, what Terraform is told. Terraform and AWS are played."""

from __future__ import annotations

import base64
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import NoCredentialsError
from botocore.stub import Stubber

from scripts.console import CommandError
from scripts.deployment import aws_session, deploy, rollout, terraform
from scripts.deployment.environment_config import ConfiguredModel, EnvironmentConfig
from scripts.packaging import package
from scripts.packaging.builders import Builder
from scripts.packaging.targets import LAMBDA, Target

ENDS = ("apply dev", "smoke test dev", "finish dev", "delete unused images")
REPOSITORY = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/inference-dev-worker"


class Stage:
    """Plays Terraform and the build, and notes what happens."""

    def __init__(self, folder: Path, deployed: bool) -> None:
        self.deployed = deployed
        self.done: list[str] = []
        self.fails = ""
        self.models = folder / "models"
        self.config = EnvironmentConfig(
            "arm64", {"first": ConfiguredModel("first", self.models / "first")}, "inference-dev"
        )
        self.written: dict[str, str] = {}

    def execute(self, command: str, environment: str, arguments: list[str] | None = None) -> int:
        self.done.append(" ".join([command, environment, *(arguments or [])]))
        self.deployed = self.deployed or command == "apply"
        return int(command == self.fails)

    def run_terraform(self, command: str, environment: str, config: EnvironmentConfig) -> int:
        assert config is self.config
        return self.execute(command, environment)

    def build_for_environment(self, out: Path, environment: str, config: EnvironmentConfig, *, images: bool) -> None:
        assert images and config is self.config
        self.done.append(f"package {environment}")

    def registry_url(self, config: EnvironmentConfig) -> str | None:
        assert config is self.config
        return REPOSITORY if self.deployed else None

    def build(self, *arguments: Any, fresh: bool, in_s3: set[Path], target: Target) -> str:
        _, repository, name, folders, architecture, _ = arguments
        assert fresh and target is LAMBDA
        assert name == folders[0].name or len(folders) > 1
        self.done.append(f"build {name} {architecture}{' without its artifact' if in_s3.issuperset(folders) else ''}")
        return f"{repository}:{name}"

    def smoke_test(self, environment: str, config: EnvironmentConfig, model: str | None, seconds: float) -> int:
        assert config is self.config and model is None
        self.done.append(f"smoke test {environment}")
        return int(self.fails == "smoke test")

    def delete_unused_images(self, config: EnvironmentConfig) -> None:
        assert config is self.config
        self.done.append("delete unused images")

    def push(self, builder: Builder, image: str) -> str:
        self.done.append(f"push {image.rpartition(':')[2]}")
        return f"{REPOSITORY}@sha256:{image[-1] * 64}"


@pytest.fixture
def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stage:
    stage = Stage(tmp_path, deployed=True)
    (tmp_path / "dev").mkdir()
    monkeypatch.setattr(terraform, "ENVIRONMENTS", tmp_path)
    monkeypatch.setattr(terraform, "execute", stage.execute)
    monkeypatch.setattr(deploy, "run_terraform", stage.run_terraform)
    monkeypatch.setattr(package, "build_for_environment", stage.build_for_environment)
    monkeypatch.setattr(package, "show", lambda packages: None)
    monkeypatch.setattr(deploy, "registry_url", stage.registry_url)
    monkeypatch.setattr(deploy, "log_in", lambda builder, repository: stage.done.append(f"login {builder.name}"))
    monkeypatch.setattr(deploy, "_note_images", lambda repository, prefix, images: stage.written.update(images))
    monkeypatch.setattr(deploy, "build", stage.build)
    monkeypatch.setattr(deploy, "smoke_test", stage.smoke_test)
    monkeypatch.setattr(rollout, "finish", lambda environment: stage.done.append(f"finish {environment}"))
    monkeypatch.setattr(deploy, "push", stage.push)
    monkeypatch.setattr(deploy, "delete_unused_images", stage.delete_unused_images)
    return stage


def run(stage: Stage) -> int:
    return deploy.deploy("dev", stage.config, Builder("podman"), [])


def test_what_is_built_is_what_terraform_deploys(stage: Stage, tmp_path: Path) -> None:
    assert run(stage) == 0
    assert stage.done == [
        "package dev",
        "init dev",
        "login podman",
        "build first arm64",
        "push first",
        *ENDS,
    ]
    assert stage.written == {"first": f"{REPOSITORY}@sha256:{'t' * 64}"}


def test_the_first_time_the_registry_comes_first(stage: Stage) -> None:
    stage.deployed = False
    assert run(stage) == 0
    assert stage.done[2] == "apply dev -target=module.stack.module.container_registry"
    assert stage.done[3:] == ["login podman", "build first arm64", "push first", *ENDS]


def test_where_the_registry_is_not_created_nothing_is_built(stage: Stage) -> None:
    stage.deployed, stage.fails = False, "apply"
    with pytest.raises(CommandError, match="the registry was not created"):
        run(stage)
    assert [line.split()[0] for line in stage.done] == ["package", "init", "apply"]


def test_a_failed_smoke_test_is_a_failed_deployment(stage: Stage) -> None:
    stage.fails = "smoke test"
    assert run(stage) == 1
    assert stage.done[-1] == "smoke test dev", "no version is deleted that one may go back to"


def test_a_failed_apply_is_not_smoke_tested(stage: Stage) -> None:
    stage.fails = "apply"
    assert run(stage) == 1
    assert stage.done[-1] == "apply dev"


def ecr(monkeypatch: pytest.MonkeyPatch) -> Stubber:
    """ECR, in the region that the environment names."""
    ecr = boto3.client("ecr", region_name="eu-west-1", aws_access_key_id="a", aws_secret_access_key="b")

    def client_in(service: str, region: str | None) -> Any:
        assert (service, region) == ("ecr", "eu-west-1")
        return ecr

    monkeypatch.setattr(aws_session, "client_in", client_in)
    return Stubber(ecr)


def test_the_registry_is_found_by_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """Terraform has no output after an apply of the registry alone."""
    config = EnvironmentConfig("x86_64", {}, "inference-dev", "eu-west-1")
    asked = {"repositoryNames": ["inference-dev-worker"]}
    with ecr(monkeypatch) as stub:
        stub.add_response("describe_repositories", {"repositories": [{"repositoryUri": REPOSITORY}]}, asked)
        stub.add_client_error("describe_repositories", "RepositoryNotFoundException", expected_params=asked)
        stub.add_client_error("describe_repositories", "AccessDeniedException", expected_params=asked)
        assert deploy.registry_url(config) == REPOSITORY
        assert deploy.registry_url(config) is None
        with pytest.raises(CommandError, match="ecr:DescribeRepositories is needed"):
            deploy.registry_url(config)


def test_each_folder_has_an_image_of_its_own_and_two_models_of_one_folder_share_it(
    stage: Stage, tmp_path: Path
) -> None:
    own = ConfiguredModel("own", stage.models / "first", own_package=True)
    second = [ConfiguredModel(name, stage.models / "second", "s3://bucket/key") for name in ("second", "again")]
    stage.config = EnvironmentConfig(
        "arm64", dict(stage.config.models) | {model.name: model for model in (own, *second)}, "p"
    )
    assert run(stage) == 0
    assert [line for line in stage.done if line.startswith("build")] == [
        "build first arm64",
        "build second arm64 without its artifact",
    ]
    assert stage.written == {
        "first": f"{REPOSITORY}@sha256:{'t' * 64}",
        "second": f"{REPOSITORY}@sha256:{'d' * 64}",
        "again": f"{REPOSITORY}@sha256:{'d' * 64}",
    }


def test_the_builder_logs_in_with_ecrs_token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "buildah").write_text(f'#!/bin/sh\necho "$*: $(cat)" > "{tmp_path}/call"\n')
    (tmp_path / "buildah").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    token = base64.b64encode(b"AWS:secret").decode()
    answer = {"authorizationData": [{"authorizationToken": token}]}
    with ecr(monkeypatch) as stub:
        stub.add_response("get_authorization_token", answer)
        deploy.log_in(Builder("buildah"), REPOSITORY)
    registry = REPOSITORY.partition("/")[0]
    assert (tmp_path / "call").read_text() == f"login --username AWS --password-stdin {registry}: secret\n"


def test_without_credentials_it_says_what_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    def client_in(service: str, region: str | None) -> Any:
        raise NoCredentialsError

    monkeypatch.setattr(aws_session, "client_in", client_in)
    with pytest.raises(CommandError, match="ecr:GetAuthorizationToken"):
        deploy.log_in(Builder("docker"), REPOSITORY)


def test_the_emulator_is_not_deployed_to_like_this(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["deploy", "--env", "local"])
    with pytest.raises(CommandError, match="make up"):
        deploy.main()


def test_the_checks_know_the_models_before_anything_is_built(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    def check(environment: str, config: EnvironmentConfig, choice: str | None) -> Builder:
        assert (environment, config, choice) == ("dev", stage.config, "podman")
        assert stage.done == []
        raise CommandError("dev can't be deployed yet")

    def read_config(environment: str, *, images: bool) -> EnvironmentConfig:
        assert not images
        return stage.config

    monkeypatch.setattr(deploy, "read_config", read_config)
    monkeypatch.setattr(deploy.preflight, "check", check)
    monkeypatch.setattr(sys, "argv", ["deploy", "--env", "dev", "--builder", "podman"])
    with pytest.raises(CommandError, match="can't be deployed yet"):
        deploy.main()
    assert stage.done == []


def test_a_pool_has_one_image_with_all_its_models(stage: Stage, tmp_path: Path) -> None:
    folders = [tmp_path / name for name in ("a", "b")]
    members = [ConfiguredModel(folder.name, folder, pool="small") for folder in folders]
    own = ConfiguredModel("own", tmp_path / "own", sync=True)
    config = EnvironmentConfig("x86_64", {model.name: model for model in (*members, own)}, prefix="p", region=None)
    assert deploy.images_of(config) == [
        deploy.WantedImage("own", [tmp_path / "own"], ["own"], sync=True),
        deploy.WantedImage("small", folders, ["small"]),
    ]
    packaged = replace(members[0], own_package=True)
    assert deploy.images_of(EnvironmentConfig("x86_64", {"a": packaged})) == []
