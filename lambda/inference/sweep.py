"""The sweep: ends requests that are neither in a queue nor leased, so that no client polls without end.

It passes each request once, when the grace time since its submit is over, in the order of the submits: nearly all are
final then, and cost a read. How far it has come is kept for each shard of the index. What is not final is followed
from then on: each sweep looks at it, until it is final.

    index   submitted -----------------------------> now        followed: r7, r9
            |  passed         | swept_until | grace |
            deleted by TTL    `-- this sweep passes these: final? nothing; not final? followed

A sweep that dies may not have kept how far it has come: the next one passes the same requests again, and following one
twice changes nothing. What is followed ends

    past its deadline, not leased                        -> expired
    no activity for the grace time, not leased, and its
    model is not deployed any more                       -> failed (model_removed)
    model's queue and dead-letter queue are empty, twice -> failed (lost)

If a queue holds messages, one of them may be this request's; then only its deadline ends it. One check is not enough:
SQS's counts may be a minute old, and a message on its way to the dead-letter queue may be in neither count. So the
first check marks the request as possibly lost, and a later one ends it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from functools import cache, partial
from itertools import islice
from typing import TypeVar

from inference import transitions
from inference.errors import QueueMissing, Unavailable
from inference.requests import FINAL, ErrorCode, Failure, Record, Status
from inference.store.request_queue import RequestQueue
from inference.store.request_table import GET_KEYS, SHARDS, Applied, RequestTable
from inference.telemetry import Telemetry

Item = TypeVar("Item")

SETTLE_MS = 60_000
"""SQS's counts are right after this time: two checks that are further apart can't both miss a message."""

STOP_BEFORE_TIMEOUT_MS = 5_000
"""So long before the function's timeout a sweep stops."""

LOST = Failure(
    ErrorCode.LOST,
    "No queue has a message of this request any more: its submit was interrupted, or its model was removed and added"
    " again, which deleted the queue's messages. Send the request again.",
)


def model_removed(model: str) -> Failure:
    """The failure of a request whose model is not deployed any more."""
    text = (
        f"The model '{model}' was removed from the deployment before a worker processed the request. Send the request"
        " to another model, or again when this model is deployed."
    )
    return Failure(ErrorCode.MODEL_REMOVED, text)


