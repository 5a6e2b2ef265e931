"""The transitions of a final request's webhook; each is one conditional write, as those of the request itself.

    (submit) --> waiting --claim--> delivering --end--> delivered | failed
                    ^               |   ^  \\--claim (lease over)--> delivering
                    |             retry | claim
                    |               v   |
                    |              retrying
                    \\--resend-- retrying | delivered | failed
                    \\--replay-- any (`inference.transitions`: the request becomes final again)

An attempt is claimed before it is made, and counted with the claim; its result is written by the attempt that holds the
claim alone. `finished_at` is the outcome that the delivery is about: after a replay there is another.
"""

from __future__ import annotations

from collections.abc import Mapping

from inference.conditions import Eq, Lt, Missing, Or, Param, Value
from inference.requests import FINAL, Record, WebhookState
from inference.transitions import Transition, Update
from inference.webhooks.retries import MAX_DELIVERIES, MESSAGE_GRACE_MS, Retry

RESENDABLE = (WebhookState.RETRYING, WebhookState.DELIVERED, WebhookState.FAILED)
"""In the others it is about to be sent, or being sent."""

_SEEN = (Eq("finished_at", Param("finished_at")), Eq("webhook_attempts", Param("seen_attempts")))
_HELD = (
    Eq("webhook_state", WebhookState.DELIVERING),
    Eq("finished_at", Param("finished_at")),
    Eq("webhook_attempts", Param("attempt")),
)
_NOT_LEASED = Or(Missing("webhook_lease_until"), Lt("webhook_lease_until", Param("now")))
_NOT_AT_WORK = Or(*(Eq("webhook_state", state) for state in RESENDABLE))
_ANNOUNCED = ("webhook_due", "webhook_shard", "webhook_lease_until")

WEBHOOK_CLAIM = Transition(
    FINAL,
    None,
    only_if=(Eq("webhook_state", Param("seen_state")), _NOT_LEASED, *_SEEN),
    sets={
        "webhook_state": WebhookState.DELIVERING,
        "webhook_attempts": Param("attempt"),
        "webhook_lease_until": Param("lease_until"),
    },
)
WEBHOOK_RETRY = Transition(
    FINAL,
    None,
    only_if=_HELD,
    sets={
        "webhook_state": WebhookState.RETRYING,
        "webhook_log": Param("log"),
        "webhook_retry_at": Param("retry_at"),
        "webhook_due": Param("due"),
    },
    removes=("webhook_lease_until",),
)
WEBHOOK_END = Transition(
    FINAL,
    None,
    only_if=_HELD,
    sets={"webhook_state": Param("state"), "webhook_log": Param("log")},
    removes=_ANNOUNCED,
)
WEBHOOK_RESEND = Transition(
    FINAL,
    None,
    only_if=(_NOT_AT_WORK, *_SEEN),
    sets={
        "webhook_state": WebhookState.WAITING,
        "webhook_attempt_limit": Param("attempt_limit"),
        "webhook_due": Param("due"),
        "webhook_shard": Param("shard"),
    },
)
WEBHOOK_POSTPONE = Transition(
    FINAL, None, only_if=(Eq("webhook_due", Param("seen_due")),), sets={"webhook_due": Param("due")}
)


def claim(record: Record, lease_until: int, now: int) -> Update:
    """The next attempt's right to send, if nothing has happened to the webhook since `record` was read."""
    attempts = record.webhook_attempts or 0
    values: dict[str, Value] = {
        "finished_at": record.finished_at or 0,
        "seen_state": record.webhook_state or "",
        "seen_attempts": attempts,
        "attempt": attempts + 1,
        "lease_until": lease_until,
        "now": now,
    }
    return Update(WEBHOOK_CLAIM, record.request_id, values)


def retry(record: Record, log: str, again: Retry, now: int) -> Update:
    """The attempt that `record` holds has failed, and another comes. `log`: all attempts, as JSON."""
    retry_at = now + again.seconds * 1000
    due = retry_at + MESSAGE_GRACE_MS if again.by_message else retry_at
    return Update(WEBHOOK_RETRY, record.request_id, {**_held(record), "log": log, "retry_at": retry_at, "due": due})


def end(record: Record, state: WebhookState, log: str) -> Update:
    """The attempt that `record` holds was the last one: the webhook is delivered or has failed."""
    return Update(WEBHOOK_END, record.request_id, {**_held(record), "state": state, "log": log})


def resend(record: Record, now: int) -> Update:
    """Send the webhook again, with new attempts, if nothing has happened to it since `record` was read. The table's
    stream brings it to the deliverer, as after the outcome."""
    attempts = record.webhook_attempts or 0
    values: dict[str, Value] = {
        "finished_at": record.finished_at or 0,
        "seen_attempts": attempts,
        "attempt_limit": attempts + MAX_DELIVERIES,
        "due": now + MESSAGE_GRACE_MS,
        "shard": record.request_id[0],
    }
    return Update(WEBHOOK_RESEND, record.request_id, values)


def postpone(record: Record, now: int) -> Update:
    """The sweeper has sent a message; if that is lost too, it sends another after the grace time."""
    values: dict[str, Value] = {"seen_due": record.webhook_due or 0, "due": now + MESSAGE_GRACE_MS}
    return Update(WEBHOOK_POSTPONE, record.request_id, values)


def _held(record: Record) -> Mapping[str, Value]:
    return {"finished_at": record.finished_at or 0, "attempt": record.webhook_attempts or 0}
