"""Batches: what is accepted, what an item is, how a batch is counted, paged and cancelled."""

from __future__ import annotations

import json
from typing import Any

import pytest

from inference import transitions
from inference.batches.counting import CHUNKS_READ, Shown
from inference.batches.description import MAX_PAGE_BYTES, describe_batch, poll_batch_after
from inference.batches.record import CHUNK
from inference.batches.service import Batches
from inference.errors import (
    AlreadyFinal,
    InvalidBatch,
    InvalidItems,
    KeyReused,
    Unavailable,
    UnknownBatch,
    UnknownModel,
)
from inference.references import reference_to
from inference.requests import Message, Record, Status, message_group, new_request_id
from tests.unit.api_harness import MAX_ITEMS, ME, YOU, Api
from tests.unit.fakes import NOW, Fault
from tests.unit.samples import DEADLINE, RETENTION


def items_of(api: Api, batch: Any) -> list[Record]:
    return [api.table.record(request_id) for request_id in batch.item_ids(0, batch.total)]


def count(shown: Shown) -> dict[str, int]:
    return {status: count for status, count in shown.tally.counts.items() if count}


def end(api: Api, record: Record, result: str = "{}") -> None:
    api.claim(record)
    api.table.apply([transitions.succeed(record.request_id, 1, result, api.clock())])


