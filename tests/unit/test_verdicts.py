"""Property test: each record of any event has exactly one verdict, and none is done while its request is open."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inference.requests import FINAL, Message, Status
from inference.telemetry import Telemetry
from tests.unit.fake_queue import sqs_record
from tests.unit.fakes import NOW, Clock, Fault, Killed
from tests.unit.samples import DEADLINE, a_message, a_record
from tests.unit.scripted import Answer, Reaction, ScriptedModel, ScriptedTable, ScriptedTimeout
from tests.unit.worker_harness import REMAINING, WorkerHarness
from worker import batch, message_loop, prediction
from worker.claims import Claimer, ClaimResult
from worker.delivery import Delivery
from worker.message_loop import LEASE_MARGIN_MS
from worker.verdicts import EVENTS, OUTCOME_WRITTEN, Done, DoneReason, RetryReason, Verdict

TIMED_OUT = (RetryReason.LOAD_TIMED_OUT, RetryReason.PREDICTION_TIMED_OUT)
RESULTS = {"dropped", "returned", *(reason for reason, (_, event) in EVENTS.items() if event == OUTCOME_WRITTEN)}
SEEN: set[DoneReason | RetryReason] = set()
"""The reasons that were given in this process."""


@dataclass(frozen=True)
class Request:
    """What the table says of a request, its messages in the event, and what its input does to the model."""

    record: dict[str, Any] | None
    receive_counts: list[int]
    attempt_limit: int
    valid: bool
    reaction: Reaction
    model: str


later = {"attempts": st.integers(1, 5), "attempt_limit": st.sampled_from([1, 3, 5])}
any_record = st.fixed_dictionaries(
    {
        "status": st.sampled_from(list(Status)),
        "lease_until": st.sampled_from([None, NOW - 1, NOW + 7_500, NOW + REMAINING + LEASE_MARGIN_MS]),
        "invocation_id": st.sampled_from([None, "i1", "other"]),
        "submitted_at": st.sampled_from([NOW, NOW, NOW, NOW + 1]),
        "expires_at": st.sampled_from([NOW + DEADLINE * 1000] * 3 + [NOW + 1, NOW]),
        "run_alone": st.booleans(),
        **later,
    }
)
to_run_alone = st.fixed_dictionaries(
    {"status": st.just(Status.RUNNING), "lease_until": st.sampled_from([NOW - 1, NOW - 1, None]), **later}
)
past_its_deadline = st.fixed_dictionaries({"expires_at": st.just(NOW), "attempts": st.integers(0, 2)})
leased = st.fixed_dictionaries(
    {"status": st.just(Status.RUNNING), "lease_until": st.just(NOW + 7_500), "invocation_id": st.just("other"), **later}
)
fresh: st.SearchStrategy[dict[str, Any]] = st.just({})
requests = st.builds(
    Request,
    st.one_of(fresh, any_record, to_run_alone, past_its_deadline, leased, st.none()),
    st.sampled_from([[1], [1], [2], [7], [1, 1], [1, 2]]),
    st.sampled_from([5, 5, 3, 1]),
    st.sampled_from([True] * 5 + [False]),
    st.sampled_from([*[Reaction.ANSWERS] * 3, *Reaction, Reaction.LEASE_ENDS]),
    st.sampled_from(["echo", "echo", "other", "removed"]),
)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
unreadable_or_not = st.one_of(
    st.text(max_size=20),
    json_values.map(json.dumps),
    st.fixed_dictionaries({}, optional=dict.fromkeys(Message._fields, json_values)).map(json.dumps),
    st.just("[" * 200_000),
)
at_the_outcome = st.sampled_from([Answer.THROTTLED, Answer.NO_ANSWER, Answer.ANSWER_LOST])
scripts: st.SearchStrategy[list[Answer]] = st.one_of(
    st.just([]),
    at_the_outcome.map(lambda answer: [Answer.APPLIED, answer]),
    st.lists(st.sampled_from([Answer.APPLIED] * 6 + list(Answer)), max_size=12),
)
times_left: st.SearchStrategy[list[int]] = st.one_of(
    st.just([]), st.lists(st.sampled_from([REMAINING, 1_999]), max_size=10)
)


def records_of(known: Sequence[Request], other: Sequence[str], order: Random) -> list[dict[str, Any]]:
    """The event: messages of the requests, which are named by their places, and other bodies."""
    bodies = [(body, 1) for body in other]
    for number, request in enumerate(known):
        message = a_message(
            a_record(f"{number}", model=request.model, attempt_limit=request.attempt_limit), {"text": f"{number}"}
        )
        body = (message if request.valid else message._replace(input={"text": ""})).to_body()
        bodies += [(body, count) for count in request.receive_counts]
    order.shuffle(bodies)
    return [sqs_record(f"m{number}", body, count) for number, (body, count) in enumerate(bodies)]


def readable(body: str) -> Message | None:
    try:
        return Message.from_body(body)
    except (ValueError, RecursionError):
        return None


def is_final_or_was_never_accepted(harness: WorkerHarness, message: Message) -> bool:
    """As a client sees it, who has the `202` of this message's submit."""
    item = harness.table.items.get(message.request_id)
    if item is None or item["submitted_at"] != message.submitted_at:
        return True
    return harness.table.record(message.request_id).status_at(harness.clock.now) in FINAL


