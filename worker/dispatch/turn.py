"""A delivery's turn: what its request's record asks the dispatcher to do.

the record says                          what is done                                  the message
pending                                  claimed, submitted                            comes back at the next look
held until the next look                 resumed: looked at, or submitted again        comes back, or is done
running, another invocation's lease      nothing                                       comes back when the lease ends
running, that lease is over              its invocation died: the next attempt looks    comes back, or is done
                                         at its run, or submits again if none is known
past its deadline                        expired, its run is stopped                   is done
no attempts left, its invocation died    failed, its input is kept, its run is stopped is done
final, but not succeeded                 its run is stopped, if it has one             is done
final, unknown, or of an earlier submit  nothing                                       is done

An attempt is what it is at a worker: it ends with a result, or with an error that another attempt may not have. Looks
and submits that the provider refuses cost none. See docs/adr/0020-gpu-dispatcher.md.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from inference import transitions
from inference.errors import Unavailable
from inference.requests import FINAL, ErrorCode, Failure, Record, Status
from inference.store.request_table import Applied, ConditionFailed, RequestTable, WriteResult
from inference.telemetry import Telemetry
from inference.transitions import Update
from worker.claims import Claim
from worker.delivery import Delivery
from worker.dispatch import transitions as run_transitions
from worker.dispatch.delays import until_deadline
from worker.dispatch.model import BackendModel
from worker.dispatch.runs import Runs
from worker.invocation import Invocation
from worker.verdicts import UNAVAILABLE_RETRY_SECONDS, Done, DoneReason, Retry, RetryReason, Verdict

EARLY_MS = 1_000
"""A held message that comes earlier than this before its look is put back: a second delivery, for example."""


@dataclass(frozen=True)
class Turn:
    """One delivery in one invocation.

    Attributes:
        trace: what a claim writes of this attempt: `invocation_id`, `model_version`, `code_digest`.
        lease_until: when this invocation has certainly ended (epoch ms).
    """

    table: RequestTable
    runs: Runs
    telemetry: Telemetry
    model: BackendModel
    delivery: Delivery
    trace: dict[str, str]
    lease_until: int
    invocation: Invocation

    @property
    def named(self) -> dict[str, Any]:
        """What every log line has of the request."""
        return {"request_id": self.delivery.message.request_id}

    def take(self) -> Verdict:
        """Do the next thing for the request."""
        message, now = self.delivery.message, self.invocation.now()
        if self.delivery.receive_count > 1:
            try:
                return self._by(self.table.get(message.request_id, consistent=True), now)
            except Unavailable as error:
                return self._no_answer(error)
        claim = transitions.claim_first(message.request_id, message.submitted_at, self.lease_until, now, **self.trace)
        written = self.table.apply([claim])[0]
        if isinstance(written, ConditionFailed):
            return self._by(written.record, now)
        if isinstance(written, Applied):
            self.telemetry.measure(self.model.name, "QueueWait", max(now - self.delivery.sent_at, 0))
        return self._after(written)

    def _by(self, record: Record | None, now: int) -> Verdict:
        """Do what the record asks for."""
        details = self.named
        if record is None:
            return Done(DoneReason.NO_RECORD, details)
        if record.submitted_at != self.delivery.message.submitted_at:
            return Done(DoneReason.EARLIER_SUBMIT, details)
        if record.status in FINAL:
            done = Done(DoneReason.ALREADY_FINAL, {**details, "status": record.status})
            return self.runs.stop(self.model, record, now) or done
        if record.next_look_at is not None:
            return self._held(record, now)
        if record.status is Status.RUNNING and (record.lease_until or 0) >= now:
            if self._is_ours(record):  # the answer to our claim was lost, and the client's retry found it
                return self._go_on(record)
            return Retry(RetryReason.LEASED, ((record.lease_until or 0) - now) // 1000 + 1, details)
        if record.expires_at <= now:
            return self._end(record, transitions.expire(record.request_id, now), Status.EXPIRED, None)
        if record.attempts >= record.attempt_limit:
            text = (
                f"The dispatcher was stopped in attempt {record.attempts} of {record.attempt_limit} before it could"
                f" write what became of the run. Its log has invocation {record.invocation_id}."
            )
            failure = Failure(ErrorCode.CRASHED, text, record.attempts)
            kept = json.dumps(self.delivery.message.input)
            update = transitions.fail_unleased(record.request_id, failure, now, kept)
            return self._end(record, update, Status.FAILED, ErrorCode.CRASHED)
        return self._take_over(record, now)

    def _held(self, record: Record, now: int) -> Verdict:
        if record.expires_at <= now:
            return self._end(record, run_transitions.expire_held(record, now), Status.EXPIRED, None)
        early_ms = (record.next_look_at or 0) - now
        if early_ms > EARLY_MS:
            seconds = until_deadline(early_ms // 1000 + 1, record.expires_at, now)
            return Retry(RetryReason.HELD, seconds, self.named)
        resume = run_transitions.resume(record, self.lease_until, self.invocation.invocation_id, now)
        return self._after(self.table.apply([resume])[0])

    def _take_over(self, record: Record, now: int) -> Verdict:
        """The next attempt, of a pending request or of one whose invocation died."""
        message = self.delivery.message
        take_over = transitions.take_over(message.request_id, message.submitted_at, self.lease_until, now, **self.trace)
        written = self.table.apply([take_over])[0]
        intended = record.submitted_run_at is not None and record.submitted_run_at >= (record.started_at or 0)
        if isinstance(written, Applied) and record.status is Status.RUNNING and intended and record.run_id is None:
            self.runs.tell_of_a_possible_duplicate(record)
        return self._after(written)

    def _after(self, written: WriteResult) -> Verdict:
        """Go on, if a write has made the request this invocation's."""
        match written:
            case Applied(record=record) if record is not None:
                return self._go_on(record)
            case ConditionFailed(record=record) if record is not None and self._is_ours(record):
                return self._go_on(record)
            case Unavailable() as error:
                return self._no_answer(error)
            case _:
                return Retry(RetryReason.CLAIM_REJECTED, UNAVAILABLE_RETRY_SECONDS, self.named)

    def _is_ours(self, record: Record) -> bool:
        """Whether this invocation has it: it is the only one with this id and this end."""
        same = record.lease_until == self.lease_until and record.invocation_id == self.invocation.invocation_id
        return same and record.status is Status.RUNNING and record.next_look_at is None

    def _go_on(self, record: Record) -> Verdict:
        claim = Claim(self.delivery, record.attempts)
        if record.run_id is not None:
            return self.runs.look(self.model, claim, record, self.invocation.now)
        if record.run_uncertain:
            return self.runs.give_up_uncertain(claim, record, self.invocation.now)
        return self.runs.submit(self.model, claim, record, self.invocation.now)

    def _end(self, record: Record, update: Update, status: Status, code: ErrorCode | None) -> Verdict:
        """End a request that no invocation works on, and stop its run."""
        match self.table.apply([update])[0]:
            case Applied(record=ended) if ended is not None:
                self.telemetry.count_outcome(record.model, status, code)
                details = {"status": status, "code": code, "attempt": record.attempts, **self.named}
                done = Done(DoneReason.EXPIRED if status is Status.EXPIRED else DoneReason.FAILED, details)
                return self.runs.stop(self.model, ended, self.invocation.now()) or done
            case Unavailable() as error:
                return self._no_answer(error)
            case _:
                return Retry(RetryReason.CLAIM_REJECTED, UNAVAILABLE_RETRY_SECONDS, self.named)

    def _no_answer(self, error: Unavailable) -> Verdict:
        return Retry(RetryReason.CLAIM_FAILED, UNAVAILABLE_RETRY_SECONDS, {"error": error, **self.named})
