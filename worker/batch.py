"""Processing a batch: read, claim, predict, finish. Each step returns what the next step gets, and verdicts on the
rest.

records -> read -> in chunks of the model's batch size: claim -> predict in one pass -> finish
                   then, one by one, requests that have to run alone
        -> a verdict for each record -> logs, counts, visibility timeouts, the answer to Lambda
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from inference.aws.deadline import Deadline
from inference.catalog import Validate
from inference.store.request_queue import RequestQueue
from inference.store.request_table import RequestTable
from inference.telemetry import Stopwatch, Telemetry
from worker.claims import Claim, Claimer, DeferredDelivery
from worker.delivery import Delivery, read_records, without_duplicates
from worker.finish import Finisher
from worker.invocation import Invocation, RetryDelay
from worker.prediction import Prediction, Predictor
from worker.verdicts import Retry, RetryReason, Verdict, Verdicts, counts, log, single_verdict

LEASE_MARGIN_MS = 3_000
"""A lease ends this long after its invocation: clocks differ, and Lambda needs a moment to stop the process."""

TIMEOUT_MARGIN_MS = 1_500
"""The timeout handler needs this much before Lambda's timeout, for a few calls to AWS: they may take 1 s, until their
deadline."""

FINISH_MARGIN_MS = 2_000
"""No chunk is started with less time than the slowest so far took, plus this."""

RETURN_AFTER_PASSES, RETURN_AFTER_SECONDS = 3, 2
"""Messages that wait to run alone become visible again after this many times the slowest pass so far, plus these
seconds. The time is extended before each pass: normally none becomes visible, and no receive is used up."""


class Worker:
    """Processes batches of one model's messages.

    Args:
        model: predicts.
        validate: checks an input and fills in defaults; the same check that the api function makes.
        table, queue: where the records and messages are.
        retry: how long a retryable error waits.
        deadline: of the calls to table and queue; while claiming, time is reserved for the calls that follow.
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
        self._table = table
        self._queue = queue
        self._telemetry = telemetry
        self._prediction = Prediction(model, validate, telemetry)
        self._finisher = Finisher(table, retry, telemetry)

    def process(self, records: Sequence[Mapping[str, Any]], invocation: Invocation) -> list[str]:
        """Process the records of an SQS event. Returns the message ids to be reported as failed: Lambda deletes the
        others. If it raises, Lambda deletes none.
        """
        watch = Stopwatch()
        found: dict[str, list[Verdict]] = {record["receiptHandle"]: [] for record in records}
        # Logged as they come: if the process is killed later, the log shows what it had done.
        for handle, verdict in self._decide(records, invocation):
            log(verdict, self._telemetry)
            found[handle].append(verdict)
        verdicts: list[Verdict] = []
        for record in records:
            verdict = single_verdict(found[record["receiptHandle"]], record["messageId"])
            if verdict.reason is RetryReason.UNDECIDED:
                log(verdict, self._telemetry)
            verdicts.append(verdict)
        self._deadline.release_reserve()
        self._delay((record["receiptHandle"], verdict) for record, verdict in zip(records, verdicts, strict=True))
        self._telemetry.info("batch_finished", messages=len(records), duration_ms=watch.ms, **counts(verdicts))
        self._telemetry.write_metrics()
        return [
            record["messageId"] for record, verdict in zip(records, verdicts, strict=True) if isinstance(verdict, Retry)
        ]

    def _decide(self, records: Sequence[Mapping[str, Any]], invocation: Invocation) -> Iterator[tuple[str, Verdict]]:
        """Process the records; yields their verdicts as they are known."""
        trace = {"invocation_id": invocation.invocation_id, "model_version": self._model.version}
        lease_until = invocation.now() + invocation.remaining_ms() + LEASE_MARGIN_MS
        claimer = Claimer(self._table, lease_until, trace, self._telemetry)
        deliveries, verdicts = read_records(records)
        yield from verdicts
        # If this process is killed, its messages become visible when its lease ends, not after the queue's
        # visibility timeout, which is six times as long.
        lease_seconds = claimer.lease_seconds(invocation.now())
        self._set_visibility({delivery.receipt_handle: lease_seconds for delivery in deliveries})
        deliveries, verdicts = without_duplicates(deliveries, lease_seconds)
        yield from verdicts
        worked = False
        deferred: list[DeferredDelivery] = []
        size = self._model.batch_size
        for start in range(0, len(deliveries), size):
            chunk = deliveries[start : start + size]
            if worked and not self._has_time_for_pass(invocation):
                yield from _no_time(chunk)
                continue
            found = claimer.claim(chunk, invocation.now())
            yield from found.verdicts
            deferred += found.deferred
            yield from self._work(found.claims, invocation)
            worked = worked or bool(found.claims)
        waiting = _in_claim_order(deferred)
        for position, delivery in enumerate(waiting):
            if worked and not self._has_time_for_pass(invocation):
                yield from _no_time([delivery])
                continue
            if worked:
                self._shorten_visibility(waiting[position:], claimer.lease_seconds(invocation.now()))
            found = claimer.claim_alone(delivery, invocation.now())
            yield from found.verdicts
            yield from self._work(found.claims, invocation)
            worked = worked or bool(found.claims)

    def _has_time_for_pass(self, invocation: Invocation) -> bool:
        """Whether the remaining time is enough for another pass. The first pass is always made."""
        return invocation.remaining_ms() > self._prediction.slowest_ms + FINISH_MARGIN_MS

    def _shorten_visibility(self, waiting: Sequence[Delivery], lease_seconds: int) -> None:
        """Hide the next message for the time of its lease, and those after it only for the time of a few passes: if the
        next one kills the process, the others do not wait for the end of its lease.
        """
        slowest_ms = self._prediction.slowest_ms
        seconds = min(math.ceil(slowest_ms * RETURN_AFTER_PASSES / 1000) + RETURN_AFTER_SECONDS, lease_seconds)
        if len(waiting) > 1 and seconds < lease_seconds:
            handles = [delivery.receipt_handle for delivery in waiting]
            self._set_visibility(dict.fromkeys(handles, seconds) | {handles[0]: lease_seconds})

    def _work(self, claims: Sequence[Claim], invocation: Invocation) -> Verdicts:
        """Predict and finish what was claimed."""
        if not claims:
            return []
        self._deadline.release_reserve()
        model = claims[0].delivery.message.model
        for claim in claims:
            if claim.attempt == 1:
                self._telemetry.measure(model, "QueueWait", max(invocation.now() - claim.delivery.sent_at, 0))
        self._telemetry.measure(model, "BatchSize", len(claims))
        seconds = (invocation.remaining_ms() - TIMEOUT_MARGIN_MS) / 1000
        predicted = self._prediction.predict(
            claims, seconds, lambda loading: self._on_timeout(claims, loading, invocation)
        )
        self._telemetry.measure(model, "RunTime", predicted.predict_ms)
        return self._finisher.finish(claims, predicted, invocation.now())

    def _on_timeout(self, claims: Sequence[Claim], loading: bool, invocation: Invocation) -> None:
        """Release or fail the claimed requests while the model hangs and `process` can't. Lambda deletes no message of
        an invocation that times out, so every verdict here is a retry; messages that were not claimed become visible
        when the time ends that `process` set. If the model returns in time after all, `process` continues, and the
        conditional writes decide which one counts.
        """
        verdicts = self._finisher.finish_timed_out(claims, loading, invocation.now(), TIMEOUT_MARGIN_MS // 1000)
        for _, verdict in verdicts:
            log(verdict, self._telemetry)
        self._telemetry.write_metrics()  # Lambda ends this process before `process` does
        self._delay(verdicts)

    def _delay(self, verdicts: Iterable[tuple[str, Verdict]]) -> None:
        """Set when the messages to be retried come back."""
        self._set_visibility(
            {
                handle: verdict.after_seconds
                for handle, verdict in verdicts
                if isinstance(verdict, Retry) and verdict.after_seconds is not None
            }
        )

    def _set_visibility(self, seconds: Mapping[str, int]) -> None:
        missed = self._queue.set_visibility(seconds)
        if missed:
            self._telemetry.warning("visibility_not_set", messages=len(missed))


def _in_claim_order(deferred: Sequence[DeferredDelivery]) -> list[Delivery]:
    """Fewest attempts first: a request that has stopped its worker before must not stop the others again. With the same
    number of attempts, the message with the most receives goes first: it is closest to the dead-letter queue.
    """
    ordered = sorted(deferred, key=lambda each: (each.attempts, -each.delivery.receive_count))
    return [each.delivery for each in ordered]


def _no_time(deliveries: Sequence[Delivery]) -> Verdicts:
    return [
        (delivery.receipt_handle, Retry(RetryReason.NO_TIME, 0, {"request_id": delivery.message.request_id}))
        for delivery in deliveries
    ]
