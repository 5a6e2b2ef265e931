"""The webhook of a batch: one when all is final, for every way in which a batch ends, and none for its items."""

from __future__ import annotations

import json
from itertools import permutations
from typing import Any

import pytest

from inference import transitions
from inference.batches.description import describe_batch
from inference.batches.record import CHUNK, BatchRecord
from inference.errors import KeyReused, NotFinal, NoWebhook, UnknownBatch
from inference.requests import BATCH, Record, Status, WebhookState
from inference.webhooks.options import NONE
from inference.webhooks.retries import MAX_DELIVERIES, MESSAGE_GRACE_MS, Answer
from tests.unit.api_harness import ME, YOU
from tests.unit.batch_webhook_harness import BatchWebhooks
from tests.unit.fakes import NOW, Fault
from tests.unit.samples import DEADLINE, WEBHOOK_URL
from tests.unit.webhook_harness import passes

W = WebhookState


@pytest.fixture
def hooked() -> BatchWebhooks:
    return BatchWebhooks()


def end(hooked: BatchWebhooks, record: Record) -> None:
    """An item becomes final."""
    hooked.table.apply([transitions.cancel(record.request_id, hooked.clock())])


def described(hooked: BatchWebhooks, batch: BatchRecord) -> Any:
    body, _ = describe_batch(hooked.show(batch), hooked.clock(), hooked.payloads.links)
    return json.loads(json.dumps({**body, "next": None}))


