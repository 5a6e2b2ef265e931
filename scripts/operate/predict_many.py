"""Many inputs in one run: all are sent first, and results are fetched at the same time.

The main thread schedules the calls; one pool sends inputs, another gets results. Every accepted id is written to the
journal at once, so that an interrupted run can be resumed without a loss.

Results are requested in the order of the inputs, within a window, so that memory holds at most a window of results.
"""

import os
import sys
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Any

from scripts.console import CommandError, as_json, note
from scripts.operate.client import (
    FINAL,
    RETRY_SECONDS,
    ApiError,
    Client,
    NotFound,
    Reply,
    TimedOut,
    ask_again_after,
    submit_again_after,
    try_again_after,
)
from scripts.operate.predict_journal import Item, Journal

OK, FAILED = 0, 1
SENDERS = 16
POLLERS = 8
WINDOW = 64
PROGRESS_SECONDS = 5.0
LAST_ANSWERS_SECONDS = 1.0

_THROTTLED = frozenset({429, 503})


def run_all(client: Client, journal: Journal, seconds: float) -> int:
    """Send what was not sent, and print a line for each input, in their order, as soon as those before it are done.

    An input fails when `seconds` have passed both since it was first polled and since any input was accepted or done:
    the time behind other inputs does not count.

    Returns the highest exit code of all lines.
    """
    worst = OK
    many = _Run(client, journal, seconds)
    try:
        note(f"{many.progress()}; to resume after an interruption: --resume {journal.path}")
        for code, line in many.lines():
            print(as_json(line), flush=True)
            worst = max(worst, code)
    except KeyboardInterrupt:
        try:
            note(f"interrupted; requests that were sent continue; to resume: --resume {journal.path}")
            sys.stdout.flush()
            many.wait_for_last_replies()
        finally:
            os._exit(130)  # threads that wait for a response would keep the process running for minutes
    return worst


@dataclass
class _Task:
    """An input that is being sent or polled."""

    item: Item
    since: float
    due: float
    failures: int = 0
    call: Future[Reply] | None = None


