"""Errors of the API's rules, of AWS and of the configuration.

    InferenceError
      RequestError            the call can't succeed, now or later; nothing was changed
        NotJson               the input is not JSON, not UTF-8, or nested too deep
        TooLarge              the input, or an upload, has too many bytes
        UnknownModel          no model of that name is deployed
        InvalidInput          the input violates its model's schema
        InvalidReference      the input refers to something that is not an upload of the caller's
        InvalidUpload         an upload is asked for with a wrong size or type
        InvalidBatch          a batch is no list of items, or has too many
        InvalidItems          items of a batch are not valid
        KeyReused             the idempotency key was used with another input
        UnknownRequest        there is no request with this id, or it is another caller's
        UnknownBatch          the same of a batch
        AlreadyFinal          the request, or the whole batch, is final, so it can't be cancelled
        InvalidWebhook        the webhook's URL is not one that webhooks are sent to
        NoWebhook             the request has no webhook that could be sent again
        NotFinal              the request is not final, so its webhook can't be sent again
      Unavailable             AWS did not answer or throttled the call: the same call may succeed later
        QueueMissing          the queue does not exist: its model was removed
      ConfigurationError      the deployment is wrong: all missing and bad settings, in one message

They do not depend on HTTP: only `inference.http.problems` maps them to HTTP responses. Errors of models are in
`worker.model.errors`: they are recorded in a request's `error`, and never raised to callers.
"""

from __future__ import annotations

from typing import Any


class InferenceError(Exception):
    """Base class of this package's exceptions."""


class RequestError(InferenceError):
    """The call can't succeed; nothing was changed, and the same call would fail again.

    Attributes:
        facts: data for programs, in addition to the text, such as `request_id`.
    """

    def __init__(self, detail: str, **facts: Any) -> None:
        super().__init__(detail)
        self.facts = facts


class NotJson(RequestError):
    """An input is not JSON, not UTF-8, or nested too deep."""


class TooLarge(RequestError):
    """An input, or an upload, has more bytes than are accepted."""


class UnknownModel(RequestError):
    """No model of that name is deployed."""


class InvalidInput(RequestError):
    """An input violates its model's schema; the text names the field."""


class InvalidReference(RequestError):
    """The input refers to something that is not there, not uploaded yet, too old, or not the caller's (which is not
    disclosed)."""


class InvalidUpload(RequestError):
    """An upload is asked for with a wrong size or type; the text names the field."""


class InvalidBatch(RequestError):
    """A batch is no list of items, or has none or too many."""


class InvalidItems(RequestError):
    """Items of a batch are not valid; `errors` has the index and the reason of each."""


class KeyReused(RequestError):
    """The caller used the idempotency key with another input; `request_id` is the id of that request."""


class UnknownRequest(RequestError):
    """There is no request with this id, it is past its retention, or it is another caller's (which is not
    disclosed)."""


class UnknownBatch(RequestError):
    """There is no batch with this id, it is past its retention, or it is another caller's (which is not disclosed)."""


class AlreadyFinal(RequestError):
    """The request has ended as `request_status`, which does not change any more; or all items of a batch have."""


class InvalidWebhook(RequestError):
    """The webhook's URL is not one that webhooks are sent to, or the deployment has no webhooks."""


class NoWebhook(RequestError):
    """The request or batch was submitted without a webhook, so there is none to send again."""


class NotFinal(RequestError):
    """The request is still `request_status`, or the batch `batch_status`: its webhook is sent when it is final."""


class Unavailable(InferenceError):
    """The table or a queue did not answer, or throttled the call. No record is left that would stay `pending`."""


class QueueMissing(Unavailable):
    """A model's queue does not exist: the model was removed, and the queue's messages with it."""


class ConfigurationError(InferenceError):
    """Settings are missing or bad; the message names every one of them."""
