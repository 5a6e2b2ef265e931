"""A batch's webhook when a process is killed at any step: it is sent, once, and at most once more after a killed
delivery."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from inference import transitions
from inference.batches import creation
from inference.batches.record import BatchRecord
from inference.requests import Status, WebhookState
from inference.webhooks.retries import Answer
from tests.unit.api_harness import ME
from tests.unit.batch_webhook_harness import BatchWebhooks
from tests.unit.samples import DEADLINE
from tests.unit.test_payload_faults import Step, kill

WHEN = pytest.mark.parametrize("after", [False, True], ids=["before", "after"])

SUBMIT = ["create_batch", *["create_many"] * 3, *["send_many"] * 3, "apply_batch"]
"""The effects of a submit of three items, with a key or without."""

CHECK = ["get_batch", "get_many", "get_many", "apply_batch"]
"""Those of the relay, for the last item that ends."""

DELIVER = ["get_batch", "apply_batch", "get_many", "get_many", "post", "apply_batch"]
"""Those of the deliverer; the first get_many is of no items."""

SWEEP = ["due_webhook_keys", "get_batch", "get_many", "get_many", "apply_batch", "send", "apply_batch"]
"""Those of a sweep, when the relay has seen nothing."""

FILE = [
    *("get_batch", "apply_batch"),
    *("get", "apply_batch", "apply_batch"),
    *(*["create_many"] * 3, *["send_many"] * 3, "apply_batch"),
    *(*["create_many"] * 2, *["send_many"] * 2, "apply_batch"),
    "delete",
]
"""Those of the batches function, for five lines in steps of three."""


def numbers(effects: list[str]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("number", range(len(effects)), ids=lambda number: f"{number}_{effects[number]}")


@pytest.fixture
def hooked(monkeypatch: pytest.MonkeyPatch) -> BatchWebhooks:
    """Files are worked on in steps of three lines."""
    monkeypatch.setattr(creation, "CHUNK", 3)
    monkeypatch.setattr(creation, "LINES_CHECKED", 3)
    return BatchWebhooks()


def ended(hooked: BatchWebhooks) -> BatchRecord:
    """A batch whose items are final, which no relay has seen."""
    batch = hooked.submit_items("a", "b", "c")
    hooked.announce()
    for record in hooked.items(batch):
        hooked.table.apply([transitions.cancel(record.request_id, hooked.clock())])
    return batch


def effects_of(hooked: BatchWebhooks, action: Callable[[], object]) -> list[str]:
    seen: list[str] = []
    hooked.everywhere(seen.append)
    action()
    hooked.everywhere(lambda _: None)
    return seen


def killed_at(hooked: BatchWebhooks, number: int, after: bool, action: Callable[[], object]) -> None:
    step = Step(number, kill)
    hooked.everywhere(step, after)
    hooked.until_killed(action)
    assert step.done
    hooked.everywhere(lambda _: None, after)


def test_the_effects_are_these(hooked: BatchWebhooks) -> None:
    assert effects_of(hooked, lambda: hooked.submit_items("a", "b", "c")) == SUBMIT
    ended(hooked)
    assert effects_of(hooked, lambda: hooked.hooks.relay(hooked.hooks.stream())) == CHECK
    assert effects_of(hooked, lambda: hooked.hooks.relay(hooked.hooks.stream())) == ["send"]
    assert effects_of(hooked, hooked.hooks.deliver) == DELIVER
    hooked.submit_file(*"abcde")
    assert effects_of(hooked, hooked.create) == FILE


def test_the_effects_of_a_sweep_are_these(hooked: BatchWebhooks) -> None:
    ended(hooked)
    hooked.hooks.stream()
    hooked.clock.advance(seconds=2 * DEADLINE)
    assert effects_of(hooked, hooked.hooks.sweep) == SWEEP


@WHEN
@numbers(SUBMIT)
class TestAKilledSubmit:
    def test_with_a_repeat_there_is_one_webhook_when_all_are_final(
        self, hooked: BatchWebhooks, number: int, after: bool
    ) -> None:
        """Also if what was there of the first submit has ended before the repeat."""
        killed_at(hooked, number, after, lambda: hooked.submit_items("a", "b", "c", key="k"))
        hooked.worker.run()
        hooked.announce()
        complete = len(hooked.table.items) == 3 and number >= SUBMIT.index("apply_batch") - 1
        assert len(hooked.documents()) <= complete, "the repeat may create more items"
        hooked.submit_items("a", "b", "c", key="k")
        hooked.announce()
        hooked.go_on()
        assert [document["counts"]["succeeded"] for document in hooked.documents()] == [3]

    def test_what_was_ended_as_lost_may_still_be_created_again(
        self, hooked: BatchWebhooks, number: int, after: bool
    ) -> None:
        """By the repeat, so the batch is not final before it."""
        killed_at(hooked, number, after, lambda: hooked.submit_items("a", "b", "c", key="k"))
        hooked.work()
        hooked.announce()
        early = len(hooked.documents())
        ran = [record.status for record in map(hooked.table.record, hooked.table.items)].count(Status.SUCCEEDED)
        assert early == (ran == 3)
        hooked.submit_items("a", "b", "c", key="k")
        hooked.go_on()
        assert [document["counts"]["succeeded"] for document in hooked.documents()] == [3]

    def test_without_a_repeat_there_is_at_most_one(self, hooked: BatchWebhooks, number: int, after: bool) -> None:
        killed_at(hooked, number, after, lambda: hooked.submit_items("a", "b", "c"))
        hooked.go_on()
        hooked.after_the_deadline()
        hooked.go_on()
        assert len(hooked.documents()) == len(hooked.batch_table.items)
        assert all(document["status"] == "finished" for document in hooked.documents())


@WHEN
@numbers(CHECK)
def test_a_relay_that_is_killed_in_its_check(hooked: BatchWebhooks, number: int, after: bool) -> None:
    """Lambda passes the event again."""
    ended(hooked)
    events = hooked.hooks.stream()
    killed_at(hooked, number, after, lambda: hooked.hooks.relay(events))
    assert hooked.hooks.relay(events) == []
    hooked.announce()
    assert len(hooked.documents()) == 1
    assert hooked.hooks.queue.messages == {}


@WHEN
def test_a_relay_that_is_killed_around_its_message(hooked: BatchWebhooks, after: bool) -> None:
    ended(hooked)
    hooked.hooks.relay(hooked.hooks.stream())
    events = hooked.hooks.stream()
    killed_at(hooked, 0, after, lambda: hooked.hooks.relay(events))
    assert hooked.hooks.relay(events) == []
    hooked.announce()
    assert len(hooked.documents()) == 1


@pytest.mark.parametrize("answers", [[], [Answer(status=503)]], ids=["accepted", "rejected first"])
@WHEN
@numbers(DELIVER)
def test_a_deliverer_that_is_killed(hooked: BatchWebhooks, number: int, after: bool, answers: list[Answer]) -> None:
    batch = ended(hooked)
    for _ in range(2):
        hooked.hooks.relay(hooked.hooks.stream())
    hooked.receiver.answers = list(answers)
    killed_at(hooked, number, after, hooked.hooks.deliver)
    sent = len(hooked.documents())
    hooked.hooks.run(3600)
    assert hooked.batch(batch).webhook_state == WebhookState.DELIVERED
    extra = len(hooked.documents()) - 1 - len(answers)
    unrecorded = sent and (number, after) != (len(DELIVER) - 1, True)
    assert extra == (1 if unrecorded and not answers else 0)
    assert len(hooked.webhook_ids()) == 1
    assert hooked.hooks.queue.messages == {}


@WHEN
@numbers(SWEEP)
def test_a_sweeper_that_is_killed(hooked: BatchWebhooks, number: int, after: bool) -> None:
    ended(hooked)
    hooked.hooks.stream()
    hooked.clock.advance(seconds=2 * DEADLINE)
    killed_at(hooked, number, after, hooked.hooks.sweep)
    hooked.hooks.run(600)
    assert len(hooked.documents()) == 1
    assert len(hooked.webhook_ids()) == 1


@WHEN
@numbers(FILE)
class TestAKilledBatchesFunction:
    def test_of_a_file(self, hooked: BatchWebhooks, number: int, after: bool) -> None:
        hooked.submit_file(*"abcde")
        killed_at(hooked, number, after, hooked.create)
        hooked.worker.run()
        hooked.announce()
        hooked.go_on()
        assert [document["counts"]["succeeded"] for document in hooked.documents()] == [5]
        assert sorted(hooked.computed()) == list("abcde")

    def test_and_a_cancel_after_it(self, hooked: BatchWebhooks, number: int, after: bool) -> None:
        batch = hooked.submit_file(*"abcde")
        killed_at(hooked, number, after, hooked.create)
        hooked.batches.cancel(batch.batch_id, ME, hooked.clock())
        hooked.announce()
        hooked.go_on()
        (document,) = hooked.documents()
        assert document["status"] == "finished"
        assert document["counts"]["pending"] == 0


@WHEN
@pytest.mark.parametrize("number", range(3))
def test_a_resend_that_is_killed_is_repeated(hooked: BatchWebhooks, number: int, after: bool) -> None:
    batch = ended(hooked)
    hooked.receiver.answers = [Answer(status=410)]
    hooked.announce()

    def resend() -> None:
        hooked.batches.resend_webhook(batch.batch_id, ME, hooked.clock())

    killed_at(hooked, number, after, resend)
    resend()
    hooked.announce()
    assert len(hooked.documents()) == 2
    assert len(hooked.webhook_ids()) == 1
