"""What can go wrong on the way of a request, and who has to do what about it.

    InferenceError
      Refused                 the client's fault or a rule of ours: a problem response with its HTTP status
      Unavailable             AWS did not take it now: the client may try again (503 + Retry-After)
        QueueMissing          there is no such queue: its model was removed
      ConfigurationError      the deployment is wrong: all missing and bad settings, in one message

Worker-side errors of a model are in `worker.model`: they never cross HTTP as exceptions, only as a record's `error`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class InferenceError(Exception):
    """Base of everything that this package raises on purpose."""


class Refused(InferenceError):
    """The request is not accepted; nothing was stored.

    Attributes:
        status: the HTTP status code.
        title: what kind of refusal it is, the same for every such response (RFC 9457).
        detail: what exactly was wrong and how to mend it.
        members: further members of the problem document, such as `request_id`.
        headers: further response headers, such as `Retry-After`.
    """

    def __init__(
        self, status: int, title: str, detail: str, headers: Mapping[str, str] | None = None, **members: Any
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.title = title
        self.detail = detail
        self.headers = dict(headers or {})
        self.members = members


class Unavailable(InferenceError):
    """A table or queue did not answer, or refused for now. Nothing is left behind that would be `pending` for ever."""


class QueueMissing(Unavailable):
    """A model's queue does not exist: the model was removed, and the queue's messages with it."""


class ConfigurationError(InferenceError):
    """Settings are missing or bad; the message names every one of them."""