class Sweeper:
    """Sweeps the table.

    Args:
        models: the names of the models that are deployed.
        queues: model name -> the queues that its messages can be in.
        grace: milliseconds without activity before a request can be lost; longer than SQS's counts need.
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
        """Sweep until done or out of time (the next sweep continues). Returns the number of requests passed, seen since
        they are not final, ended by each outcome, and newly marked as possibly lost.

        Args:
            clock: gives the time in epoch milliseconds, which changes during a sweep.

        Raises:
            Unavailable: the index or the records could not be read, or a request could not be followed.
        """
        ended = {"expired": 0, "lost": 0, "model_removed": 0, "possibly_lost": 0, "seen": 0, "passed": 0}
        look = partial(self._look, clock, cache(self._queues_empty), ended)
        started = clock()
        swept = self._table.swept_until()
        first = started % len(SHARDS)  # a sweep that may not reach the end starts elsewhere each time
        for shard in SHARDS[first:] + SHARDS[:first]:
            before = started - self._grace
            if not self._pass(shard, swept.get(shard, 0), before, time_left, ended) or not self._look_again(
                shard, time_left, look
            ):
                self._telemetry.warning("sweep_incomplete", **ended)
                break
        return ended

    def _pass(self, shard: str, after: int, before: int, time_left: Callable[[], bool], ended: dict[str, int]) -> bool:
        """Follow what was submitted between two times and is not final. Returns whether the time was enough."""
        until = after
        for entries in _chunks(self._table.submitted(shard, after, before)):
            if not time_left():
                # More requests may have the time of the last one.
                self._keep(shard, after, until - 1)
                return False
            records = self._table.get_many([request_id for request_id, _ in entries])
            unfinished = [transitions.follow(record.request_id) for record in records if record.status not in FINAL]
            for written in self._table.apply(unfinished):
                if isinstance(written, Unavailable):
                    raise written
            ended["passed"] += len(entries)
            until = entries[-1][1]
        self._keep(shard, after, until)
        return True

    def _keep(self, shard: str, after: int, until: int) -> None:
        if until > after:
            self._table.save_swept_until(shard, until)

    def _look_again(self, shard: str, time_left: Callable[[], bool], look: Callable[[Record], None]) -> bool:
        """Look at what is followed; what is final is followed no more. Returns whether the time was enough."""
        for request_ids in _chunks(self._table.followed(shard)):
            final = []
            for record in self._table.get_many(request_ids, consistent=True):
                if record.status in FINAL:
                    final.append(transitions.unfollow(record.request_id))
                elif time_left():
                    look(record)
                else:
                    return False
            self._table.apply(final)  # the next sweep repeats what fails
        return True

    def _look(
        self, clock: Callable[[], int], queues_empty: Callable[[str], bool], ended: dict[str, int], record: Record
    ) -> None:
        """End a request that nobody else will end."""
        ended["seen"] += 1
        now = clock()
        if _leased(record, now):
            return
        if record.expires_at <= now:
            update, outcome = transitions.expire(record.request_id, now), "expired"
        elif record.model not in self._models:
            # Not before the grace time: the api function may know a new model before this function does.
            if not self._is_inactive(record, now):
                return
            update, outcome = transitions.fail_lost(record, model_removed(record.model), now), "model_removed"
        elif not self._may_be_lost(record, now) or not queues_empty(record.model):
            return
        elif self._is_possibly_lost(record):
            update, outcome = transitions.fail_lost(record, LOST, now), "lost"
        else:
            # The time of the queue check, or later: the next check comes SETTLE_MS after it.
            update, outcome = transitions.mark_possibly_lost(record, clock()), "possibly_lost"
        if not isinstance(self._table.apply([update])[0], Applied):
            return
        ended[outcome] += 1
        if outcome == "possibly_lost":
            return
        self._telemetry.error("request_ended_by_sweeper", request_id=record.request_id, outcome=outcome)
        if outcome == "expired":
            self._telemetry.count_outcome(record.model, Status.EXPIRED)
        else:
            self._telemetry.count_outcome(record.model, Status.FAILED, outcome)

    def _may_be_lost(self, record: Record, now: int) -> bool:
        """There was no activity for the grace time, and the first check, if there was one, is long enough ago."""
        if self._is_possibly_lost(record) and (record.possibly_lost_at or 0) > now - SETTLE_MS:
            return False
        return self._is_inactive(record, now)

    def _is_inactive(self, record: Record, now: int) -> bool:
        return _last_activity(record) < now - self._grace

    def _is_possibly_lost(self, record: Record) -> bool:
        """An earlier sweep has marked it, and there was no activity since."""
        return record.possibly_lost_at is not None and record.possibly_lost_at > _last_activity(record) + self._grace

    def _queues_empty(self, model: str) -> bool:
        try:
            return all(queue.is_empty() for queue in self._queues(model))
        except QueueMissing:
            return True  # its messages were deleted with the queue
        except Unavailable as error:
            self._telemetry.error("queue_counts_unavailable", error, model=model)
            return False


def _chunks(found: Iterable[Item]) -> Iterator[list[Item]]:
    """As many as are read together."""
    left = iter(found)
    while chunk := list(islice(left, GET_KEYS)):
        yield chunk


def _leased(record: Record, now: int) -> bool:
    return record.lease_until is not None and record.lease_until >= now


def _last_activity(record: Record) -> int:
    """The time of the last submit, attempt, lease or replay of a request, in epoch milliseconds."""
    times = (record.started_at, record.lease_until, record.resubmitted_at, record.replayed_at)
    return max(record.submitted_at, *(time or 0 for time in times))
