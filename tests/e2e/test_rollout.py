"""make deploy with a bad version, make rollback, a canary and its promotion, and the deletion of old versions.

The commands are the real ones, and so are Terraform, the packages and HTTP. Not there: a registry to push images to, so
the workers run from zips of their own; and weights. The emulator stores an alias's weights and sends everything to the
version that the alias points to: that a canary gets its share is AWS's part, and that it is asked for is in
terraform/modules/function/tests.
"""

from __future__ import annotations

import json
import shutil
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from scripts.console import CommandError
from scripts.deployment import deploy, rollout, terraform, versions
from scripts.deployment.environment_config import read_config
from scripts.local.emulator import Emulator
from scripts.operate import endpoint
from scripts.packaging import package
from scripts.packaging.builders import Builder
from tests.e2e.conftest import E2E_MODELS, aimed_at
from tests.e2e.http_client import Api

ENVIRONMENT = "rollout"
SOURCE = "wordcount"
RAISES = """

class Broken(WordCount):
    def predict(self, inputs):
        raise RuntimeError("this version is bad")
WordCount = None
"""


class Deploying:
    """An environment of dev's kind on this session's emulator: the model `mine`, and `trial` in the pool `trials`."""

    def __init__(self, tree: Path, folder: Path, emulator: Emulator, patch: pytest.MonkeyPatch) -> None:
        self._built = tree / "build" / "packages" / f"worker-{SOURCE}.zip"
        self._packages = folder / "packages"
        self._models = folder / "models"
        self._environment = tree / "terraform" / "environments" / ENVIRONMENT
        self._emulator = emulator
        shutil.copytree(self._environment.with_name("local"), self._environment, ignore=_state)
        (self._environment / "backend.hcl").write_text('path = "terraform.tfstate"\n', encoding="utf-8")
        shutil.copytree(E2E_MODELS / SOURCE, self._models / SOURCE)
        (self._models / SOURCE / "tests").mkdir()
        (self._models / SOURCE / "tests" / "input.json").write_text('{"text": "one two"}', encoding="utf-8")
        self._packages.mkdir()
        patch.setattr(terraform, "ENVIRONMENTS", self._environment.parent)
        patch.setattr(terraform, "check_endpoints", lambda *_: ())  # it lets no other environment use an emulator
        patch.setattr(package, "OUT", self._packages)
        patch.setattr(deploy, "log_in", lambda *_: None)
        patch.setattr(endpoint, "base_url", lambda _: self.base_url)
        patch.setenv("TF_CLI_ARGS_apply", "-auto-approve")

    @property
    def base_url(self) -> str:
        return f"{self._emulator.endpoint}/_aws/execute-api/{terraform.outputs(ENVIRONMENT)['api_id']}"

    def deploy(self, *, mine: str, trial: str, canary: float = 0) -> int:
        """make deploy, with these versions of the two models; one that begins with `bad` predicts nothing."""
        self._zip("mine", mine)
        self._zip("trials", trial)
        model = {"source": SOURCE, "models_dir": str(self._models)}
        settings = {
            "name_prefix": f"inference-{ENVIRONMENT}",
            "models": {"mine": {**model, "package": self._package("mine")}, "trial": {**model, "pool": "trials"}},
            "pools": {"trials": {"package": self._package("trials"), "canary": canary}},
            "default_model": "mine",
            "packages_dir": str(self._packages),
            "images_from_parameters": True,
        }
        override = {"terraform": {"backend": {"local": {}}}, "module": {"stack": settings}}
        (self._environment / "e2e_override.tf.json").write_text(json.dumps(override), encoding="utf-8")
        return deploy.deploy(ENVIRONMENT, read_config(ENVIRONMENT, images=False), Builder("none"), [])

    def plan_is_empty(self) -> bool:
        return terraform.execute("plan", ENVIRONMENT, ["-detailed-exitcode", "-lock=false"]) == 0

    def destroy(self) -> None:
        assert terraform.execute("destroy", ENVIRONMENT, ["-auto-approve"]) == 0

    def version_of(self, model: str) -> str:
        """Which version of a model answers."""
        api = Api(self.base_url)
        outcome = api.outcome(api.accepted({"text": "one two three"}, model))
        assert (outcome["status"], outcome["result"]) == ("succeeded", {"words": 3}), outcome
        version: str = outcome["model_version"]
        return version

    def alias(self, worker: str) -> tuple[str, dict[str, float]]:
        """The version that a worker's alias points to, and the weights of others."""
        name = f"inference-{ENVIRONMENT}-worker-{worker}"
        found = self.client("lambda").get_alias(FunctionName=name, Name="live")
        return found["FunctionVersion"], found.get("RoutingConfig", {}).get("AdditionalVersionWeights", {})

    def published(self, worker: str) -> list[str]:
        name = f"inference-{ENVIRONMENT}-worker-{worker}"
        found = self.client("lambda").list_versions_by_function(FunctionName=name)["Versions"]
        return [version["Version"] for version in found if version["Version"] != "$LATEST"]

    def client(self, service: str) -> Any:
        return rollout.aws_session.client_with(self._emulator.client_env({}), service)

    def _package(self, name: str) -> dict[str, Any]:
        return {"zip": {"path": str(self._packages / f"{name}.zip")}}

    def _zip(self, name: str, version: str) -> None:
        with zipfile.ZipFile(self._built) as built, zipfile.ZipFile(self._packages / f"{name}.zip", "w") as written:
            for entry in built.infolist():
                content = built.read(entry)
                if entry.filename.endswith(f"{SOURCE}/manifest.json"):
                    content = json.dumps(json.loads(content) | {"version": version}).encode()
                elif entry.filename.endswith(f"{SOURCE}/model.py") and version.startswith("bad"):
                    content += RAISES.encode()
                elif f"models/{SOURCE}/" in entry.filename and entry.filename.endswith(".pyc"):
                    continue
                written.writestr(entry, content)


