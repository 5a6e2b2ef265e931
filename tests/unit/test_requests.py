"""The vocabulary: statuses and what may follow what, messages, ids."""

import dataclasses
import json
import re
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.expressions import Update
from inference.moves import Moves
from inference.request_table import Applied
from inference.requests import (
    FINAL,
    OPEN,
    TRANSITIONS,
    ErrorCode,
    Failure,
    Message,
    Move,
    Record,
    Status,
    digest_of_input,
    keyed_request_id,
    new_request_id,
)
from tests.unit.fake_table import FakeTable
from tests.unit.fakes import NOW, Clock
from tests.unit.samples import a_message, a_record, updates_by_move

P, R, S, F, C, E = Status

# (from, to) -> the moves that lead there. Every other pair is impossible; the comments in requests.py draw the same.
WAYS = {
    (P, R): {Move.CLAIM, Move.TAKE_OVER},
    (R, R): {Move.TAKE_OVER},
    (R, P): {Move.RELEASE},
    (R, S): {Move.SUCCEED},
    (R, F): {Move.FAIL, Move.BURY},
    (P, F): {Move.BURY},
    (P, C): {Move.CANCEL},
    (R, C): {Move.CANCEL},
    (P, E): {Move.EXPIRE},
    (R, E): {Move.EXPIRE},
    (F, P): {Move.REPLAY},
}
PAIRS = [(before, after) for before in Status for after in Status]


@pytest.mark.parametrize(("before", "after"), PAIRS, ids=lambda status: status.value)
def test_the_transition_table_allows_this_pair_by_these_moves_only(before: Status, after: Status) -> None:
    moves = {move for move, way in TRANSITIONS.items() if before in way.before and way.after is after}
    assert moves == WAYS.get((before, after), set())


def _record_for(status: Status, move: Move) -> Record:
    """A record in a status, with everything but the status as the move wants it."""
    wants_lease = move in (Move.RELEASE, Move.SUCCEED, Move.FAIL)
    return a_record(
        status=status,
        attempts=0 if move is Move.CLAIM else 1,
        lease_until=NOW + 1000 if wants_lease else NOW - 1,
        expires_at=NOW - 1 if move is Move.EXPIRE else NOW + 1000,
        finished_at=NOW,
    )


@pytest.mark.parametrize("move", Move, ids=lambda move: move.value)
@pytest.mark.parametrize("status", Status, ids=lambda status: status.value)
def test_each_move_applies_to_its_statuses_and_to_no_other(status: Status, move: Move) -> None:
    record = _record_for(status, move)
    for update in updates_by_move(record, Clock())[move]:
        table = FakeTable()
        table.put(record)
        written = table.apply([update])[0]
        allowed = status in TRANSITIONS[move].before
        assert isinstance(written, Applied) == allowed
        assert table.record("a1").status == (TRANSITIONS[move].after if allowed else status)


@pytest.mark.parametrize("move", Move, ids=lambda move: move.value)
def test_only_open_requests_are_in_the_open_index(move: Move) -> None:
    for status in TRANSITIONS[move].before:
        record = _record_for(status, move)
        for update in updates_by_move(record, Clock())[move]:
            table = FakeTable()
            table.put(record)
            table.apply([update])
            assert ("open_shard" in table.items["a1"]) == (TRANSITIONS[move].after in OPEN)


def test_a_final_status_is_left_by_a_replay_of_a_failure_alone() -> None:
    leaving = {(move, status) for move, way in TRANSITIONS.items() for status in way.before & FINAL}
    assert leaving == {(Move.REPLAY, Status.FAILED)}


# What an attempt may write


def _running(**changes: object) -> Record:
    return a_record(status=R, attempts=2, lease_until=NOW + 10_000, **changes)


def _outcomes(attempt: int, clock: Clock) -> list[Update]:
    moves, failure = Moves(clock), Failure(ErrorCode.MODEL_ERROR, "no", attempt)
    return [
        moves.succeed("a1", attempt, "{}"),
        moves.fail("a1", attempt, failure),
        moves.release("a1", attempt, failure, alone=False),
    ]


