"""Handling dead letters: a message in a dead-letter queue makes its request `failed`, with a reason; its input is
kept."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from inference import transitions
from inference.batches import transitions as batch_transitions
from inference.batches.record import UNFINISHED
from inference.diagnosis import ReadLines, diagnose
from inference.errors import Unavailable
from inference.requests import FINAL, ErrorCode, Failure, Message, Status, can_be_id
from inference.store.batch_queue import batch_id_of
from inference.store.batch_table import BatchTable
from inference.store.request_table import Applied, ConditionFailed, RequestTable
from inference.sweep import model_removed
from inference.telemetry import Telemetry
from inference.transitions import Update

NOT_WORKED_ON = (
    "The batches function could not work on the file: its message was received too often. Its log has the reason. Send"
    " the file again."
)


class DeadLetterHandler:
    """Ends the requests, and the creation of batches, whose messages are in a dead-letter queue.

    Args:
        batches: the records of batches from files.
        log_groups: model name -> the log group of its worker, for each model that is deployed.
        read_lines: reads the worker's log.
    """

    def __init__(
        self,
        table: RequestTable,
        batches: BatchTable,
        log_groups: Mapping[str, str],
        read_lines: ReadLines,
        telemetry: Telemetry,
    ) -> None:
        self._table = table
        self._batches = batches
        self._log_groups = log_groups
        self._read_lines = read_lines
        self._telemetry = telemetry

    def handle(self, records: Sequence[Mapping[str, Any]], clock: Callable[[], int]) -> list[str]:
        """Handle the records of an SQS event. Reading logs may take seconds for each, so `clock` gives the time (epoch
        milliseconds). Returns the ids of the messages to retry."""
        return [record["messageId"] for record in records if not self._handle(record["body"], clock)]

    def _handle(self, body: str, clock: Callable[[], int]) -> bool:
        if (batch_id := batch_id_of(body)) is not None:
            return self._handle_batch(batch_id, clock())
        try:
            message = Message.from_body(body)
        except (ValueError, RecursionError) as error:
            return self._handle_unreadable(body, str(error), clock())
        try:
            record = self._table.get(message.request_id, consistent=True)
        except Unavailable as error:
            self._telemetry.error("dead_letter_not_recorded", error, request_id=message.request_id)
            return False
        if record is None or record.status in FINAL or record.submitted_at != message.submitted_at:
            self._telemetry.info("message_dropped", request_id=message.request_id, reason="no open request")
            return True
        if record.expires_at <= (now := clock()):
            return self._write(transitions.expire(message.request_id, now), message.request_id, "expired")
        log_group = self._log_groups.get(record.model)
        failure = model_removed(record.model) if log_group is None else diagnose(record, log_group, self._read_lines)
        update = transitions.fail_unleased(message.request_id, failure, clock(), json.dumps(message.input))
        return self._write(update, message.request_id, failure.code)

    def _handle_batch(self, batch_id: str, now: int) -> bool:
        """End the creation of a batch's items: those that are created go on."""
        try:
            batch = self._batches.get(batch_id, consistent=True)
            if batch is None or batch.stage not in UNFINISHED:
                self._telemetry.error("batch_not_worked_on", batch_id=batch_id, stage=batch.stage if batch else None)
                return True
            if self._batches.apply(batch_transitions.give_up(batch, NOT_WORKED_ON, now)) is None:
                return False  # an invocation works on it: check again when the message comes back
        except Unavailable as error:
            self._telemetry.error("dead_letter_not_recorded", error, batch_id=batch_id)
            return False
        self._telemetry.error("batch_failed", batch_id=batch_id, model=batch.model, reason=NOT_WORKED_ON)
        return True

    def _handle_unreadable(self, body: str, reason: str, now: int) -> bool:
        """End the request that an unreadable message belongs to, if the message has its id."""
        self._telemetry.error("message_unreadable", reason=reason, body=body[:2000])
        try:
            request_id = json.loads(body)["request_id"]
        except (ValueError, TypeError, KeyError, RecursionError):
            return True
        if not isinstance(request_id, str) or not can_be_id(request_id):
            return True
        failure = Failure(ErrorCode.UNREADABLE, f"The request's message could not be read ({reason}); send it again.")
        return self._write(transitions.fail_unleased(request_id, failure, now), request_id, failure.code)

    def _write(self, update: Update, request_id: str, outcome: str) -> bool:
        match self._table.apply([update])[0]:
            case Applied(record=record):
                self._telemetry.error("dead_letter_recorded", request_id=request_id, outcome=outcome)
                if record is not None:
                    code = outcome if record.status is Status.FAILED else None
                    self._telemetry.count_outcome(record.model, record.status, code)
                return True
            case ConditionFailed(record=record) if record is None or record.status in FINAL:
                return True
            case ConditionFailed():
                # An attempt holds a lease and may still succeed: check again when the message comes back.
                return False
            case error:
                self._telemetry.error("dead_letter_not_recorded", error, request_id=request_id)
                return False
