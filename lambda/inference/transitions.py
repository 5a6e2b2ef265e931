"""The allowed transitions of a request; each is one conditional write.

    pending --claim--> running --succeed, fail--> succeeded | failed
       ^                 |  \\--take over (lease expired)--> running
       \\----release------/   (a retryable error: the next attempt comes)
    pending | running --cancel--> cancelled
    pending | running --expire (deadline passed)--> expired
    pending | running --fail_unleased, fail_lost (dead letter, sweep)--> failed
    failed --replay (an operator's decision)--> pending
    failed --create again (its submit was never confirmed)--> pending

A transition is data. `expressions.py` renders it for DynamoDB, once; the tests' fake table evaluates the same tree. The
functions below bind a transition to one request and its values. They take `now`, the time in epoch milliseconds.
"""

from __future__ import annotations

from collections.abc import Mapping

from inference.conditions import And, Attribute, Condition, Eq, Ge, Gt, Le, Lt, Missing, Or, Param, Value
from inference.requests import FINAL, OPEN, Failure, Record, Status, WebhookState, followed_shard
from inference.webhooks.retries import MAX_DELIVERIES, MESSAGE_GRACE_MS

ANY = frozenset(Status)
PENDING = frozenset({Status.PENDING})
RUNNING = frozenset({Status.RUNNING})
FAILED = frozenset({Status.FAILED})


class Increment:
    """Adds one to a number, which the record must have."""


class Transition:
    """What a write requires and what it changes.

    Args:
        before: the statuses that it applies to.
        after: the status that it leaves; None leaves the status as it is.
        only_if: what else must hold.
        sets: attribute -> the value that it gets.
        removes: attributes that are removed.
    """

    __slots__ = ("after", "before", "condition", "in_batches", "removes", "sets")

    def __init__(
        self,
        before: frozenset[Status],
        after: Status | None,
        only_if: tuple[Condition, ...] = (),
        sets: Mapping[str, Value | Param | Increment] | None = None,
        removes: tuple[str, ...] = (),
    ) -> None:
        self.before = before
        self.after = after
        self.sets = ({} if after is None else {"status": after}) | dict(sets or {})
        self.removes = removes
        statuses: tuple[Condition, ...] = tuple(Eq("status", status) for status in sorted(before))
        in_before = () if before == ANY else (Or(*statuses),) if len(statuses) > 1 else statuses
        self.condition = And(*in_before, *only_if)
        # Arithmetic is not among the documented operations of PartiQL.
        self.in_batches = not any(isinstance(value, Increment) for value in self.sets.values())


class Update:
    """A transition of one request, with its values: what a table applies."""

    __slots__ = ("request_id", "transition", "values")

    def __init__(self, transition: Transition, request_id: str, values: Mapping[str, Value]) -> None:
        self.transition = transition
        self.request_id = request_id
        self.values = values


NOW = Param("now")


def bound(*names: str) -> dict[str, Param]:
    """Attributes that are set to the values that a call binds by the same names."""
    return {name: Param(name) for name in names}


# Submit. Creating and discarding a record are not updates, but their conditions are here too.

CREATE_IF = Or(Missing("request_id"), Le("delete_at", Param("now_seconds")))
_FAILED_AS_SEEN = (Eq("status", Status.FAILED), Eq("attempts", 0), Eq("finished_at", Param("finished_at")))
CREATE_AGAIN_IF = Or(*CREATE_IF.parts, And(*_FAILED_AS_SEEN, Eq("submit_id", Param("seen"))))
CREATE_ITEM_AGAIN_IF = Or(*CREATE_IF.parts, And(*_FAILED_AS_SEEN, Missing("submit_id")))  # its batch has one

_NEVER_CLAIMED = (Eq("status", Status.PENDING), Eq("attempts", 0), Eq("submitted_at", Param("submitted_at")))
DISCARD_IF = Or(Missing("request_id"), And(*_NEVER_CLAIMED, Missing("submit_id")))
DISCARD_KEYED_IF = Or(Missing("request_id"), And(*_NEVER_CLAIMED, Eq("submit_id", Param("submit_id"))))

