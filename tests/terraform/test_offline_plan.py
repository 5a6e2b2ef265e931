"""`make plan ENV=prod` on a machine that has no AWS account and reaches no network."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from scripts.console import ROOT
from scripts.cost import __main__ as cost
from scripts.cost import deployment, measured, prices
from scripts.cost.demand import Traffic
from scripts.cost.report import Estimate
from scripts.cost.usage import WORKER_METRICS
from scripts.deployment.environment_config import MODELS
from scripts.deployment.shell import without_aws
from scripts.deployment.terraform import terraform_env
from scripts.simulate import __main__ as simulate
from scripts.simulate.system import Settings, settings_of
from scripts.stack_defaults import defaults
from worker.invocation import RetryDelay

pytestmark = pytest.mark.terraform

NOWHERE = "http://127.0.0.1:9"
LEFT_OUT = shutil.ignore_patterns(
    "__pycache__", ".terraform*", "*.tfstate*", "*_override.tf*", "backend.hcl", ".offline-*"
)


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh clone: what a plan writes beside the environments does not meet other tests."""
    clone = tmp_path_factory.mktemp("clone")
    for name in ("scripts", "terraform"):
        shutil.copytree(ROOT / name, clone / name, ignore=LEFT_OUT)
    for name in ("lambda", "worker"):
        (clone / name).symlink_to(ROOT / name)
    (clone / "build").mkdir()
    return clone


