"""Everything that this package raises.

    InferenceError
    ├── UnencodableInput             the input is not JSON: NaN, a set, ...
    ├── InvalidLines                 lines of a file are not valid
    ├── BatchFailed                  not all lines of a file became items: see `batch`
    ├── CredentialsError             the call can't be signed
    ├── ConnectionFailed             no HTTP response
    ├── ResponseError                an HTTP response that is not a success
    │   ├── Problem                  of the API itself: a class for each `type` of docs/api.md
    │   │   ├── NotJson, InvalidIdempotencyKey, InvalidWebhook, UnknownModel, UnknownRequest, UnknownBatch,
    │   │   ├── UnknownRoute, AlreadyFinal, NotFinal, NoWebhook, TooLarge, UnsupportedMediaType,
    │   │   ├── UnsupportedContentEncoding, InvalidInput, InvalidQuery, InvalidReference, InvalidUpload,
    │   │   ├── InvalidBatch, InvalidItems, IdempotencyKeyReused,
    │   │   └── InternalError, Unavailable
    │   ├── GatewayError             of API Gateway or a proxy: see `status`
    │   └── StorageError             of the link of an upload or a file: see `status`
    ├── CorruptDownload              a file is not what its SHA-256 says
    ├── WaitTimeout                  not final in time; it continues
    ├── RequestNotSucceeded          see `request`
    │   └── RequestFailed, RequestCancelled, RequestExpired
    └── WebhookError                 a delivery that is not the deployment's, or too old

What an error is about decides its class, never its text. `retryable` says whether the same call may succeed later:
the client has repeated it already, for `retry_seconds`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from async_inference_client.batch_models import BatchStatus
    from async_inference_client.models import Request


class InferenceError(Exception):
    """Any error of this package.

    Attributes:
        request_id: the request that it is about; None if there is none, or it is not known.
        retryable: whether the same call may succeed later.
        retry_after: seconds until the next try that the API asks for; None if it names none.
    """

    request_id: str | None = None
    retryable: bool = False
    retry_after: float | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        """Errors come out of other processes: pickle's own way calls __init__ without its keyword arguments."""
        return _rebuilt, (type(self), self.args), self.__dict__


def _rebuilt(kind: type[InferenceError], args: tuple[Any, ...]) -> InferenceError:
    return kind.__new__(kind, *args)


class UnencodableInput(InferenceError, ValueError):
    """The input can't be sent as JSON."""


class InvalidLines(InferenceError, ValueError):
    """Lines of a file are not valid, and nothing of it runs.

    Attributes:
        errors: number of a line, from 0, blank lines not counted, and why it is not valid.
        count: how many lines are not valid; of many, `errors` has the first ones.
    """

    def __init__(self, errors: list[tuple[int, str]], count: int | None = None) -> None:
        self.count = len(errors) if count is None else count
        shown = "; ".join(f"line {number + 1}: {reason}" for number, reason in errors[:5])
        super().__init__(f"{self.count} lines are not valid: {shown}" if errors else "the file has no lines")
        self.errors = errors


class BatchFailed(InferenceError):
    """Not all lines of a file became items; those that did are final.

    Attributes:
        batch: the batch as it was then; `reason` says what happened.
    """

    def __init__(self, batch: BatchStatus) -> None:
        super().__init__(f"the batch {batch.batch_id} has failed: {batch.reason}")
        self.batch = batch


class CredentialsError(InferenceError):
    """There are no AWS credentials, or the region is not known."""


class ConnectionFailed(InferenceError):
    """No HTTP response came. A submit may have been accepted: repeat it with the same idempotency key.

    Attributes:
        refused: nothing listens at the address.
    """

    def __init__(self, message: str, *, retryable: bool = True, refused: bool = False) -> None:
        super().__init__(message)
        self.retryable = retryable
        self.refused = refused


