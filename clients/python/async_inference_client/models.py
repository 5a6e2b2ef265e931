"""What the API answers, as typed values. Members that this version does not know are kept in `Request.document`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Self

from async_inference_client._members import number_of, time_of
from async_inference_client.errors import (
    InferenceError,
    RequestCancelled,
    RequestExpired,
    RequestFailed,
    RequestNotSucceeded,
)

FINAL = frozenset({"succeeded", "failed", "cancelled", "expired"})
"""The statuses that never change."""

FIRST_FILE = {"$ref": "#/files/0"}


@dataclass(frozen=True, slots=True)
class Accepted:
    """The answer to a submit: the request will become final, whatever happens to this process.

    Attributes:
        request_id: what `wait`, `resume`, `get` and `cancel` take.
        model: the name of the model that it goes to.
        idempotency_key: the key it was sent with; a submit with the same key and input gives the same request.
        retry_after: seconds until the first poll that the API asks for; None if it names none.
    """

    request_id: str
    model: str
    idempotency_key: str
    retry_after: float | None = None


@dataclass(frozen=True, slots=True)
class Prediction:
    """The answer of a synchronous prediction.

    Attributes:
        model: the name of the model.
        model_version: of the process that predicted.
        result: the model's output, with its files as base64.
    """

    model: str
    model_version: str
    result: Any


@dataclass(frozen=True, slots=True)
class Failure:
    """Why an attempt failed.

    Attributes:
        code: for programs, such as `invalid_input` or `timeout` (docs/api.md, Why a request failed).
        message: for people.
        attempt: the number of the attempt, from 1; None if it is about no attempt.
    """

    code: str
    message: str
    attempt: int | None = None


@dataclass(frozen=True, slots=True)
class Progress:
    """How far an attempt is, where the model reports it.

    Attributes:
        fraction: from 0 to 1.
        message: for people; may be empty.
    """

    fraction: float
    message: str = ""


@dataclass(frozen=True, slots=True)
class File:
    """A file of a result.

    Attributes:
        url: a presigned link; each answer of the API has a new one.
        bytes: its size.
        sha256: 64 hex digits.
        content_type: its media type.
        expires_at: when the link ends, in UTC.
    """

    url: str
    bytes: int
    sha256: str
    content_type: str
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Request:
    """A request as the API described it at one moment. Times are in UTC; None if not known yet.

    Attributes:
        request_id: its id.
        status: `pending`, `running`, or one of `FINAL`.
        model: the name of its model.
        model_version: of the worker that had it last.
        code_digest: of that worker's image or zip, `sha256:` and 64 hex digits.
        result: the model's output; None unless the status is `succeeded`.
        error: why it failed; while it is not final, why its last attempt failed.
        attempts: how many attempts have begun.
        submitted_at: when it was accepted.
        started_at: when its last attempt began.
        finished_at: when it became final.
        expires_at: when it becomes `expired` unless it is final.
        files: what the result refers to: `{"$ref": "#/files/0"}` is the first one.
        models: of what an object in S3 has become by a trigger: the request of each model, by its name; else empty.
            `model` is empty then, and `result` None.
        progress: of the attempt that is running; None before its first report, and when none is running.
        retry_after: seconds until the next poll that the API asks for; None if it names none, as for a final request.
        document: the whole JSON document.
    """

    request_id: str
    status: str
    model: str
    model_version: str | None
    code_digest: str | None
    result: Any
    error: Failure | None
    attempts: int
    submitted_at: datetime | None
    started_at: datetime | None
    finished_at: datetime | None
    expires_at: datetime | None
    files: Sequence[File] = ()
    progress: Progress | None = None
    retry_after: float | None = None
    models: "Mapping[str, Request]" = field(default_factory=dict)
    document: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @classmethod
    def from_document(cls, document: Mapping[str, Any], retry_after: float | None = None) -> Self:
        """Read a status document, such as the payload of a webhook.

        Raises:
            ValueError: it is no status document; the text names the member.
        """
        for name in ("request_id", "status"):
            if not isinstance(document.get(name), str):
                raise ValueError(f"the status document has no {name}")
        return cls(
            request_id=document["request_id"],
            status=document["status"],
            model=str(document.get("model") or ""),
            model_version=document.get("model_version"),
            code_digest=document.get("code_digest"),
            result=document.get("result"),
            error=_failure(document.get("error")),
            attempts=number_of(document.get("attempts")) or 0,
            submitted_at=time_of(document, "submitted_at"),
            started_at=time_of(document, "started_at"),
            finished_at=time_of(document, "finished_at"),
            expires_at=time_of(document, "expires_at"),
            files=tuple(_file(each) for each in document.get("files") or ()),
            progress=_progress(document.get("progress")),
            retry_after=retry_after,
            models={
                str(name): cls.from_document({**each, "model": name})
                for name, each in (document.get("models") or {}).items()
            },
            document=document,
        )

    @property
    def final(self) -> bool:
        """Whether the status never changes. A status that this version does not know is not final."""
        return self.status in FINAL

    @property
    def whole_result(self) -> File | None:
        """The file that is the whole result, which was too large for its record; None if the result is here."""
        if len(self.files) == 1 and self.files[0].content_type == "application/json" and self.result == FIRST_FILE:
            return self.files[0]
        return None

    def unwrap(self) -> Any:
        """The result. What of it is a file is in `files`.

        Raises:
            RequestFailed, RequestCancelled, RequestExpired: it ended with this status.
            RequestNotSucceeded: it is not final.
        """
        if self.status == "succeeded":
            return self.result
        raise _NOT_SUCCEEDED.get(self.status, RequestNotSucceeded)(self)


_NOT_SUCCEEDED = {"failed": RequestFailed, "cancelled": RequestCancelled, "expired": RequestExpired}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one input of `map`: `request` once the request is final, or else `error`.

    Attributes:
        index: the input's place, from 0.
        input: the input itself.
        accepted: None if the input was not accepted.
        request: the final request, whatever its status; None if `error` says why there is none.
        error: why the input was not accepted, or why its request could not be awaited.
    """

    index: int
    input: Any
    accepted: Accepted | None
    request: Request | None
    error: InferenceError | None

    def unwrap(self) -> Any:
        """The result.

        Raises:
            InferenceError: `error`, or the final request did not succeed.
        """
        if self.request is None:
            assert self.error is not None
            raise self.error
        return self.request.unwrap()


def _file(found: Any) -> File:
    try:
        return File(
            str(found["url"]),
            int(found["bytes"]),
            str(found["sha256"]),
            str(found["content_type"]),
            time_of(found, "expires_at"),
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError("files of the status document is not a list of files") from error


def _progress(found: Any) -> Progress | None:
    if not isinstance(found, Mapping) or not isinstance(found.get("fraction"), int | float):
        return None
    return Progress(float(found["fraction"]), str(found.get("message") or ""))


def _failure(found: Any) -> Failure | None:
    if not isinstance(found, Mapping):
        return None
    return Failure(str(found.get("code") or ""), str(found.get("message") or ""), number_of(found.get("attempt")))
