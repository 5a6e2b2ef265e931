"""AWS fails at each call of api and worker, with the SDK's own retries on and off.

Whatever happens, the client gets its answer or a 503 that it may repeat, what was accepted ends with its result, and
nothing stays open.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import pytest

from inference.aws import clients
from inference.sweep import SETTLE_MS
from tests.integration.aws_faults import ALWAYS, DONE_KINDS, KINDS, SLOW, THROTTLED, UNREACHABLE, AwsFault, injected
from tests.integration.system import GRACE_SECONDS, System, sentiment_of
from tests.integration.terraform_definition import MAX_RECEIVE_COUNT

TEXT = {"text": "worst delay of my life, never again"}
RESULT = sentiment_of(TEXT | {"threshold": 0.5})

ONCE = [*[(kind, False, 1) for kind in KINDS], *[(kind, True, 1) for kind in DONE_KINDS]]
CASES = [*ONCE, (THROTTLED, False, ALWAYS), (SLOW, True, ALWAYS)]
CASE_IDS = [f"{kind}{'_done' * done}_{'once' if times == 1 else 'always'}" for kind, done, times in CASES]


@pytest.fixture(scope="module", params=[1, clients.ATTEMPTS], ids=["retries_off", "retries_on"])
def tries(request: pytest.FixtureRequest, module_patch: pytest.MonkeyPatch) -> Iterator[int]:
    """How often the SDK tries. Comes before the system, whose clients it is for."""
    module_patch.setattr(clients, "ATTEMPTS", request.param)
    module_patch.setattr(
        clients, "_SHORT", clients._SHORT._replace(attempts=min(request.param, clients.BOUNDED_ATTEMPTS))
    )
    yield request.param


@pytest.fixture(scope="module")
def moto_system(tries: int, on_moto: None, package: Any, module_patch: pytest.MonkeyPatch) -> Iterator[System]:
    clients.client.cache_clear()
    system = System(package, module_patch, statements=1)
    yield system
    system.clear()
    system.remove()


def answered(response: dict[str, Any], *allowed: int) -> int:
    status: int = response["statusCode"]
    assert status in allowed
    if status == 503:
        assert int(response["headers"]["Retry-After"]) > 0
        assert response["headers"]["content-type"] == "application/problem+json"
    return status


def run_down(system: System) -> None:
    """Nothing fails any more, and time passes: everything ends."""
    for _ in range(12):
        if system.messages("sentiment") == system.messages("dlq") == 0:
            break
        system.run_worker()
        system.run_dead_letters()
        system.time_passes(400)
    system.time_passes(GRACE_SECONDS + 1)
    system.sweep()
    system.time_passes(SETTLE_MS // 1000)
    system.sweep()
    for record in system.records().values():
        assert record.status in ("succeeded", "failed"), record
    assert system.messages("sentiment") == system.messages("dlq") == 0


@pytest.mark.parametrize(("kind", "done", "times"), CASES, ids=CASE_IDS)
@pytest.mark.parametrize(
    ("operation", "key"),
    [("PutItem", None), ("SendMessage", None), ("PutItem", "k"), ("SendMessage", "k"), ("UpdateItem", "k")],
)
def test_a_submit(
    system: System, tries: int, operation: str, key: str | None, kind: str, done: bool, times: int
) -> None:
    with injected(AwsFault(operation, kind, done, times)):
        response = system.predict(TEXT, key=key)
    status = answered(response, 202, 503)
    if tries > 1 and times == 1:
        assert status == 202, "the SDK's retry makes it good"
    if status == 503:
        assert not any(record.status == "pending" for record in system.records().values())
    run_down(system)
    if status == 202:
        body = system.status(response["json"]["request_id"])["json"]
        assert (body["status"], body["result"]) == ("succeeded", RESULT)
    else:
        # The client repeats it, as the 503 says it may.
        again = system.predict(TEXT, key=key)
        assert again["statusCode"] == 202
        run_down(system)
        assert system.status(again["json"]["request_id"])["json"]["result"] == RESULT


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("key", [None, "k"])
def test_a_submit_whose_message_and_whose_withdrawal_fail(system: System, key: str | None, kind: str) -> None:
    with injected(AwsFault("SendMessage", kind, times=ALWAYS), AwsFault("DeleteItem", kind, times=ALWAYS)):
        answered(system.predict(TEXT, key=key), 503)
    # A pending record is left that nobody was promised: a repeat with the key takes it over, else the sweeper ends it.
    (record,) = system.records().values()
    assert record.status == "pending"
    if key is not None:
        assert system.predict(TEXT, key=key)["json"]["request_id"] == record.request_id
    run_down(system)
    assert system.records()[record.request_id].status == ("failed" if key is None else "succeeded")


@pytest.mark.parametrize(("kind", "done", "times"), CASES, ids=CASE_IDS)
@pytest.mark.parametrize("operation", ["GetItem", "UpdateItem"])
def test_a_poll_and_a_cancel(system: System, tries: int, operation: str, kind: str, done: bool, times: int) -> None:
    request_id = system.predict(TEXT)["json"]["request_id"]
    with injected(AwsFault(operation, kind, done, times)):
        poll = answered(system.status(request_id), 200, 503)
    with injected(AwsFault(operation, kind, done, times)):
        # With retries, the first try's cancel may have been made and the second find it so: 200 all the same.
        cancel = answered(system.cancel(request_id), 200, 503)
    if tries > 1 and times == 1:
        assert (poll, cancel) == (200, 200)
    assert system.cancel(request_id)["json"]["status"] == "cancelled"
    assert system.run_worker() == []
    assert system.model.passes == []


@pytest.mark.parametrize(("kind", "done", "times"), CASES, ids=CASE_IDS)
@pytest.mark.parametrize(
    ("operation", "skip"),
    [
        ("UpdateItem", 0),  # the first claim
        ("UpdateItem", 1),  # the second
        ("UpdateItem", 2),  # the first finish
        ("UpdateItem", 3),
        ("ChangeMessageVisibilityBatch", 0),
    ],
    ids=["claim_1", "claim_2", "finish_1", "finish_2", "visibility"],
)
def test_a_workers_calls(
    system: System, tries: int, operation: str, skip: int, kind: str, done: bool, times: int
) -> None:
    ids = [system.predict(TEXT)["json"]["request_id"] for _ in range(2)]
    with injected(AwsFault(operation, kind, done, times, skip)):
        failed = system.run_worker()
    if tries > 1 and times == 1:
        assert failed == []
    run_down(system)
    for request_id in ids:
        body = system.status(request_id)["json"]
        assert (body["status"], body["result"], body["error"]) == ("succeeded", RESULT, None)
        assert body["attempts"] <= 2


@pytest.mark.parametrize(("kind", "done"), [(THROTTLED, False), (SLOW, True)])
@pytest.mark.parametrize("operation", ["GetItem", "UpdateItem"])
def test_the_calls_of_the_dead_letter_handler(system: System, operation: str, kind: str, done: bool) -> None:
    request_id = system.predict(TEXT)["json"]["request_id"]
    for _ in range(MAX_RECEIVE_COUNT + 1):
        system.receive("sentiment")
        system.time_passes(0)
    with injected(AwsFault(operation, kind, done, ALWAYS)):
        system.run_dead_letters()
    assert system.messages("dlq") == 1
    system.time_passes(0)
    system.run_dead_letters()
    assert system.messages("dlq") == 0
    assert system.status(request_id)["json"]["error"]["code"] == "undelivered"


def test_a_log_that_cannot_be_read_hides_no_end(system: System) -> None:
    request_id = system.predict(TEXT)["json"]["request_id"]
    records = system.receive("sentiment")
    with pytest.raises(KeyboardInterrupt):  # a worker that is killed in its first attempt, without a next one
        system.stop_in_predict(records)
    for _ in range(MAX_RECEIVE_COUNT + 1):
        system.time_passes(0)
        system.receive("sentiment")
    system.time_passes(40)
    with injected(AwsFault("FilterLogEvents", UNREACHABLE, times=ALWAYS)):
        system.run_dead_letters()
    assert system.status(request_id)["json"]["error"]["code"] == "crashed"


def test_every_kind_of_fault_is_seen_by_the_sdk(system: System, tries: int) -> None:
    """The injection itself: as many HTTP requests as the SDK has tries within an invocation of the api function."""
    for kind, operation in itertools.product(KINDS, ("GetItem", "SendMessage")):
        fault = AwsFault(operation, kind, times=ALWAYS)
        with injected(fault):
            if operation == "GetItem":
                answered(system.status("6f1c2b1e-5d0a-4c57-9a3e-0d6b7f3a9c11"), 503)
            else:
                answered(system.predict(TEXT), 503)
        assert fault.hits == min(tries, clients.BOUNDED_ATTEMPTS)
