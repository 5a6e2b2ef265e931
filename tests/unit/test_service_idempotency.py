"""Idempotency-Key: a repeat finds the first request in any status, and takes over a submit that did not finish."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from inference import transitions
from inference.errors import InvalidInput, InvalidReference, KeyReused, Unavailable
from inference.requests import Record, Status
from inference.store.payloads import REFERABLE_MS
from inference.store.request_table import Applied, ConditionFailed
from inference.sweep import LOST
from tests.unit.api_harness import INPUT, ME, YOU, Api
from tests.unit.fakes import NOW, Fault, Killed
from tests.unit.samples import DEADLINE, RETENTION, updates_of


def test_a_repeat_is_answered_like_the_first(api: Api) -> None:
    first = api.submit(key="k")
    api.clock.advance(seconds=3600)
    again = api.submit({"text": "fine"}, key="k")
    assert again.request_id == first.request_id
    assert again.submitted_at == first.submitted_at
    assert len(api.messages()) == len(api.table.items) == 1


@pytest.mark.parametrize("status", [status for status in Status if status is not Status.PENDING])
def test_a_repeat_finds_the_first_wherever_it_stands(api: Api, status: Status) -> None:
    first = api.submit(key="k")
    api.table.items[first.request_id]["status"] = status.value
    again = api.submit(key="k")
    assert (again.request_id, again.status) == (first.request_id, status)
    assert len(api.messages()) == 1


class TestAnInputThatIsNotValidAnyMore:
    """Its upload is too old or erased, or a new version of the model has another schema."""

    spoil: Callable[[], None]

    @pytest.fixture(params=["too old", "erased", "schema"])
    def value(self, api: Api, request: pytest.FixtureRequest) -> dict[str, Any]:
        """What `spoil` makes invalid."""
        reference = api.upload(b'"fine"')

        def spoil() -> None:
            if request.param == "too old":
                for key, stored in api.bucket.objects.items():
                    api.bucket.objects[key] = replace(stored, modified=api.clock.now - REFERABLE_MS)
            elif request.param == "erased":
                api.bucket.objects.clear()
            else:
                api.reject_inputs()

        self.spoil = spoil
        return {"text": "fine"} if request.param == "schema" else {"text": reference}

    def test_a_repeat_is_answered_like_the_first(self, api: Api, value: dict[str, Any]) -> None:
        first = api.submit(dict(value), key="k")
        self.spoil()
        assert api.submit(dict(value), key="k").request_id == first.request_id
        assert len(api.messages()) == len(api.table.items) == 1

    def test_one_whose_message_may_not_have_been_sent_is_sent(self, api: Api, value: dict[str, Any]) -> None:
        first = api.submit(dict(value), key="k")
        api.table.items[first.request_id]["submit_id"] = "s"
        api.queue.messages.clear()
        self.spoil()
        assert api.submit(dict(value), key="k").request_id == first.request_id
        assert [message.request_id for message in api.messages()] == [first.request_id]  # the worker says what is wrong

    @pytest.mark.parametrize("key", [None, "other"])
    def test_another_submit_is_rejected(self, api: Api, value: dict[str, Any], key: str | None) -> None:
        api.submit(dict(value), key="k")
        self.spoil()
        with pytest.raises((InvalidInput, InvalidReference)):
            api.submit(dict(value), key=key)
        assert len(api.messages()) == len(api.table.items) == 1

    def test_another_input_with_the_key_is_rejected(self, api: Api, value: dict[str, Any]) -> None:
        api.submit({"text": "other"}, key="k")
        self.spoil()
        with pytest.raises((InvalidInput, InvalidReference)):
            api.submit(dict(value), key="k")

    def test_so_is_a_repeat_after_the_retention(self, api: Api, value: dict[str, Any]) -> None:
        first = api.submit(dict(value), key="k")
        self.spoil()
        api.clock.now = first.delete_at * 1000
        with pytest.raises((InvalidInput, InvalidReference)):
            api.submit(dict(value), key="k")


@pytest.mark.parametrize(
    "changes", [{"value": {"text": "other"}}, {"value": {"text": "fine", "threshold": 0.5}}, {"model": "other"}]
)
def test_another_input_with_the_same_key_is_told_the_first_request(api: Api, changes: dict[str, Any]) -> None:
    first = api.submit(key="k")
    with pytest.raises(KeyReused) as error:
        api.submit(**changes, key="k")
    assert error.value.facts == {"request_id": first.request_id}
    assert len(api.table.items) == 1


def test_a_key_belongs_to_its_caller(api: Api) -> None:
    mine = api.submit(key="k", caller=ME)
    yours = api.submit({"text": "other"}, key="k", caller=YOU)
    assert mine.request_id != yours.request_id


def _between(api: Api, operation: str, interlude: Callable[[], object]) -> None:
    """Have something happen just before the next such step, once."""

    def before(at: str) -> None:
        if at == operation:
            api.table.before = api.queue.before = lambda _: None
            interlude()

    api.table.before = api.queue.before = before


def _killed_at(api: Api, operation: str, value: Any = None) -> None:
    def kill() -> None:
        raise Killed

    _between(api, operation, kill)
    with pytest.raises(Killed):
        api.submit(None if value is None else dict(value), key="k")


@pytest.mark.parametrize(("died_at", "messages"), [("send", 1), ("apply", 2)])
def test_a_writer_that_died_is_taken_over_at_once_and_its_message_sent(api: Api, died_at: str, messages: int) -> None:
    _killed_at(api, died_at)
    api.clock.advance(ms=1)
    record = api.submit(key="k")
    assert [message.request_id for message in api.messages()] == [record.request_id] * messages
    current = api.table.record(record.request_id)
    assert (current.status, current.submit_id, current.resubmitted_at) == (Status.PENDING, None, api.clock.now)
    # The promise is of the first submit: its deadline did not move.
    assert {message.submitted_at for message in api.messages()} == {current.submitted_at} == {NOW}
    assert api.submit(key="k").request_id == record.request_id
    assert len(api.messages()) == messages


def test_two_submits_at_once_are_both_accepted_as_one_request(api: Api) -> None:
    answers: list[Record] = []
    _between(api, "send", lambda: answers.append(api.submit(key="k")))
    answers.append(api.submit(key="k"))
    assert answers[0].request_id == answers[1].request_id
    assert len(api.table.items) == 1
    assert len(api.messages()) == 2
    assert api.table.record(answers[0].request_id).submit_id is None


def test_the_first_does_not_discard_what_a_second_has_sent(api: Api) -> None:
    answers: list[Record] = []
    _between(api, "send", lambda: answers.append(api.submit(key="k")))
    api.queue.faults = [Fault("send", skip=1)]
    with pytest.raises(Unavailable):
        api.submit(key="k")
    assert api.table.record(answers[0].request_id).status is Status.PENDING
    assert len(api.messages()) == 1


def test_a_second_does_not_discard_what_the_first_has_sent(api: Api) -> None:
    """Its own message is rejected; the first's, sent after that, is the promise."""

    def second() -> None:
        with pytest.raises(Unavailable):
            api.submit(key="k")

    _between(api, "send", second)
    api.queue.faults = [Fault("send")]
    record = api.submit(key="k")
    assert api.table.record(record.request_id).status is Status.PENDING
    assert len(api.messages()) == 1


