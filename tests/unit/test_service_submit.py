"""Submit: what is recorded and sent, what is rejected, and what a client may rely on when AWS fails in between."""

from __future__ import annotations

from typing import Any

import pytest

from inference.errors import InvalidInput, Unavailable, UnknownModel
from inference.requests import Status
from tests.unit.api_harness import ME, YOU, Api
from tests.unit.fakes import NOW, Fault
from tests.unit.samples import DEADLINE, a_record


def test_record_first_then_message(api: Api) -> None:
    order: list[str] = []
    api.table.before = order.append
    api.queue.before = order.append
    api.submit()
    assert order == ["create", "send"]


def test_what_is_recorded_and_sent(api: Api) -> None:
    record = api.submit()
    assert api.table.record(record.request_id) == record
    assert record == a_record(record.request_id, caller=ME)
    (message,) = api.messages()
    assert message.input == {"text": "fine", "threshold": 0.5}
    assert (message.request_id, message.submitted_at, message.expires_at, message.attempt_limit) == (
        record.request_id,
        NOW,
        NOW + DEADLINE * 1000,
        5,
    )


def test_each_model_has_its_queue(api: Api) -> None:
    record = api.submit(model="other")
    assert record.model == "other"
    assert [message.model for message in api.messages("other")] == ["other"]
    assert api.messages() == []


def test_a_message_is_in_the_group_of_its_caller_and_model(api: Api) -> None:
    for caller, model in ((ME, "echo"), (YOU, "echo"), (ME, "other"), (ME, "echo")):
        api.submit(caller=caller, model=model)
    mine, yours, again = api.queues["echo"].groups
    assert mine == again != yours
    assert api.queues["other"].groups[0] not in (mine, yours)


def test_a_repeat_is_sent_in_the_same_group(api: Api) -> None:
    api.queue.faults.append(Fault("send", done=True))
    api.table.faults.append(Fault("discard"))
    with pytest.raises(Unavailable):
        api.submit(key="k")
    api.submit(key="k")
    first, second = api.queue.groups
    assert first == second


def test_two_requests_without_a_key_are_two(api: Api) -> None:
    assert api.submit().request_id != api.submit().request_id
    assert len(api.messages()) == 2


@pytest.mark.parametrize("value", [{"text": ""}, {}, [1], "x", None, 5])
def test_an_invalid_input_leaves_nothing(api: Api, value: Any) -> None:
    with pytest.raises(InvalidInput, match="schema of 'echo': data"):
        api.service.submit(None, value, ME, NOW)
    assert api.table.calls == api.queue.calls == []


def test_no_such_model_leaves_nothing(api: Api) -> None:
    with pytest.raises(UnknownModel):
        api.submit(model="nope")
    assert api.table.calls == api.queue.calls == []


@pytest.mark.parametrize("key", [None, "k"])
class TestWhenAWSFails:
    def test_the_queue_rejects(self, api: Api, key: str | None) -> None:
        api.queue.faults = [Fault("send")]
        with pytest.raises(Unavailable):
            api.submit(key=key)
        assert api.table.items == {}
        assert api.messages() == []

    def test_the_table_rejects(self, api: Api, key: str | None) -> None:
        api.table.faults = [Fault("create")]
        with pytest.raises(Unavailable):
            api.submit(key=key)
        assert api.table.items == {}
        assert api.queue.calls == []

    def test_the_tables_answer_is_lost(self, api: Api, key: str | None) -> None:
        api.table.faults = [Fault("create", done=True)]
        with pytest.raises(Unavailable):
            api.submit(key=key)
        assert api.table.items == {}
        assert api.queue.calls == []

    def test_the_queue_rejects_and_the_record_cannot_be_discarded(self, api: Api, key: str | None) -> None:
        api.queue.faults = [Fault("send")]
        api.table.faults = [Fault("discard")]
        with pytest.raises(Unavailable):
            api.submit(key=key)
        # Nothing was promised. What is left is the sweeper's (test_sweep.py).
        assert [item["status"] for item in api.table.items.values()] == ["pending"]

    def test_the_queues_answer_is_lost_and_no_worker_has_the_message(self, api: Api, key: str | None) -> None:
        api.queue.faults = [Fault("send", done=True)]
        with pytest.raises(Unavailable):
            api.submit(key=key)
        assert api.table.items == {}
        assert len(api.messages()) == 1  # a worker will find no record of it, and drop it

    @pytest.mark.parametrize("finished", [True, False])
    def test_the_queues_answer_is_lost_and_a_worker_has_the_message(
        self, api: Api, key: str | None, finished: bool
    ) -> None:
        def work(_: str) -> None:
            (request_id,) = api.table.items
            api.claim(api.table.record(request_id))
            if finished:
                api.succeed(request_id)

        api.queue.faults = [Fault("send", done=True)]
        api.queue.after = work
        record = api.submit(key=key)
        current = api.table.record(record.request_id)
        assert current.status is (Status.SUCCEEDED if finished else Status.RUNNING)
        assert current.submit_id is None


def test_the_confirmation_fails_and_the_request_is_accepted_all_the_same(api: Api) -> None:
    api.table.faults = [Fault("apply")]
    record = api.submit(key="k")
    assert len(api.messages()) == 1
    # A repeat can't tell, and sends once more, which harms nothing.
    assert api.submit(key="k").request_id == record.request_id
    assert api.submit(key="k").request_id == record.request_id
    assert len(api.messages()) == 2