class TestOneForTheBatch:
    def test_when_all_items_are_final(self, hooked: BatchWebhooks) -> None:
        batch = hooked.submit_items("a", "b", "c")
        end(hooked, hooked.items(batch)[0])
        hooked.announce()
        assert hooked.documents() == []
        hooked.clock.advance(seconds=5)
        hooked.worker.run()
        hooked.announce()
        ((url, headers, document),) = hooked.receiver.got
        finished_at = hooked.batch(batch).finished_at
        assert url == WEBHOOK_URL
        assert headers["webhook-id"] == f"{batch.batch_id}_{finished_at}"
        shown = described(hooked, batch)
        assert {**document, "webhook": None} == {**shown, "webhook": None}
        assert (document["status"], document["items"], document["next"]) == ("finished", [], None)
        assert (document["counts"]["succeeded"], document["counts"]["cancelled"], document["counted"]) == (2, 1, 3)
        assert (document["webhook"]["state"], shown["webhook"]["state"]) == ("delivering", "delivered")
        assert [attempt["status"] for attempt in shown["webhook"]["attempts"]] == [200]
        assert hooked.hooks.queue.messages == {}
        assert hooked.hooks.log.events("webhook_delivered")[0]["batch_id"] == batch.batch_id

    def test_its_items_have_none_of_their_own(self, hooked: BatchWebhooks) -> None:
        batch = hooked.submit_items("a")
        (record,) = hooked.items(batch)
        assert (record.webhook_of, record.webhook_url, record.webhook_state) == (BATCH, None, None)

    @pytest.mark.parametrize("submit", ["submit_items", "submit_file"])
    def test_without_a_webhook_nothing_starts_the_relay(self, hooked: BatchWebhooks, submit: str) -> None:
        batch = getattr(hooked, submit)("a", "b", webhook=None)
        hooked.work()
        assert hooked.counts(batch) == {"succeeded": 2}
        assert hooked.hooks.stream() == []
        stored = [*hooked.table.items.values(), *hooked.batch_table.items.values()]
        assert not [name for item in stored for name, value in item.items() if "webhook" in name and value is not None]

    @pytest.mark.parametrize(("webhook", "expected"), [(None, WEBHOOK_URL), ("https://example.org/", None), (NONE, "")])
    def test_the_deployments_default(self, hooked: BatchWebhooks, webhook: str | None, expected: str | None) -> None:
        hooked.batches._webhook_url = WEBHOOK_URL
        batch = hooked.submit_items("a", webhook=webhook)
        assert (batch.webhook_url or "") == (webhook if expected is None else expected)
        assert hooked.items(batch)[0].webhook_url is None

    def test_a_batch_from_a_file(self, hooked: BatchWebhooks) -> None:
        batch = hooked.submit_file(*["x"] * 250)
        hooked.create()
        hooked.announce()
        assert hooked.documents() == []
        for record in hooked.items(batch):
            end(hooked, record)
        hooked.announce()
        (document,) = hooked.documents()
        assert (document["status"], document["counts"]["cancelled"], document["counted"]) == ("finished", 250, 250)

    def test_a_file_whose_items_are_final_before_it_is_created(self, hooked: BatchWebhooks) -> None:
        """No item's event comes after the last write of the batches function: that is checked itself."""
        batch = hooked.submit_file("a", "b")
        hooked.batch_table.before = lambda _: [hooked.worker.run() for _ in range(2)]
        hooked.create()
        hooked.batch_table.before = lambda _: None
        assert hooked.counts(batch) == {"succeeded": 2}
        hooked.announce()
        assert [document["status"] for document in hooked.documents()] == ["finished"]

    def test_a_rejected_file(self, hooked: BatchWebhooks) -> None:
        hooked.submit_file("a", "")
        hooked.create()
        hooked.announce()
        (document,) = hooked.documents()
        assert (document["status"], document["error_count"], document["total"]) == ("rejected", 1, None)

    def test_a_file_that_fails_before_any_item_is_there(self, hooked: BatchWebhooks) -> None:
        hooked.submit_file("a")
        hooked.bucket.objects.clear()
        hooked.create()
        hooked.announce()
        assert [document["status"] for document in hooked.documents()] == ["failed"]

    def test_a_file_that_fails_in_the_middle_is_final_with_its_items(self, hooked: BatchWebhooks) -> None:
        batch = hooked.submit_file(*["x"] * 250)
        hooked.steps = 4  # three of the check, and one of a hundred items
        hooked.create()
        hooked.bucket.objects.clear()
        hooked.create_all()
        hooked.announce()
        assert hooked.documents() == []
        for record in hooked.items(batch):
            end(hooked, record)
        hooked.announce()
        (document,) = hooked.documents()
        assert (document["status"], document["counts"]["cancelled"], document["counts"]["not_created"]) == (
            "failed",
            100,
            150,
        )

    def test_a_file_that_becomes_a_dead_letter(self, hooked: BatchWebhooks) -> None:
        batch = hooked.submit_file("a")
        records = hooked.batch_queue.receive(1)
        assert hooked.dead_letter_handler.handle(records, hooked.clock) == []
        hooked.announce()
        assert [document["batch_id"] for document in hooked.documents()] == [batch.batch_id]
        assert hooked.documents()[0]["status"] == "failed"

    @pytest.mark.parametrize("steps", [0, 1, 3, 4, 9])
    def test_a_file_that_is_cancelled(self, hooked: BatchWebhooks, steps: int) -> None:
        batch = hooked.submit_file(*["x"] * 250)
        hooked.steps = steps
        hooked.create()
        hooked.batches.cancel(batch.batch_id, ME, hooked.clock())
        hooked.announce()
        hooked.steps = 10**9
        hooked.create_all()
        hooked.announce()
        (document,) = hooked.documents()
        assert document["status"] == "finished"
        assert document["counts"]["pending"] == 0

    def test_a_cancelled_batch(self, hooked: BatchWebhooks) -> None:
        batch = hooked.submit_items("a", "b")
        hooked.batches.cancel(batch.batch_id, ME, hooked.clock())
        hooked.announce()
        (document,) = hooked.documents()
        assert (document["status"], document["counts"]["cancelled"]) == ("finished", 2)

    def test_items_that_are_erased(self, hooked: BatchWebhooks) -> None:
        batch = hooked.submit_items("a", "b")
        for record in hooked.items(batch):
            end(hooked, record)
            hooked.table.items.pop(record.request_id)
        hooked.announce()
        assert [document["counts"]["erased"] for document in hooked.documents()] == [2]