class _Run:
    """One run. Only the HTTP calls run in other threads."""

    def __init__(self, client: Client, journal: Journal, seconds: float) -> None:
        self._client = client
        self._journal = journal
        self._seconds = seconds
        self._senders = ThreadPoolExecutor(SENDERS)
        self._pollers = ThreadPoolExecutor(POLLERS)
        now = time.monotonic()
        self._unsent = iter([item for item in journal.items if item.request_id is None])
        self._sending: dict[int, _Task] = {}
        self._accepted = {item.index: now for item in journal.items if item.request_id is not None}
        """Index -> the time of its first poll."""
        self._asking: dict[int, _Task] = {}
        self._lines: dict[int, tuple[int, dict[str, Any]]] = {}
        self._next = 0
        self._sent = len(self._accepted)
        self._last_progress = self._shown = now
        self._throttled_until = now

    def lines(self) -> Iterator[tuple[int, dict[str, Any]]]:
        """An exit code and a line for each input, in their order."""
        everything = len(self._journal.items)
        while self._next < everything:
            self._step()
            while self._next in self._lines:
                self._next += 1
                yield self._lines.pop(self._next - 1)
        self._senders.shutdown()
        self._pollers.shutdown()

    def progress(self) -> str:
        """The numbers of inputs sent and done, as text."""
        return f"{self._sent} of {len(self._journal.items)} inputs sent, {self._next} done"

    def wait_for_last_replies(self) -> None:
        """Wait briefly for the calls in progress, so that their ids are in the journal.

        A later id is not lost: its key is in the journal.
        """
        wait([task.call for task in self._sending.values() if task.call], LAST_ANSWERS_SECONDS)

    def _step(self) -> None:
        """Start the calls that are due, wait until one ends or another is due, and process the results."""
        now = time.monotonic()
        self._show(now)
        self._fill(now)
        idle = []
        for task in self._sending.values():
            due = max(task.due, self._throttled_until)
            if task.call is None and due <= now:
                task.call = self._senders.submit(self._send, task.item)
            elif task.call is None:
                idle.append(due)
        for task in self._asking.values():
            due = min(task.due, self._give_up_at(task))
            if task.call is None and due <= now:
                task.call = self._pollers.submit(self._client.status, str(task.item.request_id))
            elif task.call is None:
                idle.append(due)
        pause = min(idle) - now if idle else None
        calls = [task.call for task in (*self._sending.values(), *self._asking.values()) if task.call]
        if calls:
            wait(calls, pause, FIRST_COMPLETED)
        elif pause is not None:
            time.sleep(pause)
        for task in [task for task in self._sending.values() if task.call and task.call.done()]:
            self._after_sending(task)
        for task in [task for task in self._asking.values() if task.call and task.call.done()]:
            self._after_asking(task)

    def _fill(self, now: float) -> None:
        while len(self._sending) < SENDERS and (item := next(self._unsent, None)):
            self._sending[item.index] = _Task(item, now, now)
        for index in range(self._next, min(self._next + WINDOW, len(self._journal.items))):
            if (due := self._accepted.pop(index, None)) is not None:
                self._asking[index] = _Task(self._journal.items[index], now, due)

    def _give_up_at(self, task: _Task) -> float:
        return max(task.since, self._last_progress) + self._seconds

    def _send(self, item: Item) -> Reply:
        reply = self._client.send(item.payload, self._journal.model, item.key)
        self._journal.accepted(item, str(reply.body["request_id"]))
        return reply

    def _after_sending(self, task: _Task) -> None:
        now = time.monotonic()
        try:
            reply = _result(task)
        except CommandError as failure:
            self._after_no_acceptance(task, failure, now)
            return
        del self._sending[task.item.index]
        task.item.payload = None  # it is in the journal
        self._accepted[task.item.index] = now + ask_again_after(reply)
        self._last_progress = now
        self._sent += 1
        if self._sent == len(self._journal.items):
            note(self.progress())

    def _after_no_acceptance(self, task: _Task, failure: CommandError, now: float) -> None:
        task.failures += 1
        pause = submit_again_after(failure, task.failures)
        throttled = isinstance(failure, ApiError) and failure.reply.status in _THROTTLED
        # If the API has accepted nothing for this time, each of the other inputs is tried only once.
        until = self._last_progress + self._seconds if throttled else task.since + RETRY_SECONDS
        if pause is None or now + pause > until:
            del self._sending[task.item.index]
            self._fail(task.item, failure)
            return
        task.due = now + pause
        if throttled:  # the other senders would be throttled too
            self._throttled_until = max(self._throttled_until, task.due)

    def _after_asking(self, task: _Task) -> None:
        now = time.monotonic()
        over = now >= self._give_up_at(task)
        failure: CommandError
        try:
            reply = _result(task)
        except CommandError as raised:
            task.failures += 1
            failure, pause = raised, try_again_after(raised, task.failures)
        else:
            if reply.body["status"] in FINAL:
                self._last_progress = now
                del self._asking[task.item.index]
                code = OK if reply.body["status"] == "succeeded" else FAILED
                self._lines[task.item.index] = code, _line(task.item, reply.body)
                return
            task.failures = 0
            failure, pause = TimedOut(str(task.item.request_id), self._seconds), ask_again_after(reply)
        if pause is None or over:
            del self._asking[task.item.index]
            self._fail(task.item, failure)
        else:
            task.due = now + pause

    def _fail(self, item: Item, error: CommandError) -> None:
        state = {NotFound: "unknown", TimedOut: "open"}.get(type(error), "rejected")
        self._lines[item.index] = error.code, _line(item, {"status": state, "error": {"message": str(error)}})

    def _show(self, now: float) -> None:
        if now - self._shown >= PROGRESS_SECONDS:
            self._shown = now
            note(self.progress())


def _result(task: _Task) -> Reply:
    """The result of a finished call, or its exception; the task is ready for the next call."""
    assert task.call is not None
    call, task.call = task.call, None
    return call.result()


def _line(item: Item, answer: Mapping[str, Any]) -> dict[str, Any]:
    shown = {key: answer.get(key) for key in ("status", "result", "error")}
    return {"index": item.index, "request_id": item.request_id, **shown}
