"""The transitions of a request that runs at a GPU provider; each is one conditional write, as those of the request.

    (claim) --intend--> submitting --hold_run--> held, with the run's id --resume--> looking --outcome--> (final)
                          |    ^                  ^                          |
              hold (refused),  |                  \\----- hold, hold_progress -/
              hold_uncertain   | intend
                          v    |
                         held, without an id ----resume----> (submits again, or ends the attempt)

All of it is within `running`, and an attempt's: `submits` counts the intents of the request, through all attempts, and
the number is part of the callback's address. An invocation that dies leaves a lease that ends, and no `next_look_at`:
the next attempt takes over, and looks at the run if its id was recorded.
"""

from __future__ import annotations

from inference.conditions import Eq, Gt, Le, Lt, Missing, Or, Param, Value
from inference.requests import Record, Status
from inference.transitions import HELD, NOW, OPEN_ONLY, RUNNING, Transition, Update, bound

_THIS_SUBMIT = Eq("submits", Param("number"))
_AS_HELD = (Eq("attempts", Param("attempt")), Eq("next_look_at", Param("seen")))
_UNTIL = bound("next_look_at", "lease_until")
_ITS_RUN = (
    Eq("attempts", Param("attempt")),
    _THIS_SUBMIT,
    Or(Missing("run_id"), Eq("run_id", Param("run_id"))),
)

INTEND = Transition(
    RUNNING,
    None,
    only_if=(*HELD, Or(Missing("submits"), Lt("submits", Param("number")))),
    sets={"submits": Param("number"), "submitted_run_at": NOW},
    removes=("run_failure", "run_id", "run_uncertain"),
)
HOLD = Transition(RUNNING, None, only_if=(*HELD, _THIS_SUBMIT), sets=_UNTIL)
HOLD_PROGRESS = Transition(RUNNING, None, only_if=(*HELD, _THIS_SUBMIT), sets={**_UNTIL, **bound("progress")})
HOLD_RUN = Transition(RUNNING, None, only_if=(*HELD, _THIS_SUBMIT), sets={**_UNTIL, **bound("run_id")})
HOLD_UNCERTAIN = Transition(RUNNING, None, only_if=(*HELD, _THIS_SUBMIT), sets={**_UNTIL, "run_uncertain": True})
RESUME = Transition(
    RUNNING,
    None,
    only_if=(*_AS_HELD, Gt("expires_at", NOW)),
    sets=bound("lease_until", "invocation_id"),
    removes=("next_look_at",),
)
EXPIRE_HELD = Transition(
    RUNNING, Status.EXPIRED, only_if=(*_AS_HELD, Le("expires_at", NOW)), sets={"finished_at": NOW}, removes=OPEN_ONLY
)
CALLED_BACK = Transition(
    RUNNING, None, only_if=(*_ITS_RUN, Eq("lease_until", Param("seen"))), sets=bound("run_id", "lease_until")
)
RUN_FAILED = Transition(RUNNING, None, only_if=_ITS_RUN, sets=bound("run_id", "run_failure"))


def intend(request_id: str, attempt: int, number: int, now: int) -> Update:
    """Before a submit: whoever finds this and no id knows that a run may exist. `number` counts the submits, from 1."""
    return Update(INTEND, request_id, {"attempt": attempt, "number": number, "now": now})


def hold(
    request_id: str,
    attempt: int,
    number: int,
    next_look_at: int,
    lease_until: int,
    now: int,
    *,
    run_id: str | None = None,
    progress: str | None = None,
    uncertain: bool = False,
) -> Update:
    """Leave the request `running` until the next look.

    Args:
        run_id: the provider's id, when the run has just been submitted.
        progress: how far the run is (JSON).
        uncertain: it is not known whether the submit was taken.
    """
    values: dict[str, Value] = {
        "attempt": attempt,
        "number": number,
        "next_look_at": next_look_at,
        "lease_until": lease_until,
        "now": now,
    }
    if run_id is not None:
        return Update(HOLD_RUN, request_id, {**values, "run_id": run_id})
    if uncertain:
        return Update(HOLD_UNCERTAIN, request_id, values)
    if progress is not None:
        return Update(HOLD_PROGRESS, request_id, {**values, "progress": progress})
    return Update(HOLD, request_id, values)


def resume(record: Record, lease_until: int, invocation_id: str, now: int) -> Update:
    """Go on with a held request, as the same attempt, if it is held as it was read: of two deliveries one may look."""
    return Update(
        RESUME,
        record.request_id,
        {**_as_held(record), "lease_until": lease_until, "invocation_id": invocation_id, "now": now},
    )


def expire_held(record: Record, now: int) -> Update:
    """End a held request whose deadline has passed."""
    return Update(EXPIRE_HELD, record.request_id, {**_as_held(record), "now": now})


def called_back(record: Record, run_id: str, lease_until: int) -> Update:
    """A callback is about to write the outcome: the record gets the run's id, if it has none yet, and a lease that
    lasts long enough. A hold stays, so that the message goes on if the callback's function dies."""
    values = {**_its_run(record, run_id), "seen": record.lease_until or 0, "lease_until": lease_until}
    return Update(CALLED_BACK, record.request_id, values)


def run_failed(record: Record, run_id: str, failure: str) -> Update:
    """A callback told of a failure (JSON): the message, which has the input, ends the attempt at its next look."""
    return Update(RUN_FAILED, record.request_id, {**_its_run(record, run_id), "run_failure": failure})


def _as_held(record: Record) -> dict[str, Value]:
    return {"attempt": record.attempts, "seen": record.next_look_at or 0}


def _its_run(record: Record, run_id: str) -> dict[str, Value]:
    return {"attempt": record.attempts, "number": record.submits or 0, "run_id": run_id}
