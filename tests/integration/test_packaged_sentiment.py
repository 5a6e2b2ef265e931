"""The demo model's worker as it ships, in a process of its own: what it is wired to, seen from outside."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from scripts.bench import traffic
from scripts.bench.contestants import worker_environment
from scripts.bench.processes import FakeAws
from scripts.deployment.environment_config import MODELS
from tests.integration.package_process import CONTEXT, run_script, unpacked_worker

BATCH = 10
CORES = os.cpu_count() or 1
SCRIPT = f"""{CONTEXT}
import json, sys
from worker import handler
answers = [handler.handler(event, Context()) for event in json.load(sys.stdin)]
options = getattr(getattr(getattr(handler.single.loaded, "model", None), "runtime", None), "_session", None)
threads = options and options.get_session_options().intra_op_num_threads
foreign = sorted({{"torch", "boto3"}} & sys.modules.keys())
print(json.dumps({{"answers": answers, "threads": threads, "imported": foreign}}))
"""


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return unpacked_worker(tmp_path_factory.mktemp("sentiment"), MODELS, "sentiment")


def run(
    package: Path, fake_aws: FakeAws, events: list[Any], **more: str
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """What the script printed last, and the log lines before it."""
    process = run_script(package, SCRIPT, worker_environment(fake_aws) | more, events)
    assert process.returncode == 0, process.stdout + process.stderr
    *lines, last = map(json.loads, process.stdout.splitlines())
    return last, lines


def a_batch() -> dict[str, Any]:
    return traffic.sqs_event([traffic.message_body(text) for text in traffic.texts(BATCH, seed=1)])


@pytest.mark.parametrize(("memory_mb", "threads"), [("512", 1), ("1769", 1), ("3538", min(2, CORES))])
def test_ten_requests_take_three_calls_one_thread_and_no_torch(package: Path, memory_mb: str, threads: int) -> None:
    with FakeAws(tls=False) as fake_aws:
        last, _ = run(package, fake_aws, [a_batch()], AWS_LAMBDA_FUNCTION_MEMORY_SIZE=memory_mb)
        calls = fake_aws.counts()["calls"]
    assert last == {"answers": [{"batchItemFailures": []}], "threads": threads, "imported": []}
    assert calls == {"AmazonSQS.ChangeMessageVisibilityBatch": 1, "DynamoDB_20120810.BatchExecuteStatement": 2}


@pytest.fixture
def broken(package: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "broken"
    shutil.copytree(package, folder)
    shutil.rmtree(folder / "worker" / "models" / "sentiment" / "__pycache__", ignore_errors=True)
    with (folder / "worker" / "models" / "sentiment" / "model.py").open("a") as file:
        file.write("\nimport no_such_library\n")
    return folder


def test_a_model_that_does_not_load_tells_its_requests_why(broken: Path) -> None:
    with FakeAws(tls=False) as fake_aws:
        last, lines = run(broken, fake_aws, [a_batch()])
        claimed, released = fake_aws.counts()["samples"]["DynamoDB_20120810.BatchExecuteStatement"]
    (answer,) = last["answers"]
    assert len(answer["batchItemFailures"]) == BATCH, "all come back"
    assert len(claimed["Statements"]) == len(released["Statements"]) == BATCH
    assert all("No module named 'no_such_library'" in json.dumps(s["Parameters"]) for s in released["Statements"])
    # At INIT, and once more for the invocation: what was wrong may be over.
    failures = [line for line in lines if line["event"] == "model_not_loaded"]
    assert ["no_such_library" in line["traceback"] for line in failures] == [True, True]
    assert [line["event"] for line in lines].count("prediction_failed") == 1


PING = {"ping": {"hold_ms": 100}}


def test_a_ping_keeps_the_model_loaded_and_is_no_traffic(package: Path) -> None:
    environment = {"METRICS_ENVIRONMENT": "p", "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand"}
    with FakeAws(tls=False) as fake_aws:
        last, lines = run(package, fake_aws, [PING, PING], **environment)
        assert fake_aws.counts()["calls"] == {}
        pinged = [line["event"] for line in lines]
        _, lines = run(package, fake_aws, [PING, a_batch()], **environment)
    assert last["answers"] == [{}, {}]
    assert pinged == ["model_loaded"], "by INIT"
    (metrics,) = [line for line in lines if line["event"] == "metrics"]
    assert "ColdStart" not in metrics, "the ping has started the process, and no request waited for it"
    assert metrics["Succeeded"] == BATCH
    assert [line["cold_start"] for line in lines if line["event"] == "requests_succeeded"] == [False]


def test_a_ping_tries_to_load_a_model_again(broken: Path) -> None:
    with FakeAws(tls=False) as fake_aws:
        last, lines = run(broken, fake_aws, [PING, PING])
    assert last["answers"] == [{}, {}], "pings do not fail: Lambda's errors are those of requests"
    failed = [line for line in lines if line["event"] == "model_not_loaded"]
    assert [line.get("invocation_id") for line in failed] == [None, "invocation-1", "invocation-1"]


@pytest.mark.parametrize("kind", ["provisioned-concurrency", "snap-start"])
def test_a_deployment_that_starts_it_sees_it_fail(broken: Path, kind: str) -> None:
    with FakeAws(tls=False) as fake_aws, pytest.raises(AssertionError, match="no_such_library"):
        run(broken, fake_aws, [], AWS_LAMBDA_INITIALIZATION_TYPE=kind)