class ResponseError(InferenceError):
    """An HTTP response that is not a success, or that is not of this API.

    Attributes:
        status: the HTTP status.
        headers: the response's headers; names in lower case.
        body: the response's body as JSON; as text if it is not JSON.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int,
        headers: Mapping[str, str] | None = None,
        body: Any = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.headers = headers or {}
        self.body = body
        self.retry_after = retry_after

    @property
    def throttled(self) -> bool:
        """Whether fewer calls at a time would succeed: 429, or 503."""
        return self.status in (429, 503)


class GatewayError(ResponseError):
    """The response of API Gateway, or of a proxy: the API itself did not answer."""

    def __init__(self, message: str, **response: Any) -> None:
        super().__init__(message, **response)
        self.retryable = self.status in (429, 500, 502, 503, 504)


class StorageError(ResponseError):
    """The response to a presigned link of an upload or a file. `body` is text: S3 answers in XML."""

    def __init__(self, message: str, **response: Any) -> None:
        super().__init__(message, **response)
        self.retryable = self.status in (409, 429, 500, 502, 503, 504)


class CorruptDownload(InferenceError):
    """What was downloaded does not have the SHA-256 of the file."""

    retryable = True


class Problem(ResponseError):
    """A problem document (RFC 9457) of the API. This class itself is for types that this version does not know.

    Attributes:
        type: what to compare, as text.
        title: for people.
        detail: for people.
        async_url: of a synchronous prediction: where `submit` may have success with the same input; else None.
    """

    TYPE: ClassVar[str] = ""

    def __init__(self, message: str, **response: Any) -> None:
        super().__init__(message, **response)
        self.type: str = self.body["type"]
        self.title = str(self.body.get("title") or "")
        self.detail = str(self.body.get("detail") or "")
        self.request_id = self.body.get("request_id")
        self.async_url = self.body.get("async_url")


class NotJson(Problem):
    """The body is not JSON that the API takes, such as one that is nested too deep."""

    TYPE = "/problems/not-json"


class InvalidIdempotencyKey(Problem):
    """The idempotency key is empty or too long."""

    TYPE = "/problems/invalid-idempotency-key"


class InvalidWebhook(Problem):
    """Webhooks are not sent to this URL, or the deployment has none."""

    TYPE = "/problems/invalid-webhook"


class UnknownModel(Problem):
    """No model of that name is deployed; the detail names those that are."""

    TYPE = "/problems/unknown-model"


class UnknownRequest(Problem):
    """There is no request with this id, it is past its retention, or another caller's."""

    TYPE = "/problems/unknown-request"


class UnknownBatch(Problem):
    """There is no such batch, it is past its retention, or it is another caller's."""

    TYPE = "/problems/unknown-batch"


class UnknownRoute(Problem):
    """The deployment is broken: its function does not know a route of its gateway."""

    TYPE = "/problems/unknown-route"


class AlreadyFinal(Problem):
    """A final request can't be cancelled.

    Attributes:
        request_status: how it ended.
    """

    TYPE = "/problems/already-final"

    @property
    def request_status(self) -> str | None:
        found = self.body.get("request_status")
        return found if isinstance(found, str) else None


class NotFinal(Problem):
    """The webhook of a request that is not final can't be sent again."""

    TYPE = "/problems/not-final"


class NoWebhook(Problem):
    """The request was submitted without a webhook."""

    TYPE = "/problems/no-webhook"


class TooLarge(Problem):
    """The input has more bytes than the deployment accepts."""

    TYPE = "/problems/too-large"


class UnsupportedMediaType(Problem):
    """The body is declared as another type than JSON in UTF-8."""

    TYPE = "/problems/unsupported-media-type"


class UnsupportedContentEncoding(Problem):
    """The body is declared as compressed."""

    TYPE = "/problems/unsupported-content-encoding"


class InvalidInput(Problem):
    """The input violates the model's schema; the detail names the field."""

    TYPE = "/problems/invalid-input"


