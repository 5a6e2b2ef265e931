"""The rules of the API: accept a request, return its status, cancel it, erase it, send its webhook again; describe the
models.

A submit writes the record first, then the input's object, if it is too large for a message, and then sends the message.
A crash in between leaves a record that the sweeper ends; the request was not accepted yet. Another order would leave an
object or a message without a record.

    new key or none    create -> (large: object) -> send -> (keyed: confirm) -> accepted
    same key again     message confirmed, or a worker had it: accepted, like the first
                       not confirmed: take the submit over -> send again -> confirm -> accepted
                       not confirmed, and ended as lost: create again, as with a new key
    S3 or SQS rejects  discard the record, unless it was taken over; delete the object -> Unavailable

Sending again is safe at any time, whether the first submit has failed or is in progress: a claim is conditional, so two
messages of one record have one outcome. Taking a submit over changes its `submit_id`. From then on the record is not
discarded, because each of the two submits may have been accepted.

A record that the sweeper has ended as lost keeps its `submit_id` if its message was never confirmed: nothing was
accepted then, and a repeat replaces the record by one conditional write. The new record has a later `submitted_at`,
which each claim requires of its message, so the message of the first submit can't run it, should it still arrive.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

from inference import transitions
from inference.aws.deadline import Deadline
from inference.catalog import Catalog
from inference.description import poll_after
from inference.errors import (
    AlreadyFinal,
    InvalidInput,
    InvalidReference,
    KeyReused,
    NotFinal,
    NoWebhook,
    Unavailable,
    UnknownRequest,
)
from inference.listing import Filter, Listing, Page
from inference.references import upload_ids
from inference.requests import (
    FINAL,
    OPEN,
    Record,
    Status,
    can_be_id,
    digest_of_input,
    keyed_request_id,
    message_group,
    new_request_id,
)
from inference.run_times import RunTimes
from inference.store.caller_index import Position
from inference.store.payloads import Payloads, message_of, placed
from inference.store.request_queue import RequestQueue
from inference.store.request_table import Applied, ConditionFailed, RequestTable
from inference.submission import check_input
from inference.webhooks import transitions as webhook_transitions
from inference.webhooks.options import new_webhook

FIRST_PAUSE_SECONDS = 0.1
LONGEST_PAUSE_SECONDS = 0.5
"""Between two reads while a call waits: a tenth of the time that it has waited, within these. 10 s are 38 reads."""


class Limits(NamedTuple):
    """Of every new request. Times in seconds."""

    attempts: int
    deadline: int
    retention: int


class Service:
    """Accepts, shows, lists and cancels requests. Each call that needs it takes `now`, the time in epoch milliseconds.

    Args:
        table: where the records are.
        queues: model name -> its queue.
        catalog: the models.
        listing: lists requests.
        limits: attempts, deadline and retention of a new request.
        payloads: the inputs and results that are objects.
        deadline: reserves time for a discard, and ends a wait in time for the response.
        webhook_url: of requests whose client gives none.
        pause: sleeps for some seconds.
    """

    def __init__(
        self,
        table: RequestTable,
        queues: Callable[[str], RequestQueue],
        catalog: Catalog,
        listing: Listing,
        limits: Limits,
        payloads: Payloads,
        deadline: Deadline | None = None,
        webhook_url: str | None = None,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self._pause = pause
        self._run_times = RunTimes()
        self._deadline = deadline or Deadline()
        self._table = table
        self._queues = queues
        self._catalog = catalog
        self._listing = listing
        self._limits = limits
        self._payloads = payloads
        self._webhook_url = webhook_url

    def models(self) -> Sequence[Mapping[str, Any]]:
        """The deployed models as the API lists them, in the order of their names."""
        return [self._summary(name) for name in self._catalog.names]

    def model(self, name: str) -> Mapping[str, Any]:
        """A model as the API describes it: with its schemas and an example of an input.

        Raises:
            UnknownModel: there is none of that name.
        """
        packaged = self._catalog.packaged(name)
        return {
            **self._summary(name),
            "input_schema": packaged.input_schema,
            "output_schema": packaged.output_schema,
            "example": packaged.example,
        }

    def _summary(self, name: str) -> dict[str, Any]:
        packaged = self._catalog.packaged(name)
        return {
            "name": name,
            "version": packaged.version,
            "description": packaged.description,
            "default": name == self._catalog.default,
            "predict_url": f"/predict/{name}",
        }

    def submit(
        self,
        model: str | None,
        value: Any,
        caller: str,
        now: int,
        key: str | None = None,
        webhook: str | None = None,
    ) -> Record:
        """Accept a request: record and message are written when this returns, and the object of a large input.

        An input that refers to JSON is validated by the worker, which has the JSON. A repeat with the same key gives
        the first request even if its input is not valid any more. `webhook`: the client's choice, as
        `webhooks.options.chosen_url` returns it.

        Raises:
            UnknownModel, InvalidInput, InvalidReference: the request is not valid.
            KeyReused: the key was used with another input, or another webhook.
            Unavailable: the table, S3 or the queue failed. No `pending` record is left, unless it could not be removed
                or another submit with the same key has taken it over: a repeat sends it, or a sweep ends it.
        """
        entry = self._catalog.entry(model)
        digest = digest_of_input(entry.name, value) if key else None
        references = upload_ids(value)
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
            submit_id=new_request_id() if key else None,
            input_digest=digest,
            uploads=" ".join(references) or None,
            **new_webhook(webhook, self._webhook_url, expires_at),
        )
        try:
            value = check_input(entry, value, references, caller, now, self._payloads)
        except (InvalidInput, InvalidReference):
            first = self._table.get(record.request_id, consistent=True) if key else None
            if first is None or first.deleted_at(now) or first.input_digest != digest or _never_accepted(first):
                raise
            # valid then: an upload was erased since, or the schema changed
            return self._repeat(record, first, value, now, webhook)
        record = placed(record, value)
        existing = self._create(record)
        if existing is not None:
            return self._repeat(record, existing, value, now, webhook)
        return self._send(record, value)

    def _create(self, record: Record, lost: Record | None = None) -> Record | None:
        try:
            return self._table.create(record, lost)
        except Unavailable:
            self._discard(record)  # it may have been written
            raise

    def _send(self, record: Record, value: Any, taken_over: bool = False) -> Record:
        try:
            self._payloads.keep_input(record, value)
            self._queues(record.model).send(message_of(record, value), message_group(record.model, record.caller))
        except Unavailable:
            if taken_over or self._discard(record) or not self._was_claimed(record.request_id):
                raise
            # A worker has claimed it: SQS did accept the message, only its response was lost. The request is accepted.
        if record.submit_id is not None:
            self._table.apply([transitions.confirm_submit(record)])
        return record

    def _discard(self, record: Record) -> bool:
        self._deadline.release_reserve()
        discarded = self._table.discard(record)
        if discarded:
            self._payloads.drop_input(record)
        return discarded

    def _was_claimed(self, request_id: str) -> bool:
        """Whether a worker has claimed the request, so that it must not be discarded."""
        current = self._table.get(request_id, consistent=True)
        return current is not None and current.claimed

    def _repeat(self, record: Record, existing: Record, value: Any, now: int, webhook: str | None) -> Record:
        """The key was used before: the same request again, another one, one whose message may not have been sent, or
        one that was ended because it was not."""
        if existing.input_digest != record.input_digest:
            detail = "This idempotency key was used with another input. A new request needs a new key."
            raise KeyReused(detail, request_id=existing.request_id)
        # A client that gives no webhook may meet another default than the first time, after a deployment.
        if webhook is not None and existing.webhook_url != record.webhook_url:
            detail = "This idempotency key was used with another webhook. A new request needs a new key."
            raise KeyReused(detail, request_id=existing.request_id)
        if _never_accepted(existing):
            return self._create_again(placed(record, value), existing, value, now, webhook)
        if existing.submit_id is None or existing.claimed or existing.status_at(now) is not Status.PENDING:
            return existing
        match self._table.apply([transitions.take_over_submit(existing, new_request_id(), now)])[0]:
            case Applied(record=taken) if taken is not None:
                return self._send(taken, value, taken_over=True)
            case ConditionFailed(record=current) if current is not None:
                # Confirmed, claimed, or taken over by another repeat.
                return self._repeat(record, current, value, now, webhook)
            case Unavailable() as error:
                raise error
        raise Unavailable("the first request with this key was withdrawn")

    def _create_again(self, record: Record, lost: Record, value: Any, now: int, webhook: str | None) -> Record:
        """Accept a request in the place of one that was never accepted."""
        existing = self._create(record, lost)
        if existing is not None:
            return self._repeat(record, existing, value, now, webhook)  # another repeat has created it
        self._payloads.drop_input(lost)
        return self._send(record, value)

    def status(self, request_id: str, caller: str, now: int, consistent: bool = False) -> Record:
        """A request's record; `consistent`: with every write before this call.

        Raises:
            UnknownRequest: unknown, deleted, or another caller's (which is not disclosed).
            Unavailable: the table did not answer.
        """
        read = partial(self._table.get, consistent=True) if consistent else self._table.find
        record = read(request_id) if can_be_id(request_id) else None
        if record is None or record.caller != caller or record.deleted_at(now):
            raise _unknown_request()
        self._run_times.learn(record)
        return record

    def requests(self, caller: str, wanted: Filter, limit: int, after: Position | None, now: int) -> Page:
        """One page of a caller's own requests: see `Listing.page`.

        Raises:
            Unavailable: the table did not answer.
        """
        return self._listing.page(caller, wanted, limit, after, now)

    def wait(self, record: Record, seconds: int, clock: Callable[[], int]) -> Record:
        """Wait until a request is final, or for some seconds; returns it as it is then.

        An error of the table ends the wait: the request is accepted, whatever happens here.

        Args:
            clock: gives the time in epoch milliseconds.
        """
        started = clock()
        until = started + seconds * 1000
        while record.status_at(now := clock()) not in FINAL and now < until:
            waited = (now - started) / 1000
            pause = min(max(waited / 10, FIRST_PAUSE_SECONDS), LONGEST_PAUSE_SECONDS, (until - now) / 1000)
            if self._deadline.remaining() < pause + LONGEST_PAUSE_SECONDS:
                break
            self._pause(pause)
            try:
                record = self._table.get(record.request_id) or record
            except Unavailable:
                break
        self._run_times.learn(record)
        return record

    def poll_after(self, record: Record, now: int) -> int | None:
        """When to poll a request again, in seconds; None for a final one."""
        return poll_after(record, now, self._run_times.usual(record.model))

    def cancel(self, request_id: str, caller: str, now: int) -> Record:
        """Cancel a request; cancelling it again changes nothing.

        Raises:
            UnknownRequest: as in `status`.
            AlreadyFinal: it has ended in another way.
            Unavailable: the table did not answer.
        """
        record = self.status(request_id, caller, now)
        if record.status_at(now) in OPEN:
            match self._table.apply([transitions.cancel(request_id, now)])[0]:
                case Applied(record=cancelled) if cancelled is not None:
                    return cancelled
                case ConditionFailed(record=current) if current is not None:
                    record = current
                case ConditionFailed():
                    raise _unknown_request()
                case Unavailable() as error:
                    raise error
        if record.status is Status.CANCELLED:
            return record
        status = record.status_at(now)
        detail = f"The request is {status} already; its outcome does not change."
        raise AlreadyFinal(detail, request_id=request_id, request_status=status)

    def resend_webhook(self, request_id: str, caller: str, now: int) -> Record:
        """Send a final request's webhook again, with new attempts. While it is about to be sent, or being sent, nothing
        changes.

        Raises:
            UnknownRequest: as in `status`.
            NoWebhook: it was submitted without one.
            NotFinal: it is sent when the request is final.
            Unavailable: the table did not answer.
        """
        record = self.status(request_id, caller, now)
        if record.webhook_url is None:
            raise NoWebhook("The request was submitted without a webhook.", request_id=request_id)
        if record.status in OPEN:
            detail = "The request is not final: its webhook is sent when it is."
            raise NotFinal(detail, request_id=request_id, request_status=record.status_at(now))
        if record.webhook_state not in webhook_transitions.RESENDABLE:
            return record
        match self._table.apply([webhook_transitions.resend(record, now)])[0]:
            case Applied(record=again) if again is not None:
                return again
            case ConditionFailed(record=current) if current is not None:
                return current  # another resend, or an attempt of a retry: either sends it
            case Unavailable() as error:
                raise error
        raise _unknown_request()

    def erase(self, request_id: str, caller: str, now: int) -> Record:
        """Cancel a request if it is not final, delete its objects, and then its record: while that is there, a call
        that was interrupted can be repeated. Returns the record as it was.

        Raises:
            UnknownRequest: as in `status`; it may have been erased before.
            Unavailable: AWS did not answer; something may be left, and the call has to be repeated.
        """
        record = self.status(request_id, caller, now, consistent=True)
        if record.status in OPEN:  # past its deadline too: no outcome may be written after the objects are deleted
            written = self._table.apply([transitions.cancel(request_id, now)])[0]
            if isinstance(written, Unavailable):
                raise written
        self._payloads.erase(record)
        if not self._table.erase(record) and self._table.get(request_id, consistent=True) is not None:
            raise Unavailable("the request was changed while it was erased")
        return record


def _unknown_request() -> UnknownRequest:
    return UnknownRequest("There is no request with this id, or it is past its retention.")


def _never_accepted(record: Record) -> bool:
    """Whether the sweeper ended a keyed request as lost before its message was confirmed."""
    return record.submit_id is not None and record.ended_as_lost