class TestSubmit:
    def test_each_item_is_a_request_with_a_message(self, api: Api) -> None:
        batch = api.submit_batch("a", "b", "c")
        records = items_of(api, batch)
        assert len({record.request_id for record in records}) == len(api.table.items) == 3
        for record, message, text in zip(records, api.messages(), "abc", strict=True):
            assert (record.status, record.model, record.caller) == (Status.PENDING, "echo", ME)
            assert (record.submitted_at, record.expires_at) == (NOW, NOW + DEADLINE * 1000)
            assert (record.delete_at, record.attempt_limit) == (NOW // 1000 + DEADLINE + RETENTION, 5)
            assert (record.batch_id, record.submit_id) == (batch.batch_id, None)
            assert message == Message(
                record.request_id, "echo", {"text": text, "threshold": 0.5}, NOW, record.expires_at, 5
            )
        assert set(api.queue.groups) == {message_group("echo", ME)}
        assert api.status(records[0].request_id) == records[0]

    def test_as_few_calls_as_possible(self, api: Api) -> None:
        api.submit_batch(*["x"] * 100)
        assert api.batch_table.calls == ["create_batch"]
        assert api.table.calls == ["create_many"] * 4
        assert api.queue.calls == ["send_many"] * 10

    def test_all_items_are_checked_and_nothing_is_accepted_if_one_is_invalid(self, api: Api) -> None:
        values = [{"text": "fine"}, {"text": ""}, 7, {"text": reference_to(new_request_id())}, {"text": "fine"}]
        with pytest.raises(InvalidItems, match="3 of 5 items") as raised:
            api.batches.submit(None, values, ME, NOW)
        errors = raised.value.facts["errors"]
        assert [error["index"] for error in errors] == [1, 2, 3]
        assert ["schema" in error["detail"] for error in errors] == [True, True, False]
        assert api.table.calls == api.batch_table.calls == api.queue.calls == []

    def test_a_long_error_is_cut(self, api: Api) -> None:
        with pytest.raises(InvalidItems) as raised:
            api.batches.submit(None, [{"x": {"$ref": "x" * 10_000}, "y": {"$ref": 1}}], ME, NOW)
        assert len(raised.value.facts["errors"][0]["detail"]) <= 300

    @pytest.mark.parametrize("items", [0, MAX_ITEMS + 1])
    def test_none_and_too_many(self, api: Api, items: int) -> None:
        with pytest.raises(InvalidBatch, match=f"{items} items; 1 to 100"):
            api.submit_batch(*["x"] * items)

    def test_an_unknown_model(self, api: Api) -> None:
        with pytest.raises(UnknownModel):
            api.batches.submit("nope", [{"text": "x"}], ME, NOW)

    def test_a_model_by_its_name(self, api: Api) -> None:
        batch = api.batches.submit("other", [{"text": "x"}], ME, NOW)
        assert (batch.model, len(api.messages("other")), api.messages()) == ("other", 1, [])

    def test_large_items_are_objects(self, api: Api) -> None:
        batch = api.submit_batch("x", "y" * 260_000)
        small, large = items_of(api, batch)
        assert (small.stored_input, len(api.bucket.objects)) == (None, 1)
        assert api.messages()[1].stored_input == large.stored_input

    def test_s3_does_not_answer_a_check(self, api: Api) -> None:
        api.bucket.faults = [Fault("get")]
        with pytest.raises(Unavailable):
            api.batches.submit(None, [api.upload(b"{}")], ME, NOW)
        assert api.table.items == {}


class TestAKey:
    def test_the_same_batch_again(self, api: Api) -> None:
        first = api.submit_batch("a", "b", key="k")
        before = dict(api.table.items)
        again = api.submit_batch("a", "b", key="k")
        assert (again.batch_id, again.seed) == (first.batch_id, first.seed)
        assert (api.table.items, len(api.messages())) == (before, 2)

    def test_it_is_the_callers_own_and_not_a_requests(self, api: Api) -> None:
        mine, yours = api.submit_batch("a", key="k"), api.submit_batch("a", key="k", caller=YOU)
        single = api.submit({"text": "a"}, key="k")
        assert len({mine.batch_id, yours.batch_id, single.request_id}) == 3

    @pytest.mark.parametrize("texts", [("a",), ("a", "b", "c"), ("b", "a")])
    def test_another_batch(self, api: Api, texts: tuple[str, ...]) -> None:
        first = api.submit_batch("a", "b", key="k")
        with pytest.raises(KeyReused) as raised:
            api.submit_batch(*texts, key="k")
        assert raised.value.facts == {"batch_id": first.batch_id}

    def test_a_repeat_while_the_first_is_in_progress_has_the_same_items(self, api: Api) -> None:
        again: list[Any] = []

        def repeat(operation: str) -> None:
            if operation == "send_many" and not again:
                again.append(None)
                again[0] = api.submit_batch("a", "b", key="k")

        api.queue.before = repeat
        first = api.submit_batch("a", "b", key="k")
        assert again[0].seed == first.seed
        assert len(api.table.items) == 2
        assert {message.request_id for message in api.messages()} == set(api.table.items)

    def test_a_first_that_fails_does_not_cancel_a_batch_that_was_taken_over(self, api: Api) -> None:
        again: list[Any] = []

        def repeat(operation: str) -> None:
            if operation == "send_many" and not again:
                again.append(None)
                again[0] = api.submit_batch("a", "b", key="k")
                api.queue.faults = [Fault("send_many")]

        api.queue.before = repeat
        with pytest.raises(Unavailable):
            api.submit_batch("a", "b", key="k")
        assert {record.status for record in items_of(api, again[0])} == {Status.PENDING}
        assert count(api.show(again[0])) == {"pending": 2}

    def test_a_repeat_whose_items_are_not_valid_any_more(self, api: Api) -> None:
        first = api.submit_batch("a", key="k")
        api.reject_inputs()
        assert api.submit_batch("a", key="k").batch_id == first.batch_id
        for texts, key in ((("b",), "k"), (("a",), "other")):
            with pytest.raises(InvalidItems):
                api.submit_batch(*texts, key=key)

    def test_a_cancelled_batch_is_not_sent_again(self, api: Api) -> None:
        first = api.submit_batch("a", key="k")
        api.batch_table.items[first.batch_id]["submit_id"] = "s"
        api.batches.cancel(first.batch_id, ME, NOW)
        api.submit_batch("a", key="k")
        assert len(api.messages()) == 1


class TestFailures:
    @pytest.mark.parametrize("key", [None, "k"])
    @pytest.mark.parametrize(
        "fault",
        [
            Fault("create_many", skip=1),
            Fault("create_many", done=True),
            Fault("send_many"),
            Fault("send_many", done=True, skip=1),
            Fault("put"),
        ],
        ids=lambda fault: f"{fault.operation}{'_answer_lost' * fault.done}",
    )
    def test_nothing_stays_pending(self, api: Api, fault: Fault, key: str | None) -> None:
        for target in (api.table, api.queue, api.bucket):
            target.faults = [Fault(fault.operation, fault.done, skip=fault.skip)]
        with pytest.raises(Unavailable):
            api.submit_batch("a", "b", "c" * 260_000, key=key)
        assert api.batch_table.items == {}
        assert {item["status"] for item in api.table.items.values()} <= {"cancelled"}
        for target in (api.table, api.queue, api.bucket):
            target.faults = []
        if key:
            repeated = api.submit_batch("a", "b", "c" * 260_000, key=key)
            assert count(api.show(repeated)) == {"pending": 3}

    @pytest.mark.parametrize("done", [False, True])
    def test_the_batch_is_not_written(self, api: Api, done: bool) -> None:
        api.batch_table.faults = [Fault("create_batch", done=done)]
        with pytest.raises(Unavailable):
            api.submit_batch("a")
        assert (api.batch_table.items, api.table.items, api.messages()) == ({}, {}, [])

    def test_a_confirmation_that_fails_is_made_by_a_repeat(self, api: Api) -> None:
        api.batch_table.faults = [Fault("apply_batch")]
        batch = api.submit_batch("a", key="k")
        assert api.submit_batch("a", key="k").batch_id == batch.batch_id
        assert "submit_id" not in api.batch_table.items[batch.batch_id]
        assert len(api.messages()) == 2  # of one request: the second is dropped


class TestShow:
    def test_counts_by_status(self, api: Api) -> None:
        batch = api.submit_batch("a", "b", "c", "d")
        first, second, third, _ = items_of(api, batch)
        api.claim(first)
        api.clock.advance(ms=5)
        end(api, second)
        api.cancel(third.request_id)
        api.erase(third.request_id)
        shown = api.show(batch)
        assert (count(shown), shown.finished) == ({"pending": 1, "running": 1, "succeeded": 1, "erased": 1}, False)

    def test_it_is_finished_when_the_last_item_is_final(self, api: Api) -> None:
        batch = api.submit_batch("a", "b")
        for record in items_of(api, batch):
            assert not api.show(batch).finished
            api.clock.advance(ms=5)
            end(api, record)
        shown = api.show(batch)
        assert (shown.finished, shown.tally.finished_at) == (True, NOW + 10)

    def test_past_the_deadline_it_is_finished_as_its_items_are(self, api: Api) -> None:
        batch = api.submit_batch("a")
        api.clock.advance(seconds=DEADLINE)
        assert (count(api.show(batch)), api.show(batch).finished) == ({"expired": 1}, True)

    def test_a_record_that_a_read_misses_is_read_again_and_not_taken_for_erased(self, api: Api) -> None:
        batch = api.submit_batch("a", "b")
        api.table.not_yet_read = set(batch.item_ids(0, 1))
        shown = api.show(batch, limit=2)
        assert count(shown) == {"pending": 2}
        assert all(record is not None for _, record in shown.items)

    @pytest.mark.parametrize("batch_id", ["", "x" * 65, "nope", "a/b"])
    def test_an_unknown_batch(self, api: Api, batch_id: str) -> None:
        with pytest.raises(UnknownBatch):
            api.batches.get(batch_id, ME, NOW)

    def test_another_callers_batch_is_unknown(self, api: Api) -> None:
        batch = api.submit_batch("a", caller=YOU)
        for call in (api.batches.get, api.batches.cancel):
            with pytest.raises(UnknownBatch):
                call(batch.batch_id, ME, NOW)
        assert items_of(api, batch)[0].status is Status.PENDING

    def test_after_the_retention_it_is_unknown(self, api: Api) -> None:
        batch = api.submit_batch("a")
        api.clock.advance(seconds=DEADLINE + RETENTION)
        with pytest.raises(UnknownBatch):
            api.show(batch)

    def test_no_list_and_no_sweep_sees_the_batch_itself(self, api: Api) -> None:
        batch = api.submit_batch("a")
        page = api.service.requests(ME, api_filter(), 10, None, NOW)
        assert [record.request_id for record in page.records] == batch.item_ids(0, 1)


def api_filter() -> Any:
    from inference.listing import Filter

    return Filter()


class TestALargeBatch:
    @pytest.fixture
    def large(self, api: Api) -> Api:
        """Takes more items than are read at once."""
        api.batches = Batches(
            api.batch_table,  # type: ignore[arg-type]
            api.table,  # type: ignore[arg-type]
            api.queues.__getitem__,  # type: ignore[arg-type]
            api.batches._catalog,
            api.batches._limits,
            api.payloads,
            api.batch_queue,  # type: ignore[arg-type]
            10_000,
        )
        return api

    def test_chunks_that_have_ended_are_read_once(self, large: Api) -> None:
        batch = large.submit_batch(*["x"] * 250)
        records = items_of(large, batch)
        for record in records[:CHUNK]:
            end(large, record)
        assert count(large.show(batch)) == {"succeeded": 100, "pending": 150}
        large.table.calls.clear()
        assert count(large.show(batch)) == {"succeeded": 100, "pending": 150}
        assert large.table.calls == ["get_many"] * 2
        for record in records[CHUNK:]:
            end(large, record)
        assert large.show(batch).finished
        large.table.calls.clear()
        shown = large.show(batch)
        assert (count(shown), shown.finished, large.table.calls) == ({"succeeded": 250}, True, ["get_many"] * 0)

    def test_counts_are_exact_whatever_is_lost_while_they_are_kept(self, large: Api) -> None:
        batch = large.submit_batch(*["x"] * 150)
        for record in items_of(large, batch):
            end(large, record)
        for fault in (Fault("apply_batch"), Fault("apply_batch", done=True)):
            large.batch_table.faults = [fault]
            assert count(large.show(batch)) == {"succeeded": 150}
        stale = large.batches.get(batch.batch_id, ME, NOW)
        assert count(large.batches.show(stale, NOW)) == count(large.show(batch)) == {"succeeded": 150}

    def test_a_query_reads_a_bounded_number_of_items(self, large: Api) -> None:
        batch = large.submit_batch(*["x"] * 10_000)
        large.table.calls.clear()
        shown = large.show(batch)
        assert large.table.calls == ["get_many"] * CHUNKS_READ
        assert (shown.counted, sum(count(shown).values()), shown.finished) == (2_000, 2_000, False)

    def test_an_open_item_in_each_of_the_first_chunks_keeps_no_other_from_being_counted(self, large: Api) -> None:
        batch = large.submit_batch(*["x"] * 4_000)
        records = items_of(large, batch)
        slow = records[: 30 * CHUNK : CHUNK]
        for record in records:
            if record not in slow:
                large.table.put(record._replace(status=Status.SUCCEEDED, finished_at=NOW))
        ended, queries = 0, 0
        while ended < 10:
            large.show(batch)
            stored = large.batch_table.items[batch.batch_id].get("ended", "{}")
            ended, queries = len(json.loads(str(stored))), queries + 1
            assert queries < 100
        for record in slow:
            large.table.put(record._replace(status=Status.SUCCEEDED, finished_at=NOW))
        shown = [large.show(batch) for _ in range(2)]
        assert [each.finished for each in shown] == [False, True]
        assert count(shown[1]) == {"succeeded": 4_000}

    def test_expired_items_are_not_kept_before_that_is_written(self, large: Api) -> None:
        batch = large.submit_batch(*["x"] * 101)
        large.clock.advance(seconds=DEADLINE)
        assert large.show(batch).finished
        assert "ended" not in large.batch_table.items[batch.batch_id]


class TestItems:
    def described(self, api: Api, batch: Any, start: int = 0, limit: int = 100) -> tuple[Any, int | None]:
        return describe_batch(api.show(batch, start, limit), NOW, api.payloads.links)

    def test_pages_in_the_order_of_the_items(self, api: Api) -> None:
        batch = api.submit_batch("a", "b", "c", "d", "e")
        end(api, items_of(api, batch)[3], '{"n": 1}')
        seen: list[Any] = []
        after: int | None = 0
        while after is not None:
            body, after = self.described(api, batch, after, 2)
            seen += body["items"]
        assert [item["index"] for item in seen] == [0, 1, 2, 3, 4]
        assert [item["request_id"] for item in seen] == batch.item_ids(0, 5)
        assert [item["result"] for item in seen] == [None, None, None, {"n": 1}, None]
        assert all(item["poll_url"] == f"/status/{item['request_id']}" for item in seen)

    def test_a_page_past_the_end_is_empty(self, api: Api) -> None:
        body, after = self.described(api, api.submit_batch("a"), 7)
        assert (body["items"], after) == ([], None)

    def test_without_items(self, api: Api) -> None:
        body, after = self.described(api, api.submit_batch("a"), 0, 0)
        assert (body["items"], after, body["total"]) == ([], None, 1)

    def test_a_page_with_large_results_ends_early(self, api: Api) -> None:
        batch = api.submit_batch(*"abcdef")
        for record in items_of(api, batch):
            end(api, record, '"' + "x" * 340_000 + '"')
        body, after = self.described(api, batch)
        assert (len(body["items"]), after) == (3, 3)
        assert sum(len(item["result"]) for item in body["items"]) > MAX_PAGE_BYTES
        body, after = self.described(api, batch, 3)
        assert (len(body["items"]), after) == (3, None)

    def test_an_erased_item(self, api: Api) -> None:
        batch = api.submit_batch("a", "b")
        api.erase(batch.item_id(0))
        body, _ = self.described(api, batch)
        assert (body["items"][0]["status"], body["items"][0]["request_id"]) == ("erased", batch.item_id(0))

    def test_one_read_for_counts_and_items(self, api: Api) -> None:
        batch = api.submit_batch("a", "b")
        api.table.calls.clear()
        self.described(api, batch)
        assert api.table.calls == ["get_many"]

    @pytest.mark.parametrize(("age", "seconds"), [(0, 1), (8, 2), (4000, 30)])
    def test_polls_become_rarer(self, api: Api, age: int, seconds: int) -> None:
        batch = api.submit_batch("a")
        api.clock.advance(seconds=age)
        assert poll_batch_after(api.show(batch), api.clock()) == seconds

    def test_a_finished_batch_is_not_polled(self, api: Api) -> None:
        batch = api.submit_batch("a")
        end(api, items_of(api, batch)[0])
        assert poll_batch_after(api.show(batch), api.clock()) is None


class TestCancel:
    def test_what_is_not_final_is_cancelled(self, api: Api) -> None:
        batch = api.submit_batch("a", "b", "c")
        first, second, _ = items_of(api, batch)
        end(api, first)
        api.claim(second)
        shown, cancelled = api.batches.cancel(batch.batch_id, ME, NOW)
        assert (count(shown), shown.finished, cancelled) == ({"succeeded": 1, "cancelled": 2}, True, 2)
        assert shown.batch.cancelled_at == NOW
        api.succeed(second.request_id)  # too late
        assert count(api.show(batch)) == {"succeeded": 1, "cancelled": 2}

    def test_again_changes_nothing(self, api: Api) -> None:
        batch = api.submit_batch("a")
        api.batches.cancel(batch.batch_id, ME, NOW)
        shown, cancelled = api.batches.cancel(batch.batch_id, ME, NOW + 5)
        assert (count(shown), cancelled, shown.batch.cancelled_at) == ({"cancelled": 1}, 0, NOW)

    def test_a_batch_that_has_ended(self, api: Api) -> None:
        batch = api.submit_batch("a")
        end(api, items_of(api, batch)[0])
        with pytest.raises(AlreadyFinal) as raised:
            api.batches.cancel(batch.batch_id, ME, NOW)
        assert raised.value.facts == {"batch_id": batch.batch_id, "batch_status": "finished"}

    def test_one_that_failed_in_the_middle_is_repeated(self, api: Api) -> None:
        batch = api.submit_batch("a", "b", "c")
        api.table.faults = [Fault("apply", skip=1)]
        with pytest.raises(Unavailable):
            api.batches.cancel(batch.batch_id, ME, NOW)
        shown, cancelled = api.batches.cancel(batch.batch_id, ME, NOW)
        assert (count(shown), cancelled) == ({"cancelled": 3}, 1)