def test_both_are_rejected_and_a_third_sends_the_message(api: Api) -> None:
    def second() -> None:
        with pytest.raises(Unavailable):
            api.submit(key="k")

    _between(api, "send", second)
    api.queue.faults = [Fault("send", times=2)]
    with pytest.raises(Unavailable):
        api.submit(key="k")
    assert [item["status"] for item in api.table.items.values()] == ["pending"]
    record = api.submit(key="k")
    assert [message.request_id for message in api.messages()] == [record.request_id]


@pytest.mark.parametrize("finished", [True, False])
def test_what_a_worker_has_is_answered_without_another_message(api: Api, finished: bool) -> None:
    _killed_at(api, "apply")
    (request_id,) = api.table.items
    api.claim(api.table.record(request_id))
    if finished:
        api.succeed(request_id)
    assert api.submit(key="k").request_id == request_id
    assert api.queue.calls == ["send"]


def test_a_request_that_waits_for_its_next_attempt_is_not_sent_again(api: Api) -> None:
    _killed_at(api, "apply")
    (request_id,) = api.table.items
    api.claim(api.table.record(request_id))
    api.table.apply([updates_of(api.table.record(request_id))["release"]])
    assert api.submit(key="k").request_id == request_id
    assert len(api.messages()) == 1


def test_two_retries_take_over_one_after_the_other(api: Api) -> None:
    _killed_at(api, "send")
    other: list[Record] = []
    _between(api, "apply", lambda: other.append(api.submit(key="k")))
    record = api.submit(key="k")
    assert other[0].request_id == record.request_id
    assert len(api.messages()) == 1, "the other's is confirmed"


