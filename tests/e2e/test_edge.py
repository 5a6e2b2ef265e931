"""DynamoDB and SQS reject, break and hang under a deployed worker: every request still ends, and rightly. And they hang
under the deployed api function: its client is told to come again.

The same faults, at each call of api and worker, are injected in-process in tests/integration.
"""

from __future__ import annotations

import random
import time
import uuid
from collections.abc import Iterator

import pytest

from tests.e2e.control import Control
from tests.e2e.deployment import Deployment
from tests.e2e.edge import Edge, EdgeFault
from tests.e2e.http_client import Api
from tests.e2e.test_faults import right_answer
from tests.e2e.waiting import eventually

MODEL = "edge"
BATCH = 10
SEED = 20_261_124
SECONDS = 75

TRIES = 3
"""How often a client of ours tries one call: this many failures in a row get through to the worker."""

CLAIM, FINISH = 0, 1
"""The worker's calls of BatchExecuteStatement in one invocation."""

CASES = {
    "claim throttled once": [EdgeFault("BatchExecuteStatement", "throttle", CLAIM)],
    "claim rejected for good, and then singly": [
        EdgeFault("BatchExecuteStatement", "error", CLAIM, TRIES),
        EdgeFault("UpdateItem", "throttle", 0, 2 * TRIES),
    ],
    "claim written, its answer lost": [EdgeFault("BatchExecuteStatement", "lost", CLAIM)],
    "claim written, no answer in time": [EdgeFault("BatchExecuteStatement", "hang", CLAIM)],
    "finish throttled once": [EdgeFault("BatchExecuteStatement", "throttle", FINISH)],
    "finish rejected for good, and then singly": [
        EdgeFault("BatchExecuteStatement", "unavailable", FINISH, TRIES),
        EdgeFault("UpdateItem", "error", 0, TRIES),
    ],
    "finish written, its answer lost": [EdgeFault("BatchExecuteStatement", "lost", FINISH)],
    "finish written, all answers lost": [EdgeFault("BatchExecuteStatement", "lost", FINISH, TRIES)],
    "finish written, no answer in time": [EdgeFault("BatchExecuteStatement", "hang", FINISH)],
    "visibility not changed": [EdgeFault("ChangeMessageVisibilityBatch", "error", 0, TRIES)],
    "visibility changed, its answer lost": [EdgeFault("ChangeMessageVisibilityBatch", "lost", 0, TRIES)],
}


@pytest.mark.parametrize("name", CASES)
def test_a_call_fails(name: str, api: Api, control: Control, edge: Edge) -> None:
    inputs = [{"text": f"{name} {number} {uuid.uuid4()}"} for number in range(BATCH)]
    with edge.failing(*CASES[name]):
        with control.paused(MODEL):
            ids = [api.accepted(value, model=MODEL) for value in inputs]
        outcomes = [api.outcome(request_id, SECONDS) for request_id in ids]
        # An outcome whose answer was lost is written, and seen, before the worker has tried again.
        eventually("all faults were injected", SECONDS, lambda: all(t.met == t.times for t in CASES[name]))
    assert [outcome["result"] for outcome in outcomes] == [right_answer(value["text"]) for value in inputs]
    control.drained(MODEL, SECONDS)
    assert [api.status(request_id).body for request_id in ids] == outcomes


def test_rejected_statements_bring_no_record(api: Api, control: Control, edge: Edge) -> None:
    """Cancelled requests and copies of final ones, in one batch with new ones: nobody's message is lost or kept."""
    stripped = edge.stripped
    old = {"text": f"old {uuid.uuid4()}"}
    first = api.accepted(old, model=MODEL)
    outcome = api.outcome(first, SECONDS)
    control.drained(MODEL, SECONDS)
    inputs = [{"text": f"new {number} {uuid.uuid4()}"} for number in range(BATCH - 1)]
    with control.paused(MODEL):
        control.send(MODEL, control.message(first, old))
        ids = [api.accepted(value, model=MODEL) for value in inputs]
        for request_id in ids[::3]:
            assert api.call("POST", f"/cancel/{request_id}", b"").status == 200
    control.drained(MODEL, SECONDS)
    bodies = [api.status(request_id).body for request_id in ids]
    expected = [None if number % 3 == 0 else right_answer(value["text"]) for number, value in enumerate(inputs)]
    assert [body["result"] for body in bodies] == expected
    assert {body["status"] for body in bodies[::3]} == {"cancelled"}
    assert api.status(first).body == outcome
    assert edge.stripped > stripped, "no rejection came by the edge: nothing was shown"


