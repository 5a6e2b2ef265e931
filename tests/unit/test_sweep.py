"""The sweep: what is neither in a queue nor leased ends; everything else is left alone."""

from __future__ import annotations

import json
from typing import Any

import pytest

from inference import transitions
from inference.errors import QueueMissing, Unavailable
from inference.requests import CREATED_LATE_MS, FINAL, Record, Status, followed_shard
from inference.sweep import SETTLE_MS, Sweeper
from tests.unit.fake_queue import FakeQueue
from tests.unit.fake_table import FakeTable
from tests.unit.fakes import NOW, Clock, Fault, Recorder
from tests.unit.samples import a_message, a_record

GRACE = 900_000
OLD = NOW - GRACE - SETTLE_MS - 1


class Floor:
    def __init__(self) -> None:
        self.clock = Clock()
        self.table = FakeTable()
        self.log = Recorder()
        self.queues = {name: FakeQueue(self.clock) for name in ("echo", "echo-dlq", "other", "other-dlq")}
        self.sweeper = Sweeper(
            self.table,
            ("echo", "other"),
            lambda m: (self.queues[m], self.queues[f"{m}-dlq"]),
            GRACE,
            self.log,
        )

    def sweep(self, passes: int = 10**9) -> dict[str, int]:
        left = iter(range(passes))
        return self.sweeper.sweep(self.clock, lambda: next(left, None) is not None)

    def put_followed(self, record: Record) -> None:
        """As an earlier sweep left it."""
        self.table.put(record)
        self.table.items[record.request_id]["open_shard"] = followed_shard(record.request_id)

    def status_after(self, record: Record) -> Status:
        self.table.put(record)
        self.sweep()
        return self.table.record(record.request_id).status


@pytest.fixture
def floor() -> Floor:
    return Floor()


def an_old_one(**changes: Any) -> Record:
    """One that an earlier sweep marked."""
    return a_record(**{"submitted_at": OLD, "possibly_lost_at": NOW - SETTLE_MS} | changes)


def test_one_look_is_not_enough(floor: Floor) -> None:
    """SQS's counts may be a minute old: what looks lost is looked at again."""
    floor.table.put(an_old_one(possibly_lost_at=None))
    assert floor.sweep() == {"expired": 0, "lost": 0, "model_removed": 0, "possibly_lost": 1, "seen": 1, "passed": 1}
    assert floor.table.record("a1").possibly_lost_at == NOW
    floor.clock.advance(ms=SETTLE_MS - 1)
    assert floor.sweep() == {"expired": 0, "lost": 0, "model_removed": 0, "possibly_lost": 0, "seen": 1, "passed": 0}
    floor.clock.advance(ms=1)
    assert floor.sweep() == {"expired": 0, "lost": 1, "model_removed": 0, "possibly_lost": 0, "seen": 1, "passed": 0}


def test_a_message_on_its_way_to_the_dead_letter_queue_is_not_lost(floor: Floor) -> None:
    floor.table.put(an_old_one(possibly_lost_at=None))
    assert floor.sweep()["possibly_lost"] == 1, "in neither queue's count"
    floor.queues["echo-dlq"].send(a_message(a_record()))
    floor.clock.advance(seconds=3600)
    assert floor.sweep()["lost"] == 0


@pytest.mark.parametrize("field", ["started_at", "lease_until", "resubmitted_at", "replayed_at"])
def test_any_activity_after_the_mark_makes_it_void(floor: Floor, field: str) -> None:
    at = NOW - GRACE - 1
    floor.table.put(an_old_one(status=Status.RUNNING, possibly_lost_at=at, **{field: at}))
    ended = floor.sweep()
    assert (ended["possibly_lost"], ended["lost"], ended["seen"]) == (1, 0, 1)


