"""The dispatcher: the worker of models that run at a GPU provider. It has no runtime and no artifact: it submits each
request to the provider, holds it (still `running`, its message hidden) until the next look, and writes the outcome.

An attempt is what it is at a worker: it ends with a result, or with an error that another attempt may not have. Looks
and submits that the provider refuses cost none. See docs/adr/0020-gpu-dispatcher.md.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from inference.aws.deadline import Deadline
from inference.store.request_queue import RequestQueue
from inference.store.request_table import RequestTable
from inference.telemetry import Telemetry
from worker.delivery import Delivery, read_records
from worker.dispatch.model import BackendModel
from worker.dispatch.runs import Runs
from worker.dispatch.turn import Turn
from worker.finish import Finisher
from worker.invocation import Invocation, RetryDelay
from worker.message_loop import LEASE_MARGIN_MS, MessageLoop
from worker.payloads import WorkerPayloads
from worker.verdicts import Retry, RetryReason, Verdict

UNKNOWN_MODEL_SECONDS = 10
"""How long a message waits whose model this dispatcher does not have: another version of it may have it."""

UNREADABLE_SECONDS = 60
"""An unreadable message is received often before SQS moves it to the dead-letter queue: not at once each time."""

STEP_MARGIN_MS = 3_000
"""No further message is begun with less time than the slowest so far took, plus this."""


class Dispatcher:
    """Works on the messages of models that run at a GPU provider.

    Args:
        models: by name.
        api_url: the API's, which providers call; the models say whether they do.
        retry: how long a retryable error waits.
        code_digest: of the zip that this runs from.
        payloads: reads inputs, and keeps the files of results.
    """

    def __init__(
        self,
        models: Mapping[str, BackendModel],
        api_url: str,
        table: RequestTable,
        queue: RequestQueue,
        retry: RetryDelay,
        code_digest: str,
        telemetry: Telemetry,
        payloads: WorkerPayloads,
        deadline: Deadline | None = None,
    ) -> None:
        self._models = models
        self._table = table
        self._code_digest = code_digest
        self._telemetry = telemetry
        self._loop = MessageLoop(queue, telemetry, deadline or Deadline())
        finisher = Finisher(table, retry, telemetry, payloads)
        self._runs = Runs(api_url, table, finisher, telemetry, payloads)

    def process(self, records: Sequence[Mapping[str, Any]], invocation: Invocation) -> list[str]:
        """Work on the records of an SQS event. Returns the ids of the messages that stay."""
        return self._loop.process(records, self._decide(records, invocation))

    def _decide(self, records: Sequence[Mapping[str, Any]], invocation: Invocation) -> Iterator[tuple[str, Verdict]]:
        lease_until = invocation.now() + invocation.remaining_ms() + LEASE_MARGIN_MS
        deliveries, unreadable = read_records(records)
        for handle, verdict in unreadable:
            yield handle, Retry(RetryReason.UNREADABLE, UNREADABLE_SECONDS, verdict.details)
        # If this process is killed, its messages come back when its leases end.
        seconds = (lease_until - invocation.now()) // 1000 + 1
        self._loop.set_visibility({delivery.receipt_handle: seconds for delivery in deliveries})
        slowest_ms = 0
        for position, delivery in enumerate(deliveries):
            if position and invocation.remaining_ms() < slowest_ms + STEP_MARGIN_MS:
                yield (
                    delivery.receipt_handle,
                    Retry(RetryReason.NO_TIME, 0, {"request_id": delivery.message.request_id}),
                )
                continue
            begun = invocation.now()
            yield delivery.receipt_handle, self._turn(delivery, lease_until, invocation)
            slowest_ms = max(slowest_ms, invocation.now() - begun)

    def _turn(self, delivery: Delivery, lease_until: int, invocation: Invocation) -> Verdict:
        """Do the next thing for a message's request."""
        named = {"request_id": delivery.message.request_id, "model": delivery.message.model}
        model = self._models.get(delivery.message.model)
        if model is None:
            return Retry(RetryReason.UNKNOWN_MODEL, UNKNOWN_MODEL_SECONDS, named)
        trace = {
            "invocation_id": invocation.invocation_id,
            "model_version": model.version,
            "code_digest": self._code_digest,
        }
        return Turn(self._table, self._runs, self._telemetry, model, delivery, trace, lease_until, invocation).take()
