"""A batch's way: claim, predict, finish. What stays undone goes back to the queue, and SQS keeps it.

records -> read -> in chunks of the model's batch size: claim -> predict in one pass -> finish
                   then the suspects, one by one
every message that is not reported as failed is deleted by Lambda's event source mapping; that is the only deletion
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, Protocol

from inference import transitions
from inference.catalog import InvalidInput, Validate
from inference.deadline import Deadline
from inference.errors import Unavailable
from inference.request_queue import RequestQueue
from inference.request_table import Applied, Refusal, RequestTable
from inference.requests import FINAL, ErrorCode, Failure
from inference.telemetry import Stopwatch, Telemetry
from inference.transitions import Update
from worker.claims import RETRY_SECONDS_UNAVAILABLE, Claim, Claimer, Sorted
from worker.delivery import Delivery, read_records
from worker.errors import InputError, NotLoadedError
from worker.invocation import Hung, Invocation, RetryDelay, Run
from worker.isolation import Failed, Outcome, Succeeded, predict_isolated
from worker.watchdog import Watchdog

LEASE_MARGIN_MS = 3_000
"""A lease outlives its invocation by this much: clocks differ, and Lambda takes a moment to kill."""

WATCHDOG_MARGIN_MS = 1_500
"""The watchdog needs this much before the timeout, for a few calls to AWS: they may take 1 s, till their deadline."""

FINISH_MARGIN_MS = 2_000
"""No chunk is started with less time than the slowest so far took, plus this."""

PASSES_UNTIL_BACK, SECONDS_UNTIL_BACK = 3, 2
"""Suspects that wait for one another come back when the slowest pass so far could have been made this often, and
these seconds. That is renewed before each: while all goes well none comes back, and no receive is used up."""

SLOWEST_DECAY = 0.9
"""One slow pass makes the loop careful, not careful for ever."""


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


class Predictor(Protocol):
    """The model as the batch loop sees it."""

    @property
    def version(self) -> str: ...
    @property
    def batch_size(self) -> int: ...
    @property
    def permanent_errors(self) -> Sequence[str]: ...
    def load(self) -> None: ...
    def predict(self, inputs: list[Any]) -> Sequence[Any]: ...


class Worker:
    """Processes batches of one model's messages.

    Args:
        model: predicts.
        validate: checks an input and fills in defaults; the same check that the api function makes.
        table, queue: where the records and messages are.
        retry: how long a retryable error waits.
        deadline: that of the calls to table and queue; claims keep time back for what follows them.
    """

    def __init__(
        self,
        model: Predictor,
        validate: Validate,
        table: RequestTable,
        queue: RequestQueue,
        retry: RetryDelay,
        telemetry: Telemetry,
        deadline: Deadline | None = None,
    ) -> None:
        self._deadline = deadline or Deadline()
        self._model = model
        self._validate = validate
        self._table = table
        self._queue = queue
        self._retry = retry
        self._telemetry = telemetry
        self._slowest_ms = 0.0

    def process(self, records: Sequence[Mapping[str, Any]], invocation: Invocation) -> list[str]:
        """Process the records of an SQS event. Returns the message ids to be reported as failed."""
        watch = Stopwatch()
        lease_until = invocation.now() + invocation.remaining_ms() + LEASE_MARGIN_MS
        trace = {
            "invocation_id": invocation.invocation_id,
            "model_version": self._model.version,
        }
        claimer = Claimer(self._table, self._telemetry, lease_until, trace)
        run = Run(claimer, invocation)
        deliveries, unreadable = read_records(records)
        for record in unreadable:
            self._telemetry.error("message_unreadable", reason=record.reason, body=record.body[:500])
            run.give_back(record, 0)
        # Should this process be killed, its messages come back when its lease ends, not after the queue's
        # visibility timeout, which is six times as long.
        lease_seconds = claimer.lease_seconds(invocation.now())
        self._show_again({delivery.receipt_handle: lease_seconds for delivery in deliveries})
        self._process_chunks(_without_repeats(deliveries, run, lease_seconds), run)
        self._deadline.release()
        self._show_again(run.delays)
        self._telemetry.info("batch_done", messages=len(records), duration_ms=watch.ms, **run.counts)
        return run.failed

    def _process_chunks(self, deliveries: Sequence[Delivery], run: Run) -> None:
        suspects: list[tuple[int, Delivery]] = []
        size = self._model.batch_size
        chunks = [deliveries[start : start + size] for start in range(0, len(deliveries), size)]
        for chunk in chunks:
            if not self._time_for_more(run):
                for delivery in chunk:
                    run.give_back(delivery, 0)
                continue
            found = run.claimer.claim(chunk, run.invocation.now())
            self._settle(found, run)
            suspects += found.suspects
            self._work(found.claimed, run)
        # Whoever killed its worker most often goes last, so that it can't take the others with it once more; among
        # equals the one that was delivered most often goes first, since SQS gives up on it soonest.
        suspects.sort(key=lambda suspect: (suspect[0], -suspect[1].receive_count))
        for position, (_, suspect) in enumerate(suspects):
            if not self._time_for_more(run):
                run.give_back(suspect, 0)
                continue
            if run.worked:
                self._let_come_back([later for _, later in suspects[position:]], run)
            found = run.claimer.take_over(suspect, run.invocation.now())
            self._settle(found, run)
            self._work(found.claimed, run)

    def _let_come_back(self, suspects: Sequence[Delivery], run: Run) -> None:
        """Hide the next suspect as long as its lease will last, and the others behind it only as long as a few passes
        take: should it kill the process, they need not wait for a lease that they never had.
        """
        lease_seconds = run.claimer.lease_seconds(run.invocation.now())
        seconds = min(math.ceil(self._slowest_ms * PASSES_UNTIL_BACK / 1000) + SECONDS_UNTIL_BACK, lease_seconds)
        if len(suspects) > 1 and seconds < lease_seconds:
            handles = [suspect.receipt_handle for suspect in suspects]
            self._show_again(dict.fromkeys(handles, seconds) | {handles[0]: lease_seconds})

    def _time_for_more(self, run: Run) -> bool:
        """Whether the rest of this invocation covers another pass; an invocation always does its first."""
        return not run.worked or run.invocation.remaining_ms() > self._slowest_ms + FINISH_MARGIN_MS

    def _settle(self, found: Sorted, run: Run) -> None:
        for delivery, seconds in found.returned:
            run.give_back(delivery, seconds)
        for _ in found.dropped:
            run.count("dropped")

    def _work(self, claims: Sequence[Claim], run: Run) -> None:
        """Predict and finish what was claimed."""
        if not claims:
            return
        run.worked = True
        self._deadline.release()
        hung = Hung(list(claims))
        seconds = (run.invocation.remaining_ms() - WATCHDOG_MARGIN_MS) / 1000
        with Watchdog(seconds, lambda: self._give_up(hung, run.invocation.now())):
            with suppress(NotLoadedError):  # predict raises it again
                self._model.load()
            hung.loading = False
            watch = Stopwatch()
            outcomes = self._predict(claims)
            predicted_ms = watch.ms
            with hung.lock:
                hung.claims.clear()
        self._slowest_ms = max(self._slowest_ms * SLOWEST_DECAY, predicted_ms)
        self._finish(list(zip(claims, outcomes, strict=True)), run, predicted_ms)

    def _predict(self, claims: Sequence[Claim]) -> list[Outcome]:
        outcomes: dict[int, Outcome] = {}
        inputs: dict[int, Any] = {}
        for index, claim in enumerate(claims):
            try:
                inputs[index] = self._validate(claim.delivery.message.input)
            except InvalidInput as error:
                outcomes[index] = Failed(ErrorCode.INVALID_INPUT, str(error), retryable=False)
        if inputs:
            predicted = predict_isolated(
                self._model.predict, list(inputs.values()), self._pass_failed, self._model.permanent_errors
            )
            outcomes.update(zip(inputs, predicted, strict=True))
        return [outcomes[index] for index in range(len(claims))]

    def _pass_failed(self, error: BaseException, inputs: int) -> None:
        if isinstance(error, InputError):  # the client's fault, and told to the client
            self._telemetry.info("input_refused", reason=str(error), inputs=inputs)
            return
        self._telemetry.error("prediction_failed", error, inputs=inputs)

    def _give_up(self, hung: Hung, now: int) -> None:
        """The watchdog's part: the prediction will not come back before Lambda kills it."""
        with hung.lock:
            claims, hung.claims = hung.claims, []
            loading = hung.loading
        if not claims:
            return
        failure = _LOAD_TIMED_OUT if loading else _PREDICTION_TIMED_OUT
        # Alone, since it may be one input's doing, which a load never is.
        updates = [self._failure(claim, failure, now, alone=not loading) for claim in claims]
        delays = {}
        for claim, written in zip(claims, self._table.apply(updates), strict=True):
            request_id = claim.delivery.message.request_id
            event = "load_timed_out" if loading else "prediction_timed_out"
            self._telemetry.error(event, request_id=request_id, attempt=claim.attempt)
            if isinstance(written, Applied):
                delays[claim.delivery.receipt_handle] = self._retry.after(claim.attempt) + WATCHDOG_MARGIN_MS // 1000
        self._show_again(delays)

    def _show_again(self, delays: Mapping[str, int]) -> None:
        missed = self._queue.show_again(delays)
        if missed:
            self._telemetry.warning("visibility_unchanged", messages=len(missed))

    def _finish(self, worked: Sequence[tuple[Claim, Outcome]], run: Run, predicted_ms: float) -> None:
        """Write the outcomes, in one call; then settle each message by what became of its write."""
        now = run.invocation.now()
        updates = [
            transitions.succeed(claim.delivery.message.request_id, claim.attempt, outcome.result, now)
            if isinstance(outcome, Succeeded)
            else self._failure(claim, outcome, now, alone=False)
            for claim, outcome in worked
        ]
        for (claim, outcome), written in zip(worked, self._table.apply(updates), strict=True):
            message = claim.delivery.message
            fields = {"request_id": message.request_id, "attempt": claim.attempt, "batch": len(worked)}
            match written:
                case Applied() if isinstance(outcome, Failed) and self._has_another(claim, outcome):
                    run.give_back(claim.delivery, self._retry.after(claim.attempt))
                    self._telemetry.warning("request_retried", code=outcome.code, reason=outcome.message, **fields)
                case Applied():
                    status = "succeeded" if isinstance(outcome, Succeeded) else "failed"
                    run.count(status)
                    age_ms = run.invocation.now() - message.submitted_at
                    self._telemetry.info(
                        "request_finished", status=status, predict_ms=predicted_ms, age_ms=age_ms, **fields
                    )
                case Refusal(record=record) if record is None or record.status in FINAL:
                    run.count("dropped")
                    standing = record.status if record else "gone"
                    self._telemetry.info("outcome_dropped", standing=standing, **fields)
                case Refusal():
                    # Another attempt holds it now. Its message must not be deleted by us: it may yet need it.
                    run.give_back(claim.delivery, None)
                    self._telemetry.warning("lease_lost", **fields)
                case Unavailable() as error:
                    run.give_back(claim.delivery, RETRY_SECONDS_UNAVAILABLE)
                    self._telemetry.error("finish_failed", error, **fields)

    def _has_another(self, claim: Claim, failed: Failed) -> bool:
        return failed.retryable and claim.attempt < claim.delivery.message.attempt_limit

    def _failure(self, claim: Claim, failed: Failed, now: int, alone: bool) -> Update:
        """Release the request for another attempt, or end it on its last; then its input is kept for a replay."""
        request_id = claim.delivery.message.request_id
        failure = Failure(failed.code, failed.message, claim.attempt)
        if self._has_another(claim, failed):
            return transitions.release(request_id, claim.attempt, failure, now, alone)
        # An invalid input fails again however often it is replayed; everything else may be mended.
        keep = failed.code is not ErrorCode.INVALID_INPUT
        kept = json.dumps(claim.delivery.message.input) if keep else None
        return transitions.fail(request_id, claim.attempt, failure, now, kept)


def _without_repeats(deliveries: Sequence[Delivery], run: Run, seconds: int) -> list[Delivery]:
    """One delivery per request: a repeat in the same batch waits until this invocation is over."""
    seen: dict[str, Delivery] = {}
    for delivery in deliveries:
        if seen.setdefault(delivery.message.request_id, delivery) is not delivery:
            run.give_back(delivery, seconds)
    return list(seen.values())
