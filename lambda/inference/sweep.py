"""The sweep: ends what is neither in a queue nor leased, so that nobody polls a request for ever.

    past its deadline, not leased                        -> expired
    untouched for the grace time, not leased, and its
    model is not deployed any more                       -> failed (model_removed)
    model's queue and dead-letter queue are empty, twice -> failed (lost)

While a queue holds messages nobody can tell whether one of them is this request's; then its deadline decides. One look
is not enough: SQS's counts may be a minute old, and what moves to the dead-letter queue may be in neither of them.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from functools import cache

from inference import transitions
from inference.errors import QueueMissing, Unavailable
from inference.request_queue import RequestQueue
from inference.request_table import SHARDS, Applied, RequestTable
from inference.requests import FINAL, ErrorCode, Failure, Record
from inference.telemetry import Telemetry

SETTLE_MS = 60_000
"""SQS's counts are right after so long; two looks further apart cannot both miss a message."""

LOST = Failure(
    ErrorCode.LOST,
    "No queue holds a message of the request any more: its submit ended half-way, or its model was removed and added"
    " again, and the queue's messages were deleted. Send it again.",
)


def model_removed(model: str) -> Failure:
    """Why a request ends whose model is not deployed any more."""
    text = (
        f"The model '{model}' was removed from the deployment before a worker took the request. Send it again to"
        " another model, or once this one is deployed again."
    )
    return Failure(ErrorCode.MODEL_REMOVED, text)


class Sweeper:
    """Sweeps the table.

    Args:
        models: the names of the models that are deployed.
        queues: model name -> the queues that its messages can be in.
        grace: milliseconds that a request must be untouched before it can be lost; more than SQS's counts need.
    """

    def __init__(
        self,
        table: RequestTable,
        models: Collection[str],
        queues: Callable[[str], tuple[RequestQueue, ...]],
        grace: int,
        telemetry: Telemetry,
    ) -> None:
        self._table = table
        self._models = models
        self._queues = queues
        self._grace = grace
        self._telemetry = telemetry

    def sweep(self, clock: Callable[[], int], time_left: Callable[[], bool]) -> dict[str, int]:
        """Sweep until done or out of time (the next sweep goes on). Returns how many requests were seen, how many ended
        by which outcome, and how many are now suspected to be lost.

        Args:
            clock: gives the time in epoch milliseconds, which goes on during a sweep.

        Raises:
            Unavailable: the index could not be read.
        """
        ended = {"expired": 0, "lost": 0, "model_removed": 0, "suspected": 0, "seen": 0}
        idle = cache(self._idle)
        begun = clock()
        for request_id in self._table.open_request_ids(begun - self._grace, first_shard=begun % len(SHARDS)):
            if not time_left():
                self._telemetry.warning("sweep_cut_short", **ended)
                break
            ended["seen"] += 1
            record = self._table.get(request_id, consistent=True)
            now = clock()
            if record is None or record.status in FINAL or _leased(record, now):
                continue
            if record.expires_at <= now:
                update, outcome = transitions.expire(request_id, now), "expired"
            elif record.model not in self._models:
                # Not before the grace time: a model is added to the api function and to this one in any order.
                if not self._untouched(record, now):
                    continue
                update, outcome = transitions.fail_lost(record, model_removed(record.model), now), "model_removed"
            elif not self._may_be_lost(record, now) or not idle(record.model):
                continue
            elif self._suspected(record):
                update, outcome = transitions.fail_lost(record, LOST, now), "lost"
            else:
                # The time of the look at the queues, or later: the next look comes SETTLE_MS after it.
                update, outcome = transitions.suspect(record, clock()), "suspected"
            if isinstance(self._table.apply([update])[0], Applied):
                ended[outcome] += 1
                if outcome != "suspected":
                    self._telemetry.error("request_swept", request_id=request_id, outcome=outcome)
        return ended

    def _may_be_lost(self, record: Record, now: int) -> bool:
        """Nothing has happened to it for the grace time, and the last look, if there was one, is long enough ago."""
        if self._suspected(record) and (record.suspected_at or 0) > now - SETTLE_MS:
            return False
        return self._untouched(record, now)

    def _untouched(self, record: Record, now: int) -> bool:
        return _touched_at(record) < now - self._grace

    def _suspected(self, record: Record) -> bool:
        """An earlier sweep found it untouched for the grace time, and nothing has happened to it since."""
        return record.suspected_at is not None and record.suspected_at > _touched_at(record) + self._grace

    def _idle(self, model: str) -> bool:
        try:
            return all(queue.is_empty() for queue in self._queues(model))
        except QueueMissing:
            return True  # its messages were deleted with it
        except Unavailable as error:
            self._telemetry.error("queue_unreadable", error, model=model)
            return False


def _leased(record: Record, now: int) -> bool:
    return record.lease_until is not None and record.lease_until >= now


def _touched_at(record: Record) -> int:
    """When something last happened to the request, in epoch milliseconds."""
    times = (record.started_at, record.lease_until, record.renewed_at, record.replayed_at)
    return max(record.submitted_at, *(time or 0 for time in times))