ERASE_IF = And(
    Or(*(Eq("status", status) for status in sorted(FINAL))),
    Eq("submitted_at", Param("submitted_at")),
)

CONFIRM_SUBMIT = Transition(ANY, None, only_if=(Eq("submit_id", Param("seen")),), removes=("submit_id",))
TAKE_OVER_SUBMIT = Transition(
    PENDING,
    None,
    only_if=(Eq("submit_id", Param("seen")),),
    sets={"submit_id": Param("submit_id"), "resubmitted_at": NOW},
)

# Claims. Each requires the `submitted_at` of its message: a message whose submit failed (503, although SQS had accepted
# it) # must not be used for a later request with the same Idempotency-Key.

_CLAIMABLE = (Eq("submitted_at", Param("submitted_at")), Gt("expires_at", NOW))
_CLAIMED = bound("lease_until", "invocation_id", "model_version", "code_digest") | {"started_at": NOW}
_OF_AN_EARLIER_ATTEMPT = ("progress",)
_ATTEMPTS_LEFT = Lt("attempts", Attribute("attempt_limit"))

CLAIM_FIRST = Transition(  # sets plain values only, so that it can go in a batch
    PENDING,
    Status.RUNNING,
    only_if=(Missing("run_alone"), Eq("attempts", 0), *_CLAIMABLE),
    sets={**_CLAIMED, "attempts": 1},
    removes=_OF_AN_EARLIER_ATTEMPT,
)
CLAIM_UNLESS_LAST = Transition(
    PENDING,
    Status.RUNNING,
    only_if=(Missing("run_alone"), *_CLAIMABLE, _ATTEMPTS_LEFT, Lt("attempts", Param("last"))),
    sets={**_CLAIMED, "attempts": Increment()},
    removes=_OF_AN_EARLIER_ATTEMPT,
)
TAKE_OVER = Transition(
    OPEN,
    Status.RUNNING,
    only_if=(Or(Eq("status", Status.PENDING), Lt("lease_until", NOW)), *_CLAIMABLE, _ATTEMPTS_LEFT),
    sets={**_CLAIMED, "attempts": Increment()},
    removes=_OF_AN_EARLIER_ATTEMPT,
)

# An attempt's end, while it holds the lease.

HELD = (Eq("attempts", Param("attempt")), Ge("lease_until", NOW))
_ENDED = {"finished_at": NOW}
_WITH_ERROR = {"finished_at": NOW, **bound("error")}
_WITH_INPUT = {**_WITH_ERROR, **bound("input")}
_OF_A_RUN = ("next_look_at", "run_failure", "run_id", "run_uncertain")
"""Attributes of a run at a GPU provider, which an attempt may have: see `worker/dispatch/transitions.py`."""
OPEN_ONLY = (
    "lease_until",
    "next_look_at",
    "progress",
    "run_alone",
    "run_failure",
    "run_uncertain",
    "submit_id",
)
"""Attributes of requests that are not final. By `run_id`, a run is stopped whose request was cancelled."""
_ENDED_BY_SWEEP = (*OPEN_ONLY, "open_shard")
"""Other outcomes leave `open_shard`, and with it the entry in the index: its removal would be one more write of each
request. The sweep passes an entry once (`sweep.py`); DynamoDB's TTL deletes it with the record, without charge."""
_RELEASED = ("lease_until", "progress", *_OF_A_RUN)

REPORT_PROGRESS = Transition(RUNNING, None, only_if=HELD, sets=bound("progress"))
RELEASE = Transition(RUNNING, Status.PENDING, only_if=HELD, sets=bound("error"), removes=_RELEASED)
RELEASE_ALONE = Transition(
    RUNNING, Status.PENDING, only_if=HELD, sets={**bound("error"), "run_alone": True}, removes=_RELEASED
)
SUCCEED = Transition(
    RUNNING,
    Status.SUCCEEDED,
    only_if=HELD,
    sets={**_ENDED, **bound("result")},
    removes=(*OPEN_ONLY, "error", "input"),
)
SUCCEED_WITH_FILES = Transition(
    RUNNING,
    Status.SUCCEEDED,
    only_if=HELD,
    sets={**_ENDED, **bound("result", "files")},
    removes=(*OPEN_ONLY, "error", "input"),
)
FAIL = Transition(RUNNING, Status.FAILED, only_if=HELD, sets=_WITH_ERROR, removes=OPEN_ONLY)
FAIL_KEEPING_INPUT = Transition(RUNNING, Status.FAILED, only_if=HELD, sets=_WITH_INPUT, removes=OPEN_ONLY)