class InvalidQuery(Problem):
    """A parameter of the query is not valid; the detail names it."""

    TYPE = "/problems/invalid-query"


class InvalidReference(Problem):
    """The input refers to an upload that is not there, too old, or not the caller's."""

    TYPE = "/problems/invalid-reference"


class InvalidUpload(Problem):
    """The size or the media type of an upload is not valid."""

    TYPE = "/problems/invalid-upload"


class InvalidBatch(Problem):
    """A batch has no items, too many, or is no list of them."""

    TYPE = "/problems/invalid-batch"


class InvalidItems(Problem):
    """Items of a batch are not valid, and nothing was accepted; `body["errors"]` has the index and reason of each."""

    TYPE = "/problems/invalid-items"


class IdempotencyKeyReused(Problem):
    """The key was used with another input, model or webhook; `request_id` is that request's."""

    TYPE = "/problems/idempotency-key-reused"


class InternalError(Problem):
    """The API failed; `body["invocation_id"]` identifies the log lines with the reason."""

    TYPE = "/problems/internal-error"
    retryable = True


class Unavailable(Problem):
    """AWS did not answer the API in time, or throttled it."""

    TYPE = "/problems/unavailable"
    retryable = True


class ModelError(Problem):
    """Of a synchronous prediction: the model failed with this input."""

    TYPE = "/problems/model-error"


class ModelNotLoaded(Problem):
    """Of a synchronous prediction: the model could not be loaded."""

    TYPE = "/problems/model-not-loaded"
    retryable = True


class PredictionTimeout(Problem):
    """Of a synchronous prediction: there was no result in time."""

    TYPE = "/problems/timeout"


class Busy(Problem):
    """Of a synchronous prediction: as many calls wait for the process as may."""

    TYPE = "/problems/busy"
    retryable = True


class ResultTooLarge(Problem):
    """Of a synchronous prediction: the result is larger than its response may be."""

    TYPE = "/problems/result-too-large"


PROBLEMS: Mapping[str, type[Problem]] = {
    kind.TYPE: kind
    for kind in (
        NotJson,
        InvalidIdempotencyKey,
        InvalidWebhook,
        UnknownModel,
        UnknownRequest,
        UnknownBatch,
        UnknownRoute,
        AlreadyFinal,
        NotFinal,
        NoWebhook,
        TooLarge,
        UnsupportedMediaType,
        UnsupportedContentEncoding,
        InvalidInput,
        InvalidQuery,
        InvalidReference,
        InvalidUpload,
        InvalidBatch,
        InvalidItems,
        IdempotencyKeyReused,
        InternalError,
        Unavailable,
        ModelError,
        ModelNotLoaded,
        PredictionTimeout,
        Busy,
        ResultTooLarge,
    )
}
"""The class of each type of docs/api.md and docs/sync.md."""


class WaitTimeout(InferenceError):
    """The request was not final in time. It continues: `resume(error.request_id)` goes on waiting. Of a batch,
    `request_id` is the batch's id."""

    def __init__(self, request_id: str, seconds: float, what: str = "request") -> None:
        super().__init__(f"{what} {request_id} is not final after {seconds:g} s; it continues")
        self.request_id = request_id
        self.seconds = seconds


class RequestNotSucceeded(InferenceError):
    """The request has no result.

    Attributes:
        request: the request as the API described it last.
    """

    def __init__(self, request: Request) -> None:
        reason = f": {request.error.code}: {request.error.message}" if request.error else ""
        super().__init__(f"request {request.request_id} {request.status}{reason}")
        self.request = request
        self.request_id = request.request_id


class RequestFailed(RequestNotSucceeded):
    """The request failed; `request.error` says why."""


class RequestCancelled(RequestNotSucceeded):
    """A client cancelled the request."""


class RequestExpired(RequestNotSucceeded):
    """The request was not final at its `expires_at`."""


class WebhookError(InferenceError):
    """A webhook delivery that must not be trusted."""
