"""The sync client."""

import os
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Self, TypeVar

import httpx2

from async_inference_client import _batches
from async_inference_client._content import Uploadable, content_of, from_the_beginning, replacing
from async_inference_client._http import settings
from async_inference_client._lines import read_file
from async_inference_client._operations import (
    REQUEST_TIMEOUT_SECONDS,
    RETRY_SECONDS,
    WAIT_SECONDS,
    OnAccepted,
    OnStatus,
    Operations,
)
from async_inference_client._steps import Plan
from async_inference_client._sync import outcomes, run
from async_inference_client._transfers import delete, download, download_bytes, result, upload
from async_inference_client._turns import Turns
from async_inference_client.batch import Batch
from async_inference_client.models import Accepted, File, Outcome, Prediction, Request

T = TypeVar("T")


class Client:
    """Talks to one deployment. It can be used by several threads; close it, or use it in a `with`.

    Args:
        base_url: the URL before `/predict`.
        auth: `SigV4()`, `BearerToken(...)`, `ApiKey(...)` or another `httpx2.Auth`; None for an open deployment.
        retry_seconds: how long a submit, get or cancel is repeated after a connection error, 429, or a 5xx that may
            pass; 0 means one try. Repeats have the first try's idempotency key. While
            one submit is throttled, the others pause too.
        request_timeout: of one HTTP call, in seconds.
        wait_seconds: `predict`, `resume` and `wait` ask the API to answer when the request is final, or after so long,
            so that the result is there at once. Each such call occupies an environment of the api function meanwhile:
            0 for many at a time. `map` never asks for it.
        transport: for proxies, certificates and tests; see httpx2.

    Raises:
        ValueError: base_url is not an http(s) URL.
    """

    def __init__(
        self,
        base_url: str,
        *,
        auth: httpx2.Auth | None = None,
        retry_seconds: float = RETRY_SECONDS,
        request_timeout: float = REQUEST_TIMEOUT_SECONDS,
        wait_seconds: float = WAIT_SECONDS,
        transport: httpx2.BaseTransport | None = None,
    ) -> None:
        self.base_url = base_url.rstrip("/")
        self._http = httpx2.Client(**settings(self.base_url), auth=auth, transport=transport)
        self._operations = Operations(
            self.base_url, retry_seconds, request_timeout, clock=lambda: time.monotonic(), wait_seconds=wait_seconds
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def submit(
        self,
        value: Any,
        *,
        model: str | None = None,
        idempotency_key: str | None = None,
        webhook: str | None = None,
        retry_seconds: float | None = None,
    ) -> Accepted:
        """Send an input and return at once: the request's id.

        Args:
            value: what the model takes; it is sent as JSON.
            model: the name of a model; None is the deployment's default model.
            idempotency_key: the same key and input give the same request, also in another process. By default each
                submit has a key of its own.
            webhook: the URL that the final request is sent to; "none" is nowhere. By default the deployment's.
            retry_seconds: in place of the client's.

        Raises:
            InvalidInput, UnknownModel, TooLarge, ...: the API does not take this input; see `errors`.
            ConnectionFailed, GatewayError, Unavailable: not accepted in `retry_seconds`.
            UnencodableInput: it is not JSON.
        """
        plan = self._operations.submit(
            value, model=model, idempotency_key=idempotency_key, webhook=webhook, retry_seconds=retry_seconds
        )
        return self._run(plan)

    def predict_sync(self, value: Any, *, model: str) -> Prediction:
        """Send an input to the synchronous route of a model that has one, once, and return its answer.

        Raises:
            PredictionTimeout, Busy, ModelNotLoaded, ResultTooLarge: `submit` may have success with the same input.
            InvalidInput, ModelError, ...: see `errors`.
            ConnectionFailed, GatewayError: there is no answer of the model.
            UnencodableInput: it is not JSON.
        """
        return self._run(self._operations.predict_sync(value, model=model))

    def get(self, request_id: str) -> Request:
        """Get a request as it is now.

        Raises:
            UnknownRequest: there is none with this id, it is past its retention, or another caller's.
        """
        return self._run(self._operations.get(request_id))

    def cancel(self, request_id: str) -> Request:
        """Cancel a request that is not final; cancelling it again changes nothing.

        Raises:
            AlreadyFinal: it has ended in another way.
            UnknownRequest: as `get`.
        """
        return self._run(self._operations.cancel(request_id))

    def delete(self, request_id: str) -> None:
        """Cancel a request if it is not final, and delete its input, the uploads that it refers to, and its result.

        Raises:
            UnknownRequest: as `get`.
        """
        self._run(delete(self._operations, request_id))

    def upload(self, content: Uploadable, content_type: str) -> dict[str, str]:
        """Upload what is too large or not JSON, and return the reference that stands for it in inputs, for a day.

        Args:
            content: bytes, a path, or a file that is open in binary mode, from its position on. It is read in parts.
            content_type: its media type. `application/json` is put in the place of its reference; anything else is a
                file, which may stand where the model takes one.

        Raises:
            TooLarge, InvalidUpload, ...: the API does not take an upload of this size or type.
            StorageError, ConnectionFailed: it was not uploaded in `retry_seconds`.
            ValueError: the file is not seekable.
        """
        return self._run(upload(self._operations, content_of(content), content_type))

    def download(self, file: File) -> bytes:
        """Download a file of a result (`Request.files`) into memory. Its SHA-256 is compared.

        Raises:
            StorageError: the link has ended, or the file is gone: get the request again.
            CorruptDownload, ConnectionFailed: no try succeeded in `retry_seconds`.
        """
        return self._run(download_bytes(self._operations, file))

    def save(self, file: File, path: str | os.PathLike[str]) -> Path:
        """Download a file of a result to a path, which has all of it or is not changed. Its SHA-256 is compared.

        Raises:
            As `download`.
        """
        with replacing(Path(path)) as target:
            self._run(download(self._operations, file, lambda: from_the_beginning(target)))
        return Path(path)

    def wait(
        self,
        request_id: str,
        *,
        timeout: float | None = None,
        on_status: OnStatus | None = None,
        poll_seconds: float | None = None,
    ) -> Request:
        """Poll until the request is final, as often as the API asks for, and return it whatever its status.

        Args:
            request_id: whose outcome.
            timeout: seconds. None waits as long as it is open, which its `expires_at` bounds.
            on_status: called with each answer; what it raises ends the wait.
            poll_seconds: between two polls, in place of what the API asks for.

        Raises:
            WaitTimeout: it is not final in time, and continues.
            ConnectionFailed, GatewayError, ...: the API did not answer for the rest of `timeout`, or for 300 seconds.
            UnknownRequest: as `get`.
        """
        return self._run(
            self._operations.wait(request_id, timeout=timeout, on_status=on_status, poll_seconds=poll_seconds)
        )

    def result(self, request: Request) -> Any:
        """The result of a final request. One that was too large for its record is downloaded.

        Raises:
            RequestFailed, RequestCancelled, RequestExpired: it has no result.
            StorageError and others: as `download`.
        """
        return self._run(result(self._operations, request))

    def resume(self, request_id: str, *, timeout: float | None = None, on_status: OnStatus | None = None) -> Any:
        """Wait for a request that was submitted before, by this process or another one, and return its result.

        Raises:
            RequestFailed, RequestCancelled, RequestExpired: it has no result.
            WaitTimeout and others: as `wait`.
        """
        return self.result(self.wait(request_id, timeout=timeout, on_status=on_status))

    def predict(
        self,
        value: Any,
        *,
        model: str | None = None,
        idempotency_key: str | None = None,
        timeout: float | None = None,
        on_accepted: OnAccepted | None = None,
        on_status: OnStatus | None = None,
    ) -> Any:
        """Submit an input, wait, and return the result. `timeout` is for both together.

        `on_accepted` has the request's id before any waiting; errors of the waiting have it as `request_id`.

        Raises:
            As `submit` and `resume`.
        """
        plan = self._operations.await_outcome(
            value,
            model=model,
            idempotency_key=idempotency_key,
            timeout=timeout,
            on_accepted=on_accepted,
            on_status=on_status,
        )
        return self.result(self._run(plan))

    def map(
        self,
        values: Iterable[Any],
        *,
        model: str | None = None,
        concurrency: int = 16,
        ordered: bool = True,
        timeout: float | None = None,
        on_accepted: Callable[[int, Accepted], None] | None = None,
    ) -> Iterator[Outcome]:
        """Submit many inputs and yield what became of each. An input that fails does not stop the others.

        Inputs are taken from `values` as there is room. What is open when the iteration ends early continues on the
        server; its ids were given to `on_accepted`.

        Args:
            values: the inputs; may be endless.
            model: as `submit`.
            concurrency: how many requests are open at the same time; each has a thread.
            ordered: in the order of the inputs; else as they become final.
            timeout: seconds for each input, from its submit.
            on_accepted: called with the index of an input and its request's id, in the thread of the input.

        Raises:
            ValueError: concurrency is less than 1.
        """
        turns = Turns(concurrency, ordered)
        return outcomes(self._http, self._operations, iter(values), turns, concurrency, model, timeout, on_accepted)

    def batch(
        self,
        items: Iterable[Any],
        *,
        model: str | None = None,
        idempotency_key: str | None = None,
        webhook: str | None = None,
    ) -> Batch:
        """Submit many inputs as one batch, and return at once. If one is not valid, none is accepted.

        Args:
            items: the inputs, at most 100; the API may allow fewer.
            model: as `submit`.
            idempotency_key: the same key and inputs give the same batch.
            webhook: the URL that the batch is sent to when all of it is final; "none" is nowhere. By default the
                deployment's.

        Raises:
            InvalidItems: `error.body["errors"]` has the index and the reason of each that is not valid.
            InvalidBatch, UnknownModel, TooLarge, ...: as `submit`.
        """
        accepted = self._run(_batches.submit(self._operations, items, model, idempotency_key, webhook))
        return Batch(self, accepted.batch_id, accepted)

    def open_batch(self, batch_id: str) -> Batch:
        """A batch that was submitted before, by this process or another one. No call is made."""
        return Batch(self, batch_id)

    def batch_file(
        self, path: str | Path, *, model: str | None = None, key: str | None = None, webhook: str | None = None
    ) -> Batch:
        """Submit a JSONL file, one input in each line, as a batch. A file of more than 100 lines is uploaded; its
        lines are checked, and its items are created, after this returns.

        The same file, or the same `key`, gives the same batch, from any process: after an interruption, call it again.
        No line is accepted twice.

        Args:
            path: the file, in UTF-8; blank lines are skipped. It is read as a whole.
            model: as `submit`.
            key: names the file in place of its content: at most 255 printable ASCII characters.
            webhook: as `batch`.

        Raises:
            InvalidLines: lines are not valid; nothing was accepted. `Batch.results` raises it for what the API finds
                in a file that was uploaded.
            IdempotencyKeyReused: the file was submitted with another webhook before.
            UnknownModel, TooLarge, Unavailable, ...: as `submit` and `upload`.
        """
        file = read_file(Path(path), model, key)
        status = self._run(_batches.submit_file(self._operations, file, model, webhook))
        return Batch(self, status.batch_id, status)

    def _run(self, plan: Plan[T]) -> T:
        return run(self._http, plan)