# Endings by other functions: except for a cancel, not while an attempt holds a lease.

_NOT_LEASED = Or(Missing("lease_until"), Lt("lease_until", NOW))
_UNCHANGED = (_NOT_LEASED, Eq("attempts", Param("attempts")), Eq("expires_at", Param("expires_at")))
"""No attempt and no replay since the record was read; with the same `submit_id`, no submit either."""
_SAME_SUBMIT = Eq("submit_id", Param("submit_id"))

CANCEL = Transition(OPEN, Status.CANCELLED, sets=_ENDED, removes=(*OPEN_ONLY, "error"))
CANCEL_PENDING = Transition(PENDING, Status.CANCELLED, sets=_ENDED, removes=(*OPEN_ONLY, "error"))
EXPIRE = Transition(
    OPEN, Status.EXPIRED, only_if=(Le("expires_at", NOW), _NOT_LEASED), sets=_ENDED, removes=_ENDED_BY_SWEEP
)
FAIL_UNLEASED = Transition(OPEN, Status.FAILED, only_if=(_NOT_LEASED,), sets=_WITH_ERROR, removes=OPEN_ONLY)
FAIL_UNLEASED_KEEPING_INPUT = Transition(
    OPEN, Status.FAILED, only_if=(_NOT_LEASED,), sets=_WITH_INPUT, removes=OPEN_ONLY
)
MARK_POSSIBLY_LOST = Transition(OPEN, None, only_if=(*_UNCHANGED, Missing("submit_id")), sets={"possibly_lost_at": NOW})
MARK_POSSIBLY_LOST_KEYED = Transition(OPEN, None, only_if=(*_UNCHANGED, _SAME_SUBMIT), sets={"possibly_lost_at": NOW})
FAIL_LOST = Transition(
    OPEN, Status.FAILED, only_if=(*_UNCHANGED, Missing("submit_id")), sets=_WITH_ERROR, removes=_ENDED_BY_SWEEP
)
FAIL_LOST_KEYED = Transition(
    OPEN,
    Status.FAILED,
    only_if=(*_UNCHANGED, _SAME_SUBMIT),
    sets=_WITH_ERROR,
    removes=tuple(name for name in _ENDED_BY_SWEEP if name != "submit_id"),  # says that the submit was not confirmed
)
FOLLOW = Transition(OPEN, None, sets=bound("open_shard"))
UNFOLLOW = Transition(FINAL, None, removes=("open_shard",))

# An operator's decisions on a failed request.

_REPLAY_IF = (Eq("finished_at", Param("finished_at")),)
_REPLAYED = {**bound("expires_at", "delete_at", "attempt_limit", "open_shard"), "replayed_at": NOW}
_REPLAY_REMOVES = ("finished_at", "lease_until", "run_id")

REPLAY = Transition(FAILED, Status.PENDING, only_if=_REPLAY_IF, sets=_REPLAYED, removes=_REPLAY_REMOVES)
REPLAY_WITH_WEBHOOK = Transition(
    FAILED,
    Status.PENDING,
    only_if=(*_REPLAY_IF, Eq("webhook_attempts", Param("webhook_attempts"))),
    sets={
        **_REPLAYED,
        **bound("webhook_attempt_limit", "webhook_due", "webhook_shard"),
        "webhook_state": WebhookState.WAITING,
    },
    removes=_REPLAY_REMOVES,
)
FORGET_INPUT = Transition(FAILED, None, removes=("input",))