class TestAReplay:
    """An operator runs an item again."""

    def replay(self, hooked: BatchWebhooks, request_id: str) -> None:
        record = hooked.table.record(request_id)
        update = transitions.replay(record, NOW, expires_at=NOW * 2, delete_at=NOW, attempts=1)
        hooked.table.apply([update])
        assert hooked.table.record(request_id).status is Status.PENDING

    def fail(self, hooked: BatchWebhooks, batch: BatchRecord) -> str:
        request_id = batch.item_id(0)
        changed = hooked.table.record(request_id)._replace(status=Status.FAILED, finished_at=NOW, error="{}")
        hooked.table.put(changed)
        return request_id

    def test_after_the_batch_was_announced_sends_nothing(self, hooked: BatchWebhooks) -> None:
        batch = hooked.submit_items("a", "b")
        request_id = self.fail(hooked, batch)
        end(hooked, hooked.items(batch)[1])
        hooked.announce()
        self.replay(hooked, request_id)
        assert described(hooked, batch)["status"] == "finished"
        end(hooked, hooked.table.record(request_id))
        hooked.announce()
        assert len(hooked.documents()) == 1

    def test_between_the_end_and_the_delivery(self, hooked: BatchWebhooks) -> None:
        batch = hooked.submit_items("a", "b")
        request_id = self.fail(hooked, batch)
        end(hooked, hooked.items(batch)[1])
        hooked.hooks.relay(hooked.hooks.stream())
        self.replay(hooked, request_id)
        hooked.announce()
        (document,) = hooked.documents()
        assert (document["status"], document["counts"]["pending"]) == ("finished", 1)


class TestTheCheckIsExact:
    @pytest.mark.parametrize("order", list(permutations(range(4))))
    def test_in_any_order_of_the_ends(self, hooked: BatchWebhooks, order: tuple[int, ...]) -> None:
        batch = hooked.submit_items(*"abcd")
        records = hooked.items(batch)
        for place in order[:-1]:
            end(hooked, records[place])
            hooked.announce()
            assert hooked.batch(batch).finished_at is None
        end(hooked, records[order[-1]])
        hooked.announce()
        assert len(hooked.documents()) == 1

    @pytest.mark.parametrize("step", range(6))
    @pytest.mark.parametrize("first", [0, 1, 2])
    @pytest.mark.parametrize("second", [0, 1, 2])
    def test_two_last_items_whose_checks_run_at_once(
        self, hooked: BatchWebhooks, first: int, second: int, step: int
    ) -> None:
        """The end of the second, and its whole check, come before one of the effects of the first one's check."""
        batch = hooked.submit_items(*"abc")
        records = hooked.items(batch)
        for place in {0, 1, 2} - {first, second}:
            end(hooked, records[place])
        hooked.announce()
        end(hooked, records[first])
        event = hooked.hooks.stream()
        left = step

        def other(_: str) -> None:
            nonlocal left
            left -= 1
            if left == -1:
                end(hooked, records[second])
                hooked.hooks.relay(hooked.hooks.stream())

        hooked.batch_table.before = hooked.table.before = other
        hooked.hooks.relay(event)
        hooked.batch_table.before = hooked.table.before = lambda _: None
        if left >= 0:
            end(hooked, records[second])
        hooked.announce()
        assert len(hooked.documents()) == 1
        assert len(hooked.webhook_ids()) == 1
        assert len(hooked.hooks.log.events("batch_final")) == 1

    def test_events_that_come_twice_and_late(self, hooked: BatchWebhooks) -> None:
        batch = hooked.submit_items("a", "b")
        for record in hooked.items(batch):
            end(hooked, record)
        events = hooked.hooks.stream()
        for _ in range(3):
            assert hooked.hooks.relay(events) == []
            hooked.announce()
        finished = hooked.hooks.batch_table.written[-1][1]
        assert finished["webhook_state"] == W.DELIVERED
        hooked.hooks.relay([*events, *events])
        hooked.announce()
        assert len(hooked.documents()) == 1

    def test_an_item_that_ends_while_others_are_not_written_yet(self, hooked: BatchWebhooks) -> None:
        """The caller can cancel it: it finds it in the list of its requests."""

        def cancel_the_first(_: str) -> None:
            hooked.table.after = lambda _: None
            (request_id,) = hooked.table.items
            hooked.table.apply([transitions.cancel(request_id, hooked.clock())])
            hooked.hooks.relay(hooked.hooks.stream())

        hooked.table.after = cancel_the_first
        batch = hooked.submit_items("a", "b", "c")
        hooked.announce()
        assert hooked.batch(batch).finished_at is None
        hooked.worker.run()
        hooked.announce()
        assert [document["counts"]["succeeded"] for document in hooked.documents()] == [2]

    def test_a_submit_whose_confirmation_was_lost(self, hooked: BatchWebhooks) -> None:
        """All items are there, so a repeat of the submit creates none."""
        hooked.batch_table.faults = [Fault("apply_batch")]
        batch = hooked.submit_items("a", "b")
        assert batch.submit_id is not None
        hooked.worker.run()
        hooked.announce()
        assert len(hooked.documents()) == 1

    def test_a_submit_that_is_withdrawn_announces_nothing(self, hooked: BatchWebhooks) -> None:
        hooked.worker.queue.faults = [Fault("send_many")]
        with pytest.raises(Exception, match="injected"):
            hooked.submit_items("a", "b")
        assert {item["status"] for item in hooked.table.items.values()} == {Status.CANCELLED}
        hooked.announce()
        assert hooked.documents() == []

    def test_a_table_that_does_not_answer_has_the_event_repeated(self, hooked: BatchWebhooks) -> None:
        batch = hooked.submit_items("a")
        end(hooked, hooked.items(batch)[0])
        events = hooked.hooks.stream()
        for operation in ("get_many", "get_batch", "apply_batch"):
            target = hooked.table if operation == "get_many" else hooked.batch_table
            target.faults = [Fault(operation)]
            assert hooked.hooks.relay(events) == [events[0]["dynamodb"]["SequenceNumber"]]
        assert hooked.hooks.relay(events) == []
        hooked.announce()
        assert len(hooked.documents()) == 1
        assert hooked.hooks.log.events("batch_not_checked")[0]["batch_id"] == batch.batch_id


