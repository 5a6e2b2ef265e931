"""The async client, for asyncio."""

import asyncio
import os
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Self, TypeVar

import httpx2

from async_inference_client import _batches
from async_inference_client._content import Uploadable, content_of, from_the_beginning, replacing
from async_inference_client._http import settings
from async_inference_client._lines import read_file
from async_inference_client._operations import (
    OUTAGE_SECONDS,
    REQUEST_TIMEOUT_SECONDS,
    RETRY_SECONDS,
    WAIT_SECONDS,
    OnAccepted,
    OnStatus,
    Operations,
)
from async_inference_client._steps import Call, Pause, Plan, Transfer
from async_inference_client._transfers import delete, download, download_bytes, result, upload, with_result
from async_inference_client._turns import Turns
from async_inference_client.batch import AsyncBatch
from async_inference_client.errors import InferenceError
from async_inference_client.models import Accepted, File, Outcome, Prediction, Request

T = TypeVar("T")


class AsyncClient:
    """`Client` with coroutines: same arguments, values and errors. Close it, or use it in an `async with`."""

    def __init__(
        self,
        base_url: str,
        *,
        auth: httpx2.Auth | None = None,
        retry_seconds: float = RETRY_SECONDS,
        request_timeout: float = REQUEST_TIMEOUT_SECONDS,
        wait_seconds: float = WAIT_SECONDS,
        transport: httpx2.AsyncBaseTransport | None = None,
    ) -> None:
        self.base_url = base_url.rstrip("/")
        self._http = httpx2.AsyncClient(**settings(self.base_url), auth=auth, transport=transport)
        self._operations = Operations(
            self.base_url, retry_seconds, request_timeout, clock=_loop_time, wait_seconds=wait_seconds
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def submit(
        self,
        value: Any,
        *,
        model: str | None = None,
        idempotency_key: str | None = None,
        webhook: str | None = None,
        retry_seconds: float | None = None,
    ) -> Accepted:
        """As `Client.submit`."""
        plan = self._operations.submit(
            value, model=model, idempotency_key=idempotency_key, webhook=webhook, retry_seconds=retry_seconds
        )
        return await self._run(plan)

    async def predict_sync(self, value: Any, *, model: str) -> Prediction:
        """As `Client.predict_sync`."""
        return await self._run(self._operations.predict_sync(value, model=model))

    async def get(self, request_id: str) -> Request:
        """As `Client.get`."""
        return await self._run(self._operations.get(request_id))

    async def cancel(self, request_id: str) -> Request:
        """As `Client.cancel`."""
        return await self._run(self._operations.cancel(request_id))

    async def delete(self, request_id: str) -> None:
        """As `Client.delete`."""
        await self._run(delete(self._operations, request_id))

    async def upload(self, content: Uploadable, content_type: str) -> dict[str, str]:
        """As `Client.upload`; files are read in threads."""
        return await self._run(upload(self._operations, content_of(content), content_type))

    async def download(self, file: File) -> bytes:
        """As `Client.download`."""
        return await self._run(download_bytes(self._operations, file))

    async def save(self, file: File, path: str | os.PathLike[str]) -> Path:
        """As `Client.save`; the file is written in threads."""
        with replacing(Path(path)) as target:
            await self._run(download(self._operations, file, lambda: from_the_beginning(target)))
        return Path(path)

    async def wait(
        self,
        request_id: str,
        *,
        timeout: float | None = None,
        on_status: OnStatus | None = None,
        poll_seconds: float | None = None,
    ) -> Request:
        """As `Client.wait`."""
        return await self._run(
            self._operations.wait(request_id, timeout=timeout, on_status=on_status, poll_seconds=poll_seconds)
        )

    async def result(self, request: Request) -> Any:
        """As `Client.result`."""
        return await self._run(result(self._operations, request))

    async def resume(self, request_id: str, *, timeout: float | None = None, on_status: OnStatus | None = None) -> Any:
        """As `Client.resume`."""
        return await self.result(await self.wait(request_id, timeout=timeout, on_status=on_status))

    async def predict(
        self,
        value: Any,
        *,
        model: str | None = None,
        idempotency_key: str | None = None,
        timeout: float | None = None,
        on_accepted: OnAccepted | None = None,
        on_status: OnStatus | None = None,
    ) -> Any:
        """As `Client.predict`."""
        plan = self._operations.await_outcome(
            value,
            model=model,
            idempotency_key=idempotency_key,
            timeout=timeout,
            on_accepted=on_accepted,
            on_status=on_status,
        )
        return await self.result(await self._run(plan))

    def map(
        self,
        values: Iterable[Any] | AsyncIterable[Any],
        *,
        model: str | None = None,
        concurrency: int = 16,
        ordered: bool = True,
        timeout: float | None = None,
        on_accepted: Callable[[int, Accepted], None] | None = None,
    ) -> AsyncGenerator[Outcome]:
        """As `Client.map`; `values` may be async. Where the iteration may end early, use contextlib.aclosing.

        Raises:
            ValueError: concurrency is less than 1.
        """
        return self._map(_async_iterator(values), Turns(concurrency, ordered), model, timeout, on_accepted)

    async def batch(
        self,
        items: Iterable[Any],
        *,
        model: str | None = None,
        idempotency_key: str | None = None,
        webhook: str | None = None,
    ) -> AsyncBatch:
        """As `Client.batch`."""
        accepted = await self._run(_batches.submit(self._operations, items, model, idempotency_key, webhook))
        return AsyncBatch(self, accepted.batch_id, accepted)

    def open_batch(self, batch_id: str) -> AsyncBatch:
        """As `Client.open_batch`."""
        return AsyncBatch(self, batch_id)

    async def batch_file(
        self, path: str | Path, *, model: str | None = None, key: str | None = None, webhook: str | None = None
    ) -> AsyncBatch:
        """As `Client.batch_file`."""
        file = read_file(Path(path), model, key)
        status = await self._run(_batches.submit_file(self._operations, file, model, webhook))
        return AsyncBatch(self, status.batch_id, status)

    async def _map(
        self,
        values: AsyncIterator[Any],
        turns: Turns,
        model: str | None,
        timeout: float | None,
        on_accepted: Callable[[int, Accepted], None] | None,
    ) -> AsyncGenerator[Outcome]:
        async def outcome(index: int, value: Any) -> Outcome:
            found: list[Accepted] = []

            def accepted(answer: Accepted) -> None:
                found.append(answer)
                if on_accepted is not None:
                    on_accepted(index, answer)

            plan = self._operations.await_outcome(
                value, model=model, timeout=timeout, on_accepted=accepted, throttled_seconds=OUTAGE_SECONDS, waits=0
            )
            try:
                request = await self._run(with_result(self._operations, await self._run(plan)))
            except InferenceError as error:
                return Outcome(index, value, found[0] if found else None, None, error)
            return Outcome(index, value, found[0], request, None)

        running: set[asyncio.Task[Outcome]] = set()
        more = True
        try:
            while more or running:
                while more and turns.may_start:
                    try:
                        value = await anext(values)
                    except StopAsyncIteration:
                        more = False
                        break
                    running.add(asyncio.create_task(outcome(turns.start(), value)))
                if running:
                    done, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
                    for task in done:
                        turns.end(task.result())
                for ended in turns.ready():
                    yield ended
        finally:
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)

    async def _run(self, plan: Plan[T]) -> T:
        """Run a plan to its end."""
        try:
            step = next(plan)
            while True:
                if isinstance(step, Pause):
                    await asyncio.sleep(step.seconds)
                    step = plan.send(None)
                    continue
                try:
                    response = await (self._call(step) if isinstance(step, Call) else self._transfer(step))
                except httpx2.RequestError as error:
                    step = plan.throw(error)
                else:
                    step = plan.send(response)
        except StopIteration as end:
            value: T = end.value
            return value

    async def _call(self, step: Call) -> httpx2.Response:
        timeout = httpx2.Timeout(step.timeout, pool=None)
        content = step.content or None
        return await self._http.request(step.method, step.path, content=content, headers=step.headers, timeout=timeout)

    async def _transfer(self, step: Transfer) -> httpx2.Response:
        timeout = httpx2.Timeout(step.timeout, pool=None)
        content = None if step.content is None else _in_threads(step.content.parts())
        call = self._http.stream(
            step.method, step.url, content=content, headers=step.headers, auth=None, timeout=timeout
        )
        async with call as response:
            if step.receive is None or not response.is_success:
                await response.aread()
            else:
                async for part in response.aiter_bytes():
                    await asyncio.to_thread(step.receive, part)
        return response


async def _in_threads(parts: Iterator[bytes]) -> AsyncIterator[bytes]:
    while part := await asyncio.to_thread(next, parts, b""):
        yield part


def _loop_time() -> float:
    """What asyncio.sleep counts with."""
    return asyncio.get_running_loop().time()


async def _async_iterator(values: Iterable[Any] | AsyncIterable[Any]) -> AsyncIterator[Any]:
    if isinstance(values, AsyncIterable):
        async for value in values:
            yield value
    else:
        for value in values:
            yield value