@settings(max_examples=1000)
@given(
    known=st.lists(requests, max_size=6),
    other=st.lists(unreadable_or_not, max_size=2),
    order=st.integers(0, 10_000).map(Random),
    script=scripts,
    stripped=st.booleans(),
    left=times_left,
    batch_size=st.sampled_from([1, 2, 10]),
    queue_fails_at=st.integers(0, 6),
)
def test_every_record_has_one_verdict_and_none_is_done_while_its_request_is_open(
    known: list[Request],
    other: list[str],
    order: Random,
    script: list[Answer],
    stripped: bool,
    left: list[int],
    batch_size: int,
    queue_fails_at: int,
) -> None:
    event = records_of(known, other, order)
    clock, table = Clock(), ScriptedTable(script, stripped)
    reactions = {f"{number}": request.reaction for number, request in enumerate(known)}
    models = [ScriptedModel(reactions, table, clock) for _ in range(2)]
    harness = WorkerHarness(table, models[0], clock, models[1])
    for number, request in enumerate(known):
        if request.record is not None:
            table.put(a_record(f"{number}", model=request.model, **request.record))
    for model in models:
        model.batch_size = batch_size
    harness.queue.faults = [Fault("set_visibility", skip=queue_fails_at)]
    harness.remaining = lambda: left.pop(0) if left else REMAINING
    given_verdicts: list[Verdict] = []

    def note(verdict: Verdict, telemetry: Telemetry) -> None:
        given_verdicts.append(verdict)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(batch, "log", note)
        patch.setattr(message_loop, "log", note)
        patch.setattr(prediction, "Timeout", ScriptedTimeout)
        try:
            failed = harness.process(event)
        except (Killed, RuntimeError):
            failed = [record["messageId"] for record in event]  # Lambda keeps them all
        else:
            (done,) = harness.log.events("batch_finished")
            assert sum(done.get(name, 0) for name in RESULTS) == len(event)
            assert sum(verdict.reason not in TIMED_OUT for verdict in given_verdicts) == len(event)
    reasons = {verdict.reason for verdict in given_verdicts}
    SEEN.update(reasons)
    assert RetryReason.UNDECIDED not in reasons
    for record in event:
        if record["messageId"] not in failed:
            message = readable(record["body"])
            assert message is not None, "an unreadable message was deleted"
            assert is_final_or_was_never_accepted(harness, message), "the message of an open request was deleted"


OF_DISPATCHERS = (RetryReason.HELD, RetryReason.RUN_NOT_CANCELLED)
"""They are given in the tests of the dispatcher."""


def test_every_reason_was_given() -> None:
    """The property would prove little if it never came to some branch. (Examples are the same in every run.)"""
    if not SEEN:
        pytest.skip("judges the property's run")
    missing = {*DoneReason, *RetryReason} - {RetryReason.UNDECIDED, *OF_DISPATCHERS} - SEEN
    assert not missing


@pytest.mark.parametrize(("verdicts", "named"), [([], []), ([Done(DoneReason.NO_RECORD)] * 2, ["no_record"] * 2)])
def test_a_message_without_exactly_one_verdict_is_kept(
    harness: WorkerHarness, monkeypatch: pytest.MonkeyPatch, verdicts: list[Verdict], named: list[str]
) -> None:
    claim = Claimer.claim

    def forgetful(claimer: Claimer, deliveries: Sequence[Delivery], now: int) -> ClaimResult:
        found = claim(claimer, deliveries[:1], now)
        return ClaimResult(found.claims, [], [(deliveries[1].receipt_handle, verdict) for verdict in verdicts])

    monkeypatch.setattr(Claimer, "claim", forgetful)
    harness.add("a", "b")
    assert harness.run() == ["m2"]
    assert harness.statuses() == ["succeeded", "pending"]
    (line,) = harness.log.events("verdict_missing")
    assert (line["level"], line["message_id"], line["verdicts"]) == ("ERROR", "m2", named)
    assert harness.log.events("batch_finished")[0]["returned"] == 1


def test_no_two_reasons_share_a_name_and_each_has_an_event() -> None:
    """The two enumerations are of one dictionary's keys, and equal strings are equal keys."""
    assert set(EVENTS) == {*DoneReason, *RetryReason}
    assert len(EVENTS) == len(DoneReason) + len(RetryReason)
