"""The table of transitions: what may follow what, who may write, and that a record's fields say who writes them."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest

from inference import transitions
from inference.requests import FINAL, ErrorCode, Failure, Record, Status, WebhookState
from inference.store.request_table import Applied
from inference.transitions import Update
from tests.unit.fake_table import FakeTable
from tests.unit.fakes import NOW
from tests.unit.samples import TRANSITIONS, a_record, updates_of

P, R, S, F, C, E = Status

FAILURES_FROM_OUTSIDE = {"fail_unleased", "fail_unleased_keeping_input", "fail_lost", "fail_lost_keyed"}

# (from, to) -> the transitions that lead there. Every other pair is impossible; transitions.py draws the same.
PATHS = {
    (P, R): {"claim_first", "claim_unless_last", "take_over"},
    (R, R): {"take_over"},
    (R, P): {"release", "release_alone"},
    (R, S): {"succeed", "succeed_with_files"},
    (R, F): {"fail", "fail_keeping_input", *FAILURES_FROM_OUTSIDE},
    (P, F): FAILURES_FROM_OUTSIDE,
    (P, C): {"cancel", "cancel_pending"},
    (R, C): {"cancel"},
    (P, E): {"expire"},
    (R, E): {"expire", "expire_held"},
    (F, P): {"replay", "replay_with_webhook"},
}
TEXT = (Path(__file__).resolve().parents[2] / "docs" / "architecture.md").read_text(encoding="utf-8")
PAIRS = [(before, after) for before in Status for after in Status]


@pytest.mark.parametrize(("before", "after"), PAIRS, ids=lambda status: status.value)
def test_the_table_allows_this_pair_by_these_transitions_only(before: Status, after: Status) -> None:
    found = {name for name, it in TRANSITIONS.items() if before in it.before and it.after is after}
    assert found == PATHS.get((before, after), set())


def test_the_drawing_in_the_docs_has_the_same_pairs() -> None:
    drawn = re.findall(
        r"^    (\w+) --> (\w+): ", TEXT.partition("stateDiagram-v2")[2].partition("```")[0], re.MULTILINE
    )
    assert {(Status(before), Status(after)) for before, after in drawn} == PATHS.keys()


def _record_for(status: Status, name: str) -> Record:
    """A record in a status, with everything but the status as the transition wants it."""
    wants_lease = TRANSITIONS[name].before == {R}
    state = {"webhook_claim": WebhookState.WAITING, "webhook_resend": WebhookState.FAILED}
    webhook = {"webhook_state": state.get(name, WebhookState.DELIVERING), "webhook_attempts": 1, "webhook_due": NOW}
    return a_record(
        **(webhook if "webhook" in name else {}),
        status=status,
        attempts=0 if name == "claim_first" else 1,
        lease_until=NOW + 1000 if wants_lease else NOW - 1,
        expires_at=NOW - 1 if name.startswith("expire") else NOW + 1000,
        finished_at=NOW,
        submits=1,
        next_look_at=NOW,
        submit_id="s" if name.endswith(("keyed", "submit", "submit_over")) else None,
    )


@pytest.mark.parametrize("name", TRANSITIONS)
@pytest.mark.parametrize("status", Status, ids=lambda status: status.value)
def test_each_transition_applies_to_its_statuses_and_to_no_other(status: Status, name: str) -> None:
    record, table, transition = _record_for(status, name), FakeTable(), TRANSITIONS[name]
    table.put(record)
    written = table.apply([updates_of(record)[name]])[0]
    allowed = status in transition.before
    assert isinstance(written, Applied) == allowed
    assert table.record("a1").status == ((allowed and transition.after) or status)


@pytest.mark.parametrize("name", [name for name, it in TRANSITIONS.items() if it.after])
def test_an_outcome_leaves_the_open_index_unwritten_unless_the_sweep_writes_it(name: str) -> None:
    transition = TRANSITIONS[name]
    for status in transition.before:
        record, table = _record_for(status, name), FakeTable()
        table.put(record)
        table.apply([updates_of(record)[name]])
        shard = table.items["a1"].get("open_shard")
        if name.startswith("replay"):
            assert shard == "a-followed"
        elif name.startswith(("expire", "fail_lost")) and name != "expire_held":
            assert shard is None
        else:
            assert shard == "a"


def test_a_final_status_is_left_by_a_replay_of_a_failure_alone() -> None:
    leaving = {(name, status) for name, it in TRANSITIONS.items() if it.after for status in it.before & FINAL}
    assert leaving == {("replay", Status.FAILED), ("replay_with_webhook", Status.FAILED)}


def test_the_comments_of_a_records_fields_name_the_transitions_that_set_and_clear_them() -> None:
    families = {
        "claim": {name for name, it in TRANSITIONS.items() if it.after is R},
        "outcome": {name for name, it in TRANSITIONS.items() if it.after in FINAL},
        "webhook_start": {"webhook_resend", "replay_with_webhook"},
    }

    def named(comment: str, verb: str) -> set[str]:
        listed = re.search(rf"{verb} by ([a-z_, ]+)", comment)
        words, _, exception = (listed[1] if listed else "").partition(" except ")
        found = (
            families.get(word, {n for n in TRANSITIONS if f"{n}_".startswith(f"{word}_")})
            for word in words.split(", ")
            if word
        )
        return set().union(*found) - {exception}

    commented = dict(re.findall(r"^    (\w+): [^#\n]*(?:# (.*))?$", inspect.getsource(Record), re.MULTILINE))
    assert commented.keys() >= set(Record._fields)
    for field in Record._fields:
        if field == "status":
            continue  # every transition into another status
        sets = {name for name, it in TRANSITIONS.items() if field in it.sets}
        clears = {name for name, it in TRANSITIONS.items() if field in it.removes}
        assert (named(commented[field], "set"), named(commented[field], "cleared")) == (sets, clears), field


# What an attempt may write


def _running(**changes: object) -> Record:
    return a_record(status=R, attempts=2, lease_until=NOW + 10_000, **changes)


def _outcomes(attempt: int, now: int) -> list[Update]:
    failure = Failure(ErrorCode.MODEL_ERROR, "no", attempt)
    return [
        transitions.succeed("a1", attempt, "{}", now),
        transitions.fail("a1", attempt, failure, now),
        transitions.release("a1", attempt, failure, now, run_alone=False),
    ]


@pytest.mark.parametrize("attempt", [1, 3])
def test_another_attempt_writes_nothing(attempt: int) -> None:
    for update in _outcomes(attempt, NOW):
        table = FakeTable()
        table.put(_running())
        assert not isinstance(table.apply([update])[0], Applied)


@pytest.mark.parametrize(("late", "allowed"), [(-1, True), (0, True), (1, False)])
def test_an_attempt_writes_nothing_after_its_lease(late: int, allowed: bool) -> None:
    # A reader may have been told `expired` already, since nobody held the request any more.
    for update in _outcomes(2, NOW + 10_000 + late):
        table = FakeTable()
        table.put(_running())
        assert isinstance(table.apply([update])[0], Applied) == allowed


@pytest.mark.parametrize(("late", "over"), [(-1, False), (0, False), (1, True)])
def test_a_lease_is_taken_over_or_ended_only_when_it_is_over(late: int, over: bool) -> None:
    for changes, names in (({}, ("take_over", "fail_unleased")), ({"expires_at": NOW}, ("expire",))):
        for name in names:
            table, record = FakeTable(), _running(**changes)
            table.put(record)
            update = updates_of(record, NOW + 10_000 + late)[name]
            assert isinstance(table.apply([update])[0], Applied) == over


@pytest.mark.parametrize(
    ("changes", "first", "later", "takeover"),
    [
        ({}, True, True, True),
        ({"attempts": 1}, False, True, True),
        ({"attempts": 3}, False, True, True),
        ({"attempts": 4}, False, False, True),
        ({"attempts": 5}, False, False, False),
        ({"run_alone": True}, False, False, True),
        ({"expires_at": NOW}, False, False, False),
        ({"expires_at": NOW + 1}, True, True, True),
        ({"submitted_at": NOW - 1}, False, False, False),
    ],
)
def test_who_may_claim_a_pending_request(changes: dict[str, int], first: bool, later: bool, takeover: bool) -> None:
    updates = updates_of(a_record())
    for name, allowed in {"claim_first": first, "claim_unless_last": later, "take_over": takeover}.items():
        table = FakeTable()
        table.put(a_record(**changes))
        assert isinstance(table.apply([updates[name]])[0], Applied) == allowed


@pytest.mark.parametrize("name", ["claim_first", "claim_unless_last", "take_over"])
def test_a_claim_counts_the_attempt_and_leaves_a_trace(name: str) -> None:
    table = FakeTable()
    table.put(a_record())
    table.apply([updates_of(a_record())[name]])
    expected = a_record(
        status=R,
        attempts=1,
        started_at=NOW,
        lease_until=NOW + 33_000,
        invocation_id="i",
        model_version="1",
        code_digest="sha256:1",
    )
    assert table.record("a1") == expected


def test_a_replay_gives_new_attempts_and_happens_once() -> None:
    table = FakeTable()
    record = a_record(status=F, attempts=5, finished_at=NOW, error='{"code":"crashed"}', input="1")
    table.put(record)
    replay = transitions.replay(record, NOW + 5, expires_at=NOW * 2, delete_at=NOW, attempts=3)
    assert isinstance(table.apply([replay])[0], Applied)
    assert not isinstance(table.apply([replay])[0], Applied)
    replayed = table.record("a1")
    assert (replayed.status, replayed.attempts, replayed.attempt_limit) == (P, 5, 8)
    assert (replayed.expires_at, replayed.replayed_at, replayed.finished_at) == (NOW * 2, NOW + 5, None)
