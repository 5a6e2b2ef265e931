"""The moves of a request, each as one conditional update; which statuses a move applies to comes from the
transition table, and who may make it from the lease.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache

from inference.expressions import Update
from inference.requests import TRANSITIONS, Failure, Move, Record, Status


class Moves:
    """Builds the updates.

    Args:
        clock: gives the time in epoch milliseconds.
    """

    def __init__(self, clock: Callable[[], int]) -> None:
        self._clock = clock

    # A claim names the submit that its message is from: a message that outlived its own (503, yet SQS had taken it)
    # must not bring its input to a later request with the same Idempotency-Key.

    def claim_first(self, request_id: str, submitted_at: int, lease_until: int, **trace: str) -> Update:
        """The first attempt: `pending` becomes `running`. Plain values only, so that it can go in a batch."""
        update = self._claim(Move.CLAIM, request_id, submitted_at, lease_until, _FIRST, trace)
        return Update(
            request_id, update.condition, sets={**update.sets, "attempts": 1}, values={**update.values, "none": 0}
        )

    def claim(self, request_id: str, submitted_at: int, lease_until: int, **trace: str) -> Update:
        """A later attempt. Not for a request that has to run alone, nor for one past its deadline."""
        update = self._claim(Move.CLAIM, request_id, submitted_at, lease_until, "missing[alone]", trace)
        return _and(update, _ATTEMPTS_LEFT)

    def claim_unless_last(
        self, request_id: str, submitted_at: int, lease_until: int, attempt_limit: int, trace: Mapping[str, str]
    ) -> Update:
        """A later attempt that is not the last one."""
        update = self.claim(request_id, submitted_at, lease_until, **trace)
        return _and(update, "[attempts] < :last", last=attempt_limit - 1)

    def take_over(self, request_id: str, submitted_at: int, lease_until: int, **trace: str) -> Update:
        """Claim what an earlier attempt left `running` when its lease is over, or what has to run alone."""
        free = "([status] = :pending OR [lease_until] < :now)"
        return _and(self._claim(Move.TAKE_OVER, request_id, submitted_at, lease_until, free, trace), _ATTEMPTS_LEFT)

    def _claim(
        self,
        move: Move,
        request_id: str,
        submitted_at: int,
        lease_until: int,
        condition: str,
        trace: Mapping[str, str],
    ) -> Update:
        now = self._clock()
        before, values = _in(TRANSITIONS[move].before)
        return Update(
            request_id,
            f"{before} AND {condition} AND [submitted_at] = :submitted_at AND [expires_at] > :now",
            sets={"status": TRANSITIONS[move].after, "lease_until": lease_until, "started_at": now, **trace},
            increments={"attempts": 1},
            values={**values, "pending": Status.PENDING, "submitted_at": submitted_at, "now": now},
        )

    def confirm_submit(self, record: Record) -> Update:
        """The message of a keyed submit is on its queue: a repeated submit need not send it again."""
        seen = record.submit_id or ""
        return Update(record.request_id, "[submit_id] = :seen", removes=("submit_id",), values={"seen": seen})

    def take_submit_over(self, record: Record, submit_id: str) -> Update:
        """Make a keyed submit whose message is not confirmed another's, so that the first can't discard the record."""
        return Update(
            record.request_id,
            "[submit_id] = :seen AND [status] = :pending",
            sets={"submit_id": submit_id, "renewed_at": self._clock()},
            values={"seen": record.submit_id or "", "pending": Status.PENDING},
        )

    def succeed(self, request_id: str, attempt: int, result: str) -> Update:
        """Write the result, if this attempt still holds the lease."""
        return self._end(Move.SUCCEED, request_id, {"result": result}, attempt, ("error", "submit_id", "input"))

    def fail(self, request_id: str, attempt: int, failure: Failure, kept_input: str | None = None) -> Update:
        """Write the failure, if this attempt still holds the lease; `kept_input` (JSON) makes a replay possible."""
        sets: dict[str, str] = {"error": failure.to_json()}
        if kept_input is not None:
            sets["input"] = kept_input
        return self._end(Move.FAIL, request_id, sets, attempt, ("submit_id",))

    def release(self, request_id: str, attempt: int, failure: Failure, alone: bool) -> Update:
        """Give a request back for another attempt; the error stays visible. `alone`: never again in a batch."""
        before, values = _in(TRANSITIONS[Move.RELEASE].before)
        sets: dict[str, str | bool] = {"status": TRANSITIONS[Move.RELEASE].after, "error": failure.to_json()}
        if alone:
            sets["alone"] = True
        return Update(
            request_id,
            f"{before} AND {_HELD}",
            sets=sets,
            removes=("lease_until",),
            values={**values, "attempt": attempt, "now": self._clock()},
        )

    def cancel(self, request_id: str) -> Update:
        """End a request that its caller does not want any more; a running attempt's result will be refused."""
        return self._end(Move.CANCEL, request_id, {}, None, ("error", "submit_id"))

    def expire(self, request_id: str) -> Update:
        """End a request whose deadline has passed, unless an attempt holds a live lease."""
        update = self._end(Move.EXPIRE, request_id, {}, None, ("submit_id",))
        return _and(update, "[expires_at] <= :now AND " + _NOT_LEASED, now=self._clock())

    def bury(self, request_id: str, failure: Failure, kept_input: str | None = None) -> Update:
        """End a request from outside: its message died or is lost. Not while an attempt holds a live lease."""
        sets: dict[str, str] = {"error": failure.to_json()}
        if kept_input is not None:
            sets["input"] = kept_input
        update = self._end(Move.BURY, request_id, sets, None, ("submit_id",))
        return _and(update, _NOT_LEASED, now=self._clock())

    def suspect(self, record: Record) -> Update:
        """Note that a request looks lost, if nothing has happened to it since `record` was read."""
        before, values = _in(TRANSITIONS[Move.BURY].before)
        now = self._clock()
        update = Update(
            record.request_id,
            f"{before} AND {_NOT_LEASED}",
            sets={"suspected_at": now},
            values={**values, "now": now},
        )
        return _if_unmoved(update, record)

    def bury_lost(self, record: Record, failure: Failure) -> Update:
        """End a request that looks lost, if nothing has happened to it since `record` was read."""
        return _if_unmoved(self.bury(record.request_id, failure), record)

    def replay(self, record: Record, expires_at: int, delete_at: int, attempts: int) -> Update:
        """Make a failed request `pending` again, with new attempts and a new deadline; repeating it changes nothing."""
        before, values = _in(TRANSITIONS[Move.REPLAY].before)
        return Update(
            record.request_id,
            f"{before} AND [finished_at] = :finished_at",
            sets={
                "status": TRANSITIONS[Move.REPLAY].after,
                "expires_at": expires_at,
                "delete_at": delete_at,
                "attempt_limit": record.attempts + attempts,
                "open_shard": record.request_id[0],
                "replayed_at": self._clock(),
            },
            removes=("finished_at", "lease_until"),
            values={**values, "finished_at": record.finished_at or 0},
        )

    def forget_input(self, request_id: str) -> Update:
        """Drop the kept input of a failed request: it can't be replayed any more."""
        return Update(request_id, "[status] = :failed", removes=("input",), values={"failed": Status.FAILED})

    def _end(
        self,
        move: Move,
        request_id: str,
        sets: Mapping[str, str],
        attempt: int | None,
        removes: tuple[str, ...],
    ) -> Update:
        before, values = _in(TRANSITIONS[move].before)
        update = Update(
            request_id,
            before,
            sets={"status": TRANSITIONS[move].after, "finished_at": self._clock(), **sets},
            removes=("lease_until", "open_shard", "alone", *removes),
            values=values,
        )
        return update if attempt is None else _and(update, _HELD, attempt=attempt, now=self._clock())


