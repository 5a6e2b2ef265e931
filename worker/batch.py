"""Processing a batch: read, claim, predict, finish. Each step returns what the next step gets, and verdicts on the
rest.

records -> read -> group by model, the quickest first
        -> in chunks of the model's batch size: claim -> predict in one pass -> finish
           then, one by one, requests that have to run alone
        -> a verdict for each record -> logs, counts, visibility timeouts, the answer to Lambda

The groups behind the one at work are not claimed yet. They stay hidden for the time of a few of its passes only: if it
hangs or kills the process, they come back soon, and none of them has lost an attempt.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from inference.aws.deadline import Deadline
from inference.store.request_queue import RequestQueue
from inference.store.request_table import RequestTable
from inference.telemetry import Telemetry
from worker.claims import Claim, Claimer, DeferredDelivery
from worker.delivery import Delivery, read_records, without_duplicates
from worker.finish import Finisher
from worker.invocation import Invocation, RetryDelay
from worker.message_loop import LEASE_MARGIN_MS, MessageLoop
from worker.model.progress import reporting
from worker.payloads import WorkerPayloads
from worker.prediction import Prediction
from worker.progress import ProgressWriter
from worker.verdicts import Retry, RetryReason, Verdict, Verdicts, log
from worker.visibility import Visibility, return_seconds

TIMEOUT_MARGIN_MS = 1_500
"""The timeout handler needs this much before Lambda's timeout, for a few calls to AWS: they may take 1 s, until their
deadline."""

FINISH_MARGIN_MS = 2_000
"""No chunk is started with less time than the slowest so far took, plus this."""

UNKNOWN_PASS_SHARE = 0.5
"""Such a model is loaded behind other groups only while more than this share of the invocation's time is left: what it
needs is unknown, and its requests must not lose an attempt because others took long."""

FIRST_AFTER_RECEIVES = 4
"""A group with a message that was received so often goes first: behind others there may never be time for its pass, and
the receives of its messages would be used up. The pass of the first group is always made."""

UNKNOWN_MODEL_SECONDS = 10
"""How long a message waits whose model this worker does not have: another version of the worker may have it."""


class Worker:
    """Processes batches of messages of one model, or of the models of a pool.

    Args:
        predictions: model name -> its prediction.
        table, queue: where the records and messages are.
        retry: how long a retryable error waits.
        code_digest: of the image or zip that this worker runs from; each claimed request gets it.
        payloads: keeps the files of results.
        deadline: of the calls to table and queue; while claiming, time is reserved for the calls that follow.
    """

    def __init__(
        self,
        predictions: Mapping[str, Prediction],
        table: RequestTable,
        queue: RequestQueue,
        retry: RetryDelay,
        code_digest: str,
        telemetry: Telemetry,
        payloads: WorkerPayloads,
        deadline: Deadline | None = None,
    ) -> None:
        self._deadline = deadline or Deadline()
        self._predictions = predictions
        self._table = table
        self._code_digest = code_digest
        self._telemetry = telemetry
        self._loop = MessageLoop(queue, telemetry, self._deadline)
        self._finisher = Finisher(table, retry, telemetry, payloads)

    def process(self, records: Sequence[Mapping[str, Any]], invocation: Invocation) -> list[str]:
        """Process the records of an SQS event. Returns the message ids to be reported as failed: Lambda deletes the
        others. If it raises, Lambda deletes none.
        """
        return self._loop.process(records, self._decide(records, invocation))

    def _decide(self, records: Sequence[Mapping[str, Any]], invocation: Invocation) -> Iterator[tuple[str, Verdict]]:
        """Process the records; yields their verdicts as they are known."""
        now, total_ms = invocation.now(), invocation.remaining_ms()
        lease_until = now + total_ms + LEASE_MARGIN_MS
        visibility = Visibility(self._loop.set_visibility, lease_until)
        deliveries, verdicts = read_records(records)
        yield from verdicts
        deliveries, verdicts = self._of_known_models(deliveries)
        yield from verdicts
        received = deliveries
        deliveries, verdicts = without_duplicates(received, visibility.lease_seconds(now))
        groups = self._by_model(deliveries)
        claimers = {name: self._claimer(self._predictions[name], lease_until, invocation) for name, _ in groups}
        # If this process is killed, its messages become visible when its lease ends, not after the queue's
        # visibility timeout, which is six times as long. Those of the other groups become visible sooner.
        visibility.hide(received, _behind(groups, 0), self._expected_ms(groups), now)
        yield from verdicts
        worked = False
        deferred: list[DeferredDelivery] = []
        for position, (name, group) in enumerate(groups):
            prediction, waiting = self._predictions[name], _behind(groups, position)
            if position:
                if visibility.waiting_are_shown(invocation.now()):
                    yield from _handed_back([*group, *waiting])
                    break
                visibility.hide(group, waiting, prediction.expected_ms, invocation.now())
            size = prediction.model.batch_size
            with self._telemetry.adding(model=name):
                for start in range(0, len(group), size):
                    chunk = group[start : start + size]
                    if worked and not _has_time_for_pass(prediction, invocation, total_ms):
                        yield from _no_time(chunk)
                        continue
                    if start and waiting and not visibility.waiting_are_shown(invocation.now()):
                        visibility.hide([], waiting, prediction.expected_ms, invocation.now())
                    found = claimers[name].claim(chunk, invocation.now())
                    yield from found.verdicts
                    deferred += found.deferred
                    yield from self._work(found.claims, prediction, invocation)
                    worked = worked or bool(found.claims)
        alone = _in_claim_order(deferred)
        for position, delivery in enumerate(alone):
            name = delivery.message.model
            prediction = self._predictions[name]
            with self._telemetry.adding(model=name):
                if worked and not _has_time_for_pass(prediction, invocation, total_ms):
                    yield from _no_time([delivery])
                    continue
                if worked:
                    self._shorten(visibility, alone[position:], prediction.expected_ms, invocation.now())
                found = claimers[name].claim_alone(delivery, invocation.now())
                yield from found.verdicts
                yield from self._work(found.claims, prediction, invocation)
                worked = worked or bool(found.claims)

    def _claimer(self, prediction: Prediction, lease_until: int, invocation: Invocation) -> Claimer:
        trace = {
            "invocation_id": invocation.invocation_id,
            "model_version": prediction.model.version,
            "code_digest": self._code_digest,
        }
        return Claimer(self._table, lease_until, trace, self._telemetry)

    def _of_known_models(self, deliveries: Sequence[Delivery]) -> tuple[list[Delivery], Verdicts]:
        """The deliveries of this worker's models, and verdicts on those of others."""
        known = [delivery for delivery in deliveries if delivery.message.model in self._predictions]
        return known, [
            (
                delivery.receipt_handle,
                Retry(
                    RetryReason.UNKNOWN_MODEL,
                    UNKNOWN_MODEL_SECONDS,
                    {"request_id": delivery.message.request_id, "model": delivery.message.model},
                ),
            )
            for delivery in deliveries
            if delivery.message.model not in self._predictions
        ]

    def _by_model(self, deliveries: Sequence[Delivery]) -> list[tuple[str, list[Delivery]]]:
        """The deliveries of each model. The model that is expected to be the quickest goes first, so that a slow one or
        one that hangs delays as few others as possible; one that was returned several times goes before it."""

        def order(group: tuple[str, Sequence[Delivery]]) -> tuple[int, int]:
            model, its = group
            receives = max(delivery.receive_count for delivery in its)
            often = receives if receives >= FIRST_AFTER_RECEIVES else 0
            return -often, return_seconds(self._predictions[model].expected_ms)

        groups: dict[str, list[Delivery]] = {}
        for delivery in deliveries:
            groups.setdefault(delivery.message.model, []).append(delivery)
        return sorted(groups.items(), key=order)

    def _expected_ms(self, groups: Sequence[tuple[str, Sequence[Delivery]]]) -> float | None:
        """Of the first group's pass."""
        return self._predictions[groups[0][0]].expected_ms if groups else 0

    def _shorten(self, visibility: Visibility, alone: Sequence[Delivery], expected_ms: float | None, now: int) -> None:
        """Hide the next message for the time of its lease, and those after it only for the time of a few passes: if the
        next one kills the process, the others do not wait for the end of its lease.
        """
        if len(alone) > 1 and return_seconds(expected_ms) < visibility.lease_seconds(now):
            visibility.hide(alone[:1], alone[1:], expected_ms, now)

    def _work(self, claims: Sequence[Claim], prediction: Prediction, invocation: Invocation) -> Verdicts:
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
        writer = ProgressWriter(self._table, claims, invocation.now, self._telemetry)
        with writer, reporting(writer.report):
            predicted = prediction.predict(
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
        self._loop.delay(verdicts)


def _has_time_for_pass(prediction: Prediction, invocation: Invocation, total_ms: int) -> bool:
    """Whether the remaining time is enough for another pass. The first pass is always made."""
    expected, remaining = prediction.expected_ms, invocation.remaining_ms()
    if expected is None:
        return remaining > total_ms * UNKNOWN_PASS_SHARE
    return remaining > expected + FINISH_MARGIN_MS


def _behind(groups: Sequence[tuple[str, Sequence[Delivery]]], position: int) -> list[Delivery]:
    """The deliveries of the groups after this one."""
    return [delivery for _, group in groups[position + 1 :] for delivery in group]


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


def _handed_back(deliveries: Sequence[Delivery]) -> Verdicts:
    """Their visibility timeouts are over: another worker may have received them, so they stay unchanged."""
    return [
        (delivery.receipt_handle, Retry(RetryReason.HANDED_BACK, None, {"request_id": delivery.message.request_id}))
        for delivery in deliveries
    ]
