"""DynamoDB or SQS takes calls and never answers: the worker gives its messages back before Lambda ends it."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from scripts.stack_defaults import worker_environment
from tests.events import golden
from tests.integration.clients.scripted_server import Received, says
from tests.integration.conftest import E2E_MODELS
from tests.integration.package_process import run_script, unpacked_worker
from tests.integration.test_deadline import Hanging
from worker.verdicts import UNAVAILABLE_RETRY_SECONDS

SECONDS = 3.0
"""The least timeout of a worker."""

SCRIPT = f"""
import json, os, sys, threading, time
from worker import handler
class Context:
    aws_request_id = "invocation-1"
    def __init__(self): self.end = time.monotonic() + {SECONDS}
    def get_remaining_time_in_millis(self): return int((self.end - time.monotonic()) * 1000)
def invoke():
    started = time.monotonic()
    answer = handler.handler(event, Context())
    print(json.dumps({{"answer": answer, "took": time.monotonic() - started}}), flush=True)
event = json.load(sys.stdin)
invocation = threading.Thread(target=invoke, daemon=True)
invocation.start()
invocation.join({SECONDS})
os._exit(0)  # as Lambda does it
"""

CLAIM, FINISH = 0, 1
"""The worker's calls of BatchExecuteStatement in one invocation."""


class HangingAws(Hanging):
    """Takes every batch of statements but the first `skip`, and of `operation` all."""

    def __init__(self, operation: str, skip: int = 0) -> None:
        super().__init__(operation)
        self._skip = skip

    def _answer(self, connection: socket.socket, received: Received) -> bool:
        skipped = self.calls(received.operation) <= self._skip
        if received.operation == "BatchExecuteStatement" and (skipped or received.operation not in self._operations):
            responses: list[dict[str, Any]] = [{} for _ in json.loads(received.body)["Statements"]]
            return says({"Responses": responses})(connection, received)
        return super()._answer(connection, received)


@dataclass
class Ended:
    """What the process printed until its end: log lines, and its answer if it came to one."""

    lines: list[dict[str, Any]]

    def events(self, name: str) -> list[dict[str, Any]]:
        return [line for line in self.lines if line.get("event") == name]

    def answer(self) -> tuple[set[str], float]:
        """The messages that failed, and the seconds it took."""
        answers = [line for line in self.lines if "answer" in line]
        assert len(answers) == 1, f"Lambda would have killed it: {self.lines}"
        failures = answers[0]["answer"]["batchItemFailures"]
        return {failure["itemIdentifier"] for failure in failures}, answers[0]["took"]


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return unpacked_worker(tmp_path_factory.mktemp("worker"), E2E_MODELS, "wordcount")


@pytest.fixture(params=["lean", "boto3"])
def environment(request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, str]:
    """A worker's; a configuration file makes it use boto3's client."""
    (tmp_path / "config").touch()
    return worker_environment() | {
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_CONFIG_FILE": os.devnull if request.param == "lean" else str(tmp_path / "config"),
        "REQUEST_TABLE": "t",
        "QUEUE_URL": "http://127.0.0.1/1/wordcount",
        "MODELS": '{"wordcount": "wordcount"}',
        "TMPDIR": str(tmp_path),
    }


def messages() -> list[dict[str, Any]]:
    """Ten messages of the worker's model, each received for the first time."""
    records: list[dict[str, Any]] = golden("sqs_10")["Records"]
    for record in records:
        record["body"] = json.dumps(json.loads(record["body"]) | {"model": "wordcount", "input": {"text": "a b"}})
    return records


def run(package: Path, server: Hanging, environment: dict[str, str], records: Sequence[Any]) -> Ended:
    process = run_script(package, SCRIPT, environment | {"AWS_ENDPOINT_URL": server.url}, {"Records": records})
    assert process.returncode == 0, process.stderr
    return Ended([json.loads(line) for line in process.stdout.splitlines()])


@pytest.mark.parametrize(("skip", "event"), [(CLAIM, "claim_failed"), (FINISH, "finish_failed")])
def test_it_gives_its_messages_back_in_time(skip: int, event: str, package: Path, environment: dict[str, str]) -> None:
    records = messages()
    with HangingAws("BatchExecuteStatement", skip) as server:
        ended = run(package, server, environment, records)
        failed, took = ended.answer()
        assert failed == {record["messageId"] for record in records}
        assert took < SECONDS - 0.2
        assert server.calls("BatchExecuteStatement") > skip
    assert len(ended.events(event)) == len(records)
    assert [line["returned"] for line in ended.events("batch_finished")] == [len(records)]


def test_its_messages_come_back_soon_if_only_their_claims_found_no_answer(
    package: Path, environment: dict[str, str]
) -> None:
    with HangingAws("BatchExecuteStatement", CLAIM) as server:
        run(package, server, environment, messages())
        bodies = [json.loads(call.body) for call in server.received if call.operation == "ChangeMessageVisibilityBatch"]
    assert len(bodies) == 2, "for the lease, and for the retry"
    assert [entry["VisibilityTimeout"] for entry in bodies[1]["Entries"]] == [UNAVAILABLE_RETRY_SECONDS] * 10


def test_it_ends_in_time_where_the_queue_does_not_answer(package: Path, environment: dict[str, str]) -> None:
    with HangingAws("ChangeMessageVisibilityBatch") as server:
        ended = run(package, server, environment, messages())
        failed, took = ended.answer()
        assert took < SECONDS - 0.2
        assert server.calls("ChangeMessageVisibilityBatch") >= 1
    succeeded = [request_id for line in ended.events("requests_succeeded") for request_id in line["request_ids"]]
    assert len(succeeded) == 10 - len(failed), "what it had time for"
    assert len(ended.events("visibility_not_set")) >= 1


def test_the_timeout_handler_has_time_for_its_calls(
    slow_package: Path, environment: dict[str, str], tmp_path: Path
) -> None:
    """What hangs is the model: its requests are released, and their messages come back, in the last 1.5 s."""
    (tmp_path / "local-wordcount-loading").touch()  # the load at the start was killed: it comes with the first batch
    with HangingAws("none") as server:
        ended = run(slow_package, server, environment, messages())
        assert server.calls("BatchExecuteStatement") == 2
        assert server.calls("ChangeMessageVisibilityBatch") == 2
    assert len(ended.events("load_timed_out")) == 10
    assert ended.events("visibility_not_set") == []


def test_a_healthy_worker_needs_no_more_time_than_it_has(package: Path, environment: dict[str, str]) -> None:
    with HangingAws("none") as server:
        ended = run(package, server, environment, messages())
    failed, took = ended.answer()
    assert failed == set()
    assert took < SECONDS / 2
