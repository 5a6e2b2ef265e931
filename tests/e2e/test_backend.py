"""Models at a GPU provider, by real HTTP, with rights enforced: dispatched, held, called back, polled, cancelled; the
provider is down for a while. The provider is a stand-in for RunPod on this machine.

`called` is looked at so rarely that only a callback ends its requests in time; `polled` is never called back.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from scripts.local.emulator import Emulator
from scripts.packaging.model_files import dispatcher_files
from scripts.packaging.package import DISPATCHER, make_zips
from tests.e2e.conftest import E2E_MODELS, ROOT, aimed_at
from tests.e2e.deployment import Deployment
from tests.e2e.http_client import Api
from tests.e2e.runpod import TOKEN, Platform, running
from tests.e2e.waiting import eventually

PREFIX = "inference-gpu"
RARELY, OFTEN = {"min": 300, "max": 600}, {"min": 1, "max": 5}


@dataclass(frozen=True)
class Gpu:
    """The deployment and the provider that its models run at."""

    deployment: Deployment
    platform: Platform

    @property
    def api(self) -> Api:
        return Api(self.deployment.base_url)

    def job(self, text: str, seconds: float = 60) -> str:
        """The only job of a text, once the provider has it."""
        eventually(f"the provider has a job of {text}", seconds, lambda: self.platform.jobs_of(text))
        (job_id,) = self.platform.jobs_of(text)
        return job_id

    def call_back(self, job_id: str, path: str | None = None) -> tuple[int, Any]:
        answer = self.api.call("POST", path or self.platform.callback_path(job_id), json.dumps({"id": job_id}).encode())
        return answer.status, answer.body

    def record(self, request_id: str) -> dict[str, Any]:
        table = self.deployment.client("dynamodb")
        item = table.get_item(TableName=self.deployment.output("request_table"), Key={"request_id": {"S": request_id}})[
            "Item"
        ]
        return {name: next(iter(value.values())) for name, value in item.items()}

    def held(self, request_id: str) -> bool:
        """Whether the run's id is recorded, and the message waits for the next look."""
        record = self.record(request_id)
        return "run_id" in record and "next_look_at" in record


@pytest.fixture(scope="module")
def gpu(
    emulator: Emulator, tree: Path, provider: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Gpu]:
    """Applied, and destroyed at the end."""
    built = tmp_path_factory.mktemp("dispatcher")
    folders = {"wordcount": E2E_MODELS / "wordcount"}
    packages = make_zips(built, folders, {DISPATCHER: dispatcher_files(folders)}, ROOT, None)
    shutil.copy(packages.workers[DISPATCHER], tree / "build" / "packages")
    folder = tree / "terraform" / "environments" / "gpu"
    ignored = shutil.ignore_patterns(".terraform*", "*.tfstate*", "*_override.tf*")
    shutil.copytree(folder.with_name("local"), folder, ignore=ignored, dirs_exist_ok=True)
    deployment = Deployment(folder, emulator, tree, provider)
    with running() as platform, aimed_at(emulator):
        secret = deployment.client("secretsmanager").create_secret(Name="runpod", SecretString=TOKEN)["ARN"]
        backend = {"kind": "runpod", "endpoint": "abc123", "url": platform.url, "token_secret_arn": secret}
        model = {"source": "wordcount", "models_dir": str(E2E_MODELS), "maximum_concurrency": 4}
        deployment.override(
            name_prefix=PREFIX,
            requests={"deadline_seconds": 3600},
            default_model="called",
            models={
                "called": {**model, "backend": {**backend, "poll_seconds": RARELY}},
                "polled": {**model, "backend": {**backend, "poll_seconds": OFTEN, "callbacks": False}},
            },
        )
        deployment.apply()
        yield Gpu(deployment, platform)
        deployment.destroy()
    assert PREFIX not in str(deployment.left())