def test_a_request_whose_message_is_nowhere_is_lost(floor: Floor) -> None:
    floor.table.put(an_old_one())
    assert floor.sweep() == {"expired": 0, "lost": 1, "model_removed": 0, "possibly_lost": 0, "seen": 1, "passed": 1}
    record = floor.table.record("a1")
    assert (record.status, record.finished_at) == (Status.FAILED, NOW)
    assert '"code": "lost"' in str(record.error)
    assert floor.log.events("request_ended_by_sweeper")[0]["outcome"] == "lost"


@pytest.mark.parametrize("queue", ["echo", "echo-dlq"])
def test_a_request_is_not_lost_while_a_queue_of_its_model_has_messages(floor: Floor, queue: str) -> None:
    floor.queues[queue].send(a_message(a_record("b2")))
    assert floor.status_after(an_old_one()) is Status.PENDING


def test_another_models_messages_do_not_matter(floor: Floor) -> None:
    floor.queues["other"].send(a_message(a_record("b2")))
    assert floor.status_after(an_old_one()) is Status.FAILED


@pytest.mark.parametrize("field", ["submitted_at", "started_at", "lease_until", "resubmitted_at", "replayed_at"])
@pytest.mark.parametrize(("at", "left"), [(NOW - GRACE, True), (OLD, False)])
def test_a_request_is_left_alone_for_the_grace_time_after_whatever_happened(
    floor: Floor, field: str, at: int, left: bool
) -> None:
    record = an_old_one(status=Status.RUNNING if field == "lease_until" else Status.PENDING, **{field: at})
    assert floor.status_after(record) is (record.status if left else Status.FAILED)


def test_past_its_deadline_it_expires_whatever_is_in_the_queues(floor: Floor) -> None:
    floor.queues["echo"].send(a_message(a_record("b2")))
    assert floor.status_after(an_old_one(expires_at=NOW)) is Status.EXPIRED


def test_a_deadline_that_has_not_passed(floor: Floor) -> None:
    floor.queues["echo"].send(a_message(a_record("b2")))
    assert floor.status_after(an_old_one(expires_at=NOW + 1)) is Status.PENDING


@pytest.mark.parametrize("expires_at", [NOW - 1, NOW + 1])
def test_a_live_lease_is_left_alone(floor: Floor, expires_at: int) -> None:
    record = an_old_one(status=Status.RUNNING, lease_until=NOW, expires_at=expires_at)
    assert floor.status_after(record) is Status.RUNNING


@pytest.mark.parametrize("status", sorted(FINAL))
def test_a_stale_index_ends_nothing(floor: Floor, status: Status) -> None:
    record = an_old_one(status=status)
    floor.put_followed(record)
    floor.sweep()
    assert floor.table.record("a1") == record


def test_an_index_that_names_what_is_gone(floor: Floor) -> None:
    floor.table.put(an_old_one())
    floor.table.get_many = lambda *_, **__: iter(())  # type: ignore[method-assign]
    assert floor.sweep() == {"expired": 0, "lost": 0, "model_removed": 0, "possibly_lost": 0, "seen": 0, "passed": 1}


def _between_look_and_end(floor: Floor, changes: dict[str, Any]) -> None:
    def change(operation: str) -> None:
        if operation == "apply":
            floor.table.items["a1"] |= changes

    floor.table.before = change


@pytest.mark.parametrize(
    "changes",
    [
        {"status": "running", "attempts": 1, "lease_until": NOW + 1},
        {"status": "pending", "attempts": 1},
        {"status": "succeeded"},
        {"submit_id": "another"},
        {"expires_at": NOW * 2},
    ],
    ids=["claimed", "tried", "finished", "sent_again", "replayed"],
)
def test_what_happens_between_the_look_and_the_end_wins(floor: Floor, changes: dict[str, Any]) -> None:
    floor.put_followed(an_old_one())
    _between_look_and_end(floor, changes)
    assert floor.sweep()["lost"] == 0
    assert floor.table.items["a1"].get("error") is None


