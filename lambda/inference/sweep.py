"""The sweep: ends what is neither in a queue nor leased, so that nobody polls a request for ever.

    past its deadline, not leased                        -> expired
    untouched for the grace time, not leased, and its
    model's queue and dead-letter queue are empty        -> failed (lost)

While a queue holds messages nobody can tell whether one of them is this request's; then its deadline decides.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

from inference.errors import Unavailable
from inference.moves import Moves
from inference.request_queue import RequestQueue
from inference.request_table import Applied, RequestTable
from inference.requests import FINAL, ErrorCode, Failure, Record
from inference.telemetry import Telemetry

LOST = Failure(
    ErrorCode.LOST,
    "The request's message never reached a worker, or is gone: its submit may have broken off. Send it again.",
)


class Sweeper:
    """Sweeps the table.

    Args:
        queues: model name -> the queues that its messages can be in.
        grace: milliseconds that a request must be untouched before it can be lost; more than SQS's counts need.
        clock: gives the time in epoch milliseconds.
    """

    def __init__(
        self,
        table: RequestTable,
        queues: Callable[[str], tuple[RequestQueue, ...]],
        grace: int,
        telemetry: Telemetry,
        clock: Callable[[], int],
    ) -> None:
        self._table = table
        self._queues = queues
        self._grace = grace
        self._telemetry = telemetry
        self._clock = clock
        self._moves = Moves(clock)

    def sweep(self, time_left: Callable[[], bool]) -> dict[str, int]:
        """Sweep until done or out of time (the next sweep goes on). Returns how many requests ended, by outcome.

        Raises:
            Unavailable: the index could not be read.
        """
        ended = {"expired": 0, "lost": 0, "seen": 0}
        idle = cache(self._idle)
        for request_id in self._table.open_request_ids(self._clock() - self._grace):
            if not time_left():
                self._telemetry.warning("sweep_cut_short", **ended)
                break
            ended["seen"] += 1
            record = self._table.get(request_id, consistent=True)
            if record is None or record.status in FINAL or self._leased(record):
                continue
            if record.expires_at <= self._clock():
                update, outcome = self._moves.expire(request_id), "expired"
            elif self._untouched(record) and idle(record.model):
                update, outcome = self._moves.bury_lost(record, LOST), "lost"
            else:
                continue
            if isinstance(self._table.apply([update])[0], Applied):
                ended[outcome] += 1
                self._telemetry.error("request_swept", request_id=request_id, outcome=outcome)
        return ended

    def _leased(self, record: Record) -> bool:
        return record.lease_until is not None and record.lease_until >= self._clock()

    def _untouched(self, record: Record) -> bool:
        times = (record.started_at, record.lease_until, record.submit_until, record.renewed_at, record.replayed_at)
        return max(record.submitted_at, *(time or 0 for time in times)) < self._clock() - self._grace

    def _idle(self, model: str) -> bool:
        try:
            return all(queue.is_empty() for queue in self._queues(model))
        except Unavailable as error:
            self._telemetry.error("queue_unreadable", error, model=model)
            return False