def _state(folder: str, names: list[str]) -> set[str]:
    return shutil.ignore_patterns(".terraform*", "*.tfstate*", "e2e*")(folder, names)


@pytest.fixture(scope="module")
def deploying(
    tree: Path, emulator: Emulator, provider: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Deploying]:
    """Deployed once, with version 1.0.0 of both models; destroyed at the end."""
    with aimed_at(emulator), pytest.MonkeyPatch.context() as patch:
        for name, value in provider.items():
            patch.setenv(name, value)
        deploying = Deploying(tree, tmp_path_factory.mktemp("rollout"), emulator, patch)
        assert deploying.deploy(mine="1.0.0", trial="1.0.0") == 0
        yield deploying
        deploying.destroy()


def command(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr("sys.argv", ["rollout", *arguments, "--env", ENVIRONMENT])
    return rollout.main()


def test_a_bad_version_fails_the_smoke_test_and_is_rolled_back(
    deploying: Deploying, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(CommandError, match=r"smoke test of rollout failed: .* this version is bad.*") as failed:
        deploying.deploy(mine="bad-2", trial="1.0.0")
    assert f"`make rollback ENV={ENVIRONMENT} MODEL=mine` goes back" in str(failed.value)
    assert deploying.alias("mine") == ("2", {})

    assert command(monkeypatch, "rollback", "--model", "mine") == 0
    assert deploying.version_of("mine") == "1.0.0"
    assert deploying.plan_is_empty(), "the next apply leaves it so"

    monkeypatch.setattr(versions, "KEPT_VERSIONS", 1)
    assert deploying.deploy(mine="3.0.0", trial="1.0.0") == 0
    assert deploying.version_of("mine") == "3.0.0"
    assert sorted(deploying.published("mine")) == ["1", "3"], "the bad one is deleted, the one to go back to is not"
    assert deploying.plan_is_empty()


def test_a_canary_gets_its_share_beside_what_serves_until_it_is_promoted(
    deploying: Deploying, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert deploying.alias("trials") == ("1", {})
    assert deploying.deploy(mine="3.0.0", trial="2.0.0", canary=0.25) == 0
    assert deploying.alias("trials") == ("1", {"2": 0.25})
    assert deploying.version_of("trial") == "1.0.0"
    assert deploying.plan_is_empty(), "the canary waits for a decision"
    (alarm,) = deploying.client("cloudwatch").describe_alarms(AlarmNamePrefix=f"inference-{ENVIRONMENT}-")[
        "MetricAlarms"
    ]
    assert alarm["AlarmName"] == f"inference-{ENVIRONMENT}-worker-trials-canary"
    (found,) = deploying.client("logs").describe_metric_filters()["metricFilters"]
    assert '$.function_version = "2"' in found["filterPattern"]

    assert command(monkeypatch, "promote", "--pool", "trials") == 0
    assert deploying.version_of("trial") == "2.0.0"
    assert deploying.plan_is_empty()

    assert command(monkeypatch, "rollback", "--pool", "trials") == 0
    assert deploying.version_of("trial") == "1.0.0"
    assert deploying.plan_is_empty()