class TestWhatTheCheckReads:
    ITEMS = 20 * CHUNK

    def reads(self, hooked: BatchWebhooks, order: list[int], group: int) -> tuple[int, int]:
        """The items that all checks read, and how many checks there were, when items end in this order, in groups."""
        batch = hooked.submit_file(*["x"] * self.ITEMS)
        hooked.limits = hooked.limits._replace(max_lines=self.ITEMS)
        hooked.create()
        hooked.announce()
        read, checks = 0, 0
        get_many = hooked.table.get_many

        def counted(request_ids: Any, **arguments: Any) -> Any:
            nonlocal read
            read += len(request_ids)
            assert arguments == {"consistent": True}
            return get_many(request_ids, **arguments)

        hooked.table.get_many = counted  # type: ignore[method-assign]
        for start in range(0, self.ITEMS, group):
            for index in order[start : start + group]:
                end(hooked, hooked.table.record(batch.item_id(index)))
            checks += 1
            hooked.hooks.relay(hooked.hooks.stream())
        hooked.table.get_many = get_many  # type: ignore[method-assign]
        assert hooked.batch(batch).finished_at is not None
        return read, checks

    def test_in_order(self, hooked: BatchWebhooks) -> None:
        """Each check one item, and the last check all."""
        read, checks = self.reads(hooked, list(range(self.ITEMS)), 10)
        assert read <= self.ITEMS + checks

    def test_in_the_worst_order(self, hooked: BatchWebhooks) -> None:
        """From the last to the first: a chunk is read again for each group of ten that ends."""
        read, checks = self.reads(hooked, list(reversed(range(self.ITEMS))), 10)
        assert read <= self.ITEMS * CHUNK // 10
        assert checks == self.ITEMS // 10

    def test_one_that_takes_long(self, hooked: BatchWebhooks) -> None:
        """It is read with each check, and nothing else is."""
        slow = 3 * CHUNK + 7
        order = [index for index in reversed(range(self.ITEMS)) if index != slow]
        read, checks = self.reads(hooked, [*order, slow], 10)
        assert read <= self.ITEMS * CHUNK // 10 + checks

    def test_the_payload_of_a_large_batch_is_counted_once(self, hooked: BatchWebhooks) -> None:
        self.reads(hooked, list(range(self.ITEMS)), 500)
        hooked.receiver.answers = [Answer(status=503)]
        hooked.table.calls.clear()
        hooked.hooks.run(60)
        assert [document["counted"] for document in hooked.documents()] == [self.ITEMS] * 2
        assert hooked.table.calls.count("get_many") == self.ITEMS // CHUNK


