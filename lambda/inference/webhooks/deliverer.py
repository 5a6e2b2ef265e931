"""The deliverer: sends the webhooks of final requests. The record decides what is done; a message only starts it.

    message -> read the record -> claim the attempt -> send -> decide -> write the result -> message: delete | hide

A message that comes twice, late, or after the webhook was delivered finds a record that says so. What a crash leaves at
each step is in docs/adr/0013-webhooks.md.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple, Protocol

from inference.description import describe, iso_time
from inference.errors import Unavailable
from inference.requests import FINAL, Record, WebhookState
from inference.store.request_table import Applied, ConditionFailed, RequestTable
from inference.store.webhook_queue import WebhookMessage, WebhookQueue
from inference.telemetry import Telemetry
from inference.transitions import Update
from inference.webhooks import transitions
from inference.webhooks.retries import SHORT_DELAY_SECONDS, Answer, Delivered, GivenUp, Retry, decide
from inference.webhooks.signature import signed_headers, webhook_id

MAX_LOGGED_ATTEMPTS = 20
"""Of the attempts in a record, the last ones are kept."""

UNAVAILABLE_SECONDS = 5
CHANGED_SECONDS = 1

Clock = Callable[[], int]


class Poster(Protocol):
    """What sends: `sender.Sender`."""

    def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Answer: ...


class Hider(Protocol):
    """What sets messages' visibility: `RequestQueue`."""

    def set_visibility(self, delays: Mapping[str, int]) -> Sequence[str]: ...


class Verdict(NamedTuple):
    """What becomes of a message.

    Attributes:
        hidden: seconds until it comes back; None: it is deleted.
        failed_model: the model of the request whose webhook was given up.
    """

    hidden: int | None = None
    failed_model: str | None = None


