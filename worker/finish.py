"""Finishing: the outcomes are written in one call, after their files, and the result of each write decides about the
message.

the write                                  the message
applied: succeeded, or finally failed      is done
applied: released for another attempt      is retried after a delay that doubles with each attempt
rejected: the request is final, or gone     is done: the request was cancelled or ended meanwhile; the outcome is
dropped
rejected: another attempt holds the lease   is retried when that attempt's visibility timeout ends, if not deleted then
no answer                                  is retried soon
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from inference import transitions
from inference.errors import Unavailable
from inference.requests import FINAL, ErrorCode, Failure, Status
from inference.store.request_table import Applied, ConditionFailed, RequestTable, WriteResult
from inference.telemetry import Telemetry
from inference.transitions import Update
from worker.claims import Claim
from worker.invocation import RetryDelay
from worker.isolation import Failed, Outcome, Succeeded
from worker.payloads import WorkerPayloads
from worker.prediction import Predicted
from worker.verdicts import UNAVAILABLE_RETRY_SECONDS, Done, DoneReason, Retry, RetryReason, Verdict, Verdicts

_PREDICTION_TIMED_OUT = Failed(
    ErrorCode.TIMEOUT,
    "The prediction did not end within the worker's timeout. Raise timeout_seconds, or send smaller inputs.",
    retryable=True,
)
_LOAD_TIMED_OUT = Failed(
    ErrorCode.MODEL_NOT_LOADED,
    "The model did not load within the worker's timeout. Raise timeout_seconds, or memory_mb, which brings more CPU.",
    retryable=True,
)
_NOT_STORED = Failed(
    ErrorCode.RESULT_NOT_STORED, "The files of the result could not be kept: S3 did not take them.", retryable=True
)


@dataclass(frozen=True)
class _Stored:
    """An outcome whose files are kept; `files` as the record has them."""

    claim: Claim
    outcome: Outcome
    files: str | None


class Finisher:
    """Writes the outcomes of claimed requests.

    Args:
        retry: how long a retryable error waits.
        telemetry: counts the outcomes that were written.
        payloads: keeps the files of results.
    """

    def __init__(self, table: RequestTable, retry: RetryDelay, telemetry: Telemetry, payloads: WorkerPayloads) -> None:
        self._table = table
        self._payloads = payloads
        self._retry = retry
        self._telemetry = telemetry

    def finish(self, claims: Sequence[Claim], predicted: Predicted, now: int) -> Verdicts:
        """Write what was predicted: the files first, then the outcomes that refer to them."""
        found = [self._with_files_stored(*pair) for pair in zip(claims, predicted.outcomes, strict=True)]
        answers = self._table.apply([self._update(each.claim, each.outcome, now, each.files) for each in found])
        for each, written in zip(found, answers, strict=True):
            self._drop_if_rejected(each, written)
        self._log_succeeded(found, answers, predicted.predict_ms, now)
        return [
            (
                each.claim.delivery.receipt_handle,
                self._verdict(each.claim, each.outcome, written, now, predicted.predict_ms, len(found)),
            )
            for each, written in zip(found, answers, strict=True)
        ]

    def _log_succeeded(
        self, found: Sequence[_Stored], answers: Sequence[WriteResult], predict_ms: float, now: int
    ) -> None:
        """One line for the requests of a pass, since logs are paid for by the byte; any other outcome has its own."""
        messages = [
            each.claim.delivery.message
            for each, written in zip(found, answers, strict=True)
            if isinstance(each.outcome, Succeeded) and isinstance(written, Applied)
        ]
        if messages:
            self._telemetry.info(
                "requests_succeeded",
                request_ids=[message.request_id for message in messages],
                batch=len(found),
                predict_ms=predict_ms,
                oldest_ms=now - min(message.submitted_at for message in messages),
            )

    def _with_files_stored(self, claim: Claim, outcome: Outcome) -> _Stored:
        if not isinstance(outcome, Succeeded) or not outcome.files:
            return _Stored(claim, outcome, None)
        request_id = claim.delivery.message.request_id
        try:
            return _Stored(claim, outcome, self._payloads.store(request_id, claim.attempt, outcome.files))
        except Unavailable as error:
            self._telemetry.error("result_not_stored", error, request_id=request_id)
            return _Stored(claim, _NOT_STORED, None)

    def _drop_if_rejected(self, stored: _Stored, written: WriteResult) -> None:
        """Without an answer the outcome may have been written, and its files stay."""
        outcome = stored.outcome
        if isinstance(written, ConditionFailed) and isinstance(outcome, Succeeded) and stored.files is not None:
            request_id = stored.claim.delivery.message.request_id
            self._payloads.drop(request_id, stored.claim.attempt, len(outcome.files), written.record, stored.files)

    def finish_timed_out(self, claims: Sequence[Claim], loading: bool, now: int, more_seconds: int) -> Verdicts:
        """Write that the model did not load or predict in time. Lambda will end the invocation and delete no message:
        the released ones come back after their delay and `more_seconds`, when the invocation has ended.
        """
        # Alone, since one input may be the cause. A load never depends on an input.
        failed, run_alone = (_LOAD_TIMED_OUT, False) if loading else (_PREDICTION_TIMED_OUT, True)
        reason = RetryReason.LOAD_TIMED_OUT if loading else RetryReason.PREDICTION_TIMED_OUT
        answers = self._table.apply([self._failure(claim, failed, now, run_alone) for claim in claims])
        verdicts: list[tuple[str, Verdict]] = []
        for claim, written in zip(claims, answers, strict=True):
            seconds = self._retry.after(claim.attempt) + more_seconds if isinstance(written, Applied) else None
            if isinstance(written, Applied) and not self._has_another(claim, failed):
                self._telemetry.count_outcome(claim.delivery.message.model, Status.FAILED, failed.code)
            details = {"request_id": claim.delivery.message.request_id, "attempt": claim.attempt}
            verdicts.append((claim.delivery.receipt_handle, Retry(reason, seconds, details)))
        return verdicts

    def _verdict(
        self, claim: Claim, outcome: Outcome, written: WriteResult, now: int, predict_ms: float, batch: int
    ) -> Verdict:
        message = claim.delivery.message
        details = {"request_id": message.request_id, "attempt": claim.attempt, "batch": batch}
        match written:
            case Applied() if isinstance(outcome, Failed) and self._has_another(claim, outcome):
                details |= {"code": outcome.code, "reason": outcome.message}
                return Retry(RetryReason.ATTEMPT_FAILED, self._retry.after(claim.attempt), details)
            case Applied():
                age_ms = now - message.submitted_at
                details |= {"predict_ms": predict_ms, "age_ms": age_ms}
                if isinstance(outcome, Failed):
                    self._telemetry.count_outcome(message.model, Status.FAILED, outcome.code)
                    return Done(DoneReason.FAILED, {"status": Status.FAILED, "code": outcome.code, **details})
                self._telemetry.count_outcome(message.model, Status.SUCCEEDED)
                self._telemetry.measure(message.model, "EndToEnd", age_ms)
                return Done(DoneReason.SUCCEEDED, {"status": Status.SUCCEEDED, **details})
            case ConditionFailed(record=record) if record is None or record.status in FINAL:
                current = record.status if record else "gone"
                return Done(DoneReason.ENDED_MEANWHILE, {"current_status": current, **details})
            case ConditionFailed():
                # Another attempt holds the lease now, and may still need the message: it must not be deleted.
                return Retry(RetryReason.LEASE_LOST, None, details)
            case Unavailable() as error:
                return Retry(RetryReason.FINISH_FAILED, UNAVAILABLE_RETRY_SECONDS, {"error": error, **details})

    def _has_another(self, claim: Claim, failed: Failed) -> bool:
        return failed.retryable and claim.attempt < claim.delivery.message.attempt_limit

    def _update(self, claim: Claim, outcome: Outcome, now: int, files: str | None) -> Update:
        if isinstance(outcome, Succeeded):
            return transitions.succeed(claim.delivery.message.request_id, claim.attempt, outcome.result, now, files)
        return self._failure(claim, outcome, now, run_alone=False)

    def _failure(self, claim: Claim, failed: Failed, now: int, run_alone: bool) -> Update:
        """Release the request for another attempt, or end it on its last; then its input is kept for a replay."""
        request_id = claim.delivery.message.request_id
        failure = Failure(failed.code, failed.message, claim.attempt)
        if self._has_another(claim, failed):
            return transitions.release(request_id, claim.attempt, failure, now, run_alone)
        # A replay of an invalid input would fail again; the cause of any other failure may be fixed.
        keep = failed.code is not ErrorCode.INVALID_INPUT
        kept = json.dumps(claim.delivery.message.input) if keep else None
        return transitions.fail(request_id, claim.attempt, failure, now, kept)
