"""What can go wrong on the way of a request, and who has to do what about it.

    InferenceError
      RequestError            what was asked can't be done, now or later; nothing was changed
        NotJson               the input is not JSON, not UTF-8, or nested too deep
        TooLarge              the input, or its message, has too many bytes
        UnknownModel          no model of that name is deployed
        InvalidInput          the input violates its model's schema
        KeyReused             the idempotency key was used with another input
        UnknownRequest        there is no request with this id, or it is another caller's
        AlreadyFinal          the request is final, so it can't be cancelled
      Unavailable             AWS did not take it now: the same call may succeed later
        QueueMissing          there is no such queue: its model was removed
      ConfigurationError      the deployment is wrong: all missing and bad settings, in one message

None of them knows how a request came in. What a caller by HTTP is answered is in `inference.problems` alone.
Worker-side errors of a model are in `worker.errors`: they end in a record's `error`, and no caller sees them raised.
"""

from __future__ import annotations

from typing import Any


class InferenceError(Exception):
    """Base of everything that this package raises on purpose."""


class RequestError(InferenceError):
    """What was asked can't be done; nothing was changed, and asking for the same again has the same end.

    Attributes:
        facts: what a program may want to know beside the text, such as `request_id`.
    """

    def __init__(self, detail: str, **facts: Any) -> None:
        super().__init__(detail)
        self.facts = facts


class NotJson(RequestError):
    """An input is not JSON, not UTF-8, or nested too deep."""


class TooLarge(RequestError):
    """An input has more bytes than are accepted, as it came or as a message."""


class UnknownModel(RequestError):
    """No model of that name is deployed."""


class InvalidInput(RequestError):
    """An input violates its model's schema; the text names the field."""


class KeyReused(RequestError):
    """The caller used the idempotency key with another input; `request_id` is that request's."""


class UnknownRequest(RequestError):
    """There is no request with this id, it is past its retention, or another caller's (which nobody may learn)."""


class AlreadyFinal(RequestError):
    """The request has ended as `request_status`, which does not change any more."""


class Unavailable(InferenceError):
    """A table or queue did not answer, or refused for now. Nothing is left behind that would stay `pending`."""


class QueueMissing(Unavailable):
    """A model's queue does not exist: the model was removed, and the queue's messages with it."""


class ConfigurationError(InferenceError):
    """Settings are missing or bad; the message names every one of them."""
