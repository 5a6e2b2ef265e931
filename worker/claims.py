"""Claiming: which of the received messages this invocation may work on, and the verdicts on the others.

record says                         the message
pending                             is claimed
running, lease expired; or          is claimed alone, after all others, fewest attempts first: its last attempt ended
run_alone is set                    without an outcome, and may have stopped its worker
pending, last of several attempts   is claimed alone too: another request must not use up its last attempt
running, lease not expired          is retried when that lease ends: another attempt is running
final, or no record of its submit   is done: a duplicate, or a submit that was answered 503
past its deadline                   is done; the record becomes expired
no attempts left                    is retried at once, so that SQS moves it to the dead-letter queue
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from inference import transitions
from inference.errors import Unavailable
from inference.requests import FINAL, Message, Record, Status
from inference.store.request_table import Applied, ConditionFailed, RequestTable, WriteResult
from inference.telemetry import Telemetry
from inference.transitions import Update
from worker.delivery import Delivery
from worker.verdicts import (
    UNAVAILABLE_RETRY_SECONDS,
    Done,
    DoneReason,
    Retry,
    RetryReason,
    Verdict,
    Verdicts,
)


@dataclass(frozen=True)
class Claim:
    """A delivery that this invocation holds the lease of."""

    delivery: Delivery
    attempt: int


@dataclass(frozen=True)
class DeferredDelivery:
    """A delivery that is claimed alone, after all others; `attempts` are those that its request had so far."""

    delivery: Delivery
    attempts: int


@dataclass(frozen=True)
class ClaimResult:
    """The result of claiming some deliveries: each is in exactly one of the three."""

    claims: Sequence[Claim]
    deferred: Sequence[DeferredDelivery]
    verdicts: Verdicts


class Claimer:
    """Claims deliveries for one invocation.

    Args:
        lease_until: when this invocation has certainly ended (epoch ms).
        trace: identifies this attempt and its log lines: `invocation_id`, `model_version`, `code_digest`.
        telemetry: counts the requests that expire.
    """

    def __init__(
        self,
        table: RequestTable,
        lease_until: int,
        trace: Mapping[str, str],
        telemetry: Telemetry,
    ) -> None:
        self._table = table
        self._lease_until = lease_until
        self._trace = trace
        self._telemetry = telemetry

    def claim(self, deliveries: Sequence[Delivery], now: int) -> ClaimResult:
        """Claim the requests that can run together. First deliveries go in one call; later ones one by one, except for
        a last attempt."""
        updates = [self._update(delivery.message, delivery.receive_count, now) for delivery in deliveries]
        claims: list[Claim] = []
        deferred: list[DeferredDelivery] = []
        verdicts: list[tuple[str, Verdict]] = []
        for delivery, written in zip(deliveries, self._table.apply(updates), strict=True):
            match self._read(delivery, written, now):
                case Claim() as claim:
                    claims.append(claim)
                case Record() as record:
                    deferred.append(DeferredDelivery(delivery, record.attempts))
                case verdict:
                    verdicts.append((delivery.receipt_handle, verdict))
        return ClaimResult(claims, deferred, verdicts)

    def claim_alone(self, delivery: Delivery, now: int) -> ClaimResult:
        """Claim a deferred delivery."""
        message = delivery.message
        update = transitions.take_over(message.request_id, message.submitted_at, self._lease_until, now, **self._trace)
        match self._read(delivery, self._table.apply([update])[0], now):
            case Claim() as claim:
                return ClaimResult([claim], [], [])
            case Record():
                verdict: Verdict = Retry(
                    RetryReason.CLAIM_REJECTED, UNAVAILABLE_RETRY_SECONDS, {"request_id": message.request_id}
                )
            case Done() | Retry() as verdict:
                pass
        return ClaimResult([], [], [(delivery.receipt_handle, verdict)])

    def _update(self, message: Message, receive_count: int, now: int) -> Update:
        request_id, submitted_at = message.request_id, message.submitted_at
        if receive_count == 1:
            return transitions.claim_first(request_id, submitted_at, self._lease_until, now, **self._trace)
        limit = message.attempt_limit
        return transitions.claim_unless_last(request_id, submitted_at, self._lease_until, limit, now, **self._trace)

    def _read(self, delivery: Delivery, written: WriteResult, now: int) -> Claim | Record | Verdict:
        """The meaning of a claim's result. A record: the claim was rejected, but the request can be claimed alone."""
        request_id = delivery.message.request_id
        match written:
            case Applied(record=record):
                return Claim(delivery, record.attempts if record else 1)
            case Unavailable() as error:
                details = {"error": error, "request_id": request_id}
                return Retry(RetryReason.CLAIM_FAILED, UNAVAILABLE_RETRY_SECONDS, details)
            case ConditionFailed(record=record):
                missing = Done(DoneReason.NO_RECORD, {"request_id": request_id})
                return missing if record is None else self._read_rejected(delivery, record, now)

    def _read_rejected(self, delivery: Delivery, record: Record, now: int) -> Claim | Record | Verdict:
        details = {"request_id": record.request_id}
        leased = record.status is Status.RUNNING and (record.lease_until or 0) >= now
        if leased and record.lease_until == self._lease_until and record.invocation_id == self._trace["invocation_id"]:
            # Our own claim: its response was lost, and the client's retry found what it had written.
            return Claim(delivery, record.attempts)
        if record.submitted_at != delivery.message.submitted_at:
            return Done(DoneReason.EARLIER_SUBMIT, details)
        if record.status in FINAL:
            return Done(DoneReason.ALREADY_FINAL, {**details, "status": record.status})
        if leased:
            return Retry(RetryReason.LEASED, ((record.lease_until or 0) - now) // 1000 + 1, details)
        if record.expires_at <= now:
            # If this write fails, readers see the request as expired all the same, and the sweeper writes it.
            if isinstance(self._table.apply([transitions.expire(record.request_id, now)])[0], Applied):
                self._telemetry.count_outcome(record.model, Status.EXPIRED)
            return Done(DoneReason.EXPIRED, details)
        if record.attempts >= record.attempt_limit:
            return Retry(RetryReason.ATTEMPTS_EXHAUSTED, 0, {**details, "attempts": record.attempts})
        return record
