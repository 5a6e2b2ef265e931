"""What an environment names, as Terraform reads it from all its files, with no backend and no provider."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from scripts.console import ROOT, CommandError
from scripts.deployment import environment_config, terraform
from scripts.deployment.environment_config import MODELS, ConfiguredModel, WorkerLimits, read_config

pytestmark = pytest.mark.terraform


@pytest.fixture(autouse=True)
def images(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str | None, str]]:
    """SSM, which knows an image of the model `deployed`; the list has the regions and prefixes that were asked for."""
    asked: list[tuple[str | None, str]] = []

    def read(region: str | None, prefix: str) -> frozenset[str]:
        asked.append((region, prefix))
        return frozenset({"deployed"})

    monkeypatch.setattr(environment_config, "_deployed_images", read)
    return asked


@pytest.fixture
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of dev."""
    folder = tmp_path / "environments" / "dev"
    left_out = shutil.ignore_patterns(".terraform*", "*.tfstate*", "*_override.tf*")
    shutil.copytree(ROOT / "terraform" / "environments" / "dev", folder, ignore=left_out)
    monkeypatch.setattr(terraform, "ENVIRONMENTS", folder.parent)
    return folder


def give(environment: Path, **settings: Any) -> None:
    """Override the environment's settings for the stack."""
    (environment / "mine_override.tf.json").write_text(json.dumps({"module": {"stack": settings}}))


def test_the_models_are_read_from_all_of_terraforms_files(environment: Path) -> None:
    digest = f"r@sha256:{'0' * 64}"
    (environment / "mine.tf").write_text('locals {\n  bucket = "s3://b"\n}\n')
    (environment / "mine_override.tf").write_text(
        'module "stack" {\n  models = {\n    sentiment = { memory_mb = 512, sync = {} }\n'
        '    again = { source = "sentiment", artifact = "${local.bucket}/k" }\n'
        f'    elsewhere = {{ source = "sentiment", models_dir = "{MODELS}" }}\n'
        f'    own = {{ source = "sentiment", package = {{ image = {{ uri = "{digest}" }} }} }}\n'
        '    far = { source = "sentiment", backend = { kind = "runpod" } }\n  }\n'
        '  architecture = "arm64"\n}\n'
    )
    found = read_config("dev")
    folder = MODELS / "sentiment"
    assert found.architecture == "arm64"
    assert found.limits["sentiment"].memory_mb == 512
    assert found.models == {
        "again": ConfiguredModel("again", folder, artifact="s3://b/k"),
        "elsewhere": ConfiguredModel("elsewhere", folder),
        "far": ConfiguredModel("far", folder, own_package=True, backend=True),
        "own": ConfiguredModel("own", folder, own_package=True),
        "sentiment": ConfiguredModel("sentiment", folder, sync=True),
    }
    assert found.in_s3 == set()  # one that shares the folder needs the file


def test_a_models_limits_are_the_environments_the_manifests_or_the_defaults(environment: Path) -> None:
    given = {"memory_mb": 4096, "maximum_concurrency": 3, "reserved_concurrency": 5}
    kept = {
        "fixed": {"provisioned": 2},
        "scheduled": {"scheduled": {"concurrency": 3, "start": "cron(0 8 ? * * *)", "stop": "cron(0 18 ? * * *)"}},
        "tracked": {"tracking": {"min": 1, "max": 4}},
    }
    models = {name: {"source": "sentiment", **given, "warmth": warmth} for name, warmth in kept.items()}
    give(environment, models={"sentiment": {}, **models})
    found = read_config("dev").limits
    assert found["fixed"] == WorkerLimits(**given, provisioned_concurrency=2)
    assert (found["scheduled"].provisioned_concurrency, found["tracked"].provisioned_concurrency) == (3, 4)
    manifest = json.loads((MODELS / "sentiment" / "manifest.json").read_text(encoding="utf-8"))
    assert found["sentiment"].memory_mb == manifest["memory_mb"]
    assert found["sentiment"].maximum_concurrency == 10
    assert (found["sentiment"].reserved_concurrency, found["sentiment"].provisioned_concurrency) == (0, 0)


