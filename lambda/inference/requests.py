"""A request: its statuses, its record and its message. The allowed transitions are in `transitions.py`.

The api function and the workers import it; the statuses are defined here only.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from enum import StrEnum
from typing import Any, NamedTuple


class Status(StrEnum):
    """The status of a request. All but `pending` and `running` are final: only an operator's replay changes them."""

    PENDING = "pending"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


class WebhookState(StrEnum):
    """Where the webhook of a request or a batch stands. The deliverer leaves `delivered` and `failed` alone; a resend
    does not."""

    WAITING = "waiting"
    DELIVERING = "delivering"
    RETRYING = "retrying"
    DELIVERED = "delivered"
    FAILED = "failed"


BATCH = "batch"
"""Of an item, as the stream's filter knows it: its end may be the end of a batch with a webhook."""

MAX_ID_CHARACTERS = 64

OPEN = frozenset({Status.PENDING, Status.RUNNING})
FINAL = frozenset(Status) - OPEN


class ErrorCode(StrEnum):
    """Why a request failed: all values of `error.code`."""

    INVALID_INPUT = "invalid_input"
    MODEL_ERROR = "model_error"
    MODEL_NOT_LOADED = "model_not_loaded"
    INVALID_OUTPUT = "invalid_output"
    INPUT_UNAVAILABLE = "input_unavailable"
    RESULT_NOT_STORED = "result_not_stored"
    TIMEOUT = "timeout"
    OUT_OF_MEMORY = "out_of_memory"
    CRASHED = "crashed"
    UNREADABLE = "unreadable"
    UNDELIVERED = "undelivered"
    LOST = "lost"
    MODEL_REMOVED = "model_removed"
    BACKEND_ERROR = "backend_error"


class Failure(NamedTuple):
    """Why an attempt or a request failed: a code for programs, a message for people."""

    code: ErrorCode
    message: str
    attempt: int | None = None

    def to_json(self) -> str:
        body: dict[str, Any] = {"code": self.code.value, "message": self.message}
        if self.attempt is not None:
            body["attempt"] = self.attempt
        return json.dumps(body)


