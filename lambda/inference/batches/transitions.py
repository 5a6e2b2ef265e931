"""What changes a batch's record; each is one conditional write, as those of a request (`inference.transitions`).

An update names its batch by the record's key: see `store/batch_table.py`.
"""

from __future__ import annotations

from collections.abc import Mapping

from inference.batches.record import UNFINISHED, BatchRecord, Stage
from inference.conditions import Condition, Eq, Gt, Lt, Missing, Or, Param, Value
from inference.transitions import ANY, Transition, Update

DISCARD_IF = Or(Missing("request_id"), Eq("submit_id", Param("submit_id")))

_SAME = Eq("seed", Param("seed"))

CONFIRM = Transition(ANY, None, only_if=(Eq("submit_id", Param("seen")),), removes=("submit_id",))
TAKE_OVER = Transition(ANY, None, only_if=(Eq("submit_id", Param("seen")),), sets={"submit_id": Param("submit_id")})
CANCEL = Transition(ANY, None, only_if=(_SAME, Missing("cancelled_at")), sets={"cancelled_at": Param("now")})
_HELD = (_SAME, Eq("lease_id", Param("lease_id")))
"""By the invocation that has the lease."""

_NOT_HELD = Or(Missing("lease_until"), Lt("lease_until", Param("now")))
_LEASE = ("lease_id", "lease_until")
_STEP: Mapping[str, Value | Param] = {name: Param(name) for name in ("position", "line", "accepted", "runs")}
_ERRORS: Mapping[str, Value | Param] = {name: Param(name) for name in ("error_count", "errors")}
_SETTLED: Mapping[str, Value | Param] = {"settled_at": Param("now")}
_FAILED = {**_SETTLED, "stage": Stage.FAILED, "failure": Param("failure")}

CLAIM = Transition(
    ANY,
    None,
    only_if=(_SAME, _NOT_HELD),
    sets={name: Param(name) for name in (*_LEASE, "runs")},
    removes=("submit_id",),  # its message has come: the submit is confirmed, and can't discard it any more
)
RELEASE = Transition(ANY, None, only_if=_HELD, sets={"runs": 0}, removes=_LEASE)
CHECKED = Transition(ANY, None, only_if=_HELD, sets={**_STEP, **_ERRORS})
CHECKED_ALL = Transition(ANY, None, only_if=_HELD, sets={**_STEP, "stage": Stage.CREATING, "total": Param("total")})
CREATED_SOME = Transition(ANY, None, only_if=_HELD, sets=_STEP)
CREATED_ALL = Transition(ANY, None, only_if=_HELD, sets={**_STEP, **_SETTLED, "stage": Stage.CREATED}, removes=_LEASE)
REJECT = Transition(
    ANY,
    None,
    only_if=_HELD,
    sets={
        **_ERRORS,
        **_SETTLED,
        "stage": Stage.REJECTED,
        **{name: Param(name) for name in ("line", "accepted", "failure")},
    },
    removes=_LEASE,
)
FAIL = Transition(ANY, None, only_if=_HELD, sets=_FAILED, removes=_LEASE)
GIVE_UP = Transition(
    ANY,
    None,
    only_if=(_SAME, Or(*(Eq("stage", stage) for stage in sorted(UNFINISHED))), _NOT_HELD),
    sets=_FAILED,
    removes=_LEASE,
)
CANCELLED_SOME = Transition(ANY, None, only_if=_HELD, sets={name: Param(name) for name in ("cancelled_to", "runs")})
CANCELLED_ALL = Transition(
    ANY,
    None,
    only_if=_HELD,
    sets={**CANCELLED_SOME.sets, **_SETTLED, "stage": Stage.STOPPED},
    removes=_LEASE,
)
KEEP_ENDED = Transition(ANY, None, only_if=(_SAME,), sets={"ended": Param("ended")})
LOWER_OPEN_TO = Transition(
    ANY,
    None,
    only_if=(_SAME, Or(Missing("open_to"), Gt("open_to", Param("open_to")))),
    sets={"open_to": Param("open_to")},
)
FINISH = Transition(ANY, None, only_if=(_SAME, Missing("finished_at")), sets={"finished_at": Param("now")})


def discard_if(batch: BatchRecord) -> tuple[Condition, Mapping[str, Value]]:
    """The condition for discarding the batch of a submit, and its values: no other submit has it."""
    return DISCARD_IF, {"submit_id": batch.submit_id or ""}


def confirm(batch: BatchRecord) -> Update:
    """The messages of a keyed submit are on their queue: a repeated submit need not send them again."""
    return Update(CONFIRM, batch.batch_id, {"seen": batch.submit_id or ""})


