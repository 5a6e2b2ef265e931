"""The transitions of the webhook of a final request or batch; each is one conditional write, as those of the request
itself.

    (submit) --> waiting --claim--> delivering --end--> delivered | failed
                    ^               |   ^  \\--claim (lease over)--> delivering
                    |             retry | claim
                    |               v   |
                    |              retrying
                    \\--resend-- retrying | delivered | failed
                    \\--replay-- any (`inference.transitions`: the request becomes final again)

An attempt is claimed before it is made, and counted with the claim; its result is written by the attempt that holds the
claim alone. `finished_at` is the outcome that the delivery is about: what is not final has none, and after a replay
there is another.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from inference.conditions import Eq, Lt, Missing, Or, Param, Value
from inference.requests import WebhookState
from inference.transitions import ANY, Transition, Update
from inference.webhooks.retries import MAX_DELIVERIES, MESSAGE_GRACE_MS, Retry


class Announced(Protocol):
    """What a webhook is about: a request's record or a batch's. Its fields are described in `inference.requests`."""

    @property
    def id(self) -> str: ...

    @property
    def model(self) -> str: ...

    @property
    def delete_at(self) -> int: ...

    @property
    def finished_at(self) -> int | None: ...

    @property
    def webhook_url(self) -> str | None: ...

    @property
    def webhook_state(self) -> str | None: ...

    @property
    def webhook_attempts(self) -> int | None: ...

    @property
    def webhook_attempt_limit(self) -> int | None: ...

    @property
    def webhook_due(self) -> int | None: ...

    @property
    def webhook_lease_until(self) -> int | None: ...

    @property
    def webhook_retry_at(self) -> int | None: ...

    @property
    def webhook_log(self) -> str | None: ...


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
    ANY,
    None,
    only_if=(Eq("webhook_state", Param("seen_state")), _NOT_LEASED, *_SEEN),
    sets={
        "webhook_state": WebhookState.DELIVERING,
        "webhook_attempts": Param("attempt"),
        "webhook_lease_until": Param("lease_until"),
    },
)
WEBHOOK_RETRY = Transition(
    ANY,
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
    ANY,
    None,
    only_if=_HELD,
    sets={"webhook_state": Param("state"), "webhook_log": Param("log")},
    removes=_ANNOUNCED,
)
WEBHOOK_RESEND = Transition(
    ANY,
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
    ANY, None, only_if=(Eq("webhook_due", Param("seen_due")),), sets={"webhook_due": Param("due")}
)


def claim(record: Announced, lease_until: int, now: int) -> Update:
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
    return Update(WEBHOOK_CLAIM, record.id, values)


def retry(record: Announced, log: str, again: Retry, now: int) -> Update:
    """The attempt that `record` holds has failed, and another comes. `log`: all attempts, as JSON."""
    retry_at = now + again.seconds * 1000
    due = retry_at + MESSAGE_GRACE_MS if again.by_message else retry_at
    return Update(WEBHOOK_RETRY, record.id, {**_held(record), "log": log, "retry_at": retry_at, "due": due})


def end(record: Announced, state: WebhookState, log: str) -> Update:
    """The attempt that `record` holds was the last one: the webhook is delivered or has failed."""
    return Update(WEBHOOK_END, record.id, {**_held(record), "state": state, "log": log})


def resend(record: Announced, now: int) -> Update:
    """Send the webhook again, with new attempts, if nothing has happened to it since `record` was read. The table's
    stream brings it to the deliverer, as after the outcome."""
    attempts = record.webhook_attempts or 0
    values: dict[str, Value] = {
        "finished_at": record.finished_at or 0,
        "seen_attempts": attempts,
        "attempt_limit": attempts + MAX_DELIVERIES,
        "due": now + MESSAGE_GRACE_MS,
        "shard": record.id[0],
    }
    return Update(WEBHOOK_RESEND, record.id, values)


def postpone(record: Announced, now: int) -> Update:
    """The sweeper has sent a message; if that is lost too, it sends another after the grace time."""
    values: dict[str, Value] = {"seen_due": record.webhook_due or 0, "due": now + MESSAGE_GRACE_MS}
    return Update(WEBHOOK_POSTPONE, record.id, values)


def _held(record: Announced) -> Mapping[str, Value]:
    return {"finished_at": record.finished_at or 0, "attempt": record.webhook_attempts or 0}