@pytest.mark.parametrize("attempt", [1, 3])
def test_another_attempt_writes_nothing(attempt: int) -> None:
    for update in _outcomes(attempt, Clock()):
        table = FakeTable()
        table.put(_running())
        assert not isinstance(table.apply([update])[0], Applied)


@pytest.mark.parametrize(("late", "allowed"), [(-1, True), (0, True), (1, False)])
def test_an_attempt_writes_nothing_after_its_lease(late: int, allowed: bool) -> None:
    # A reader may have been told `expired` already, since nobody held the request any more.
    for update in _outcomes(2, Clock(NOW + 10_000 + late)):
        table = FakeTable()
        table.put(_running())
        assert isinstance(table.apply([update])[0], Applied) == allowed


@pytest.mark.parametrize(("late", "over"), [(-1, False), (0, False), (1, True)])
def test_a_lease_is_taken_over_or_ended_only_when_it_is_over(late: int, over: bool) -> None:
    clock = Clock(NOW + 10_000 + late)
    moves = Moves(clock)
    failure = Failure(ErrorCode.CRASHED, "died")
    for update in (moves.take_over("a1", NOW, clock.now + 1), moves.bury("a1", failure)):
        table = FakeTable()
        table.put(_running())
        assert isinstance(table.apply([update])[0], Applied) == over
    table = FakeTable()
    table.put(_running(expires_at=NOW))
    assert isinstance(table.apply([moves.expire("a1")])[0], Applied) == over


@pytest.mark.parametrize(
    ("changes", "first", "later", "takeover"),
    [
        ({}, True, True, True),
        ({"attempts": 1}, False, True, True),
        ({"attempts": 4}, False, True, True),
        ({"attempts": 5}, False, False, False),
        ({"alone": True}, False, False, True),
        ({"expires_at": NOW}, False, False, False),
        ({"expires_at": NOW + 1}, True, True, True),
        ({"submitted_at": NOW - 1}, False, False, False),
    ],
)
def test_who_may_claim_a_pending_request(changes: dict[str, int], first: bool, later: bool, takeover: bool) -> None:
    moves = Moves(Clock())
    updates = [moves.claim_first, moves.claim, moves.take_over]
    for build, allowed in zip(updates, (first, later, takeover), strict=True):
        table = FakeTable()
        table.put(a_record(**changes))
        assert isinstance(table.apply([build("a1", NOW, NOW + 1)])[0], Applied) == allowed


def test_a_claim_counts_the_attempt_and_leaves_a_trace() -> None:
    for build in (Moves(Clock()).claim_first, Moves(Clock()).claim, Moves(Clock()).take_over):
        table = FakeTable()
        table.put(a_record())
        table.apply([build("a1", NOW, NOW + 33_000, invocation_id="i", model_version="2")])
        expected = a_record(
            status=R, attempts=1, started_at=NOW, lease_until=NOW + 33_000, invocation_id="i", model_version="2"
        )
        assert table.record("a1") == expected


def test_a_replay_gives_new_attempts_and_happens_once() -> None:
    table, clock = FakeTable(), Clock(NOW + 5)
    record = a_record(status=F, attempts=5, finished_at=NOW, error='{"code":"crashed"}', input="1")
    table.put(record)
    replay = Moves(clock).replay(record, NOW * 2, NOW, attempts=3)
    assert isinstance(table.apply([replay])[0], Applied)
    assert not isinstance(table.apply([replay])[0], Applied)
    replayed = table.record("a1")
    assert (replayed.status, replayed.attempts, replayed.attempt_limit) == (P, 5, 8)
    assert (replayed.expires_at, replayed.replayed_at, replayed.finished_at) == (NOW * 2, NOW + 5, None)


# What a reader sees