def test_a_pools_limits_are_its_own_or_those_of_its_largest_model(environment: Path) -> None:
    (environment / "models" / "large").mkdir(parents=True)
    (environment / "models" / "large" / "manifest.json").write_text('{"memory_mb": 5000}')
    models = {
        "sentiment": {"pool": "shared"},
        "large": {"models_dir": "models", "pool": "shared"},
        "alone": {"source": "sentiment", "pool": "sized"},
    }
    give(environment, models=models, pools={"shared": {"maximum_concurrency": 4}, "sized": {"memory_mb": 700}})
    found = read_config("dev")
    assert found.models["large"].worker == "shared"
    assert found.limits == {
        "shared": WorkerLimits(memory_mb=5000, maximum_concurrency=4),
        "sized": WorkerLimits(memory_mb=700, maximum_concurrency=10),
    }


def test_the_functions_with_a_canary_are_read_with_those_of_pools(environment: Path) -> None:
    """By the names of their functions. What is no share is none here, and rejected by the plan."""
    models = {
        "sentiment": {"canary": 0.1},
        "plain": {"source": "sentiment", "canary": 0},
        "wrong": {"source": "sentiment", "canary": "much"},
        "first": {"source": "sentiment", "pool": "trials"},
    }
    give(environment, models=models, pools={"trials": {"canary": 0.5}, "others": {}}, api={"canary": 0.25})
    assert read_config("dev").canaries == {
        f"inference-dev-{name}" for name in ("api", "worker-sentiment", "worker-trials")
    }
    give(environment, models={"sentiment": {}})
    assert read_config("dev").canaries == frozenset()


def test_resources_beside_the_stack_do_not_matter(environment: Path) -> None:
    """Such as a domain of one's own: they need AWS's provider, which does not run for this."""
    (environment / "domain.tf").write_text(
        'data "aws_region" "here" {}\nresource "aws_apigatewayv2_api_mapping" "this" {\n'
        "  api_id = module.stack.deployment.api_id\n  domain_name = data.aws_region.here.name\n}\n"
        'output "mapping" {\n  value = aws_apigatewayv2_api_mapping.this.id\n}\n'
    )
    assert read_config("dev").models.keys() == {"sentiment"}


def test_a_relative_models_dir_is_the_environments_as_terraform_takes_it(environment: Path) -> None:
    (environment / "models" / "mine").mkdir(parents=True)
    (environment / "models" / "mine" / "manifest.json").write_text("{}")
    give(environment, models={"mine": {"models_dir": "models"}})
    assert read_config("dev").folders == {environment / "models" / "mine"}


def test_a_model_without_a_folder_or_a_manifest_is_told_with_what_to_do(environment: Path) -> None:
    give(environment, models={"mine": {"models_dir": "models"}})
    said = r"dev has the model mine, but \S+/models/mine{} does not exist: run `make new-model NAME=mine`"
    with pytest.raises(CommandError, match=said.format("")):
        read_config("dev")
    (environment / "models" / "mine").mkdir(parents=True)
    with pytest.raises(CommandError, match=said.format("/manifest.json")):
        read_config("dev")


@pytest.mark.parametrize("text", ["models = {", 'module "stack" {\n  models = local.nothing\n}'])
def test_what_terraform_cannot_read_is_told_in_its_words(environment: Path, text: str) -> None:
    (environment / "mine_override.tf").write_text(f"{text}\n")
    with pytest.raises(CommandError, match=r"Terraform can't evaluate the configuration of dev \((?s:.)*Error: "):
        read_config("dev")


def test_what_the_stack_has_no_default_for_must_be_said(environment: Path) -> None:
    give(environment, architecture=None)
    with pytest.raises(CommandError, match=r"main\.tf: module stack does not set architecture"):
        read_config("dev")


def test_an_environment_that_is_not_there_is_told(environment: Path) -> None:
    with pytest.raises(CommandError, match="there is no environment stage: ENV is one of dev"):
        read_config("stage")


def test_a_model_that_was_deployed_runs_from_its_image_whoever_asks(
    environment: Path, images: list[tuple[str | None, str]]
) -> None:
    settings = {"models": {"sentiment": {}, "deployed": {"source": "sentiment"}}}
    override = {"module": {"stack": settings}, "locals": {"region": "eu-west-1"}}
    (environment / "mine_override.tf.json").write_text(json.dumps(override))
    found = read_config("dev")
    assert {name: model.image for name, model in found.models.items()} == {"sentiment": False, "deployed": True}
    assert (found.prefix, found.region) == ("inference-dev", "eu-west-1")
    assert images == [("eu-west-1", "inference-dev")]


def test_local_runs_from_zips_and_asks_nobody(images: list[tuple[str | None, str]]) -> None:
    assert not any(model.image for model in read_config("local").models.values())
    assert images == []
