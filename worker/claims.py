"""Claiming: which of the received messages this invocation may work on, and what becomes of the others.

record says                         the message
pending                             is claimed
running, lease over; or marked      is a suspect: its last attempt ended without an outcome, so it is claimed and run
to run alone                        alone, after all others, those with the fewest attempts first
pending, one attempt left of more   is claimed alone too: a neighbour must not take its last attempt with it
running, live lease                 goes back until that lease ends: another attempt is at work
final, or no record of its submit   is dropped: a duplicate, or a submit that was answered 503
past its deadline                   is dropped; the record becomes expired
no attempts left                    goes back at once, so that SQS moves it to the dead-letter queue
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from inference import transitions
from inference.errors import Unavailable
from inference.request_table import Applied, Refusal, RequestTable, Written
from inference.requests import FINAL, Message, Record, Status
from inference.telemetry import Telemetry
from inference.transitions import Update
from worker.delivery import Delivery

RETRY_SECONDS_UNAVAILABLE = 5


@dataclass(frozen=True)
class Claim:
    """A delivery that this invocation holds the lease of."""

    delivery: Delivery
    attempt: int


@dataclass
class Sorted:
    """What a round of claiming found. `returned` maps deliveries to the seconds until they come back."""

    claimed: list[Claim] = field(default_factory=list)
    suspects: list[tuple[int, Delivery]] = field(default_factory=list)
    returned: list[tuple[Delivery, int]] = field(default_factory=list)
    dropped: list[Delivery] = field(default_factory=list)


class Claimer:
    """Claims deliveries for one invocation.

    Args:
        lease_until: when this invocation is certainly over (epoch ms).
        trace: what tells this attempt from others and finds its logs again: `invocation_id`, `model_version`.
    """

    def __init__(
        self,
        table: RequestTable,
        telemetry: Telemetry,
        lease_until: int,
        trace: Mapping[str, str],
    ) -> None:
        self._table = table
        self._telemetry = telemetry
        self._lease_until = lease_until
        self._trace = trace

    def lease_seconds(self, now: int) -> int:
        """Until this invocation's leases are over."""
        return (self._lease_until - now) // 1000 + 1

    def claim(self, deliveries: Sequence[Delivery], now: int) -> Sorted:
        """Claim what is free. First deliveries go in one call; later ones singly, and not for a last attempt."""
        found = Sorted()
        updates = [self._update(delivery.message, delivery.receive_count, now) for delivery in deliveries]
        for delivery, written in zip(deliveries, self._table.apply(updates), strict=True):
            self._sort(delivery, written, found, now, first_look=True)
        return found

    def _update(self, message: Message, receive_count: int, now: int) -> Update:
        request_id, submitted_at = message.request_id, message.submitted_at
        if receive_count == 1:
            return transitions.claim_first(request_id, submitted_at, self._lease_until, now, **self._trace)
        limit = message.attempt_limit
        return transitions.claim_unless_last(request_id, submitted_at, self._lease_until, limit, now, **self._trace)

    def take_over(self, suspect: Delivery, now: int) -> Sorted:
        """Claim a suspect."""
        message = suspect.message
        update = transitions.take_over(message.request_id, message.submitted_at, self._lease_until, now, **self._trace)
        found = Sorted()
        self._sort(suspect, self._table.apply([update])[0], found, now, first_look=False)
        return found

    def _sort(self, delivery: Delivery, written: Written, found: Sorted, now: int, first_look: bool) -> None:
        match written:
            case Applied(record=record):
                found.claimed.append(Claim(delivery, record.attempts if record else 1))
            case Unavailable() as error:
                self._telemetry.error("claim_failed", error, request_id=delivery.message.request_id)
                found.returned.append((delivery, RETRY_SECONDS_UNAVAILABLE))
            case Refusal(record=None):
                self._drop(delivery, "no record", found)
            case Refusal(record=record) if record is not None:
                self._sort_refused(delivery, record, found, now, first_look)

    def _sort_refused(self, delivery: Delivery, record: Record, found: Sorted, now: int, first_look: bool) -> None:
        leased = record.status is Status.RUNNING and (record.lease_until or 0) >= now
        if leased and record.lease_until == self._lease_until and record.invocation_id == self._trace["invocation_id"]:
            # Our own claim: its first answer was lost and the client's retry met what it had written.
            found.claimed.append(Claim(delivery, record.attempts))
        elif record.submitted_at != delivery.message.submitted_at:
            self._drop(delivery, "is of an earlier submit", found)
        elif record.status in FINAL:
            self._drop(delivery, f"is {record.status} already", found)
        elif leased:
            seconds = ((record.lease_until or 0) - now) // 1000 + 1
            self._telemetry.info("message_returned", request_id=record.request_id, reason="leased", seconds=seconds)
            found.returned.append((delivery, seconds))
        elif record.expires_at <= now:
            self._table.apply([transitions.expire(record.request_id, now)])
            self._drop(delivery, "is past its deadline", found)
        elif record.attempts >= record.attempt_limit:
            self._telemetry.error("attempts_exhausted", request_id=record.request_id, attempts=record.attempts)
            found.returned.append((delivery, 0))
        elif first_look:
            found.suspects.append((record.attempts, delivery))
        else:
            found.returned.append((delivery, RETRY_SECONDS_UNAVAILABLE))

    def _drop(self, delivery: Delivery, reason: str, found: Sorted) -> None:
        self._telemetry.info("message_dropped", request_id=delivery.message.request_id, reason=reason)
        found.dropped.append(delivery)
