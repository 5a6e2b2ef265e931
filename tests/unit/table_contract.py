"""What a request table does, whoever plays it: the fake of the unit tests, moto, or the emulator.

A subclass gives the fixture `subject`. Updates are compared with what the fake makes of them, which evaluates the
conditions themselves, so the two renderings (UpdateItem and PartiQL) are held to one tree.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable
from typing import Any

import pytest

from inference import transitions
from inference.requests import BATCH, CREATED_LATE_MS, FINAL, ErrorCode, Failure, Record, Status, WebhookState
from inference.store.request_table import Applied, ConditionFailed
from tests.unit.fake_table import FakeTable
from tests.unit.fakes import NOW
from tests.unit.samples import TRANSITIONS, a_record, for_request, updates_of, with_webhook

FULL = Record(
    request_id="f-full",
    status=Status.RUNNING,
    model="m",
    caller="iam:arn:aws:iam::1:user/ü\U0001f600",
    submitted_at=NOW,
    expires_at=NOW + 1,
    delete_at=NOW // 1000 + 2,
    attempt_limit=5,
    attempts=3,
    model_version="1",
    code_digest="sha256:1",
    started_at=0,
    finished_at=4,
    lease_until=5,
    submit_id="s",
    resubmitted_at=7,
    replayed_at=8,
    possibly_lost_at=9,
    input_digest="d",
    webhook_of=BATCH,
    input='{"text": ""}',
    result="{}",
    error="",
    run_alone=True,
    invocation_id="i",
    webhook_url="https://example.com/hook",
    webhook_state=WebhookState.RETRYING,
    webhook_attempts=1,
    webhook_attempt_limit=8,
    webhook_due=NOW * 2,
    webhook_lease_until=11,
    webhook_retry_at=12,
    webhook_log="[]",
    progress='{"fraction": 0.4, "message": ""}',
)


@dataclasses.dataclass
class Subject:
    """A table under test: the adapter, and a way to put any record behind its back."""

    table: Any
    put: Callable[..., None]


def _ids() -> Any:
    return (f"{number % 16:x}-{number}" for number in itertools.count())


IDS = _ids()


def fresh(shard: str = "", **changes: Any) -> Record:
    """A pending record with an id that no test used before."""
    return a_record(shard + next(IDS), **changes)


def interesting_records() -> list[Record]:
    """Each status with each lease, attempts used up or not, and marks that conditions look at."""
    records = []
    for status in Status:
        if status in FINAL:
            records.append(a_record(status=status, attempts=1, finished_at=NOW))
            continue
        for lease in (None, NOW - 1, NOW, NOW + 1):
            for changes in ({"attempts": 1}, {"attempts": 5}, {"attempts": 1, "expires_at": NOW, "run_alone": True}):
                records.append(a_record(status=status, lease_until=lease, **changes))
    for state in WebhookState:
        for changes in ({}, {"webhook_lease_until": NOW}, {"webhook_lease_until": NOW - 1, "webhook_due": NOW}):
            final = a_record(status=Status.FAILED, attempts=1, finished_at=NOW)
            records.append(with_webhook(final, webhook_state=state, **changes))
    records += [a_record(), a_record(submitted_at=NOW - 1), a_record(submit_id="s"), a_record(submit_id="t")]
    return records


class TableContract:
    """The tests."""

    def test_a_record_survives(self, subject: Subject) -> None:
        for record in (fresh(), FULL._replace(request_id=next(IDS))):
            assert subject.table.create(record) is None
            assert subject.table.get(record.request_id) == record
            assert subject.table.get(record.request_id, consistent=True) == record
            assert subject.table.find(record.request_id) == record

    def test_no_record(self, subject: Subject) -> None:
        assert subject.table.get("nobody") is None
        assert subject.table.find("nobody") is None

    def test_a_record_that_is_there_is_found_and_left_alone(self, subject: Subject) -> None:
        first = fresh()
        subject.table.create(first)
        for change in ({"submitted_at": NOW + 1}, {"input_digest": "x"}, {"submit_id": "x"}):
            assert subject.table.create(first._replace(**change)) == first
        assert subject.table.get(first.request_id, consistent=True) == first

    def test_our_own_record_is_no_other(self, subject: Subject) -> None:
        record = fresh(submit_id="s", input_digest="d")
        assert subject.table.create(record) is None
        assert subject.table.create(record) is None

    def test_many_records_are_written_and_those_that_are_there_stay(self, subject: Subject) -> None:
        records = [fresh(batch_id="b", input_digest="\"' ?") for _ in range(60)]
        claimed = records[7]._replace(status=Status.RUNNING, attempts=1)
        subject.put(claimed)
        for _ in range(2):
            subject.table.create_many(records)
        expected = [claimed if number == 7 else record for number, record in enumerate(records)]
        assert [subject.table.get(record.request_id, consistent=True) for record in records] == expected
        assert (records[59].request_id, NOW) in list(
            subject.table.submitted(records[59].request_id[0], NOW - 1, NOW + 1)
        )

    def test_many_are_read_with_and_without_results(self, subject: Subject) -> None:
        records = [fresh(status=Status.SUCCEEDED, result="{}", input="{}") for _ in range(103)]
        subject.put(*records)
        ids = [record.request_id for record in records]
        for with_results, result in ((True, "{}"), (False, None)):
            found = {record.request_id: record for record in subject.table.get_many([*ids, "nobody"], with_results)}
            assert [found[name] for name in ids] == [record._replace(input=None, result=result) for record in records]
            assert len(found) == 103
        assert len(list(subject.table.get_many(ids, consistent=True))) == 103

    @pytest.mark.parametrize(("delete_at", "free"), [(NOW // 1000 + 1, False), (NOW // 1000, True)])
    def test_a_record_past_its_retention_gives_its_place(self, subject: Subject, delete_at: int, free: bool) -> None:
        old = fresh(delete_at=delete_at, status=Status.FAILED, error="{}", submitted_at=NOW - 10**9)
        subject.put(old)
        new = a_record()._replace(request_id=old.request_id, submitted_at=NOW + 999)
        assert subject.table.create(new) == (None if free else old)
        assert subject.table.get(old.request_id, consistent=True) == (new if free else old)

    @pytest.mark.parametrize(
        ("changes", "replaced"),
        [
            ({}, True),
            ({"attempts": 1}, False),
            ({"status": Status.PENDING}, False),
            ({"submit_id": "another"}, False),
            ({"submit_id": None}, False),
            ({"finished_at": NOW + 1}, False),
        ],
        ids=["as_read", "claimed", "created_again", "taken_over", "confirmed", "lost_again"],
    )
    def test_a_request_that_was_lost_before_it_was_accepted_gives_its_place(
        self, subject: Subject, changes: dict[str, Any], replaced: bool
    ) -> None:
        lost = fresh(status=Status.FAILED, error="{}", submit_id="s", finished_at=NOW, submitted_at=NOW - 10**6)
        current = lost._replace(**changes)
        subject.put(current)
        new = a_record()._replace(request_id=lost.request_id, submit_id="t")
        assert subject.table.create(new, lost) == (None if replaced else current)
        assert subject.table.get(lost.request_id, consistent=True) == (new if replaced else current)
        entries = dict(subject.table.submitted(lost.request_id[0], 0, NOW + 1))
        assert entries[lost.request_id] == (new if replaced else current).submitted_at

    @pytest.mark.parametrize(
        ("changes", "replaced"),
        [
            ({}, True),
            ({"attempts": 1}, False),
            ({"status": Status.PENDING}, False),
            ({"submit_id": "s"}, False),
            ({"finished_at": NOW + 1}, False),
        ],
        ids=["as_read", "claimed", "created_again", "keyed", "lost_again"],
    )
    def test_an_item_that_was_lost_before_its_batch_was_accepted_gives_its_place(
        self, subject: Subject, changes: dict[str, Any], replaced: bool
    ) -> None:
        lost = fresh(status=Status.FAILED, error="{}", finished_at=NOW, submitted_at=NOW - 10**6, batch_id="b")
        current = lost._replace(**changes)
        subject.put(current)
        new = a_record()._replace(request_id=lost.request_id, batch_id="b")
        assert subject.table.create(new, lost) == (None if replaced else current)
        assert subject.table.get(lost.request_id, consistent=True) == (new if replaced else current)

    def test_a_lost_request_that_is_gone_is_created(self, subject: Subject) -> None:
        new = fresh(submit_id="t")
        lost = new._replace(status=Status.FAILED, submit_id="s", finished_at=NOW)
        assert subject.table.create(new, lost) is None
        assert subject.table.get(new.request_id, consistent=True) == new

    @pytest.mark.parametrize(
        ("changes", "gone"),
        [
            ({}, True),
            ({"attempts": 1}, False),
            ({"status": Status.RUNNING, "attempts": 1}, False),
            ({"status": Status.CANCELLED}, False),
            ({"submitted_at": NOW + 1}, False),
            ({"submit_id": "another"}, False),
        ],
    )
    def test_discarding(self, subject: Subject, changes: dict[str, Any], gone: bool) -> None:
        ours = fresh()
        current = ours._replace(**changes)
        subject.put(current)
        assert subject.table.discard(ours) == gone
        assert subject.table.get(ours.request_id, consistent=True) == (None if gone else current)

    @pytest.mark.parametrize(("submit_id", "gone"), [("ours", True), ("theirs", False), (None, False)])
    def test_discarding_a_keyed_submit(self, subject: Subject, submit_id: str | None, gone: bool) -> None:
        """Not another submit of the same millisecond, nor one that was taken over or confirmed."""
        ours = fresh(submit_id="ours")
        subject.put(ours._replace(submit_id=submit_id))
        assert subject.table.discard(ours) == gone

    def test_discarding_what_was_never_written(self, subject: Subject) -> None:
        assert subject.table.discard(fresh())

    def test_what_is_followed_is_no_more_passed_until_it_is_final_and_left(self, subject: Subject) -> None:
        first, second = fresh("5"), fresh("5", submitted_at=NOW - 1)
        subject.put(first, second)
        for record in (first, second):
            assert isinstance(subject.table.apply([transitions.follow(record.request_id)])[0], Applied)
        both = {first.request_id, second.request_id}
        assert [request_id for request_id in subject.table.followed("5") if request_id in both] == [
            second.request_id,
            first.request_id,
        ]
        assert not both & dict(subject.table.submitted("5", 0, NOW + 1)).keys()
        assert isinstance(subject.table.apply([transitions.unfollow(first.request_id)])[0], ConditionFailed)
        subject.table.apply([transitions.cancel(first.request_id, NOW)])
        assert isinstance(subject.table.apply([transitions.follow(first.request_id)])[0], ConditionFailed)
        assert isinstance(subject.table.apply([transitions.unfollow(first.request_id)])[0], Applied)
        assert [request_id for request_id in subject.table.followed("5") if request_id in both] == [second.request_id]

    def test_a_record_that_is_written_long_after_its_submit_is_followed(self, subject: Subject) -> None:
        soon = fresh("6", resubmitted_at=NOW + CREATED_LATE_MS)
        late = fresh("6", resubmitted_at=NOW + CREATED_LATE_MS + 1)
        assert subject.table.create(soon) is None
        subject.table.create_many([late, fresh()])
        assert late.request_id in set(subject.table.followed("6"))
        found = dict(subject.table.submitted("6", 0, NOW + 1))
        assert (soon.request_id in found, late.request_id in found) == (True, False)

    def test_how_far_sweeps_have_come_never_goes_back(self, subject: Subject) -> None:
        subject.table.save_swept_until("7", 500)
        subject.table.save_swept_until("8", 400)
        subject.table.save_swept_until("7", 300)
        found = subject.table.swept_until()
        assert (found["7"], found["8"]) == (500, 400)
        subject.table.save_swept_until("7", 600)
        assert subject.table.swept_until()["7"] == 600

    def test_the_open_index_has_what_was_submitted_oldest_first(self, subject: Subject) -> None:
        ages = {"c-new": NOW, "c-2": NOW - 2, "c-1": NOW - 1, "0-5": NOW - 5, "f-3": NOW - 3, "c-9": NOW - 9}
        for request_id, submitted_at in ages.items():
            subject.table.create(a_record(request_id, submitted_at=submitted_at))
        subject.table.apply([transitions.cancel("c-1", NOW)])
        found = [entry for entry in subject.table.submitted("c", NOW - 9, NOW) if entry[0] in ages]
        assert found == [("c-2", NOW - 2), ("c-1", NOW - 1)], "the final one too"
        assert list(subject.table.submitted("c", NOW - 2, NOW - 1)) == []
        assert list(subject.table.submitted("c", NOW, NOW - 5)) == []
        assert [entry for entry in subject.table.submitted("0", 0, NOW) if entry[0] in ages] == [("0-5", NOW - 5)]

    def test_a_replayed_request_is_open_again(self, subject: Subject) -> None:
        record = fresh(status=Status.FAILED, finished_at=NOW, submitted_at=NOW - 9)
        subject.put(record)
        subject.table.apply([updates_of(record)["replay"]])
        assert record.request_id in set(subject.table.followed(record.request_id[0]))

    def test_the_webhook_index_has_what_is_due_and_old_oldest_first(self, subject: Subject) -> None:
        early = NOW - 20_000_000  # before what other tests put there
        ages = {"c-w0": 0, "c-w2": -2, "c-w1": -1, "0-w5": -5, "f-w3": -3}
        records = {
            name: with_webhook(a_record(name, status=Status.FAILED, finished_at=NOW), webhook_due=early + age)
            for name, age in ages.items()
        }
        subject.put(*records.values(), a_record("c-none", status=Status.FAILED))
        assert list(subject.table.due_webhook_keys(early, 12)) == ["c-w2", "c-w1", "f-w3", "0-w5"]
        subject.table.apply([updates_of(records["c-w2"])["webhook_postpone"]])
        delivering = records["c-w1"]._replace(webhook_state=WebhookState.DELIVERING)
        subject.put(delivering)
        assert isinstance(subject.table.apply([updates_of(delivering)["webhook_end"]])[0], Applied)
        assert list(subject.table.due_webhook_keys(early)) == ["0-w5", "f-w3"]

    def test_a_new_request_with_a_webhook_is_in_the_index(self, subject: Subject) -> None:
        early = NOW - 30_000_000
        record = with_webhook(fresh(), webhook_due=early)
        subject.table.create(record)
        assert list(subject.table.due_webhook_keys(early + 1)) == [record.request_id]
        subject.table.discard(record)
        assert list(subject.table.due_webhook_keys(early + 1)) == []

    def test_the_failed_requests_that_can_be_replayed(self, subject: Subject) -> None:
        kept = fresh(status=Status.FAILED, input="{}")
        for record in (kept, fresh(status=Status.FAILED), fresh(status=Status.SUCCEEDED, input="{}")):
            subject.put(record)
        found = list(subject.table.failed_with_input())
        assert kept in found
        assert all(record.status is Status.FAILED and record.input is not None for record in found)

    def test_the_open_records_in_more_than_one_call(self, subject: Subject) -> None:
        early = NOW - 10_000_000  # before what other tests put there
        records = [fresh(submitted_at=early, input="{}") for _ in range(103)]
        closed = fresh(status=Status.SUCCEEDED, submitted_at=early, result="{}")
        subject.put(*records, closed)
        found, complete = subject.table.open_records(early + 1, 103)
        assert complete
        bare = {record.request_id: record._replace(input=None) for record in records}
        assert {record.request_id: record for record in found} == bare
        some, complete = subject.table.open_records(early + 1, 102)
        assert (len(some), complete) == (102, False)

    def test_what_failed_since_a_time(self, subject: Subject) -> None:
        late = NOW + 10_000_000
        new = fresh(status=Status.FAILED, finished_at=late + 1, error='{"code": "lost"}', input="{}")
        old = fresh(status=Status.FAILED, finished_at=late)
        subject.put(new, old, fresh(status=Status.SUCCEEDED, finished_at=late + 1), fresh(started_at=late + 1))
        assert subject.table.failed_since(late, 50) == ([new._replace(input=None)], True)
        assert subject.table.failed_since(late, 0) == ([], False)

    def test_every_update_on_every_record(self, subject: Subject) -> None:
        """Differential: the same updates on the same records, here and on the fake; as many as can go in batches do."""
        oracle = FakeTable()
        updates = []
        for record in interesting_records():
            for update in updates_of(record).values():
                request_id = next(IDS)
                oracle.put(record._replace(request_id=request_id))
                updates.append(for_request(update, request_id))
        subject.put(*[oracle.record(update.request_id) for update in updates])
        results = subject.table.apply(updates)
        for update, here, there in zip(updates, results, oracle.apply(updates), strict=True):
            name = next(name for name, transition in TRANSITIONS.items() if transition is update.transition)
            assert type(here) is type(there), name
            current = here.record or subject.table.get(update.request_id, consistent=True)
            assert current == oracle.record(update.request_id), name
        applied = sum(isinstance(result, Applied) for result in results)
        assert len(updates) // 10 < applied < len(updates)

    def test_a_single_update_brings_the_new_record(self, subject: Subject) -> None:
        record = fresh()
        subject.put(record)
        (applied,) = subject.table.apply([transitions.cancel(record.request_id, NOW)])
        assert applied.record.status is Status.CANCELLED

    @pytest.mark.parametrize("name", TRANSITIONS)
    def test_no_update_makes_a_record(self, subject: Subject, name: str) -> None:
        record = fresh()
        update = updates_of(record)[name]
        both = [update, for_request(update, next(IDS))]
        assert subject.table.apply(both) == [ConditionFailed(None)] * 2
        assert subject.table.get(record.request_id, consistent=True) is None

    def test_many_updates_keep_their_order(self, subject: Subject) -> None:
        records = [fresh(attempts=n % 2) for n in range(60)]
        for record in records[:50]:
            subject.put(record)
        updates = [updates_of(record)["claim_first"] for record in records]
        updates.insert(7, updates_of(records[1])["claim_unless_last"])
        results = subject.table.apply(updates)
        later = results.pop(7)
        assert isinstance(later, Applied)
        assert later.record.attempts == 2
        for number, result in enumerate(results):
            if number >= 50:
                assert result == ConditionFailed(None)
            elif number % 2:
                assert result.record.request_id == records[number].request_id
            else:
                assert isinstance(result, Applied)

    def test_texts_survive_whatever_they_hold(self, subject: Subject) -> None:
        record = fresh(status=Status.RUNNING, attempts=1, lease_until=NOW + 1)
        subject.put(record)
        failure = Failure(ErrorCode.MODEL_ERROR, "ü\ud800\x00\"'\\ ?", 1)
        other = fresh(status=Status.RUNNING, attempts=1, lease_until=NOW + 1)
        subject.put(other)
        results = subject.table.apply(
            [transitions.fail(r.request_id, 1, failure, NOW, '{"text": "\\ud800"}') for r in (record, other)]
        )
        assert [type(result) for result in results] == [Applied] * 2
        for each in (record, other):
            current = subject.table.get(each.request_id, consistent=True)
            assert (current.error, current.input) == (failure.to_json(), '{"text": "\\ud800"}')