def test_a_keyed_submit_that_died_is_lost_too(floor: Floor) -> None:
    assert floor.status_after(an_old_one(submit_id="s")) is Status.FAILED
    assert floor.table.record("a1").submit_id == "s", "by which a repeat knows that it was not accepted"


def test_a_queue_that_does_not_answer_loses_nothing(floor: Floor) -> None:
    floor.queues["echo-dlq"].faults = [Fault("is_empty")]
    floor.table.put(an_old_one())
    assert floor.sweep()["lost"] == 0
    assert floor.log.events("queue_counts_unavailable")
    assert floor.sweep()["lost"] == 1


def test_each_models_queues_are_asked_once_in_a_sweep(floor: Floor) -> None:
    for n in range(5):
        floor.table.put(an_old_one(request_id=f"a{n}"))
    assert floor.sweep()["lost"] == 5
    assert floor.queues["echo"].calls == floor.queues["echo-dlq"].calls == ["is_empty"]


def test_an_index_that_cannot_be_read_is_an_error(floor: Floor) -> None:
    floor.table.put(an_old_one())
    floor.table.faults = [Fault("submitted")]
    with pytest.raises(Unavailable):
        floor.sweep()


def test_a_write_that_fails_is_not_counted_and_comes_again(floor: Floor) -> None:
    floor.put_followed(an_old_one())
    floor.table.faults = [Fault("apply")]
    assert floor.sweep()["lost"] == 0
    assert floor.sweep()["lost"] == 1


def test_a_sweep_that_runs_out_of_time_stops_and_says_so(floor: Floor) -> None:
    for n in range(5):
        floor.table.put(an_old_one(request_id=f"a{n}"))
    assert floor.sweep(passes=3)["lost"] == 2, "one look at the time is for the five that are passed together"
    assert floor.log.events("sweep_incomplete")
    assert floor.sweep()["lost"] == 3


def test_no_shard_is_always_the_last(floor: Floor) -> None:
    """Else a backlog in the first would starve it."""
    ids = {f"{shard}1" for shard in "0123456789abcdef"}
    for request_id in ids:
        floor.table.put(an_old_one(request_id=request_id, possibly_lost_at=None))
    marked = set()
    for _ in ids:
        floor.sweep(passes=2)
        floor.clock.advance(ms=1)
        marked |= {i for i in ids if floor.table.record(i).possibly_lost_at}
    assert marked == ids


# Passing


def test_what_is_final_at_the_grace_age_is_read_once_and_never_written(floor: Floor) -> None:
    for n in range(250):
        floor.table.put(a_record(f"a{n}", status=Status.SUCCEEDED, submitted_at=OLD - n))
    assert floor.sweep()["passed"] == 250
    assert floor.table.swept == {"a": OLD}
    assert (floor.table.calls.count("get_many"), floor.table.calls.count("apply")) == (3, 0)
    floor.table.calls.clear()
    assert floor.sweep()["passed"] == 0
    assert not {"get_many", "apply", "save_swept_until"} & set(floor.table.calls)


def test_what_is_not_final_is_followed_until_it_is(floor: Floor) -> None:
    floor.queues["echo"].send(a_message(a_record()))
    floor.table.put(a_record(submitted_at=OLD))
    for seen in (1, 1):
        assert floor.sweep()["seen"] == seen
        assert floor.table.items["a1"]["open_shard"] == "a-followed"
    floor.table.apply([transitions.cancel("a1", NOW)])
    assert floor.sweep()["seen"] == 0
    assert "open_shard" not in floor.table.items["a1"]


def test_the_grace_time_is_not_passed(floor: Floor) -> None:
    floor.table.put(a_record(submitted_at=NOW - GRACE))
    assert floor.sweep()["passed"] == 0
    floor.clock.advance(ms=1)
    assert floor.sweep()["passed"] == 1