_FIRST = "missing[alone] AND [attempts] = :none"
_HELD = "[attempts] = :attempt AND [lease_until] >= :now"
_ATTEMPTS_LEFT = "[attempts] < [attempt_limit]"
_NOT_LEASED = "(missing[lease_until] OR [lease_until] < :now)"


def _and(update: Update, condition: str, **values: int | str) -> Update:
    # Field by field: dataclasses.replace() takes longer, and a worker does this for every request.
    return Update(
        update.request_id,
        f"{update.condition} AND {condition}",
        update.sets,
        update.increments,
        update.removes,
        {**update.values, **values},
    )


def _if_unmoved(update: Update, record: Record) -> Update:
    """Only if no attempt, submit or replay has come since `record` was read."""
    seen = {"attempts": record.attempts, "expires_at": record.expires_at}
    update = _and(update, "[attempts] = :attempts AND [expires_at] = :expires_at", **seen)
    if record.submit_id is None:
        return _and(update, "missing[submit_id]")
    return _and(update, "[submit_id] = :submit_id", submit_id=record.submit_id)


@cache
def _in(statuses: frozenset[Status]) -> tuple[str, Mapping[str, str]]:
    names = sorted(statuses)
    return "(" + " OR ".join(f"[status] = :{name}" for name in names) + ")", {name: name for name in names}
