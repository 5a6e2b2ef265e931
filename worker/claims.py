"""Claiming: which of the received messages this invocation may work on, and the verdicts on the others.

record says                         the message
pending                             is claimed
running, lease over; or marked      is claimed alone, after all others, those with the fewest attempts first: its last
to run alone                        attempt ended without an outcome, and may have killed its worker
pending, one attempt left of more   is claimed alone too: a neighbour must not take its last attempt with it
running, live lease                 is retried when that lease ends: another attempt is at work
final, or no record of its submit   is done: a duplicate, or a submit that was answered 503
past its deadline                   is done; the record becomes expired
no attempts left                    is retried at once, so that SQS moves it to the dead-letter queue
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from inference import transitions
from inference.errors import Unavailable
from inference.request_table import Applied, ConditionFailed, RequestTable, Written
from inference.requests import FINAL, Message, Record, Status
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
class Alone:
    """A delivery that is claimed alone, after all others; `attempts` are those that its request had so far."""

    delivery: Delivery
    attempts: int


@dataclass(frozen=True)
class ClaimResult:
    """What a round of claiming found: each delivery is in exactly one of the three."""

    claims: Sequence[Claim]
    alone: Sequence[Alone]
    verdicts: Verdicts


class Claimer:
    """Claims deliveries for one invocation.

    Args:
        lease_until: when this invocation is certainly over (epoch ms).
        trace: what tells this attempt from others and finds its logs again: `invocation_id`, `model_version`.
    """

    def __init__(
        self,
        table: RequestTable,
        lease_until: int,
        trace: Mapping[str, str],
    ) -> None:
        self._table = table
        self._lease_until = lease_until
        self._trace = trace

    def lease_seconds(self, now: int) -> int:
        """Until this invocation's leases are over."""
        return (self._lease_until - now) // 1000 + 1

    def claim(self, deliveries: Sequence[Delivery], now: int) -> ClaimResult:
        """Claim what is free. First deliveries go in one call; later ones singly, and not for a last attempt."""
        updates = [self._update(delivery.message, delivery.receive_count, now) for delivery in deliveries]
        claims: list[Claim] = []
        alone: list[Alone] = []
        verdicts: list[tuple[str, Verdict]] = []
        for delivery, written in zip(deliveries, self._table.apply(updates), strict=True):
            match self._read(delivery, written, now):
                case Claim() as claim:
                    claims.append(claim)
                case Record() as record:
                    alone.append(Alone(delivery, record.attempts))
                case verdict:
                    verdicts.append((delivery.receipt_handle, verdict))
        return ClaimResult(claims, alone, verdicts)

    def claim_alone(self, delivery: Delivery, now: int) -> ClaimResult:
        """Claim what `claim` found to be claimed alone."""
        message = delivery.message
        update = transitions.take_over(message.request_id, message.submitted_at, self._lease_until, now, **self._trace)
        match self._read(delivery, self._table.apply([update])[0], now):
            case Claim() as claim:
                return ClaimResult([claim], [], [])
            case Record():
                verdict: Verdict = Retry(
                    RetryReason.CLAIM_REFUSED, UNAVAILABLE_RETRY_SECONDS, {"request_id": message.request_id}
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

    def _read(self, delivery: Delivery, written: Written, now: int) -> Claim | Record | Verdict:
        """What a claim's answer means; a record: it was refused, and nothing stands in the way of the request."""
        request_id = delivery.message.request_id
        match written:
            case Applied(record=record):
                return Claim(delivery, record.attempts if record else 1)
            case Unavailable() as error:
                details = {"error": error, "request_id": request_id}
                return Retry(RetryReason.CLAIM_FAILED, UNAVAILABLE_RETRY_SECONDS, details)
            case ConditionFailed(record=record):
                missing = Done(DoneReason.NO_RECORD, {"request_id": request_id})
                return missing if record is None else self._read_refused(delivery, record, now)

    def _read_refused(self, delivery: Delivery, record: Record, now: int) -> Claim | Record | Verdict:
        details = {"request_id": record.request_id}
        leased = record.status is Status.RUNNING and (record.lease_until or 0) >= now
        if leased and record.lease_until == self._lease_until and record.invocation_id == self._trace["invocation_id"]:
            # Our own claim: its first answer was lost and the client's retry met what it had written.
            return Claim(delivery, record.attempts)
        if record.submitted_at != delivery.message.submitted_at:
            return Done(DoneReason.EARLIER_SUBMIT, details)
        if record.status in FINAL:
            return Done(DoneReason.ALREADY_FINAL, {**details, "status": record.status})
        if leased:
            return Retry(RetryReason.LEASED, ((record.lease_until or 0) - now) // 1000 + 1, details)
        if record.expires_at <= now:
            # Should this write fail: whoever reads the record sees it expired all the same, and the sweeper writes it.
            self._table.apply([transitions.expire(record.request_id, now)])
            return Done(DoneReason.EXPIRED, details)
        if record.attempts >= record.attempt_limit:
            return Retry(RetryReason.ATTEMPTS_EXHAUSTED, 0, {**details, "attempts": record.attempts})
        return record