def test_a_callback_ends_a_held_request_and_no_forged_one_does(gpu: Gpu) -> None:
    request_id = gpu.api.accepted({"text": "one two"}, "called")
    job_id = gpu.job("one two")
    eventually("the request is held", 30, lambda: gpu.held(request_id))
    status = gpu.api.status(request_id).body
    assert (status["status"], status["attempts"]) == ("running", 1)
    path = gpu.platform.callback_path(job_id)
    assert path.startswith(f"/callbacks/called/{request_id}/1/")
    for forged in (path[:-3] + "AAA", path.replace(request_id, request_id[::-1]), path.replace("/1/", "/2/")):
        assert gpu.call_back(job_id, forged)[0] == 404
    assert gpu.call_back(job_id) == (200, {"callback": "left"}), "a body is not believed: the provider is asked"
    gpu.platform.finish(job_id, {"words": 2})
    assert gpu.call_back(job_id) == (200, {"callback": "succeeded"})
    assert gpu.call_back(job_id) == (200, {"callback": "dropped"})
    outcome = gpu.api.outcome(request_id, 5)
    assert (outcome["status"], outcome["result"], outcome["attempts"]) == ("succeeded", {"words": 2}, 1)
    assert outcome["model_version"] == "1.0.0"


def test_without_a_callback_the_provider_is_asked(gpu: Gpu) -> None:
    request_id = gpu.api.accepted({"text": "one"}, "polled")
    job_id = gpu.job("one")
    assert "webhook" not in gpu.platform.jobs[job_id]
    look = ("GET", f"/v2/abc123/status/{job_id}")
    eventually("it is looked at twice", 30, lambda: gpu.platform.calls.count(look) >= 2)
    gpu.platform.finish(job_id, {"words": 1})
    outcome = gpu.api.outcome(request_id)
    assert (outcome["status"], outcome["result"], outcome["attempts"]) == ("succeeded", {"words": 1}, 1)
    assert gpu.platform.jobs_of("one") == [job_id]


def test_a_cancel_reaches_the_provider(gpu: Gpu) -> None:
    request_id = gpu.api.accepted({"text": "cancel me"}, "polled")
    job_id = gpu.job("cancel me")
    eventually("the request is held", 30, lambda: gpu.held(request_id))
    assert gpu.api.call("POST", f"/cancel/{request_id}").body["status"] == "cancelled"
    eventually("the job is cancelled", 30, lambda: gpu.platform.jobs[job_id]["status"] == "CANCELLED")


def test_a_provider_that_is_down_for_a_while_costs_no_attempt_and_no_second_run(gpu: Gpu) -> None:
    before = gpu.api.accepted({"text": "before"}, "polled")
    first = gpu.job("before")
    eventually("the request is held", 30, lambda: gpu.held(before))
    gpu.platform.down = True
    seen = len(gpu.platform.calls)
    meanwhile = gpu.api.accepted({"text": "meanwhile"}, "polled")
    eventually("a look is refused", 60, lambda: any(method == "GET" for method, _ in gpu.platform.calls[seen:]))
    eventually("the submit comes again", 60, lambda: sum(m == "POST" for m, _ in gpu.platform.calls[seen:]) >= 2)
    gpu.platform.finish(first, {"words": 1})
    gpu.platform.down = False
    gpu.platform.finish(gpu.job("meanwhile"), {"words": 1})
    for request_id in (before, meanwhile):
        outcome = gpu.api.outcome(request_id)
        assert (outcome["status"], outcome["attempts"]) == ("succeeded", 1)


def test_a_failed_job_is_retried_and_an_input_is_checked_before_it_is_sent(gpu: Gpu) -> None:
    request_id = gpu.api.accepted({"text": "fails once"}, "polled")
    job_id = gpu.job("fails once")
    del gpu.platform.jobs[job_id]["input"]  # so that the next job is the only one of this text
    gpu.platform.jobs[job_id] |= {"input": {"text": ""}, "status": "TIMED_OUT"}
    gpu.platform.finish(gpu.job("fails once"), {"words": 2})
    outcome = gpu.api.outcome(request_id)
    assert (outcome["status"], outcome["attempts"]) == ("succeeded", 2)
    assert gpu.api.submit({"text": 5}, "polled").status == 422


def test_nothing_is_left_to_apply(gpu: Gpu) -> None:
    assert gpu.deployment.changes() == {}