class TestTheNet:
    @pytest.mark.parametrize("submit", ["submit_items", "submit_file"])
    def test_without_a_stream_it_is_sent_after_the_deadline(self, hooked: BatchWebhooks, submit: str) -> None:
        batch = getattr(hooked, submit)("a", "b")
        hooked.work()
        hooked.hooks.stream()
        assert hooked.hooks.sweep() == 0
        hooked.after_the_deadline()
        hooked.hooks.deliver()
        (document,) = hooked.documents()
        assert (document["batch_id"], document["counts"]["succeeded"]) == (batch.batch_id, 2)
        assert "webhook_shard" not in hooked.batch_table.items[batch.batch_id]
        hooked.announce()
        assert len(hooked.documents()) == 1

    def test_a_batch_that_was_never_worked_on(self, hooked: BatchWebhooks) -> None:
        """Its message was lost for good."""
        hooked.submit_file("a")
        hooked.batch_queue.messages.clear()
        hooked.after_the_deadline()
        hooked.hooks.deliver()
        assert [document["status"] for document in hooked.documents()] == ["failed"]

    def test_one_that_is_not_final_is_looked_at_again(self, hooked: BatchWebhooks) -> None:
        batch = hooked.submit_items("a")
        hooked.clock.advance(ms=DEADLINE * 1000 + MESSAGE_GRACE_MS + 1)
        assert hooked.hooks.sweep() == 0
        end(hooked, hooked.items(batch)[0])
        hooked.hooks.stream()
        assert hooked.hooks.sweep() == 1
        assert hooked.hooks.sweep() == 0, "its turn has moved"
        hooked.hooks.deliver()
        assert len(hooked.documents()) == 1

    def test_a_long_delay_is_the_sweepers(self, hooked: BatchWebhooks) -> None:
        batch = hooked.submit_items("a")
        end(hooked, hooked.items(batch)[0])
        hooked.receiver.answers = [Answer(status=503)] * 4
        hooked.hooks.run(3 * 3600)
        assert [attempt["status"] for attempt in described(hooked, batch)["webhook"]["attempts"]] == [503] * 4 + [200]
        assert len(hooked.webhook_ids()) == 1