def test_every_third_call_fails(api: Api, control: Control, edge: Edge) -> None:
    """A bad hour at AWS: calls of all kinds fail in all ways, here and there."""
    chosen = random.Random(SEED)
    operations = ("BatchExecuteStatement", "UpdateItem", "ChangeMessageVisibilityBatch")
    kinds = ("throttle", "error", "unavailable", "lost")
    faults = [
        EdgeFault(operation, chosen.choice(kinds), chosen.randrange(4), chosen.randint(1, 2))
        for operation in operations
        for _ in range(12)
    ]
    inputs = [{"text": f"bad hour {number} {uuid.uuid4()}"} for number in range(6 * BATCH)]
    with edge.failing(*faults):
        ids = [api.accepted(value, model=MODEL) for value in inputs]
        outcomes = [api.outcome(request_id, SECONDS) for request_id in ids]
        control.drained(MODEL, SECONDS)
    assert sum(fault.met for fault in faults) >= BATCH
    assert [outcome["result"] for outcome in outcomes] == [right_answer(value["text"]) for value in inputs]
    assert [api.status(request_id).body for request_id in ids] == outcomes


ALWAYS = 10**6


@pytest.fixture
def api_timeout(deployment: Deployment, edge: Edge) -> Iterator[int]:
    """The api function's calls to AWS go by the edge while a test runs. Gives its timeout in seconds."""
    functions = deployment.client("lambda")
    name = deployment.output("function_names")["api"]
    before = functions.get_function_configuration(FunctionName=name)
    version = functions.get_alias(FunctionName=name, Name="live")["FunctionVersion"]
    variables = before["Environment"]["Variables"]
    at_the_edge = {"Variables": variables | {"AWS_ENDPOINT_URL": edge.url}}
    functions.update_function_configuration(FunctionName=name, Environment=at_the_edge)
    changed = functions.publish_version(FunctionName=name)["Version"]
    functions.update_alias(FunctionName=name, Name="live", FunctionVersion=changed)
    yield int(before["Timeout"])
    functions.update_alias(FunctionName=name, Name="live", FunctionVersion=version)
    functions.update_function_configuration(FunctionName=name, Environment={"Variables": variables})
    functions.delete_function(FunctionName=name, Qualifier=changed)


@pytest.mark.parametrize("operations", [("PutItem",), ("PutItem", "DeleteItem"), ("SendMessage",)], ids="+".join)
def test_a_submit_is_rejected_in_time_while_aws_hangs(
    operations: tuple[str, ...], api: Api, control: Control, edge: Edge, api_timeout: int
) -> None:
    value = {"text": f"hanging {uuid.uuid4()}"}
    key = {"idempotency_key": str(uuid.uuid4())}
    assert api.status(str(uuid.uuid4())).status == 404  # its process has started, and AWS answers it by the edge
    faults = [EdgeFault(operation, "hang", 0, ALWAYS) for operation in operations]
    with control.paused(MODEL):
        started = time.monotonic()
        with edge.failing(*faults):
            response = api.submit(value, model=MODEL, **key)
        took = time.monotonic() - started
        print(f"\n{'+'.join(operations)} hangs: {response.status} after {took:.1f} s of {api_timeout}")
        assert response.status == 503, response
        assert response.headers["content-type"] == "application/problem+json"
        assert int(response.headers["retry-after"]) >= 1
        assert response.body["status"] == 503
        assert took < api_timeout
        assert all(fault.met for fault in faults), "nothing hung"
        # The client does as it was told.
        request_id = api.accepted(value, model=MODEL, **key)
    assert api.outcome(request_id, SECONDS)["result"] == right_answer(value["text"])
    control.drained(MODEL, SECONDS)