def take_over(batch: BatchRecord, submit_id: str) -> Update:
    """Take over a keyed submit that is not confirmed, so that the first submit can't discard the batch."""
    return Update(TAKE_OVER, batch.batch_id, {"seen": batch.submit_id or "", "submit_id": submit_id})


def cancel(batch: BatchRecord, now: int) -> Update:
    """Note that the batch is cancelled; its items are cancelled after that."""
    return Update(CANCEL, batch.batch_id, {"seed": batch.seed, "now": now})


def keep_ended(batch: BatchRecord, ended: str) -> Update:
    """Keep the tallies of chunks whose items are all final. Of two that are written at once one is lost, and is counted
    again with the next read."""
    return Update(KEEP_ENDED, batch.batch_id, {"seed": batch.seed, "ended": ended})


def lower_open_to(batch: BatchRecord, open_to: int) -> Update:
    """Items from an index on were found final."""
    return Update(LOWER_OPEN_TO, batch.batch_id, {"seed": batch.seed, "open_to": open_to})


def finish(batch: BatchRecord, now: int) -> Update:
    """All items were found final, and no more will be created: the batch is announced. Of two that are written at once
    one is rejected."""
    return Update(FINISH, batch.batch_id, {"seed": batch.seed, "now": now})


def claim(batch: BatchRecord, lease_id: str, lease_until: int, now: int) -> Update:
    """An invocation's exclusive right to work on the batch, until `lease_until` (epoch ms)."""
    values: dict[str, Value] = {"lease_id": lease_id, "lease_until": lease_until, "runs": batch.runs + 1}
    return Update(CLAIM, batch.batch_id, {"seed": batch.seed, "now": now, **values})


def release(batch: BatchRecord) -> Update:
    """Give the lease back: the next invocation may begin at once."""
    return Update(RELEASE, batch.batch_id, _held(batch))


def checked(batch: BatchRecord, position: int, line: int, accepted: int, error_count: int, errors: str) -> Update:
    """Some lines more are checked; the file goes on at `position`."""
    values: dict[str, Value] = {"position": position, "line": line, "accepted": accepted, "runs": 0}
    return Update(CHECKED, batch.batch_id, {**_held(batch), **values, "error_count": error_count, "errors": errors})


def checked_all(batch: BatchRecord, total: int) -> Update:
    """All lines are valid: creating items begins with the first line."""
    values: dict[str, Value] = {"total": total, "position": 0, "line": 0, "accepted": 0, "runs": 0}
    return Update(CHECKED_ALL, batch.batch_id, {**_held(batch), **values})


def created(batch: BatchRecord, position: int, line: int, accepted: int, now: int) -> Update:
    """Some items more are created, and their messages sent; with the last one the batch is."""
    values: dict[str, Value] = {"position": position, "line": line, "accepted": accepted, "runs": 0}
    if accepted == batch.total:
        return Update(CREATED_ALL, batch.batch_id, {**_held(batch), **values, "now": now})
    return Update(CREATED_SOME, batch.batch_id, {**_held(batch), **values})


def reject(
    batch: BatchRecord, line: int, accepted: int, error_count: int, errors: str, failure: str, now: int
) -> Update:
    """Lines are not valid: no item is created. `line` and `accepted`: how many lines and items were looked at."""
    values: dict[str, Value] = {"line": line, "accepted": accepted, "error_count": error_count, "errors": errors}
    return Update(REJECT, batch.batch_id, {**_held(batch), **values, "failure": failure, "now": now})


def fail(batch: BatchRecord, failure: str, now: int) -> Update:
    """No more items can be created; those that are go on."""
    return Update(FAIL, batch.batch_id, {**_held(batch), "failure": failure, "now": now})


def give_up(batch: BatchRecord, failure: str, now: int) -> Update:
    """The same, by a function that has no lease, if nobody has one."""
    return Update(GIVE_UP, batch.batch_id, {"seed": batch.seed, "failure": failure, "now": now})


def cancelled(batch: BatchRecord, cancelled_to: int, last: bool, now: int) -> Update:
    """Some items more are cancelled; `last`: all of them."""
    values: dict[str, Value] = {"cancelled_to": cancelled_to, "runs": 0}
    if last:
        return Update(CANCELLED_ALL, batch.batch_id, {**_held(batch), **values, "now": now})
    return Update(CANCELLED_SOME, batch.batch_id, {**_held(batch), **values})


def _held(batch: BatchRecord) -> Mapping[str, Value]:
    return {"seed": batch.seed, "lease_id": batch.lease_id or ""}