class Deliverer:
    """Delivers webhooks.

    Args:
        files: gives the files of a result, with links: `store.payloads.file_links`.
        secrets: gives the live secrets.
        queue: the messages' queue.
        dead_letters: the webhooks' dead-letter queue.
        threads: deliveries at a time: a batch takes as long as its slowest receiver.
    """

    def __init__(
        self,
        table: RequestTable,
        files: Callable[[Record, int], Sequence[Mapping[str, Any]]],
        sender: Poster,
        secrets: Callable[[], Sequence[bytes]],
        queue: Hider,
        dead_letters: WebhookQueue,
        telemetry: Telemetry,
        threads: int = 10,
    ) -> None:
        self._table = table
        self._files = files
        self._sender = sender
        self._secrets = secrets
        self._queue = queue
        self._dead_letters = dead_letters
        self._telemetry = telemetry
        self._threads = threads

    def handle(self, records: Sequence[Mapping[str, Any]], lease_until: int, clock: Clock) -> list[str]:
        """Handle an SQS event. Returns the ids of the messages that must not be deleted.

        Args:
            lease_until: epoch milliseconds after which this invocation surely sends nothing more.

        Raises:
            Unavailable, ConfigurationError: the secrets could not be read; no attempt was made.
        """
        secrets = self._secrets()

        def deliver(record: Mapping[str, Any]) -> Verdict:
            return self._deliver(record["body"], secrets, lease_until, clock)

        with ThreadPoolExecutor(max(min(self._threads, len(records)), 1)) as pool:
            verdicts = list(pool.map(deliver, records))
        delays: dict[str, int] = {}
        kept = []
        for record, verdict in zip(records, verdicts, strict=True):
            if verdict.failed_model is not None:
                self._telemetry.count(verdict.failed_model, "WebhookFailed")
            if verdict.hidden is not None:
                kept.append(record["messageId"])
                delays[record["receiptHandle"]] = verdict.hidden
        if delays:
            missed = self._queue.set_visibility(delays)
            if missed:
                self._telemetry.warning("visibility_not_set", messages=len(missed))
        return kept

    def _deliver(self, body: str, secrets: Sequence[bytes], lease_until: int, clock: Clock) -> Verdict:
        try:
            message = WebhookMessage.from_body(body)
        except (ValueError, RecursionError) as error:
            self._telemetry.error("message_unreadable", reason=str(error), body=body[:2000])
            return Verdict(hidden=0)  # SQS moves it to the dead-letter queue
        try:
            return self._deliver_due(message, secrets, lease_until, clock)
        except Unavailable as error:
            self._telemetry.error("webhook_not_recorded", error, request_id=message.request_id)
            return Verdict(hidden=UNAVAILABLE_SECONDS)

    def _deliver_due(
        self, message: WebhookMessage, secrets: Sequence[bytes], lease_until: int, clock: Clock
    ) -> Verdict:
        record = self._table.get(message.request_id, consistent=True)
        now = clock()
        if record is None or record.deleted_at(now) or record.webhook_url is None or record.status not in FINAL:
            return self._dropped(message, "no final request with a webhook")
        if record.webhook_state == WebhookState.FAILED and message.again:
            record = self._applied(transitions.resend(record, now)) or record
        if record.webhook_state in (WebhookState.DELIVERED, WebhookState.FAILED):
            return self._dropped(message, f"{record.webhook_state} already")
        if record.webhook_state == WebhookState.RETRYING and (record.webhook_retry_at or 0) > now:
            wait = _seconds_until(record.webhook_retry_at or 0, now)
            if wait > SHORT_DELAY_SECONDS:
                return self._dropped(message, "the sweeper sends another when it is due")
            return self._returned(message, "not due", wait)
        if (record.webhook_lease_until or 0) >= now:
            return self._returned(message, "leased", _seconds_until(record.webhook_lease_until or 0, now) + 1)
        if (record.webhook_attempts or 0) >= (record.webhook_attempt_limit or 0):
            # The last attempt was claimed, and its process ended before it could write what came of it.
            return self._give_up(record, Answer(error="the last attempt was interrupted"), now, dead_letter=True)
        claimed = self._applied(transitions.claim(record, lease_until, now))
        if claimed is None:
            return self._returned(message, "changed meanwhile", CHANGED_SECONDS)
        return self._attempt(claimed, secrets, clock)

    def _dropped(self, message: WebhookMessage, reason: str) -> Verdict:
        self._telemetry.info("message_dropped", request_id=message.request_id, reason=reason)
        return Verdict()

    def _returned(self, message: WebhookMessage, reason: str, seconds: int) -> Verdict:
        self._telemetry.info("message_returned", request_id=message.request_id, reason=reason, seconds=seconds)
        return Verdict(hidden=seconds)

    def _attempt(self, record: Record, secrets: Sequence[bytes], clock: Clock) -> Verdict:
        """Make the attempt that the record holds, and write what came of it."""
        started = clock()
        body = json.dumps(describe(record, started, self._files(record, started)), allow_nan=False).encode()
        name = webhook_id(record.request_id, record.finished_at or 0)
        answer = self._sender.post(record.webhook_url or "", signed_headers(name, started, body, secrets), body)
        now = clock()
        attempt, limit = record.webhook_attempts or 0, record.webhook_attempt_limit or 0
        match decide(answer, attempt, limit, now, record.delete_at):
            case Delivered():
                update = transitions.end(record, WebhookState.DELIVERED, _log(record, answer, started))
                if self._write(record, update):
                    self._telemetry.info("webhook_delivered", **_fields(record, answer))
                return Verdict()
            case GivenUp(dead_letter=dead_letter):
                return self._give_up(record, answer, started, dead_letter)
            case Retry() as again:
                update = transitions.retry(record, _log(record, answer, started), again, now)
                if not self._write(record, update):
                    return Verdict()
                self._telemetry.warning("webhook_retried", seconds=again.seconds, **_fields(record, answer))
                return Verdict(hidden=again.seconds if again.by_message else None)

    def _give_up(self, record: Record, answer: Answer, started: int, dead_letter: bool) -> Verdict:
        if dead_letter:  # first: a webhook that has failed without one would be seen by nobody
            message = WebhookMessage(record.request_id, record.webhook_url or "", again=True)
            if missed := self._dead_letters.send([message]):
                raise Unavailable(f"could not send to the webhooks' dead-letter queue: {missed[0]}")
        update = transitions.end(record, WebhookState.FAILED, _log(record, answer, started))
        if not self._write(record, update):
            return Verdict()
        self._telemetry.warning("webhook_failed", **_fields(record, answer))
        return Verdict(failed_model=record.model)

    def _write(self, record: Record, update: Update) -> bool:
        """Write a result; False if the request was replayed meanwhile, or another process has the attempt."""
        if self._applied(update) is not None:
            return True
        self._telemetry.info("webhook_result_dropped", request_id=record.request_id, attempt=record.webhook_attempts)
        return False

    def _applied(self, update: Update) -> Record | None:
        """The record after an update; None if the record has changed since it was read.

        Raises:
            Unavailable: the table did not answer.
        """
        match self._table.apply([update])[0]:
            case Applied(record=record):
                return record
            case ConditionFailed(record=current) if current is not None and _has(current, update):
                return current
            case ConditionFailed():
                return None
            case error:
                raise error


def _has(current: Record, update: Update) -> bool:
    """Whether a result that was rejected has been written all the same: the AWS client repeats a write that got no
    answer. The log of attempts has this one's time and duration. What begins an attempt (claim, resend) has none."""
    return "log" in update.values and current.webhook_log == update.values["log"]


def _fields(record: Record, answer: Answer) -> dict[str, Any]:
    """Of a log event."""
    return {
        "request_id": record.request_id,
        "attempt": record.webhook_attempts,
        "status": answer.status,
        "reason": answer.error,
        "duration_ms": answer.duration_ms,
    }


def _log(record: Record, answer: Answer, started: int) -> str:
    """All attempts that were recorded, and this one. The answer's body is not kept: a webhook must not show a client
    what an address answers."""
    entry = {
        "attempt": record.webhook_attempts,
        "at": iso_time(started),
        "status": answer.status,
        "error": answer.error,
        "duration_ms": answer.duration_ms,
    }
    return json.dumps([*json.loads(record.webhook_log or "[]"), entry][-MAX_LOGGED_ATTEMPTS:])


def _seconds_until(time_ms: int, now: int) -> int:
    return max(-((now - time_ms) // 1000), 1)