class Record(NamedTuple):
    """An item of the request table. Times are in epoch milliseconds, except `delete_at`: DynamoDB's TTL needs seconds.

    The fields are grouped by who writes them first. Behind each: the transitions that set it later than the submit, and
    those that clear it (`transitions.py`, `webhooks/transitions.py`); `claim` is any into `running`, `outcome` any into
    a final status, `webhook_start` is `webhook_resend` and `replay_with_webhook`.
    """

    # Submit: what is accepted

    request_id: str
    status: Status  # set by every transition into another status
    model: str
    caller: str
    submitted_at: int
    expires_at: int  # set by replay
    delete_at: int  # set by replay
    attempt_limit: int  # set by replay
    input_digest: str | None = None
    stored_input: str | None = None  # the name of the input's object; None: the message has the input
    uploads: str | None = None  # the ids of those that the input refers to, with spaces between them
    batch_id: str | None = None  # of the batch that it is an item of
    webhook_of: str | None = None  # `BATCH`: the batch has a webhook, which this item has a part in
    source: str | None = None  # JSON (`sources.Source`): the object that is its input, of a trigger's request
    results_of: str | None = None  # the trigger by whose settings the outcome is written to S3, too

    # Submit with a webhook. Attempts are counted through resends and replays, so that no two have one number

    webhook_url: str | None = None
    webhook_state: str | None = None  # set by webhook_claim, webhook_retry, webhook_end, webhook_start
    webhook_attempts: int | None = None  # set by webhook_claim
    webhook_attempt_limit: int | None = None  # set by webhook_start
    webhook_due: int | None = None  # set by webhook_retry, webhook_postpone, webhook_start; cleared by webhook_end

    # Submit with an Idempotency-Key: random, names the one submit that may discard the record. A failed record has it
    # if the submit was never confirmed

    submit_id: str | None = None  # set by take_over_submit; cleared by confirm_submit, outcome except fail_lost_keyed
    resubmitted_at: int | None = None  # set by take_over_submit

    # Attempt

    attempts: int = 0  # set by claim
    started_at: int | None = None  # set by claim
    lease_until: int | None = None  # set by claim, hold, resume, called_back; cleared by release, outcome, replay
    invocation_id: str | None = None  # set by claim, resume
    model_version: str | None = None  # set by claim
    code_digest: str | None = None  # set by claim
    run_alone: bool = False  # set by release_alone; cleared by outcome
    progress: str | None = None  # set by report_progress, hold_progress; cleared by claim, release, outcome

    # Run at a GPU provider (`worker/dispatch/transitions.py`): `submits` counts the intents, `run_id` is the provider's
    # id of the last one's run, `next_look_at` says that the dispatcher holds the request until then

    submits: int | None = None  # set by intend
    submitted_run_at: int | None = None  # set by intend
    run_id: str | None = None  # set by hold_run, called_back, run_failed; cleared by intend, release, replay
    next_look_at: int | None = None  # set by hold; cleared by resume, release, outcome
    run_uncertain: bool = False  # set by hold_uncertain; cleared by intend, release, outcome
    run_failure: str | None = None  # set by run_failed; cleared by intend, release, outcome

    # Sweep

    possibly_lost_at: int | None = None  # set by mark_possibly_lost

    # Outcome

    finished_at: int | None = None  # set by outcome; cleared by replay
    result: str | None = None  # set by succeed
    files: str | None = None  # set by succeed_with_files
    error: str | None = None  # set by release, fail; cleared by succeed, cancel
    input: str | None = None  # set by fail_keeping_input, fail_unleased_keeping_input; cleared by succeed, forget_input

    # Webhook: `webhook_log` has its attempts (JSON), `webhook_retry_at` counts while it is `retrying`

    webhook_lease_until: int | None = None  # set by webhook_claim; cleared by webhook_retry, webhook_end
    webhook_retry_at: int | None = None  # set by webhook_retry
    webhook_log: str | None = None  # set by webhook_retry, webhook_end

    # Replay

    replayed_at: int | None = None  # set by replay

    @property
    def id(self) -> str:
        """What the API calls it by."""
        return self.request_id

    @property
    def claimed(self) -> bool:
        """Whether a worker has had it, or it is final."""
        return self.status is not Status.PENDING or self.attempts > 0

    @property
    def ended_as_lost(self) -> bool:
        """Whether the sweeper ended it, and no worker has had it."""
        return (
            self.status is Status.FAILED
            and self.attempts == 0
            and json.loads(self.error or "{}").get("code") == ErrorCode.LOST
        )

    def status_at(self, now: int) -> Status:
        """The status for a reader: past its deadline an unclaimed request is expired, also before the sweeper writes
        it."""
        lease_over = self.lease_until is None or self.lease_until < now
        if self.status in OPEN and self.expires_at <= now and (self.status is Status.PENDING or lease_over):
            return Status.EXPIRED
        return self.status

    def deleted_at(self, now: int) -> bool:
        """Whether the retention has ended. DynamoDB's TTL deletes late (up to days), so readers check the time."""
        return self.delete_at * 1000 <= now


_OPTIONAL_MESSAGE_FIELDS = ("stored_input", "owner", "source")
_MESSAGE_FIELDS: Mapping[str, type] = {
    "request_id": str,
    "model": str,
    "input": object,
    "submitted_at": int,
    "expires_at": int,
    "attempt_limit": int,
}


