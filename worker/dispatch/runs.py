"""The runs of claimed requests: submitting one, looking at it, stopping it.

submit                     the provider              what becomes of it
intent written, submitted  took it                   held, with the run's id
                           refused (429, 503, ...)   held without one: submitted again later, no attempt used
                           did not answer            held: the run's callback may tell its id; else the attempt ends
                           rejects it                failed, with what to fix
look                       running, or no answer     held again
                           succeeded                 the outcome, with its files
                           failed, or forgotten      the attempt ends; another one submits again

Each write requires that the attempt still has the request. A run whose id can't be recorded, because the request ended
meanwhile, is stopped.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from inference.errors import InvalidInput, Unavailable
from inference.requests import FINAL, ErrorCode, Record, Status
from inference.store.request_table import Applied, ConditionFailed, RequestTable, WriteResult
from inference.telemetry import Telemetry
from worker.backends.base import (
    BackendError,
    Gone,
    Look,
    Refused,
    Rejected,
    Running,
    Submission,
)
from worker.backends.base import (
    Failed as RunFailed,
)
from worker.backends.base import (
    Succeeded as RunSucceeded,
)
from worker.claims import Claim
from worker.dispatch import transitions
from worker.dispatch.addresses import callback_url
from worker.dispatch.delays import CALLBACK_SECONDS, GONE_GRACE_MS, HOLD_MARGIN_MS, UNCERTAIN_SECONDS, until_deadline
from worker.dispatch.model import BackendModel
from worker.dispatch.results import failure_from_json, outcome_of_failure, outcome_of_output
from worker.finish import Finisher
from worker.isolation import Failed, Outcome
from worker.payloads import InputUnavailable, Resolved, WorkerPayloads
from worker.prediction import Predicted
from worker.verdicts import UNAVAILABLE_RETRY_SECONDS, Done, DoneReason, Retry, RetryReason, Verdict

MAX_LINK_SECONDS = 7 * 86_400
"""Of a presigned link; it ends sooner with the credentials of the dispatcher's role."""

STOP_WINDOW_MS, STOP_AGAIN_SECONDS = 15 * 60_000, 30
"""For so long after a request's end stopping its run is tried again; then the provider's own time limit ends it."""

_NO_ANSWER = Failed(
    ErrorCode.BACKEND_ERROR,
    "The provider did not answer the submit, and no callback has told of a run. It may run all the same.",
    retryable=True,
)
_FORGOTTEN = Failed(
    ErrorCode.BACKEND_ERROR,
    "The provider does not know the run any more: it was deleted there, or its result was kept for too short a time."
    " Lower poll_seconds.max, or raise the time that the provider keeps results.",
    retryable=True,
)


