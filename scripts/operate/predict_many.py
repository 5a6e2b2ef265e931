"""Many inputs in one run: all are sent first, and results are fetched at the same time.

Every accepted id is written to the journal at once, so that an interrupted run can be resumed without a loss. Results
are requested in the order of the inputs, within a window, so that memory holds at most a window of results.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

from async_inference_client import AsyncClient, Request
from async_inference_client.errors import ConnectionFailed, InferenceError, UnknownRequest, WaitTimeout
from scripts.console import as_json, note
from scripts.operate.connection import FAILED, explain
from scripts.operate.predict_files import save, with_paths_uploaded
from scripts.operate.predict_journal import Item, Journal
from scripts.operate.predict_progress import progress

OK = 0
SENDERS = 16
WINDOW = 64
FIRST_POLL_SECONDS = 1.0
"""After a submit whose answer names no time."""

LAST_ANSWERS_SECONDS = 1.0

Line = tuple[int, dict[str, Any]]
"""An exit code, and what is printed."""


async def run_all(client: AsyncClient, journal: Journal, seconds: float, folder: Path | None = None) -> int:
    """Send what was not sent, and print a line for each input, in their order, as soon as those before it are done.

    An input fails when `seconds` have passed both since it was first polled and since any input was accepted or done:
    the time behind other inputs does not count.

    Args:
        folder: where the files of results are written; None writes none.

    Returns the highest exit code of all lines.
    """
    worst = OK
    many = _Run(client, journal, seconds, folder)
    note(f"{many.counts()}; to resume after an interruption: --resume {journal.path}")
    async with progress(many):
        try:
            async for code, line in many.lines():
                print(as_json(line), flush=True)
                worst = max(worst, code)
        except asyncio.CancelledError:
            note(f"interrupted; requests that were sent continue; to resume: --resume {journal.path}")
            await many.wait_for_last_replies()
            raise
        finally:
            await many.close()
    return worst


class _Run:
    """One run."""

    def __init__(self, client: AsyncClient, journal: Journal, seconds: float, folder: Path | None) -> None:
        self._client = client
        self._journal = journal
        self._seconds = seconds
        self._folder = folder
        self._loop = asyncio.get_running_loop()
        self._last_progress = self._loop.time()
        self._stopped = False
        self.total = len(journal.items)
        self.sent = sum(item.request_id is not None for item in journal.items)
        self.done = 0
        self._first_polls: list[asyncio.Future[float | InferenceError]] = [
            self._loop.create_future() for _ in journal.items
        ]
        """For each input: when its first poll is due, or why it was not accepted."""
        for item, first_poll in zip(journal.items, self._first_polls, strict=True):
            if item.request_id is not None:
                first_poll.set_result(self._last_progress)
        unsent = iter([item for item in journal.items if item.request_id is None])
        self._senders = [asyncio.create_task(self._send_all(unsent)) for _ in range(SENDERS)]
        self._waiting: deque[asyncio.Task[Line]] = deque()

    def counts(self) -> str:
        """The numbers of inputs sent and done, as text."""
        return f"{self.sent} of {self.total} inputs sent, {self.done} done"

    async def lines(self) -> AsyncIterator[Line]:
        """A line for each input, in their order."""
        items = iter(self._journal.items)
        while True:
            while len(self._waiting) < WINDOW and (item := next(items, None)):
                self._waiting.append(asyncio.create_task(self._line(item)))
            if not self._waiting:
                return
            line = await self._waiting[0]
            self._waiting.popleft()
            self.done += 1
            yield line

    async def wait_for_last_replies(self) -> None:
        """Wait briefly for the submits in progress, so that their ids are in the journal.

        A later id is not lost: its key is in the journal.
        """
        self._stopped = True
        await asyncio.wait(self._senders, timeout=LAST_ANSWERS_SECONDS)

    async def close(self) -> None:
        """End what is still running."""
        tasks = [*self._senders, *self._waiting]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    @property
    def _time_left(self) -> float:
        """Seconds until nothing has been accepted or done for too long."""
        return max(0.0, self._last_progress + self._seconds - self._loop.time())

    async def _send_all(self, unsent: Iterator[Item]) -> None:
        for item in unsent:
            first_poll = self._first_polls[item.index]
            try:
                first_poll.set_result(await self._send(item))
            except Exception as error:  # such as a full disk: it ends the run in the input's turn
                first_poll.set_exception(error)
                first_poll.exception()  # or asyncio logs it, where its turn does not come
                return
            if self._stopped:
                return

    async def _send(self, item: Item) -> float | InferenceError:
        """When the first poll is due, or why the input was not accepted."""
        while True:
            progress = self._last_progress
            try:
                if item.has_paths:
                    payload = await with_paths_uploaded(self._client, item.payload, self._journal.places)
                    self._journal.uploaded(item, payload)
                # If the API has accepted nothing for this time, each of the other inputs is tried only once.
                accepted = await self._client.submit(
                    item.payload,
                    model=self._journal.model,
                    idempotency_key=item.key,
                    retry_seconds=self._time_left,
                )
            except InferenceError as error:
                refused = isinstance(error, ConnectionFailed) and error.refused
                if error.retryable and not refused and self._last_progress > progress:
                    continue  # the others were accepted meanwhile
                return error
            self._journal.accepted(item, accepted.request_id)
            item.payload = None  # it is in the journal
            self._last_progress = self._loop.time()
            self.sent += 1
            pause = FIRST_POLL_SECONDS if accepted.retry_after is None else accepted.retry_after
            return self._last_progress + pause

    async def _line(self, item: Item) -> Line:
        first_poll = await self._first_polls[item.index]
        if isinstance(first_poll, InferenceError):
            return _failed(item, first_poll)
        await asyncio.sleep(first_poll - self._loop.time())
        request_id = str(item.request_id)
        since = self._loop.time()

        def give_up(request: Request) -> None:
            waited = self._loop.time() - since
            if not request.final and waited >= self._seconds and self._time_left == 0:
                raise WaitTimeout(request_id, waited)

        try:
            request = await self._client.wait(request_id, on_status=give_up)
            self._last_progress = self._loop.time()
            if request.status != "succeeded":
                return FAILED, _shown(item, request.status, error=request.document.get("error"))
            files = [str(path) for path in await save(self._client, request, self._folder)] if self._folder else []
            return OK, _shown(item, request.status, await self._client.result(request), files=files)
        except InferenceError as error:
            return _failed(item, error)


def _failed(item: Item, error: InferenceError) -> Line:
    state = {UnknownRequest: "unknown", WaitTimeout: "open"}.get(type(error), "rejected")
    explained = explain(error)
    return explained.code, _shown(item, state, error={"message": str(explained)})


def _shown(
    item: Item, status: str, result: Any = None, error: Any = None, files: list[str] | None = None
) -> dict[str, Any]:
    line = {"index": item.index, "request_id": item.request_id, "status": status, "result": result, "error": error}
    return line | {"files": files} if files else line