def test_a_takeover_whose_queue_rejects_is_unavailable_and_can_be_repeated(api: Api) -> None:
    _killed_at(api, "send")
    api.queue.faults = [Fault("send")]
    with pytest.raises(Unavailable):
        api.submit(key="k")
    assert api.submit(key="k")
    assert len(api.messages()) == 1


def test_a_takeover_whose_table_rejects_is_unavailable(api: Api) -> None:
    _killed_at(api, "send")
    api.table.faults = [Fault("apply")]
    with pytest.raises(Unavailable):
        api.submit(key="k")
    assert api.messages() == []


def test_a_first_that_withdraws_under_a_second_makes_it_unavailable(api: Api) -> None:
    def withdraw() -> None:
        api.table.items.clear()

    _killed_at(api, "send")
    _between(api, "apply", withdraw)
    with pytest.raises(Unavailable, match="withdrawn"):
        api.submit(key="k")
    assert api.messages() == []


LARGE = {"text": "x" * 300_000}


class TestASubmitThatDiedAndWasEndedAsLost:
    """Nothing was accepted, so a repeat is accepted as if it were the first."""

    @staticmethod
    def lose(api: Api, value: Any = None, died_at: str = "send") -> Record:
        """Submit with a key, die at a step, and have the sweeper end the request. Returns its record."""
        _killed_at(api, died_at, value)
        (request_id,) = api.table.items
        api.clock.advance(seconds=1000)
        lost = transitions.fail_lost(api.table.record(request_id), LOST, api.clock())
        assert isinstance(api.table.apply([lost])[0], Applied)
        api.clock.advance(seconds=1000)
        api.table.calls.clear()
        return api.table.record(request_id)

    @pytest.mark.parametrize("value", [INPUT, LARGE], ids=["inline", "large"])
    @pytest.mark.parametrize("died_at", ["send", "apply"])
    def test_a_repeat_is_a_new_request_with_the_same_id(self, api: Api, value: dict[str, Any], died_at: str) -> None:
        """`apply`: SQS had accepted the message, and lost it."""
        lost = self.lose(api, value, died_at)
        api.queue.messages.clear()
        record = api.submit(dict(value), key="k")
        current = api.table.record(record.request_id)
        assert current.request_id == lost.request_id
        assert (current.status, current.submit_id, current.error, current.finished_at) == (
            Status.PENDING,
            None,
            None,
            None,
        )
        assert (current.submitted_at, current.expires_at) == (api.clock.now, api.clock.now + DEADLINE * 1000)
        assert [message.submitted_at for message in api.messages()] == [current.submitted_at]
        assert len(api.bucket.objects) == (1 if value is LARGE else 0), "the first's is deleted"
        api.submit(dict(value), key="k")
        assert len(api.messages()) == 1

    def test_the_first_message_runs_nothing_if_it_arrives_after_all(self, api: Api) -> None:
        lost = self.lose(api)
        record = api.submit(key="k")
        assert isinstance(api.table.apply([updates_of(lost, api.clock.now)["claim_first"]])[0], ConditionFailed)
        api.claim(record)

    def test_the_first_submit_removes_nothing_if_it_lives(self, api: Api) -> None:
        lost = self.lose(api)
        record = api.submit(key="k")
        assert not api.table.discard(lost._replace(status=Status.PENDING))
        api.table.apply([transitions.confirm_submit(lost)])
        assert api.table.record(record.request_id).status is Status.PENDING

    def test_two_repeats_at_once_are_one_request(self, api: Api) -> None:
        self.lose(api)
        answers: list[Record] = []
        api.table.calls.clear()

        def repeat(operation: str) -> None:
            if api.table.calls == ["create", "create"]:  # about to replace the lost one
                api.table.before = lambda _: None
                answers.append(api.submit(key="k"))

        api.table.before = repeat
        answers.append(api.submit(key="k"))
        assert {(each.request_id, each.submitted_at) for each in answers} == {(answers[0].request_id, api.clock.now)}
        assert len(answers) == 2
        assert len(api.table.items) == len(api.messages()) == 1

    @pytest.mark.parametrize("killed", ["before", "after"])
    @pytest.mark.parametrize("step", ["create", "delete", "put", "send", "apply"])
    def test_a_repeat_that_dies_at_a_step_is_repeated(self, api: Api, step: str, killed: str) -> None:
        self.lose(api, LARGE)
        steps: list[str] = []

        def kill(operation: str) -> None:
            steps.append(operation)
            if operation == step and steps.count("create") == 2:
                raise Killed

        for target in (api.table, api.bucket, api.queue):
            setattr(target, killed, kill)
        with pytest.raises(Killed):
            api.submit(dict(LARGE), key="k")
        for target in (api.table, api.bucket, api.queue):
            setattr(target, killed, lambda _: None)
        api.clock.advance(seconds=1)
        record = api.submit(dict(LARGE), key="k")
        current = api.table.record(record.request_id)
        assert (current.status, current.submit_id) == (Status.PENDING, None)
        assert current.submitted_at in (api.clock.now, api.clock.now - 1000)
        assert {(each.submitted_at, each.stored_input) for each in api.messages()} == {
            (current.submitted_at, current.stored_input)
        }
        assert any(str(current.stored_input) in key for key in api.bucket.objects)

    @pytest.mark.parametrize("fault", [Fault("create", skip=1), Fault("create", skip=1, done=True), Fault("send")])
    def test_a_repeat_that_is_unavailable_leaves_nothing_pending(self, api: Api, fault: Fault) -> None:
        self.lose(api)
        target = api.queue if fault.operation == "send" else api.table
        target.faults = [replace(fault)]
        with pytest.raises(Unavailable):
            api.submit(key="k")
        assert {item["status"] for item in api.table.items.values()} <= {"failed"}
        assert api.submit(key="k").status is Status.PENDING
        assert len(api.messages()) == 1

    def test_what_is_not_valid_any_more_is_rejected(self, api: Api) -> None:
        lost = self.lose(api)
        api.reject_inputs()
        with pytest.raises(InvalidInput):
            api.submit(key="k")
        assert api.table.record(lost.request_id) == lost

    @pytest.mark.parametrize(
        "changes",
        [
            {"submit_id": None},
            {"attempts": 1},
            {"error": '{"code": "model_removed", "message": "it was removed"}'},
            {"status": "cancelled"},
        ],
        ids=["confirmed", "tried", "another_error", "cancelled"],
    )
    def test_another_final_request_is_what_it_is(self, api: Api, changes: dict[str, Any]) -> None:
        lost = self.lose(api)
        item = api.table.items[lost.request_id] | changes
        api.table.items[lost.request_id] = {name: value for name, value in item.items() if value is not None}
        before = api.table.record(lost.request_id)
        assert api.submit(key="k") == before
        assert api.messages() == []

    def test_another_input_with_its_key_is_rejected(self, api: Api) -> None:
        self.lose(api)
        with pytest.raises(KeyReused):
            api.submit({"text": "other"}, key="k")


def test_two_submits_in_the_same_millisecond_are_told_apart(api: Api) -> None:
    """Else the second would take the first's record for its own, and lose it when the first can't send."""
    seen: list[str | None] = []
    _between(api, "create", lambda: seen.append(api.submit(key="k").request_id))
    record = api.submit(key="k")
    assert record.request_id == seen[0]
    assert len(api.messages()) == 1


@pytest.mark.parametrize(("seconds", "new"), [(DEADLINE + RETENTION - 1, False), (DEADLINE + RETENTION, True)])
def test_a_key_is_free_again_when_its_record_is_past_its_retention(api: Api, seconds: int, new: bool) -> None:
    first = api.submit(key="k")
    api.clock.advance(seconds=seconds)
    again = api.submit(key="k")
    assert again.request_id == first.request_id
    assert (again.submitted_at != first.submitted_at) == new
    # Whatever a submit answers, its status can be read.
    assert api.status(again.request_id)
