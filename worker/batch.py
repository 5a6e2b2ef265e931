"""A batch's way: read, claim, predict, finish. Each step returns what goes on, and the verdicts on what does not.

records -> read -> in chunks of the model's batch size: claim -> predict in one pass -> finish
                   then, one by one, what has to run alone
        -> a verdict for each record -> logs, counts, visibility timeouts, the answer to Lambda
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from inference.catalog import Validate
from inference.deadline import Deadline
from inference.request_queue import RequestQueue
from inference.request_table import RequestTable
from inference.telemetry import Stopwatch, Telemetry
from worker.claims import Alone, Claim, Claimer
from worker.delivery import Delivery, read_records, without_repeats
from worker.finish import Finisher
from worker.invocation import Invocation, RetryDelay
from worker.prediction import Prediction, Predictor
from worker.verdicts import Retry, RetryReason, Verdict, Verdicts, counts, log, the_only

LEASE_MARGIN_MS = 3_000
"""A lease outlives its invocation by this much: clocks differ, and Lambda takes a moment to kill."""

TIMEOUT_MARGIN_MS = 1_500
"""The timeout handler needs this much before Lambda's timeout, for a few calls to AWS: they may take 1 s, until their
deadline."""

FINISH_MARGIN_MS = 2_000
"""No chunk is started with less time than the slowest so far took, plus this."""

PASSES_UNTIL_BACK, SECONDS_UNTIL_BACK = 3, 2
"""What waits to run alone comes back when the slowest pass so far could have been made this often, and these seconds.
That is renewed before each: while all goes well none comes back, and no receive is used up."""


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
        self._table = table
        self._queue = queue
        self._telemetry = telemetry
        self._prediction = Prediction(model, validate, telemetry)
        self._finisher = Finisher(table, retry)

    def process(self, records: Sequence[Mapping[str, Any]], invocation: Invocation) -> list[str]:
        """Process the records of an SQS event. Returns the message ids to be reported as failed: Lambda deletes the
        others. If it raises, Lambda deletes none.
        """
        watch = Stopwatch()
        found: dict[str, list[Verdict]] = {record["receiptHandle"]: [] for record in records}
        # Each is logged when it is there: should the process be killed later, the log says what it had done.
        for handle, verdict in self._decide(records, invocation):
            log(verdict, self._telemetry)
            found[handle].append(verdict)
        verdicts: list[Verdict] = []
        for record in records:
            verdict = the_only(found[record["receiptHandle"]], record["messageId"])
            if verdict.reason is RetryReason.UNDECIDED:
                log(verdict, self._telemetry)
            verdicts.append(verdict)
        self._deadline.release()
        self._delay((record["receiptHandle"], verdict) for record, verdict in zip(records, verdicts, strict=True))
        self._telemetry.info("batch_done", messages=len(records), duration_ms=watch.ms, **counts(verdicts))
        return [
            record["messageId"] for record, verdict in zip(records, verdicts, strict=True) if isinstance(verdict, Retry)
        ]

    def _decide(self, records: Sequence[Mapping[str, Any]], invocation: Invocation) -> Iterator[tuple[str, Verdict]]:
        """Work on the records; gives their verdicts as they fall."""
        trace = {"invocation_id": invocation.invocation_id, "model_version": self._model.version}
        lease_until = invocation.now() + invocation.remaining_ms() + LEASE_MARGIN_MS
        claimer = Claimer(self._table, lease_until, trace)
        deliveries, verdicts = read_records(records)
        yield from verdicts
        # Should this process be killed, its messages come back when its lease ends, not after the queue's
        # visibility timeout, which is six times as long.
        lease_seconds = claimer.lease_seconds(invocation.now())
        self._set_visibility({delivery.receipt_handle: lease_seconds for delivery in deliveries})
        deliveries, verdicts = without_repeats(deliveries, lease_seconds)
        yield from verdicts
        worked = False
        alone: list[Alone] = []
        size = self._model.batch_size
        for start in range(0, len(deliveries), size):
            chunk = deliveries[start : start + size]
            if worked and not self._time_for_more(invocation):
                yield from _no_time(chunk)
                continue
            found = claimer.claim(chunk, invocation.now())
            yield from found.verdicts
            alone += found.alone
            yield from self._work(found.claims, invocation)
            worked = worked or bool(found.claims)
        waiting = _in_order(alone)
        for position, delivery in enumerate(waiting):
            if worked and not self._time_for_more(invocation):
                yield from _no_time([delivery])
                continue
            if worked:
                self._let_come_back(waiting[position:], claimer.lease_seconds(invocation.now()))
            found = claimer.claim_alone(delivery, invocation.now())
            yield from found.verdicts
            yield from self._work(found.claims, invocation)
            worked = worked or bool(found.claims)

    def _time_for_more(self, invocation: Invocation) -> bool:
        """Whether the rest of an invocation covers another pass; it always does its first."""
        return invocation.remaining_ms() > self._prediction.slowest_ms + FINISH_MARGIN_MS

    def _let_come_back(self, waiting: Sequence[Delivery], lease_seconds: int) -> None:
        """Hide the next one as long as its lease will last, and the others behind it only as long as a few passes
        take: should it kill the process, they need not wait for a lease that they never had.
        """
        slowest_ms = self._prediction.slowest_ms
        seconds = min(math.ceil(slowest_ms * PASSES_UNTIL_BACK / 1000) + SECONDS_UNTIL_BACK, lease_seconds)
        if len(waiting) > 1 and seconds < lease_seconds:
            handles = [delivery.receipt_handle for delivery in waiting]
            self._set_visibility(dict.fromkeys(handles, seconds) | {handles[0]: lease_seconds})

    def _work(self, claims: Sequence[Claim], invocation: Invocation) -> Verdicts:
        """Predict and finish what was claimed."""
        if not claims:
            return []
        self._deadline.release()
        seconds = (invocation.remaining_ms() - TIMEOUT_MARGIN_MS) / 1000
        predicted = self._prediction.predict(
            claims, seconds, lambda loading: self._on_timeout(claims, loading, invocation)
        )
        return self._finisher.finish(claims, predicted, invocation.now())

    def _on_timeout(self, claims: Sequence[Claim], loading: bool, invocation: Invocation) -> None:
        """Give the verdicts on what is in the model's hands, while it may still hang: then `process` will not. Lambda
        keeps every message of an invocation that it ends, so that nothing is done here; those that are not claimed
        come back when the time ends for which `process` hid them. Should the model return in time after all, `process`
        goes on, and the table decides whose write counts.
        """
        verdicts = self._finisher.finish_timed_out(claims, loading, invocation.now(), TIMEOUT_MARGIN_MS // 1000)
        for _, verdict in verdicts:
            log(verdict, self._telemetry)
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
            self._telemetry.warning("visibility_unchanged", messages=len(missed))


def _in_order(alone: Sequence[Alone]) -> list[Delivery]:
    """Whoever killed its worker most often goes last, so that it can't take the others with it once more; among equals
    the one that was delivered most often goes first, since SQS gives up on it soonest.
    """
    ordered = sorted(alone, key=lambda each: (each.attempts, -each.delivery.receive_count))
    return [each.delivery for each in ordered]


def _no_time(deliveries: Sequence[Delivery]) -> Verdicts:
    return [
        (delivery.receipt_handle, Retry(RetryReason.NO_TIME, 0, {"request_id": delivery.message.request_id}))
        for delivery in deliveries
    ]
