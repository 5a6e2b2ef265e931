"""Handles of batches: a batch continues on the server, whatever happens to its handle."""

from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING

from async_inference_client import _batches
from async_inference_client._batches import OnBatchStatus
from async_inference_client.batch_models import BatchItem, BatchStatus

if TYPE_CHECKING:
    from async_inference_client.async_client import AsyncClient
    from async_inference_client.client import Client


class Batch:
    """A batch of a `Client`.

    Attributes:
        batch_id: what `Client.open_batch` takes, also in another process.
        accepted: the answer to the submit; None if the batch was opened by its id.
    """

    def __init__(self, client: "Client", batch_id: str, accepted: BatchStatus | None = None) -> None:
        self._client = client
        self.batch_id = batch_id
        self.accepted = accepted

    def get(self) -> BatchStatus:
        """How many items have which status now.

        Raises:
            UnknownBatch: there is none with this id, it is past its retention, or another caller's.
        """
        return self._client._run(_batches.get(self._client._operations, self.batch_id))

    def wait(self, *, timeout: float | None = None, on_status: OnBatchStatus | None = None) -> BatchStatus:
        """Poll until the batch is final. `timeout` in seconds; None waits as long as an item is open.

        Raises:
            WaitTimeout: not all are final in time; they continue.
        """
        return self._client._run(_batches.wait(self._client._operations, self.batch_id, timeout, on_status))

    def items(self) -> Iterator[BatchItem]:
        """The items as they are, in the order of the inputs, a page at a time; after `wait` all are final."""
        start: int | None = 0
        while start is not None:
            found, start = self._client._run(_batches.page(self._client._operations, self.batch_id, start))
            yield from found

    def results(self, *, timeout: float | None = None) -> Iterator[BatchItem]:
        """Wait for all items, and yield them in the order of the inputs; `unwrap()` of each is its result.

        Raises:
            WaitTimeout: as `wait`.
            InvalidLines: lines of the batch's file are not valid, and nothing ran.
            BatchFailed: not all lines of the file became items; `items()` has those that did.
        """
        _batches.check(self.wait(timeout=timeout))
        yield from self.items()

    def cancel(self) -> BatchStatus:
        """Cancel the items that are not final; cancelling again changes nothing.

        Raises:
            AlreadyFinal: all have ended, and none was cancelled.
        """
        return self._client._run(_batches.cancel(self._client._operations, self.batch_id))


class AsyncBatch:
    """`Batch` of an `AsyncClient`."""

    def __init__(self, client: "AsyncClient", batch_id: str, accepted: BatchStatus | None = None) -> None:
        self._client = client
        self.batch_id = batch_id
        self.accepted = accepted

    async def get(self) -> BatchStatus:
        """As `Batch.get`."""
        return await self._client._run(_batches.get(self._client._operations, self.batch_id))

    async def wait(self, *, timeout: float | None = None, on_status: OnBatchStatus | None = None) -> BatchStatus:
        """As `Batch.wait`."""
        return await self._client._run(_batches.wait(self._client._operations, self.batch_id, timeout, on_status))

    async def items(self) -> AsyncIterator[BatchItem]:
        """As `Batch.items`."""
        start: int | None = 0
        while start is not None:
            found, start = await self._client._run(_batches.page(self._client._operations, self.batch_id, start))
            for item in found:
                yield item

    async def results(self, *, timeout: float | None = None) -> AsyncIterator[BatchItem]:
        """As `Batch.results`."""
        _batches.check(await self.wait(timeout=timeout))
        async for item in self.items():
            yield item

    async def cancel(self) -> BatchStatus:
        """As `Batch.cancel`."""
        return await self._client._run(_batches.cancel(self._client._operations, self.batch_id))