def run(clone: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Python with these arguments, where there is no account, no file of AWS's and no network but a mirror."""
    env = without_aws({**terraform_env(), "HOME": str(clone), "TF_VAR_models": "{}"})
    if "TF_PLUGIN_CACHE_DIR" not in env:  # the provider comes from a mirror
        env |= {"HTTPS_PROXY": NOWHERE, "HTTP_PROXY": NOWHERE}
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=clone,
        env=env,
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done


def files(clone: Path) -> list[Path]:
    """What is in the folders that a plan might write to."""
    environments = clone / "terraform" / "environments"
    return sorted((*environments.iterdir(), *(environments / "prod").iterdir()))


def plan_as_json(clone: Path, environment: str) -> dict[str, Any]:
    code = f"""import json
from scripts.deployment.offline_plan import plan_as_json
print(json.dumps(plan_as_json("{environment}")))"""
    planned: dict[str, Any] = json.loads(run(clone, "-c", code).stdout)
    return planned


def test_prod_is_planned_with_no_account_and_no_network(clone: Path) -> None:
    before = files(clone)
    done = run(clone, "-m", "scripts.deployment.apply", "--plan", "--env", "prod", "-no-color")
    assert done.stdout.startswith("offline: the plan of prod against an empty account in us-east-1. AWS was not called")
    assert 'authorization_type = "AWS_IAM"' in done.stdout.replace("  ", " ")
    assert f"inference-prod-worker@sha256:{'0' * 64}" in done.stdout, "the worker runs from an image, as deployed"
    assert " to add, 0 to change, 0 to destroy." in done.stdout
    assert "backend.hcl it is your account's." in done.stdout.splitlines()[-1]
    assert "offline ignores what your shell sets: TF_VAR_models" in done.stderr
    assert files(clone) == before


@pytest.fixture(scope="module")
def prod(clone: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The JSON of prod's plan."""
    path = tmp_path_factory.mktemp("plan") / "plan.json"
    path.write_text(json.dumps(plan_as_json(clone, "prod")), encoding="utf-8")
    return path


def test_prods_plan_has_a_price(
    prod: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found = deployment.read(json.loads(prod.read_text(encoding="utf-8")))
    manifest = json.loads((MODELS / "sentiment" / "manifest.json").read_text(encoding="utf-8"))
    worker = found.workers["sentiment"]
    assert (worker.function.memory_mb, worker.batch_size) == (manifest["memory_mb"], manifest["batch_size"])
    assert (worker.maximum_concurrency, worker.function.image, worker.function.provisioned) == (50, True, 0)
    assert found.api.name == "inference-prod-api"
    assert {function.name for function in found.others} == {
        f"inference-prod-{role}" for role in ("batches", "dead-letters", "sweeper")
    }
    assert (found.polled_queues, found.record_days, found.log_days, found.backups) == (3, 7, 90, True)
    assert found.payload_days == 9, "a day for referring to it, one for the deadline, seven of retention"
    assert found.sweeps_per_month == 8640
    # 12 alarms; those on the model's failures, on the API's 5xx and on the sweeper read two metrics each
    assert found.per_resource == {"cloudwatch_alarm_month": 15, "cloudwatch_dashboard_month": 1}
    assert found.unpriced == (), "give the new type a price, or a place among those that have none"

    picture = tmp_path / "cost.png"
    arguments = ["--env", "prod", "--plan", str(prod), "--run-ms", "sentiment=2000", "--out", str(picture)]
    monkeypatch.setattr("sys.argv", ["cost", *arguments])
    assert cost.main() == 0
    shown = capsys.readouterr()
    # 3 M a month x 2,000 ms and 3 calls of 5 ms x the worker's memory, and the invocations
    dollars = 3e6 * 2.015 * manifest["memory_mb"] / 1024 * 0.0000166667 + 0.6
    (line,) = (line for line in shown.out.splitlines() if line.startswith("worker "))
    assert line.split()[4] == f"{dollars:,.2f}"
    assert picture.is_file() or "matplotlib is not installed" in shown.err


def test_prods_plan_can_be_simulated(
    prod: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    requests, manifest = defaults("requests"), json.loads((MODELS / "sentiment" / "manifest.json").read_text("utf-8"))
    assert settings_of(json.loads(prod.read_text(encoding="utf-8")), "sentiment") == Settings(
        rate=200,
        burst=500,
        visibility_seconds=6 * manifest["timeout_seconds"] + manifest["batch_window_seconds"],
        max_receive_count=requests["max_receive_count"],
        max_attempts=requests["max_attempts"],
        retry=RetryDelay(requests["retry_base_seconds"], requests["retry_max_seconds"]),
        deadline_seconds=requests["deadline_seconds"],
    )
    arguments = ["--env", "prod", "--plan", str(prod), "--requests", "20,000,000", "--run-ms", "100"]
    monkeypatch.setattr("sys.argv", ["simulate", *arguments, "--budget", "3000", "--out", str(tmp_path)])
    assert simulate.main() == 0
    shown = capsys.readouterr()
    assert "prod, sentiment: 20,000,000 requests a day, daily, 694 a second at the peak" in shown.out
    assert "full: throttling" in shown.out, "694 a second are more than 200"
    assert list(tmp_path.iterdir()) or "matplotlib is not installed" in shown.err


def test_fifty_models_of_a_pool_cost_as_much_as_one_while_nobody_calls(clone: Path) -> None:
    """With the settings of dev, in which the functions write metrics."""
    names = [f"model-{number:02d}" for number in range(50)]
    settings = {
        "models": {name: {"source": "sentiment", "pool": "experiments"} for name in names},
        "pools": {"experiments": {}},
        "default_model": names[0],
    }
    override = clone / "terraform" / "environments" / "dev" / "fifty_override.tf.json"
    override.write_text(json.dumps({"module": {"stack": settings}}), encoding="utf-8")
    found = deployment.read(plan_as_json(clone, "dev"))
    override.unlink()
    assert found.workers.keys() == {"experiments"}
    assert found.models == tuple(names)
    pool = found.workers["experiments"]
    assert (pool.function.image, pool.function.metrics, found.api.metrics) == (True, True, True)
    assert found.polled_queues == 3, "the pool's, the one of batches and the one of dead letters"
    assert found.unpriced == ()
    assert found.per_resource == {}
    estimate = Estimate(prices.load(), found, Traffic(), measured.load())
    idle = estimate.bill(0, free_tier=True)
    # SQS's first million is free in every account
    assert idle["SQS polling"] == pytest.approx((3 * 648_000 - 1e6) * 0.4e-6)
    assert sum(idle.values()) < 0.5
    assert estimate.bill(0)["SQS polling"] == pytest.approx(3 * 648_000 * 0.4e-6)
    assert estimate.bill(10_000_000)["metrics"] == pytest.approx(len(WORKER_METRICS) * 0.3)
