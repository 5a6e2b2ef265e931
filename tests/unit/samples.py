"""What most tests need: a record, its message, a catalog of two models, and every transition."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from inference import transitions
from inference.catalog import Catalog, PackagedModel, Validate
from inference.errors import InvalidInput
from inference.requests import ErrorCode, Failure, Message, Record, Status, WebhookState
from inference.transitions import Transition, Update
from inference.webhooks import transitions as webhook_transitions
from inference.webhooks.retries import MAX_DELIVERIES, MESSAGE_GRACE_MS, Retry
from tests.unit.fakes import NOW
from worker.dispatch import transitions as run_transitions

DEADLINE = 86_400
RETENTION = 604_800


def a_record(request_id: str = "a1", **changes: Any) -> Record:
    """A pending record, submitted now."""
    known: dict[str, Any] = {
        "request_id": request_id,
        "status": Status.PENDING,
        "model": "echo",
        "caller": "anonymous",
        "submitted_at": NOW,
        "expires_at": NOW + DEADLINE * 1000,
        "delete_at": NOW // 1000 + DEADLINE + RETENTION,
        "attempt_limit": 5,
    }
    return Record(**known | changes)


WEBHOOK_URL = "https://example.com/hook"


def with_webhook(record: Record, **changes: Any) -> Record:
    """The record as a submit with a webhook writes it."""
    known: dict[str, Any] = {
        "webhook_url": WEBHOOK_URL,
        "webhook_state": WebhookState.WAITING,
        "webhook_attempts": 0,
        "webhook_attempt_limit": MAX_DELIVERIES,
        "webhook_due": record.expires_at + MESSAGE_GRACE_MS,
    }
    return record._replace(**known | changes)


def a_message(record: Record, value: Any = None) -> Message:
    """The message of a record."""
    value = {"text": "fine"} if value is None else value
    return Message(record.request_id, record.model, value, record.submitted_at, record.expires_at, record.attempt_limit)


def validate_text(value: Any) -> Any:
    """A model's validator: an object with a `text` that is not empty, and a default."""
    if not isinstance(value, dict):
        raise InvalidInput("data must be object")
    if not isinstance(value.get("text"), str) or not value["text"]:
        raise InvalidInput("data.text must be longer than or equal to 1 characters")
    value.setdefault("threshold", 0.5)
    return value


def a_packaged_model(version: str = "1.0.0", example: Any = None) -> PackagedModel:
    """What a package knows of a model."""
    return PackagedModel(version, "Says it again.", {"type": "object"}, {"type": "object"}, example, 512, {})


def a_catalog(validate: Validate = validate_text) -> Catalog:
    """Two models."""
    models = {"echo": "echo", "other": "echo"}
    return Catalog(models, "echo", {"echo": a_packaged_model()}, lambda _: validate)


TRANSITIONS: Mapping[str, Transition] = {
    name.lower(): it
    for module in (transitions, webhook_transitions, run_transitions)
    for name, it in vars(module).items()
    if isinstance(it, Transition)
}
"""Every transition by its name."""


def updates_of(record: Record, now: int = NOW) -> dict[str, Update]:
    """Every transition as an update of a record, by the transition's name.

    It is made so that only the record can be in its way: those of keyed submits want `submit_id` s, and those of
    webhooks a webhook.
    """
    name, attempt, failure = record.request_id, record.attempts, Failure(ErrorCode.CRASHED, "died", 1)
    keyed, keyless = record._replace(submit_id="s"), record._replace(submit_id=None)
    hooked = record._replace(webhook_attempts=record.webhook_attempts or 0)
    submitted = record._replace(submits=record.submits or 0, next_look_at=record.next_look_at or 0)
    hold = (name, attempt, record.submits or 0, now + 2_000, now + 62_000, now)
    claim = (name, record.submitted_at, now + 33_000)
    trace = {"invocation_id": "i", "model_version": "1", "code_digest": "sha256:1"}
    return {
        "confirm_submit": transitions.confirm_submit(keyed),
        "take_over_submit": transitions.take_over_submit(keyed, "u", now),
        "claim_first": transitions.claim_first(*claim, now, **trace),
        "claim_unless_last": transitions.claim_unless_last(*claim, record.attempt_limit, now, **trace),
        "take_over": transitions.take_over(*claim, now, **trace),
        "report_progress": transitions.report_progress(name, attempt, "{}", now),
        "release": transitions.release(name, attempt, failure, now, run_alone=False),
        "release_alone": transitions.release(name, attempt, failure, now, run_alone=True),
        "succeed": transitions.succeed(name, attempt, "{}", now),
        "succeed_with_files": transitions.succeed(name, attempt, "{}", now, files="[]"),
        "fail": transitions.fail(name, attempt, failure, now),
        "fail_keeping_input": transitions.fail(name, attempt, failure, now, "1"),
        "cancel": transitions.cancel(name, now),
        "cancel_pending": transitions.cancel_pending(name, now),
        "expire": transitions.expire(name, now),
        "fail_unleased": transitions.fail_unleased(name, failure, now),
        "fail_unleased_keeping_input": transitions.fail_unleased(name, failure, now, "1"),
        "mark_possibly_lost": transitions.mark_possibly_lost(keyless, now),
        "mark_possibly_lost_keyed": transitions.mark_possibly_lost(keyed, now),
        "fail_lost": transitions.fail_lost(keyless, failure, now),
        "fail_lost_keyed": transitions.fail_lost(keyed, failure, now),
        "follow": transitions.follow(name),
        "unfollow": transitions.unfollow(name),
        "replay": transitions.replay(
            record._replace(webhook_attempts=None), now, expires_at=now * 2, delete_at=now, attempts=5
        ),
        "replay_with_webhook": transitions.replay(hooked, now, expires_at=now * 2, delete_at=now, attempts=5),
        "forget_input": transitions.forget_input(name),
        "intend": run_transitions.intend(name, attempt, (record.submits or 0) + 1, now),
        "hold": run_transitions.hold(*hold),
        "hold_progress": run_transitions.hold(*hold, progress="{}"),
        "hold_run": run_transitions.hold(*hold, run_id="r1"),
        "hold_uncertain": run_transitions.hold(*hold, uncertain=True),
        "resume": run_transitions.resume(submitted, now + 33_000, "i", now),
        "expire_held": run_transitions.expire_held(submitted, now),
        "called_back": run_transitions.called_back(submitted, "r1", now + 33_000),
        "run_failed": run_transitions.run_failed(submitted, "r1", "{}"),
        "webhook_claim": webhook_transitions.claim(hooked, now + 30_000, now),
        "webhook_retry": webhook_transitions.retry(hooked, "[]", Retry(5), now),
        "webhook_end": webhook_transitions.end(hooked, WebhookState.DELIVERED, "[]"),
        "webhook_resend": webhook_transitions.resend(hooked, now),
        "webhook_postpone": webhook_transitions.postpone(hooked, now),
    }


def for_request(update: Update, request_id: str) -> Update:
    """The same update of another record."""
    return Update(update.transition, request_id, update.values)