class TestDeliveries:
    def finished(self, hooked: BatchWebhooks, *answers: Answer) -> BatchRecord:
        hooked.receiver.answers = list(answers)
        batch = hooked.submit_items("a")
        end(hooked, hooked.items(batch)[0])
        hooked.announce()
        return batch

    def test_it_is_given_up_and_is_a_dead_letter_that_can_be_redriven(self, hooked: BatchWebhooks) -> None:
        batch = self.finished(hooked, *[Answer(status=503)] * MAX_DELIVERIES)
        hooked.hooks.run(2 * 86_400)
        assert described(hooked, batch)["webhook"]["state"] == W.FAILED
        (letter,) = hooked.hooks.dead_letters.messages.values()
        assert json.loads(letter.body) == {"batch_id": batch.batch_id, "again": True}
        hooked.hooks.queue.put(letter.body)
        hooked.announce()
        assert described(hooked, batch)["webhook"]["state"] == W.DELIVERED
        assert len(hooked.webhook_ids()) == 1

    def test_410_stops(self, hooked: BatchWebhooks) -> None:
        batch = self.finished(hooked, Answer(status=410))
        hooked.hooks.run(3600)
        assert (described(hooked, batch)["webhook"]["state"], len(hooked.documents())) == (W.FAILED, 1)

    def test_a_result_whose_answer_was_lost_counts(self, hooked: BatchWebhooks) -> None:
        apply = hooked.batch_table.apply
        results: list[str] = []

        def twice(update: Any) -> Any:
            first = apply(update)
            if "log" not in update.values:
                return first
            results.append(update.request_id)
            return apply(update)

        hooked.batch_table.apply = twice  # type: ignore[method-assign]
        batch = self.finished(hooked)
        assert results == [batch.batch_id]
        assert not hooked.hooks.log.events("webhook_result_dropped")

    def test_nothing_is_sent_for_a_batch_that_is_gone(self, hooked: BatchWebhooks) -> None:
        batch = hooked.submit_items("a")
        end(hooked, hooked.items(batch)[0])
        hooked.hooks.relay(hooked.hooks.stream())
        hooked.hooks.relay(hooked.hooks.stream())
        hooked.batch_table.items.clear()
        assert hooked.hooks.deliver() == []
        assert (hooked.documents(), hooked.hooks.queue.messages) == ([], {})

    def resend(self, hooked: BatchWebhooks, batch: BatchRecord, caller: str = ME) -> BatchRecord:
        return hooked.batches.resend_webhook(batch.batch_id, caller, hooked.clock()).batch

    def test_a_resend(self, hooked: BatchWebhooks) -> None:
        batch = self.finished(hooked, Answer(status=410))
        again = self.resend(hooked, batch)
        assert (again.webhook_state, again.webhook_attempt_limit) == (W.WAITING, 1 + MAX_DELIVERIES)
        assert self.resend(hooked, batch) == again, "it is about to be sent"
        hooked.announce()
        assert [attempt["status"] for attempt in described(hooked, batch)["webhook"]["attempts"]] == [410, 200]
        assert len(hooked.webhook_ids()) == 1

    def test_what_can_not_be_sent_again(self, hooked: BatchWebhooks) -> None:
        batch = hooked.submit_items("a")
        with pytest.raises(UnknownBatch):
            self.resend(hooked, batch, YOU)
        with pytest.raises(NotFinal) as error:
            self.resend(hooked, batch)
        assert error.value.facts == {"batch_id": batch.batch_id, "batch_status": "running"}
        without = hooked.submit_items("a", webhook=None)
        with pytest.raises(NoWebhook):
            self.resend(hooked, without)
        end(hooked, hooked.items(batch)[0])
        assert self.resend(hooked, batch).webhook_state == W.WAITING, "no relay has seen its end yet"


class TestAKey:
    @pytest.mark.parametrize("other", ["https://example.org/other", NONE])
    def test_it_is_of_one_webhook(self, hooked: BatchWebhooks, other: str) -> None:
        batch = hooked.submit_items("a", key="k")
        assert hooked.submit_items("a", key="k").batch_id == batch.batch_id
        assert hooked.submit_items("a", key="k", webhook=None).batch_id == batch.batch_id, "the default may be another"
        with pytest.raises(KeyReused, match="another webhook") as error:
            hooked.submit_items("a", key="k", webhook=other)
        assert error.value.facts == {"batch_id": batch.batch_id}

    def test_of_a_file_that_is_gone(self, hooked: BatchWebhooks) -> None:
        upload_id = hooked.upload_lines({"text": "a"})
        batch = hooked.submit_upload(upload_id, "k")
        hooked.create_all()
        assert hooked.submit_upload(upload_id, "k").batch_id == batch.batch_id
        with pytest.raises(KeyReused, match="another webhook"):
            hooked.submit_upload(upload_id, "k", NONE)


def test_the_filter_of_this_harness_lets_no_other_change_through() -> None:
    """`tests/integration` has the real one."""
    assert not passes({"request_id": "a", "status": "pending", "webhook_of": BATCH})
    assert not passes({"request_id": "batch/a", "webhook_state": "delivered"})
    assert not passes({"request_id": "batch/a"})