class Runs:
    """Submits, looks and stops.

    Args:
        api_url: the API's, for the addresses that providers call.
        finisher: writes outcomes.
    """

    def __init__(
        self, api_url: str, table: RequestTable, finisher: Finisher, telemetry: Telemetry, payloads: WorkerPayloads
    ) -> None:
        self._api_url = api_url
        self._table = table
        self._finisher = finisher
        self._telemetry = telemetry
        self._payloads = payloads

    # Submit

    def submit(self, model: BackendModel, claim: Claim, record: Record, now: Callable[[], int]) -> Verdict:
        """Submit a claimed request, after its intent is written."""
        request_id, number = record.request_id, (record.submits or 0) + 1
        try:
            value = self._input(model, claim, record, now())
        except InvalidInput as error:
            return self._finish(claim, record, Failed(ErrorCode.INVALID_INPUT, str(error), retryable=False), now)
        except InputUnavailable as error:
            self._telemetry.warning("input_unavailable", reason=str(error), retryable=error.retryable)
            return self._finish(claim, record, Failed(ErrorCode.INPUT_UNAVAILABLE, str(error), error.retryable), now)
        written = self._table.apply([transitions.intend(request_id, claim.attempt, number, now())])[0]
        if not isinstance(written, Applied):
            return self._not_written(model, claim, written, now())
        try:
            run_id = self._submit(model, record, number, value, now())
        except Refused as error:
            return self._refused(model, claim, record, number, error, now)
        except Rejected as error:
            self._telemetry.error("submit_rejected", error, request_id=request_id, model=model.name)
            return self._finish(claim, record, Failed(ErrorCode.BACKEND_ERROR, str(error), retryable=False), now)
        except Exception as error:  # whatever it is, the provider may have taken it
            self._telemetry.error("submit_uncertain", error, request_id=request_id, model=model.name, number=number)
            if not model.callbacks:
                return self.give_up_uncertain(claim, record._replace(submits=number), now)
            return self._hold(model, claim, record, number, UNCERTAIN_SECONDS, now, uncertain=True)
        self._telemetry.count(model.name, "Submits")
        self._telemetry.info("run_submitted", request_id=request_id, run_id=run_id, number=number, model=model.name)
        verdict, written = self._write_hold(model, claim, record, number, model.delay.minimum, now, run_id=run_id)
        if isinstance(written, ConditionFailed):
            self._stop_unrecorded(model, run_id, written.record, request_id)
        return verdict

    def _input(self, model: BackendModel, claim: Claim, record: Record, now: int) -> Any:
        """The input as the provider gets it: complete, valid, with links to its uploads."""
        message = claim.delivery.message
        resolved = self._payloads.resolve(message, model.input_files)
        valid = Resolved(model.validate(resolved.value), resolved.known)
        seconds = min(_seconds_left(record, now), MAX_LINK_SECONDS)
        return self._payloads.with_links(valid, message, model.input_files, seconds)

    def _submit(self, model: BackendModel, record: Record, number: int, value: Any, now: int) -> str:
        url = None
        if model.callbacks:
            url = callback_url(self._api_url, model.name, record.request_id, number, model.provider.secret())
        return model.provider.submit(Submission(record.request_id, number, value, url, _seconds_left(record, now)))

    def _refused(
        self, model: BackendModel, claim: Claim, record: Record, number: int, error: Refused, now: Callable[[], int]
    ) -> Verdict:
        """Submit again later: nothing runs, and no attempt is used."""
        self._telemetry.count(model.name, "SubmitsRefused")
        self._telemetry.warning(
            "submit_refused", request_id=record.request_id, model=model.name, reason=str(error), number=number
        )
        waited_ms = now() - (record.started_at or now())
        seconds = max(model.delay.after(waited_ms), min(error.retry_after or 0, model.delay.maximum))
        return self._hold(model, claim, record, number, seconds, now)

    def _stop_unrecorded(self, model: BackendModel, run_id: str, current: Record | None, request_id: str) -> None:
        """Stop a run whose id was not recorded, unless it is the current one all the same: its callback was quicker."""
        if current is not None and current.run_id == run_id:
            return
        self._cancel(model, run_id, request_id)

    def give_up_uncertain(self, claim: Claim, record: Record, now: Callable[[], int]) -> Verdict:
        """End an attempt whose submit was never answered: another one may then run beside it."""
        self.tell_of_a_possible_duplicate(record)
        return self._finish(claim, record, _NO_ANSWER, now)

    def tell_of_a_possible_duplicate(self, record: Record) -> None:
        """Log and count that a run may exist whose id is not known: the next submit may run beside it."""
        self._telemetry.count(record.model, "PossibleDuplicateSubmits")
        self._telemetry.warning(
            "possible_duplicate_submit", request_id=record.request_id, model=record.model, number=record.submits
        )

    # Look

    def look(self, model: BackendModel, claim: Claim, record: Record, now: Callable[[], int]) -> Verdict:
        """Look at the run of a resumed request."""
        waited_ms = now() - (record.submitted_run_at or now())
        found = self._look(model, record)
        progress: str | None = None
        match found:
            case RunSucceeded():
                outcome = outcome_of_output(found, model.output_files, self._telemetry)
                return self._finish(claim, record, outcome, now, found.run_seconds)
            case RunFailed():
                return self._finish(claim, record, outcome_of_failure(found), now, found.run_seconds)
            case Gone() if waited_ms > GONE_GRACE_MS:
                if model.provider.polls or record.run_uncertain:
                    return self._finish(claim, record, _FORGOTTEN, now)
                return self._hold(model, claim, record, record.submits or 0, CALLBACK_SECONDS, now, uncertain=True)
            case Running(progress=fraction) if fraction is not None:
                progress = json.dumps({"fraction": fraction, "message": ""})
        return self._hold(
            model, claim, record, record.submits or 0, model.delay.after(waited_ms), now, progress=progress
        )

    def _look(self, model: BackendModel, record: Record) -> Look:
        """How the run is; what can't be known is as if it went on."""
        if record.run_failure is not None:
            return failure_from_json(record.run_failure)
        try:
            return model.provider.look(record.run_id or "")
        except BackendError as error:
            named = {"request_id": record.request_id, "model": model.name, "reason": str(error)}
            if isinstance(error, Rejected):
                self._telemetry.error("look_failed", None, **named)
            else:
                self._telemetry.warning("look_failed", **named)
            return Running()

    # Stop

    def stop(self, model: BackendModel, record: Record, now: int) -> Verdict | None:
        """Stop the run of a request that ended without it. None: there is nothing to stop, or it is stopped, or it is
        too late to try again."""
        if record.run_id is None or record.status is Status.SUCCEEDED:
            return None
        stopped = self._cancel(model, record.run_id, record.request_id)
        if stopped or now - (record.finished_at or 0) > STOP_WINDOW_MS:
            return None
        details = {"request_id": record.request_id, "run_id": record.run_id, "model": model.name}
        return Retry(RetryReason.RUN_NOT_CANCELLED, STOP_AGAIN_SECONDS, details)

    def _cancel(self, model: BackendModel, run_id: str, request_id: str) -> bool:
        """False: it may be tried again."""
        try:
            model.provider.cancel(run_id)
        except BackendError as error:
            again = not isinstance(error, Rejected)
            self._telemetry.warning("cancel_failed", request_id=request_id, run_id=run_id, reason=str(error))
            return not again
        self._telemetry.info("run_cancelled", request_id=request_id, run_id=run_id, model=model.name)
        return True

    # Writing

    def _hold(
        self,
        model: BackendModel,
        claim: Claim,
        record: Record,
        number: int,
        seconds: int,
        now: Callable[[], int],
        **what: Any,
    ) -> Verdict:
        return self._write_hold(model, claim, record, number, seconds, now, **what)[0]

    def _write_hold(
        self,
        model: BackendModel,
        claim: Claim,
        record: Record,
        number: int,
        seconds: int,
        now: Callable[[], int],
        **what: Any,
    ) -> tuple[Verdict, WriteResult]:
        """Hold the request, and its message for as long."""
        at = now()
        seconds = until_deadline(seconds, record.expires_at, at)
        next_look_at = at + seconds * 1000
        update = transitions.hold(
            record.request_id, claim.attempt, number, next_look_at, next_look_at + HOLD_MARGIN_MS, at, **what
        )
        written = self._table.apply([update])[0]
        if isinstance(written, Applied):
            details = {"request_id": record.request_id, "attempt": claim.attempt, "number": number}
            return Retry(RetryReason.HELD, seconds, details), written
        return self._not_written(model, claim, written, now()), written

    def _not_written(self, model: BackendModel, claim: Claim, written: WriteResult, now: int) -> Verdict:
        """What becomes of the message when the attempt could not write. A run of a request that ended is stopped."""
        details = {"request_id": claim.delivery.message.request_id, "attempt": claim.attempt}
        match written:
            case ConditionFailed(record=None):
                return Done(DoneReason.ENDED_MEANWHILE, {"current_status": "gone", **details})
            case ConditionFailed(record=record) if record is not None and record.status in FINAL:
                done = Done(DoneReason.ENDED_MEANWHILE, {"current_status": record.status, **details})
                return self.stop(model, record, now) or done
            case Unavailable() as error:
                return Retry(RetryReason.FINISH_FAILED, UNAVAILABLE_RETRY_SECONDS, {"error": error, **details})
            case _:
                return Retry(RetryReason.LEASE_LOST, None, details)

    def _finish(
        self, claim: Claim, record: Record, outcome: Outcome, now: Callable[[], int], run_seconds: float | None = None
    ) -> Verdict:
        """Write the outcome, as a worker does."""
        at = now()
        run_ms = run_seconds * 1000 if run_seconds is not None else float(at - (record.submitted_run_at or at))
        if run_seconds is not None:
            self._telemetry.measure(record.model, "RunTime", run_ms)
        return self._finisher.finish([claim], Predicted([outcome], run_ms), at)[0][1]


def _seconds_left(record: Record, now: int) -> int:
    return max(1, (record.expires_at - now) // 1000)