def test_a_sweep_without_time_goes_on_where_it_was_also_between_requests_of_one_time(floor: Floor) -> None:
    for n in range(150):
        floor.table.put(a_record(f"a{n}", submitted_at=OLD))
    assert floor.sweep(passes=1)["passed"] == 100
    assert floor.table.swept == {"a": OLD - 1}
    floor.queues["echo"].send(a_message(a_record()))
    floor.sweep()
    assert {item["open_shard"] for item in floor.table.items.values()} == {"a-followed"}


@pytest.mark.parametrize("operation", ["submitted", "get_many", "apply"])
def test_what_can_not_be_passed_now_is_passed_by_the_next_sweep(floor: Floor, operation: str) -> None:
    floor.queues["echo"].send(a_message(a_record()))
    floor.table.put(a_record(submitted_at=OLD))
    floor.table.faults = [Fault(operation)]
    with pytest.raises(Unavailable):
        floor.sweep()
    assert floor.table.swept == {}
    assert floor.sweep()["passed"] == 1
    assert floor.table.items["a1"]["open_shard"] == "a-followed"


def test_an_item_that_is_created_long_after_its_batch_is_not_missed(floor: Floor) -> None:
    floor.table.put(a_record("a0", status=Status.SUCCEEDED, submitted_at=OLD + 1))
    floor.sweep()
    floor.table.put(a_record(submitted_at=OLD, resubmitted_at=OLD + CREATED_LATE_MS + 1))
    assert floor.sweep()["possibly_lost"] == 1


def test_a_deployment_without_a_sweep_of_this_version_begins_at_the_first_request(floor: Floor) -> None:
    """Records of earlier versions lost their entry with their outcome: only what is open is found."""
    floor.table.put(a_record(submitted_at=1))
    floor.table.put(a_record("a2", status=Status.FAILED, submitted_at=1))
    del floor.table.items["a2"]["open_shard"]
    assert (floor.sweep()["passed"], floor.table.items["a1"]["open_shard"]) == (1, "a-followed")


# Models that were removed


@pytest.mark.parametrize("attempts", [0, 3])
def test_a_request_of_a_removed_model_ends_at_the_first_look_and_says_why(floor: Floor, attempts: int) -> None:
    """Its queue is gone, and nothing is asked of it: the sweeper has no right on what is not deployed."""
    record = an_old_one(model="gone", possibly_lost_at=None, attempts=attempts, status=Status.PENDING)
    assert floor.status_after(record) is Status.FAILED
    error = json.loads(str(floor.table.record("a1").error))
    assert error["code"] == "model_removed"
    assert "'gone' was removed" in error["message"]
    assert "again" in error["message"]
    assert floor.log.events("request_ended_by_sweeper")[0]["outcome"] == "model_removed"


def test_a_model_that_the_sweeper_does_not_know_yet_has_the_grace_time(floor: Floor) -> None:
    """While a model is added, the api function may accept requests for it before the sweeper is updated."""
    assert floor.status_after(a_record(model="new", submitted_at=NOW - GRACE)) is Status.PENDING
    assert floor.status_after(a_record(model="new", submitted_at=OLD, started_at=NOW - GRACE)) is Status.PENDING


def test_a_removed_models_running_request_keeps_its_lease(floor: Floor) -> None:
    record = an_old_one(model="gone", status=Status.RUNNING, lease_until=NOW, attempts=1)
    assert floor.status_after(record) is Status.RUNNING


class MissingQueue(FakeQueue):
    def is_empty(self) -> bool:
        raise QueueMissing("no such queue")


def test_a_queue_that_does_not_exist_holds_no_message(floor: Floor) -> None:
    """A model that was removed and added again, or whose queue was deleted: nothing is left to wait for."""
    floor.queues |= {name: MissingQueue(floor.clock) for name in ("echo", "echo-dlq")}
    assert floor.status_after(an_old_one()) is Status.FAILED
    assert "removed and added again" in str(floor.table.record("a1").error)
    assert floor.log.events("queue_counts_unavailable") == []
