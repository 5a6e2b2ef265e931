"""The deliverer: sends the webhooks of final requests and batches. The record decides what is done; a message only
starts it.

    message -> read the record -> claim the attempt -> send -> decide -> write the result -> message: delete | hide

A message that comes twice, late, or after the webhook was delivered finds a record that says so. What a crash leaves at
each step is in docs/adr/0013-webhooks.md.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple, Protocol

from inference.description import iso_time
from inference.errors import Unavailable
from inference.requests import WebhookState
from inference.store.webhook_queue import WebhookMessage, WebhookQueue
from inference.telemetry import Telemetry
from inference.transitions import Update
from inference.webhooks import transitions
from inference.webhooks.outcomes import Outcomes
from inference.webhooks.retries import SHORT_DELAY_SECONDS, Answer, Delivered, GivenUp, Retry, decide
from inference.webhooks.signature import signed_headers, webhook_id
from inference.webhooks.transitions import Announced

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
        failed_model: the model of the request, or batch, whose webhook was given up.
    """

    hidden: int | None = None
    failed_model: str | None = None


class Deliverer:
    """Delivers webhooks.

    Args:
        requests, batches: what webhooks are about.
        secrets: gives the live secrets.
        queue: the messages' queue.
        dead_letters: the webhooks' dead-letter queue.
        threads: deliveries at a time: a batch takes as long as its slowest receiver.
    """

    def __init__(
        self,
        requests: Outcomes[Any],
        batches: Outcomes[Any],
        sender: Poster,
        secrets: Callable[[], Sequence[bytes]],
        queue: Hider,
        dead_letters: WebhookQueue,
        telemetry: Telemetry,
        threads: int = 10,
    ) -> None:
        self._requests = requests
        self._batches = batches
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
            self._telemetry.error("webhook_not_recorded", error, **message.named)
            return Verdict(hidden=UNAVAILABLE_SECONDS)

    def _deliver_due(
        self, message: WebhookMessage, secrets: Sequence[bytes], lease_until: int, clock: Clock
    ) -> Verdict:
        outcomes = self._outcomes(message)
        record = outcomes.get(message.id, clock())
        now = clock()
        if record is None:
            return self._dropped(message, "nothing final with a webhook")
        if record.webhook_state == WebhookState.FAILED and message.again:
            record = outcomes.apply(transitions.resend(record, now)) or record
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
            answer = Answer(error="the last attempt was interrupted")
            return self._give_up(message, record, answer, now, dead_letter=True)
        claimed = outcomes.apply(transitions.claim(record, lease_until, now))
        if claimed is None:
            return self._returned(message, "changed meanwhile", CHANGED_SECONDS)
        return self._attempt(message, claimed, secrets, clock)

    def _outcomes(self, message: WebhookMessage) -> Outcomes[Any]:
        return self._batches if message.of_batch else self._requests

    def _dropped(self, message: WebhookMessage, reason: str) -> Verdict:
        self._telemetry.info("message_dropped", **message.named, reason=reason)
        return Verdict()

    def _returned(self, message: WebhookMessage, reason: str, seconds: int) -> Verdict:
        self._telemetry.info("message_returned", **message.named, reason=reason, seconds=seconds)
        return Verdict(hidden=seconds)

    def _attempt(self, message: WebhookMessage, record: Announced, secrets: Sequence[bytes], clock: Clock) -> Verdict:
        """Make the attempt that the record holds, and write what came of it."""
        started = clock()
        body = json.dumps(self._outcomes(message).document(record, started), allow_nan=False).encode()
        name = webhook_id(record.id, record.finished_at or 0)
        answer = self._sender.post(record.webhook_url or "", signed_headers(name, started, body, secrets), body)
        now = clock()
        attempt, limit = record.webhook_attempts or 0, record.webhook_attempt_limit or 0
        match decide(answer, attempt, limit, now, record.delete_at):
            case Delivered():
                update = transitions.end(record, WebhookState.DELIVERED, _log(record, answer, started))
                if self._write(message, record, update):
                    self._telemetry.info("webhook_delivered", **message.named, **_fields(record, answer))
                return Verdict()
            case GivenUp(dead_letter=dead_letter):
                return self._give_up(message, record, answer, started, dead_letter)
            case Retry() as again:
                update = transitions.retry(record, _log(record, answer, started), again, now)
                if not self._write(message, record, update):
                    return Verdict()
                fields = {**message.named, **_fields(record, answer)}
                self._telemetry.warning("webhook_retried", seconds=again.seconds, **fields)
                return Verdict(hidden=again.seconds if again.by_message else None)

    def _give_up(
        self, message: WebhookMessage, record: Announced, answer: Answer, started: int, dead_letter: bool
    ) -> Verdict:
        if dead_letter:  # first: a webhook that has failed without one would be seen by nobody
            letter = WebhookMessage(record.id, record.webhook_url or "", again=True, of_batch=message.of_batch)
            if missed := self._dead_letters.send([letter]):
                raise Unavailable(f"could not send to the webhooks' dead-letter queue: {missed[0]}")
        update = transitions.end(record, WebhookState.FAILED, _log(record, answer, started))
        if not self._write(message, record, update):
            return Verdict()
        self._telemetry.warning("webhook_failed", **message.named, **_fields(record, answer))
        return Verdict(failed_model=record.model)

    def _write(self, message: WebhookMessage, record: Announced, update: Update) -> bool:
        """Write a result; False if the request was replayed meanwhile, or another process has the attempt."""
        if self._outcomes(message).apply(update) is not None:
            return True
        self._telemetry.info("webhook_result_dropped", **message.named, attempt=record.webhook_attempts)
        return False


def _fields(record: Announced, answer: Answer) -> dict[str, Any]:
    """Of a log event."""
    return {
        "attempt": record.webhook_attempts,
        "status": answer.status,
        "reason": answer.error,
        "duration_ms": answer.duration_ms,
    }


def _log(record: Announced, answer: Answer, started: int) -> str:
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
