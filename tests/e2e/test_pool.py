"""Fifty models in one pool: one queue and one worker. One of them does not load, one hangs, one is slow.

It has an emulator of its own, so that its memory and its times are those of the fifty alone. They are printed (-s).
"""

from __future__ import annotations

import json
import shutil
import statistics
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from scripts.deployment.environment_config import ConfiguredModel, EnvironmentConfig
from scripts.deployment.terraform import terraform_env
from scripts.local.emulator import Emulator
from scripts.packaging import model_import
from scripts.packaging.package import build_for_environment
from tests import openapi
from tests.e2e.conftest import E2E_MODELS, ROOT, aimed_at, free_port
from tests.e2e.deployment import Deployment
from tests.e2e.http_client import FINAL, Api
from tests.e2e.waiting import eventually
from tests.provider_process import running_provider

QUICK = [f"model-{number:02d}" for number in range(47)]
TIMEOUT_SECONDS = 10
SLOW_SECONDS = 2
POOL = {"memory_mb": 1024, "timeout_seconds": TIMEOUT_SECONDS, "maximum_concurrency": 4}

CODE = """\
import time

from worker.model import Model


class Generated(Model):
    def __init__(self, runtime, manifest):
        super().__init__(runtime, manifest)
        {load}

    def predict(self, inputs):
        {predict}
        return [{{"model": self.manifest.name, "words": len(item["text"].split())}} for item in inputs]
"""
BEHAVIOURS = {
    "broken": {"load": "raise ValueError('no weights')", "predict": "pass"},
    "hung": {"load": "pass", "predict": "time.sleep(600)"},
    "slow": {"load": "pass", "predict": f"time.sleep({SLOW_SECONDS})"},
}
MODELS = [*QUICK, *BEHAVIOURS]


def write_models(folder: Path) -> None:
    manifest = json.loads((E2E_MODELS / "wordcount" / "manifest.json").read_text())
    manifest["output_schema"]["additionalProperties"] = True
    for name in MODELS:
        (folder / name).mkdir(parents=True)
        (folder / name / "manifest.json").write_text(json.dumps(manifest | {"name": name}))
        behaviour = BEHAVIOURS.get(name, {"load": "self.weights = bytearray(2**20)", "predict": "pass"})
        (folder / name / "model.py").write_text(CODE.format(**behaviour))


@pytest.fixture(scope="module")
def fifty(tmp_path_factory: pytest.TempPathFactory, provider_binary: Path) -> Iterator[Deployment]:
    """The deployment, applied in one go and destroyed at the end."""
    folder = tmp_path_factory.mktemp("fifty")
    tree, models = folder / "tree", folder / "models"
    ignored = shutil.ignore_patterns(".terraform*", "*.tfstate*", "*_override.tf*", "tests")
    shutil.copytree(ROOT / "terraform", tree / "terraform", ignore=ignored)
    (tree / "lambda").mkdir()
    openapi.copy_descriptions(tree / "lambda")
    write_models(models)
    config = EnvironmentConfig(
        "x86_64", {name: ConfiguredModel(name, models / name, pool="experiments") for name in MODELS}
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(model_import, "check_import", lambda *_: None)
        patch.setattr("scripts.packaging.package.check_import", lambda *_: None)  # fifty processes, and one is broken
        build_for_environment(tree / "build" / "packages", "local", config)
    emulator = Emulator(free_port(), folder / "emulator", lifetime_seconds=1800)
    emulator.start()
    try:
        local = tree / "terraform" / "environments" / "local"
        env = emulator.client_env(terraform_env())
        with aimed_at(emulator), running_provider(provider_binary, local, env) as provider:
            deployment = Deployment(local, emulator, tree, provider)
            deployment.override(
                models={name: {"models_dir": str(models), "pool": "experiments"} for name in MODELS},
                pools={"experiments": POOL},
                default_model=QUICK[0],
            )
            started = time.monotonic()
            deployment.apply()
            print(f"\napplied fifty models in {time.monotonic() - started:.0f} s")
            yield deployment
            started = time.monotonic()
            deployment.destroy()
            print(f"destroyed in {time.monotonic() - started:.0f} s")
            assert deployment.left() == {}
    finally:
        emulator.stop()


def submit(api: Api, models: list[str]) -> dict[str, str]:
    return {name: api.accepted({"text": "one two"}, name) for name in models}


def ended(api: Api, ids: dict[str, str], seconds: float) -> dict[str, dict[str, Any]]:
    """The final bodies, and how long each request took in all, in seconds."""
    found: dict[str, dict[str, Any]] = {}

    def all_ended() -> bool:
        for name, request_id in ids.items():
            if name not in found:
                body = api.call("GET", f"/status/{request_id}").body
                if body["status"] in FINAL:
                    found[name] = body
        return len(found) == len(ids)

    eventually(f"{len(ids)} requests end", seconds, all_ended)
    return found


def latency(body: dict[str, Any]) -> float:
    from datetime import datetime

    ends = [datetime.fromisoformat(body[name]) for name in ("submitted_at", "finished_at")]
    return (ends[1] - ends[0]).total_seconds()


def show(name: str, bodies: dict[str, dict[str, Any]]) -> None:
    quick = sorted(latency(bodies[model]) for model in QUICK)
    median, slowest = statistics.median(quick), quick[-1]
    print(f"{name}: the 47 others took {median:.1f} s (median), {slowest:.1f} s at most")


def check_all(bodies: dict[str, dict[str, Any]]) -> None:
    for name in QUICK:
        assert (bodies[name]["status"], bodies[name]["attempts"]) == ("succeeded", 1), bodies[name]
        assert bodies[name]["result"] == {"model": name, "words": 2}
    assert bodies["slow"]["status"] == "succeeded", bodies["slow"]
    assert bodies["broken"]["error"]["code"] == "model_not_loaded", bodies["broken"]
    assert bodies["hung"]["error"]["code"] == "timeout", bodies["hung"]


def test_each_of_the_fifty_answers_and_the_broken_and_the_hung_one_hurt_only_themselves(fifty: Deployment) -> None:
    """No request of another model loses an attempt, the first time, when all are loaded, and later."""
    api = Api(fifty.base_url)
    for name in ("cold", "warm"):
        ids = submit(api, ["hung", "broken", "slow", *QUICK])
        bodies = ended(api, ids, 150)
        show(name, bodies)
        for model in BEHAVIOURS:
            print(f"{name}: {model} {bodies[model]['status']} after {latency(bodies[model]):.1f} s")
        check_all(bodies)


def test_it_is_one_queue_one_worker_and_one_dead_letter_queue(fifty: Deployment) -> None:
    left = fifty.left()
    queues = {url.rpartition("/")[2].removeprefix("inference-local-") for url in left["queues"]}
    assert queues == {"experiments", "dlq", "batches"}
    functions = {name.removeprefix("inference-local-") for name in left["functions"]}
    assert functions == {"worker-experiments", "api", "batches", "dead-letters", "sweeper"}
    assert len(left["mappings"]) == 3
    group = "/aws/lambda/inference-local-worker-experiments"
    lines = fifty.client("logs").filter_log_events(logGroupName=group, filterPattern='"REPORT RequestId"')["events"]
    used = [
        int(line["message"].partition("Max Memory Used: ")[2].split()[0])
        for line in lines
        if "Max Memory" in line["message"]
    ]
    print(f"the worker used {max(used, default=0)} MB of {POOL['memory_mb']} MB in {len(used)} invocations")


def test_nothing_is_left_to_change(fifty: Deployment) -> None:
    assert fifty.changes() == {}
