"""Whether each received message is deleted or retried: one verdict for every record of an SQS event.

verdict                 Lambda                                       SQS
Done                    deletes the message
Retry(after_seconds)    keeps it, since its id is in the answer's    shows it again after so many seconds; None: when
                        `batchItemFailures`                          the visibility timeout set last ends

Lambda deletes every message that is not reported. So every `Done` has one of the listed reasons, which all mean that
the request is final or was never accepted. A record without a verdict, or with two, is retried.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from inference.telemetry import Telemetry

UNAVAILABLE_RETRY_SECONDS = 5
"""How long a message waits when the table did not answer."""


class DoneReason(StrEnum):
    """Why a message is deleted."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    ALREADY_FINAL = "already_final"
    ENDED_MEANWHILE = "ended_meanwhile"
    EXPIRED = "expired"
    NO_RECORD = "no_record"
    EARLIER_SUBMIT = "earlier_submit"


class RetryReason(StrEnum):
    """Why a message is kept."""

    UNREADABLE = "unreadable"
    UNKNOWN_MODEL = "unknown_model"
    DUPLICATE = "duplicate"
    NO_TIME = "no_time"
    HANDED_BACK = "handed_back"
    CLAIM_FAILED = "claim_failed"
    CLAIM_REJECTED = "claim_rejected"
    LEASED = "leased"
    ATTEMPTS_EXHAUSTED = "attempts_exhausted"
    ATTEMPT_FAILED = "attempt_failed"
    LEASE_LOST = "lease_lost"
    FINISH_FAILED = "finish_failed"
    LOAD_TIMED_OUT = "load_timed_out"
    PREDICTION_TIMED_OUT = "prediction_timed_out"
    HELD = "held"
    RUN_NOT_CANCELLED = "run_not_cancelled"
    UNDECIDED = "undecided"


@dataclass(frozen=True, slots=True)
class Done:
    """The message is deleted. `details` are the fields of its log line."""

    reason: DoneReason
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Retry:
    """The message comes back after this many seconds; None leaves its visibility timeout unchanged."""

    reason: RetryReason
    after_seconds: int | None
    details: Mapping[str, Any] = field(default_factory=dict)


Verdict = Done | Retry

Verdicts = Sequence[tuple[str, Verdict]]
"""Receipt handles, each with a verdict on its message."""

OUTCOME_WRITTEN = "request_finished"

EVENTS: Mapping[DoneReason | RetryReason, tuple[Callable[..., None], str]] = {
    DoneReason.SUCCEEDED: (Telemetry.debug, OUTCOME_WRITTEN),  # `requests_succeeded` has its id
    DoneReason.FAILED: (Telemetry.info, OUTCOME_WRITTEN),
    DoneReason.ALREADY_FINAL: (Telemetry.info, "message_dropped"),
    DoneReason.ENDED_MEANWHILE: (Telemetry.info, "outcome_dropped"),
    DoneReason.EXPIRED: (Telemetry.info, "message_dropped"),
    DoneReason.NO_RECORD: (Telemetry.info, "message_dropped"),
    DoneReason.EARLIER_SUBMIT: (Telemetry.info, "message_dropped"),
    RetryReason.UNREADABLE: (Telemetry.error, "message_unreadable"),
    RetryReason.UNKNOWN_MODEL: (Telemetry.warning, "model_unknown"),
    RetryReason.DUPLICATE: (Telemetry.info, "message_returned"),
    RetryReason.NO_TIME: (Telemetry.info, "message_returned"),
    RetryReason.HANDED_BACK: (Telemetry.warning, "message_returned"),
    RetryReason.CLAIM_FAILED: (Telemetry.error, "claim_failed"),
    RetryReason.CLAIM_REJECTED: (Telemetry.info, "message_returned"),
    RetryReason.LEASED: (Telemetry.info, "message_returned"),
    RetryReason.ATTEMPTS_EXHAUSTED: (Telemetry.error, "attempts_exhausted"),
    RetryReason.ATTEMPT_FAILED: (Telemetry.warning, "request_retried"),
    RetryReason.LEASE_LOST: (Telemetry.warning, "lease_lost"),
    RetryReason.FINISH_FAILED: (Telemetry.error, "finish_failed"),
    RetryReason.LOAD_TIMED_OUT: (Telemetry.error, "load_timed_out"),
    RetryReason.PREDICTION_TIMED_OUT: (Telemetry.error, "prediction_timed_out"),
    RetryReason.HELD: (Telemetry.info, "request_held"),
    RetryReason.RUN_NOT_CANCELLED: (Telemetry.warning, "run_not_cancelled"),
    RetryReason.UNDECIDED: (Telemetry.error, "verdict_missing"),
}


def log(verdict: Verdict, telemetry: Telemetry) -> None:
    """Write the log line of a verdict."""
    write, event = EVENTS[verdict.reason]
    if event == "message_dropped":
        write(telemetry, event, reason=verdict.reason, **verdict.details)
    elif event == "message_returned" and isinstance(verdict, Retry):
        write(telemetry, event, reason=verdict.reason, seconds=verdict.after_seconds, **verdict.details)
    else:
        write(telemetry, event, **verdict.details)


def single_verdict(verdicts: Sequence[Verdict], message_id: str) -> Verdict:
    """The verdict on a message, if there is exactly one; else the message is retried."""
    if len(verdicts) == 1:
        return verdicts[0]
    return Retry(RetryReason.UNDECIDED, None, {"message_id": message_id, "verdicts": [v.reason for v in verdicts]})


def counts(verdicts: Iterable[Verdict]) -> dict[str, int]:
    """The number of messages by result: the final status that was written, `dropped` or `returned`."""
    found: dict[str, int] = {}
    for verdict in verdicts:
        if isinstance(verdict, Retry):
            name = "returned"
        else:
            name = verdict.reason if EVENTS[verdict.reason][1] == OUTCOME_WRITTEN else "dropped"
        found[name] = found.get(name, 0) + 1
    return found