class Message(NamedTuple):
    """A message of the request queue. It contains the input, so that the table stays small.

    Attributes:
        stored_input: the name of the input's object, if it is too large for the message; `input` is None then.
        owner: whose uploads the input refers to (`references.owner_of`), if it has references.
        source: JSON (`sources.Source`), the object that the input has a reference to, of a trigger's request.
    """

    request_id: str
    model: str
    input: Any
    submitted_at: int
    expires_at: int
    attempt_limit: int
    stored_input: str | None = None
    owner: str | None = None
    source: str | None = None

    def to_body(self) -> str:
        """JSON in ASCII: SQS rejects some Unicode characters, and a lone surrogate can't be encoded."""
        fields = {
            name: value
            for name, value in self._asdict().items()
            if value is not None or name not in _OPTIONAL_MESSAGE_FIELDS
        }
        return json.dumps(fields, separators=(",", ":"), allow_nan=False)

    @classmethod
    def from_body(cls, body: str) -> Message:
        """Read a message.

        Raises:
            ValueError: the body is not JSON, or a field is missing or of another type.
        """
        fields = json.loads(body)
        if not isinstance(fields, dict):
            raise ValueError("the body is not a JSON object")
        for name, kind in _MESSAGE_FIELDS.items():
            if name not in fields or (kind is not object and type(fields[name]) is not kind):
                wanted = {str: " or not a string", int: " or not an integer"}.get(kind, "")
                raise ValueError(f"'{name}' is missing{wanted}")
        if not can_be_id(fields["request_id"]):
            raise ValueError("'request_id' is not a possible id")
        optional: dict[str, Any] = {name: fields.get(name) for name in _OPTIONAL_MESSAGE_FIELDS}
        for name, value in optional.items():
            if value is not None and not isinstance(value, str):
                raise ValueError(f"'{name}' is not a string")
        return cls(**{name: fields[name] for name in _MESSAGE_FIELDS}, **optional)


CREATED_LATE_MS = 20_000
"""A record that is written so long after the time in its `submitted_at` is followed from the start: the sweep may have
passed that time. Shorter than any `sweeper.grace_seconds`, by what an index may be late."""


def open_shard(record: Record) -> str:
    """The partition of a new record in the index `open`."""
    late = record.resubmitted_at is not None and record.resubmitted_at > record.submitted_at + CREATED_LATE_MS
    return followed_shard(record.request_id) if late else record.request_id[0]


def followed_shard(request_id: str) -> str:
    """The partition of the requests that every sweep looks at."""
    return f"{request_id[0]}-followed"


def new_request_id() -> str:
    """A random id (UUID 4): nobody can guess another caller's."""
    return _uuid(os.urandom(16), 4)


def can_be_id(text: str) -> bool:
    """Whether a text can be a request id: no empty and no very long key, and no key of a batch."""
    return 0 < len(text) <= MAX_ID_CHARACTERS and text.isascii() and "/" not in text


def keyed_request_id(caller: str, key: str) -> str:
    """The id derived from a caller and an Idempotency-Key: by the table's key, a retry finds the first request."""
    return derived_id(caller, key)


def derived_id(*parts: str | int) -> str:
    """The id that follows from some values: SHA-256 cut to a UUID's 122 bits (version 8, RFC 9562), so that it looks
    like a random one."""
    return _uuid(hashlib.sha256(json.dumps(parts).encode()).digest()[:16], 8)


def _uuid(bits: bytes, version: int) -> str:
    """A UUID of RFC 9562 with these 128 bits, but for version and variant. The module `uuid` takes 3 ms to import."""
    value = int.from_bytes(bits, "big") & ~(0xF << 76) | (version << 76)
    text = f"{value & ~(0x3 << 62) | (0x2 << 62):032x}"
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))


def message_group(model: str, caller: str) -> str:
    """The group of a caller's messages to a model, in which SQS's fair queues deliver: the caller by a digest, since a
    group's name has at most 128 characters."""
    return f"{model}:{hashlib.sha256(caller.encode('utf-8', 'surrogatepass')).hexdigest()[:16]}"


def digest_of_input(model: str, value: Any) -> str:
    """SHA-256 of model and input, for any order of keys: tells a client's retry from another request."""
    canonical = json.dumps([model, value], sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()
