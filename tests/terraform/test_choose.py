"""What `make choose` gives is formatted as Terraform does, accepted by the stack, and priced as what a plan deploys."""

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from scripts.choose import costs
from scripts.choose.entries import entry, hcl
from scripts.cost import deployment
from scripts.deployment.terraform import terraform_binary
from scripts.stack_defaults import defaults
from tests.terraform.conftest import MANIFEST
from tests.terraform.plans import Plan
from tests.terraform.runner import SOURCE, Terraform
from tests.unit.test_choose import SMALL, WAYS, found

pytestmark = pytest.mark.terraform

SETTINGS = {place: entry(place, found(given)).settings for place, given in WAYS.items()}
PLACES = [place for place, settings in SETTINGS.items() if settings]


@pytest.mark.parametrize("place", PLACES)
def test_terraform_fmt_leaves_the_settings_as_they_are(place: str, tmp_path: Path) -> None:
    path = tmp_path / "settings.tfvars"
    path.write_text(hcl(SETTINGS[place]) + "\n", encoding="utf-8")
    done = subprocess.run(
        [terraform_binary(), "fmt", "-check", "-diff", str(path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def known(place: str) -> bool:
    """Whether the stack has all settings of a place."""
    return all(set(model) <= set(defaults("models")) for model in SETTINGS[place]["models"].values())


@pytest.mark.parametrize("place", [place for place in PLACES if known(place)])
def test_the_stack_accepts_the_settings(place: str, terraform: Terraform, tmp_path: Path) -> None:
    settings: dict[str, Any] = dict(SETTINGS[place])
    packages = [
        *(f"worker-{name}" for name in settings["models"]),
        *(f"pool-{name}" for name in settings.get("pools", ())),
    ]
    for name in ("lambda", "dispatcher", *packages):
        (tmp_path / f"{name}.zip").write_text("stands for a zip")
    for name in settings["models"]:
        shutil.copytree(SOURCE.parent / "worker" / "models" / "sentiment", tmp_path / name)
    models = {name: model | {"models_dir": str(tmp_path)} for name, model in settings["models"].items()}
    others = {"packages_dir": str(tmp_path), "default_model": next(iter(models)), "images_from_parameters": False}
    plan = terraform.plan("environments/local", settings | others | {"models": models})
    assert plan.of("aws_lambda_event_source_mapping")


def test_what_is_priced_is_what_a_plan_deploys(plan_of: Callable[..., Plan]) -> None:
    case = found(SMALL | {"NAME": "tiny"})
    planned = deployment.read(plan_of("dev", "tiny").raw)
    priced = costs.deployment_of(case.needs)
    assert priced.models == planned.models
    for field in ("polled_queues", "record_days", "log_days", "payload_days", "backups", "listed", "sweeps_per_month"):
        assert getattr(priced, field) == getattr(planned, field), field
    assert (planned.authorizer, planned.per_resource, planned.endpoints) == (None, {}, 0)
    sizes = {
        f.name.partition("-")[2].removeprefix("dev-"): (f.memory_mb, f.metrics) for f in (planned.api, *planned.others)
    }
    assert {f.name.partition("-")[2]: (f.memory_mb, f.metrics) for f in (priced.api, *priced.others)} == sizes
    ours, theirs = priced.workers["tiny"], planned.workers["tiny"]
    assert (ours.batch_size, ours.function.image, ours.function.metrics) == (
        theirs.batch_size,
        theirs.function.image,
        theirs.function.metrics,
    )
    assert theirs.batch_size == MANIFEST["batch_size"] == defaults("pools")["batch_size"]