@pytest.mark.parametrize(
    ("record", "seen"),
    [
        (a_record(expires_at=NOW + 1), P),
        (a_record(expires_at=NOW), E),
        (a_record(status=R, expires_at=NOW, lease_until=NOW + 1), R),
        (a_record(status=R, expires_at=NOW, lease_until=NOW), R),
        (a_record(status=R, expires_at=NOW, lease_until=NOW - 1), E),
        (a_record(status=R, expires_at=NOW + 1, lease_until=NOW - 1), R),
        *[(a_record(status=status, expires_at=NOW), status) for status in FINAL],
    ],
)
def test_the_status_at_a_time(record: Record, seen: Status) -> None:
    assert record.status_at(NOW) is seen


def test_a_record_is_gone_from_the_second_of_its_deletion() -> None:
    record = a_record(delete_at=NOW // 1000)
    assert not record.deleted_at(NOW - 1)
    assert record.deleted_at(NOW)


# Messages and ids

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=())),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)  # fmt: skip


@given(JSON)
def test_a_message_survives_its_queue_as_ascii(value: object) -> None:
    message = dataclasses.replace(a_message(a_record()), input=value)
    body = message.to_body()
    assert body.isascii()
    assert Message.from_body(body) == message


def test_a_lone_surrogate_survives() -> None:
    message = a_message(a_record(), "\ud800")
    assert "\\ud800" in message.to_body()
    assert Message.from_body(message.to_body()).input == "\ud800"


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda body: "x", "Expecting value"),
        (lambda body: "[]", "not a JSON object"),
        (lambda body: "null", "not a JSON object"),
        (lambda body: body | {"request_id": 1}, "'request_id'"),
        (lambda body: body | {"request_id": ""}, "'request_id'"),
        (lambda body: body | {"request_id": "a" * 3000}, "'request_id'"),
        (lambda body: body | {"submitted_at": "1"}, "'submitted_at'"),
        (lambda body: body | {"expires_at": 1.5}, "'expires_at'"),
        (lambda body: body | {"attempt_limit": True}, "'attempt_limit'"),
        *[
            (lambda body, name=name: {k: v for k, v in body.items() if k != name}, f"'{name}'")
            for name in [field.name for field in dataclasses.fields(Message)]
        ],
    ],
)
def test_a_body_that_is_no_message(change: object, text: str) -> None:
    body = change(json.loads(a_message(a_record()).to_body()))
    with pytest.raises(ValueError, match=re.escape(text)):
        Message.from_body(body if isinstance(body, str) else json.dumps(body))


def test_a_field_of_a_later_version_is_no_trouble() -> None:
    message = a_message(a_record())
    assert Message.from_body(json.dumps(json.loads(message.to_body()) | {"trace": "x"})) == message


def test_ids_are_uuids_and_a_key_gives_the_same_one_to_the_same_caller_only() -> None:
    ids = [keyed_request_id("a", "k"), keyed_request_id("b", "k"), keyed_request_id("a", "l"), new_request_id()]
    assert len({*ids, new_request_id()}) == 5
    assert keyed_request_id("a", "k") == ids[0]
    assert keyed_request_id("a", "b:c") != keyed_request_id("a:b", "c")
    assert [uuid.UUID(name).version for name in ids] == [8, 8, 8, 4]
    assert {uuid.UUID(name).variant for name in ids} == {uuid.RFC_4122}


def test_the_digest_ignores_the_order_of_keys_and_nothing_else() -> None:
    digest = digest_of_input("m", {"a": 1, "b": [1, 2]})
    assert digest == digest_of_input("m", {"b": [1, 2], "a": 1})
    others = [("n", {"a": 1, "b": [1, 2]}), ("m", {"a": 1, "b": [2, 1]}), ("m", {"a": "1", "b": [1, 2]}), ("m", 1)]
    assert digest not in [digest_of_input(model, value) for model, value in others]
    assert digest_of_input("m", "\ud800")
