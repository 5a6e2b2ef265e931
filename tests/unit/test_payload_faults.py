"""Payloads when a process is killed, or a request is erased, at any step: nothing dangles, and nothing is left that
somebody can still reach."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import pytest

from inference.errors import Unavailable
from inference.listing import Listing
from inference.requests import Status
from inference.service import Limits, Service
from inference.store.payloads import Payloads, files_of, objects_of, request_key
from tests.unit.api_harness import ME, Api
from tests.unit.fakes import Killed
from tests.unit.samples import DEADLINE, RETENTION, a_catalog
from tests.unit.test_service_payloads import LARGE, object_of
from tests.unit.worker_harness import EchoModel, WorkerHarness

SUBMIT = ["create", "put", "send", "apply"]
"""The calls of a keyed submit of a large input."""

WORK = ["apply", "get", "put", "put", "apply"]
"""Those of a worker: claim, read the input, two files of the result, finish."""


class Step:
    """Does something before, or after, the call of this number, once."""

    def __init__(self, number: int, action: Callable[[], object]) -> None:
        self._left = number
        self._action = action
        self.done = False

    def __call__(self, operation: str) -> None:
        if self.done:
            return
        self._left -= 1
        if self._left < 0:
            self.done = True
            self._action()


def kill() -> None:
    raise Killed


class FileMaker(EchoModel):
    """Makes a file of each input."""

    def __init__(self) -> None:
        super().__init__()
        self.output_files = {"one": "text/plain", "two": "text/plain"}

    def predict(self, inputs: list[Any]) -> Sequence[Any]:
        return [{"one": b"1", "two": b"2"} for _ in inputs]


class Both:
    """An api function and a worker with one table, one bucket and one queue."""

    def __init__(self) -> None:
        self.worker = WorkerHarness(model=FileMaker())
        payloads = Payloads(self.worker.bucket, link_seconds=900, max_upload_bytes=10**9)
        limits = Limits(attempts=5, deadline=DEADLINE, retention=RETENTION)
        self.service = Service(
            self.worker.table,  # type: ignore[arg-type]
            lambda _: self.worker.queue,  # type: ignore[arg-type, return-value]
            a_catalog(),
            Listing(self.worker.table.caller_index, self.worker.table),
            limits,
            payloads,
        )

    def submit(self) -> str:
        return self.service.submit(None, dict(LARGE), ME, self.worker.clock()).request_id

    def erase(self, request_id: str) -> None:
        self.service.erase(request_id, ME, self.worker.clock())

    def when(self, step: Step, after: bool = False) -> None:
        for target in (self.worker.table, self.worker.bucket):
            setattr(target, "after" if after else "before", step)


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("number", range(len(SUBMIT)), ids=lambda number: f"{number}_{SUBMIT[number]}")
def test_a_submit_that_is_killed_at_any_step_is_completed_by_its_repeat(number: int, after: bool) -> None:
    api = Api()
    step = Step(number, kill)
    for target in (api.table, api.bucket, api.queue):
        setattr(target, "after" if after else "before", step)
    with suppress(Killed):
        api.submit(dict(LARGE), key="k")
    assert step.done
    record = api.submit(dict(LARGE), key="k")
    messages = api.messages()
    assert messages
    assert {message.stored_input for message in messages} == {record.stored_input}
    assert object_of(api, record.request_id)["text"] == LARGE["text"]
    assert len(api.bucket.objects) == 1


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("number", range(len(WORK)), ids=lambda number: f"{number}_{WORK[number]}")
def test_a_worker_that_is_killed_at_any_step_leaves_nothing_that_a_result_misses(number: int, after: bool) -> None:
    both = Both()
    request_id = both.submit()
    step = Step(number, kill)
    both.when(step, after)
    with suppress(Killed):
        both.worker.run()
    assert step.done
    both.worker.clock.advance(seconds=300)
    both.worker.run()
    record = both.worker.table.record(request_id)
    assert record.status is Status.SUCCEEDED
    assert json.loads(str(record.result)) == {"one": {"$ref": "#/files/0"}, "two": {"$ref": "#/files/1"}}
    kept = {request_key(request_id, file.name) for file in files_of(record)} | set(objects_of(record))
    assert kept <= both.worker.bucket.objects.keys()
    both.erase(request_id)
    assert both.worker.bucket.objects == both.worker.table.items == {}


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("number", range(len(WORK)), ids=lambda number: f"{number}_{WORK[number]}")
def test_erasing_at_any_step_of_a_worker_leaves_nothing(number: int, after: bool) -> None:
    both = Both()
    request_id = both.submit()
    step = Step(number, lambda: both.erase(request_id))
    both.when(step, after)
    both.worker.run()
    assert step.done
    assert both.worker.table.items == both.worker.bucket.objects == {}
    both.worker.clock.advance(seconds=300)
    both.worker.run()
    assert both.worker.queue.messages == {}


@pytest.mark.parametrize("number", range(5))
def test_a_worker_at_any_step_of_an_erase_leaves_nothing(number: int) -> None:
    """The erase reads, cancels, deletes the input, lists, and deletes the record; a whole attempt comes in between."""
    both = Both()
    request_id = both.submit()
    step = Step(number, both.worker.run)
    both.when(step)
    with suppress(Unavailable):
        both.erase(request_id)
    assert step.done
    if both.worker.table.items:
        both.erase(request_id)
    assert both.worker.table.items == both.worker.bucket.objects == {}


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("number", range(7))
def test_an_erase_that_is_killed_at_any_step_is_repeated(number: int, after: bool) -> None:
    both = Both()
    request_id = both.submit()
    both.worker.run()
    step = Step(number, kill)
    both.when(step, after)
    with suppress(Killed):
        both.erase(request_id)
    assert step.done
    if both.worker.table.items:
        both.erase(request_id)
    assert both.worker.table.items == both.worker.bucket.objects == {}