def create_if(record: Record, lost: Record | None = None) -> tuple[Condition, Mapping[str, Value]]:
    """The condition for creating a record, and its values. It may replace a record past its retention, since DynamoDB's
    TTL deletes late, and `lost` as it was read: a failed record whose keyed submit, or whose batch's, was never
    confirmed."""
    values: dict[str, Value] = {"now_seconds": record.submitted_at // 1000}
    if lost is None:
        return CREATE_IF, values
    values["finished_at"] = lost.finished_at or 0
    if lost.submit_id is None:
        return CREATE_ITEM_AGAIN_IF, values
    return CREATE_AGAIN_IF, {**values, "seen": lost.submit_id}


def discard_if(record: Record) -> tuple[Condition, Mapping[str, Value]]:
    """The condition for discarding the record of a submit, and its values: no worker and no other submit has it."""
    if record.submit_id is None:
        return DISCARD_IF, {"submitted_at": record.submitted_at}
    return DISCARD_KEYED_IF, {"submitted_at": record.submitted_at, "submit_id": record.submit_id}


def erase_if(record: Record) -> tuple[Condition, Mapping[str, Value]]:
    """The condition for erasing a record, and its values: it is final, and was not replayed or replaced."""
    return ERASE_IF, {"submitted_at": record.submitted_at}


def confirm_submit(record: Record) -> Update:
    """The message of a keyed submit is on its queue: a repeated submit need not send it again."""
    return Update(CONFIRM_SUBMIT, record.request_id, {"seen": record.submit_id or ""})


def take_over_submit(record: Record, submit_id: str, now: int) -> Update:
    """Take over a keyed submit whose message is not confirmed, so that the first submit can't discard the record."""
    values: dict[str, Value] = {"seen": record.submit_id or "", "submit_id": submit_id, "now": now}
    return Update(TAKE_OVER_SUBMIT, record.request_id, values)


def claim_first(
    request_id: str,
    submitted_at: int,
    lease_until: int,
    now: int,
    *,
    invocation_id: str,
    model_version: str,
    code_digest: str,
) -> Update:
    """The first attempt."""
    values = _claim(submitted_at, lease_until, now, invocation_id, model_version, code_digest)
    return Update(CLAIM_FIRST, request_id, values)


def claim_unless_last(
    request_id: str,
    submitted_at: int,
    lease_until: int,
    attempt_limit: int,
    now: int,
    *,
    invocation_id: str,
    model_version: str,
    code_digest: str,
) -> Update:
    """A later attempt that is not the last one. Not for a request that has to run alone, nor for one past its
    deadline."""
    values = _claim(submitted_at, lease_until, now, invocation_id, model_version, code_digest)
    return Update(CLAIM_UNLESS_LAST, request_id, {**values, "last": attempt_limit - 1})


def take_over(
    request_id: str,
    submitted_at: int,
    lease_until: int,
    now: int,
    *,
    invocation_id: str,
    model_version: str,
    code_digest: str,
) -> Update:
    """Claim what an earlier attempt left `running` when its lease is over, or what has to run alone."""
    values = _claim(submitted_at, lease_until, now, invocation_id, model_version, code_digest)
    return Update(TAKE_OVER, request_id, values)


def _claim(
    submitted_at: int, lease_until: int, now: int, invocation_id: str, model_version: str, code_digest: str
) -> Mapping[str, Value]:
    return {
        "submitted_at": submitted_at,
        "lease_until": lease_until,
        "now": now,
        "invocation_id": invocation_id,
        "model_version": model_version,
        "code_digest": code_digest,
    }


def report_progress(request_id: str, attempt: int, progress: str, now: int) -> Update:
    """Write how far an attempt is (JSON), if it still holds the lease."""
    return Update(REPORT_PROGRESS, request_id, {"attempt": attempt, "progress": progress, "now": now})


def release(request_id: str, attempt: int, failure: Failure, now: int, run_alone: bool) -> Update:
    """Give a request back for another attempt; the error stays visible. `alone`: never again in a batch."""
    values: dict[str, Value] = {"attempt": attempt, "error": failure.to_json(), "now": now}
    return Update(RELEASE_ALONE if run_alone else RELEASE, request_id, values)


def succeed(request_id: str, attempt: int, result: str, now: int, files: str | None = None) -> Update:
    """Write the result (JSON) and its files (JSON, if it has some), if this attempt still holds the lease."""
    values: dict[str, Value] = {"attempt": attempt, "result": result, "now": now}
    if files is None:
        return Update(SUCCEED, request_id, values)
    return Update(SUCCEED_WITH_FILES, request_id, {**values, "files": files})


def fail(request_id: str, attempt: int, failure: Failure, now: int, kept_input: str | None = None) -> Update:
    """Write the failure, if this attempt still holds the lease; `kept_input` (JSON) makes a replay possible."""
    values: dict[str, Value] = {"attempt": attempt, "error": failure.to_json(), "now": now}
    if kept_input is None:
        return Update(FAIL, request_id, values)
    return Update(FAIL_KEEPING_INPUT, request_id, {**values, "input": kept_input})


def cancel(request_id: str, now: int) -> Update:
    """Cancel a request; the result of a running attempt will be dropped."""
    return Update(CANCEL, request_id, {"now": now})


def cancel_pending(request_id: str, now: int) -> Update:
    """Cancel a request that no attempt has; without an OR in its condition, for batches."""
    return Update(CANCEL_PENDING, request_id, {"now": now})


def expire(request_id: str, now: int) -> Update:
    """End a request whose deadline has passed, unless an attempt holds a lease."""
    return Update(EXPIRE, request_id, {"now": now})


def fail_unleased(request_id: str, failure: Failure, now: int, kept_input: str | None = None) -> Update:
    """Fail a request whose message is a dead letter, or whose model is removed; `kept_input` as in `fail`."""
    values: dict[str, Value] = {"error": failure.to_json(), "now": now}
    if kept_input is None:
        return Update(FAIL_UNLEASED, request_id, values)
    return Update(FAIL_UNLEASED_KEEPING_INPUT, request_id, {**values, "input": kept_input})


def mark_possibly_lost(record: Record, now: int) -> Update:
    """Mark a request as possibly lost, if nothing has happened to it since `record` was read."""
    transition = MARK_POSSIBLY_LOST if record.submit_id is None else MARK_POSSIBLY_LOST_KEYED
    return Update(transition, record.request_id, {**_seen(record), "now": now})


def fail_lost(record: Record, failure: Failure, now: int) -> Update:
    """Fail a lost request, if nothing has happened to it since `record` was read."""
    transition = FAIL_LOST if record.submit_id is None else FAIL_LOST_KEYED
    return Update(transition, record.request_id, {**_seen(record), "error": failure.to_json(), "now": now})


def follow(request_id: str) -> Update:
    """Have a request that is not final looked at by every sweep."""
    return Update(FOLLOW, request_id, {"open_shard": followed_shard(request_id)})


def unfollow(request_id: str) -> Update:
    """Take a final request that was followed out of the index."""
    return Update(UNFOLLOW, request_id, {})


def _seen(record: Record) -> Mapping[str, Value]:
    values: dict[str, Value] = {"attempts": record.attempts, "expires_at": record.expires_at}
    return values if record.submit_id is None else {**values, "submit_id": record.submit_id}


def replay(record: Record, now: int, *, expires_at: int, delete_at: int, attempts: int) -> Update:
    """Make a failed request `pending` again, with new attempts and a new deadline; repeating it changes nothing. Its
    webhook, if it has one, tells of the new outcome too."""
    values: dict[str, Value] = {
        "finished_at": record.finished_at or 0,
        "expires_at": expires_at,
        "delete_at": delete_at,
        "attempt_limit": record.attempts + attempts,
        "open_shard": followed_shard(record.request_id),  # the sweep has passed the time of its submit
        "now": now,
    }
    if record.webhook_attempts is None:
        return Update(REPLAY, record.request_id, values)
    values |= {
        "webhook_attempts": record.webhook_attempts,
        "webhook_attempt_limit": record.webhook_attempts + MAX_DELIVERIES,
        "webhook_due": expires_at + MESSAGE_GRACE_MS,
        "webhook_shard": record.request_id[0],
    }
    return Update(REPLAY_WITH_WEBHOOK, record.request_id, values)


def forget_input(request_id: str) -> Update:
    """Drop the kept input of a failed request: it can't be replayed any more."""
    return Update(FORGET_INPUT, request_id, {})
