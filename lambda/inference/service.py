"""The rules of the API: accept a request, tell where it stands, cancel it.

Order of the submit: the record first, then the message. A crash in between leaves a record that the sweeper ends and no
promise to anybody, since 202 has not been sent; the other order would leave a message that no record knows.

    new key or none    create -> send -> (keyed: confirm) -> 202
    same key again     the first is being written: 409 | its writer died: send again | else: answered like the first
    SQS refuses        discard the record -> 503
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from inference.catalog import Catalog, InvalidInput
from inference.errors import Refused, Unavailable
from inference.moves import Moves
from inference.payloads import MAX_MESSAGE_BYTES, too_large
from inference.request_queue import RequestQueue
from inference.request_table import Applied, Refusal, RequestTable
from inference.requests import (
    OPEN,
    Message,
    Record,
    Status,
    can_be_id,
    digest_of_input,
    keyed_request_id,
    new_request_id,
)

SUBMIT_LEASE_MS = 30_000
"""How long a keyed submit may take from its record to its message; longer than the api function can run."""

MAX_RETRY_AFTER_SECONDS = 30


@dataclass(frozen=True)
class Limits:
    """Of every new request. Times in seconds."""

    attempts: int
    deadline: int
    retention: int


class Service:
    """Accepts, shows and cancels requests.

    Args:
        table: where the records are.
        queues: model name -> its queue.
        catalog: the models.
        limits: attempts, deadline and retention of a new request.
        clock: gives the time in epoch milliseconds.
    """

    def __init__(
        self,
        table: RequestTable,
        queues: Callable[[str], RequestQueue],
        catalog: Catalog,
        limits: Limits,
        clock: Callable[[], int],
    ) -> None:
        self._table = table
        self._queues = queues
        self._catalog = catalog
        self._limits = limits
        self._clock = clock
        self._moves = Moves(clock)

    def submit(self, model: str | None, value: Any, caller: str, key: str | None = None) -> Record:
        """Accept a request: record and message are written when this returns.

        Raises:
            Refused: 404 no such model, 422 invalid input or a key reused with another input, 413 too large,
                409 the key's first request is still being written.
            Unavailable: the table or the queue did not take it; no `pending` record is left.
        """
        entry = self._catalog.entry(model)
        digest = digest_of_input(entry.name, value) if key else None
        try:
            value = entry.validate(value)
        except InvalidInput as error:
            raise Refused(422, "Invalid input", f"The input violates the schema of '{entry.name}': {error}.") from error
        now = self._clock()
        expires_at = now + self._limits.deadline * 1000
        record = Record(
            request_id=keyed_request_id(caller, key) if key else new_request_id(),
            status=Status.PENDING,
            model=entry.name,
            caller=caller,
            submitted_at=now,
            expires_at=expires_at,
            delete_at=expires_at // 1000 + self._limits.retention,
            attempt_limit=self._limits.attempts,
            submit_until=now + SUBMIT_LEASE_MS if key else None,
            submit_id=new_request_id() if key else None,
            input_digest=digest,
        )
        message = _message(record, value)
        if len(message.to_body()) > MAX_MESSAGE_BYTES:
            raise too_large(f"As a message the input has more than {MAX_MESSAGE_BYTES:,} bytes.")
        try:
            existing = self._table.create(record)
        except Unavailable:
            self._table.discard(record)  # it may have been written all the same
            raise
        if existing is not None:
            return self._repeat(record, existing, value)
        return self._send(record, message)

    def _send(self, record: Record, message: Message) -> Record:
        try:
            self._queues(record.model).send(message)
        except Unavailable:
            if self._table.discard(record):
                raise
            # A worker has it already: SQS did take the message, only its answer was lost. It is accepted after all.
        if record.submit_until is not None:
            self._table.apply([self._moves.confirm_submit(record)])
        return record

    def _repeat(self, record: Record, existing: Record, value: Any) -> Record:
        """The key was used before: the same request again, another one, or one whose writer died half-way."""
        if existing.input_digest != record.input_digest:
            detail = "This Idempotency-Key was used with another input. A new request needs a new key."
            raise Refused(422, "Idempotency-Key reused", detail, request_id=existing.request_id)
        if existing.submit_until is None or existing.status is not Status.PENDING:
            return existing
        now = self._clock()
        if existing.submit_until > now:
            detail = "The first request with this Idempotency-Key is still being written. Ask again in a second."
            raise Refused(409, "In progress", detail, {"Retry-After": "1"}, request_id=existing.request_id)
        until = now + SUBMIT_LEASE_MS
        match self._table.apply([self._moves.renew_submit(existing, until)])[0]:
            case Applied(record=renewed) if renewed is not None:
                return self._send(renewed, _message(renewed, value))
            case Unavailable() as error:
                raise error
        # Another retry was faster; its answer is ours.
        latest = self._table.get(existing.request_id, consistent=True)
        if latest is None:
            raise Unavailable("the first request with this key was withdrawn")
        return self._repeat(record, latest, value)

    def status(self, request_id: str, caller: str) -> Record:
        """A request's record.

        Raises:
            Refused: 404, unknown, deleted, or another caller's (which nobody may learn).
            Unavailable: the table did not answer.
        """
        record = self._table.find(request_id) if can_be_id(request_id) else None
        if record is None or record.caller != caller or record.deleted_at(self._clock()):
            raise _no_such_request()
        return record

    def cancel(self, request_id: str, caller: str) -> Record:
        """Cancel a request; cancelling it again changes nothing.

        Raises:
            Refused: 404 as in `status`; 409, it is final already.
            Unavailable: the table did not answer.
        """
        record = self.status(request_id, caller)
        now = self._clock()
        if record.status_at(now) in OPEN:
            match self._table.apply([self._moves.cancel(request_id)])[0]:
                case Applied(record=cancelled) if cancelled is not None:
                    return cancelled
                case Refusal(record=standing) if standing is not None:
                    record = standing
                case Refusal():
                    raise _no_such_request()
                case Unavailable() as error:
                    raise error
        if record.status is Status.CANCELLED:
            return record
        status = record.status_at(now)
        detail = f"The request is {status} already; its outcome does not change."
        raise Refused(409, "Final already", detail, request_id=request_id, request_status=status)


def _no_such_request() -> Refused:
    return Refused(404, "No such request", "There is no request with this id, or it is past its retention.")


def _message(record: Record, value: Any) -> Message:
    return Message(record.request_id, record.model, value, record.submitted_at, record.expires_at, record.attempt_limit)


def describe(record: Record, now: int) -> Mapping[str, Any]:
    """A record as the API shows it: times in ISO 8601 (UTC), result and error as JSON."""
    status = record.status_at(now)
    return {
        "request_id": record.request_id,
        "status": status,
        "model": record.model,
        "model_version": record.model_version,
        "result": json.loads(record.result) if record.result is not None else None,
        "error": json.loads(record.error) if record.error is not None else None,
        "attempts": record.attempts,
        "submitted_at": _iso(record.submitted_at),
        "started_at": _iso(record.started_at),
        "finished_at": _iso(record.finished_at),
        "expires_at": _iso(record.expires_at),
    }


def retry_after(record: Record, now: int) -> int | None:
    """When to ask again, in seconds; None for a final request.

    A poll costs about as much as 30 ms of a large worker: ask soon while the answer may be near, then ever less.
    """
    if record.status_at(now) not in OPEN:
        return None
    age = (now - record.submitted_at) // 1000
    return min(max(age // 4, 1), MAX_RETRY_AFTER_SECONDS)


def _iso(milliseconds: int | None) -> str | None:
    if milliseconds is None:
        return None
    seconds, rest = divmod(milliseconds, 1000)
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + f".{rest:03d}Z"
