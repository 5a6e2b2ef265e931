"""One invocation's messages: each gets a verdict, which is logged, counted and carried out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from inference.aws.deadline import Deadline
from inference.store.request_queue import RequestQueue
from inference.telemetry import Stopwatch, Telemetry
from worker.verdicts import DoneReason, Retry, RetryReason, Verdict, counts, log, single_verdict

LEASE_MARGIN_MS = 3_000
"""A lease ends this long after its invocation: clocks differ, and Lambda needs a moment to stop the process."""


class MessageLoop:
    """Carries out the verdicts on the messages of one invocation.

    Args:
        queue: where the messages are.
        deadline: of the calls to AWS; the time that was reserved for the last of them is released for them.
    """

    def __init__(self, queue: RequestQueue, telemetry: Telemetry, deadline: Deadline) -> None:
        self._queue = queue
        self._telemetry = telemetry
        self._deadline = deadline

    def process(self, records: Sequence[Mapping[str, Any]], decided: Iterator[tuple[str, Verdict]]) -> list[str]:
        """Take the verdicts on the records of an SQS event as they are decided. Returns the message ids to be reported
        as failed: Lambda deletes the others. If it raises, Lambda deletes none.
        """
        watch = Stopwatch()
        found: dict[str, list[Verdict]] = {record["receiptHandle"]: [] for record in records}
        # Logged as they come: if the process is killed later, the log shows what it had done.
        for handle, verdict in decided:
            log(verdict, self._telemetry)
            found[handle].append(verdict)
        verdicts: list[Verdict] = []
        for record in records:
            verdict = single_verdict(found[record["receiptHandle"]], record["messageId"])
            if verdict.reason is RetryReason.UNDECIDED:
                log(verdict, self._telemetry)
            verdicts.append(verdict)
        self._deadline.release_reserve()
        self.delay((record["receiptHandle"], verdict) for record, verdict in zip(records, verdicts, strict=True))
        # Lines of the passes and Lambda's REPORT say the same of a batch that succeeded.
        done = {"messages": len(records), "duration_ms": watch.ms, **counts(verdicts)}
        if all(verdict.reason is DoneReason.SUCCEEDED for verdict in verdicts):
            self._telemetry.debug("batch_finished", **done)
        else:
            self._telemetry.info("batch_finished", **done)
        self._telemetry.write_metrics()
        return [
            record["messageId"] for record, verdict in zip(records, verdicts, strict=True) if isinstance(verdict, Retry)
        ]

    def delay(self, verdicts: Iterable[tuple[str, Verdict]]) -> None:
        """Set when the messages to be retried come back."""
        self.set_visibility(
            {
                handle: verdict.after_seconds
                for handle, verdict in verdicts
                if isinstance(verdict, Retry) and verdict.after_seconds is not None
            }
        )

    def set_visibility(self, seconds: Mapping[str, int]) -> None:
        """Receipt handle -> seconds from now."""
        missed = self._queue.set_visibility(seconds)
        if missed:
            self._telemetry.warning("visibility_not_set", messages=len(missed))
