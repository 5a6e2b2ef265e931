"""What changes a batch's record; each is one conditional write, as those of a request (`inference.transitions`).

An update names its batch by the record's key: see `store/batch_table.py`.
"""

from __future__ import annotations

from collections.abc import Mapping

from inference.batches.record import BatchRecord
from inference.conditions import Condition, Eq, Missing, Or, Param, Value
from inference.transitions import ANY, Transition, Update

DISCARD_IF = Or(Missing("request_id"), Eq("submit_id", Param("submit_id")))

_SAME = Eq("seed", Param("seed"))

CONFIRM = Transition(ANY, None, only_if=(Eq("submit_id", Param("seen")),), removes=("submit_id",))
TAKE_OVER = Transition(ANY, None, only_if=(Eq("submit_id", Param("seen")),), sets={"submit_id": Param("submit_id")})
CANCEL = Transition(ANY, None, only_if=(_SAME, Missing("cancelled_at")), sets={"cancelled_at": Param("now")})
KEEP_ENDED = Transition(ANY, None, only_if=(_SAME,), sets={"ended": Param("ended")})


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
