"""A provider's callback: a run is over. What is done with it, by what the record says.

the callback                                     the record               what is done
is not signed, or not the provider's             is not read              rejected
is about a request that is final, or not there   -                        dropped: late, or doubled
is of an earlier submit, or of another run       -                        dropped: that run counts no more
is of the run that the record has, or of the     running                  the provider is asked (where it can be): the
last submit, whose id was not recorded yet                                body alone is believed of Cog only
    it succeeded                                                          the outcome is written
    it failed                                                             noted: the message, which has the input, ends
                                                                          the attempt at its next look
    it runs, or is unknown                                                left to the message's next look

The message is not touched: it finds the request final, and is deleted. A callback that can't be worked on is answered
503; the provider repeats it, or the message's next look does the work.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from inference import transitions
from inference.errors import Unavailable
from inference.requests import Record, Status
from inference.store.request_table import Applied, ConditionFailed, RequestTable
from inference.telemetry import Telemetry
from worker.backends.base import (
    BackendError,
    Callback,
    Look,
    NotAuthentic,
)
from worker.backends.base import (
    Failed as RunFailed,
)
from worker.backends.base import (
    Succeeded as RunSucceeded,
)
from worker.dispatch import transitions as run_transitions
from worker.dispatch.addresses import is_signed
from worker.dispatch.model import BackendModel
from worker.dispatch.results import failure_to_json, outcome_of_output
from worker.isolation import Failed
from worker.payloads import WorkerPayloads

TRIES = 3
"""The dispatcher may write between a read and a write here."""


class Done(StrEnum):
    """What was done with a callback."""

    SUCCEEDED = "succeeded"
    NOTED = "noted"
    DROPPED = "dropped"
    LEFT = "left"


class Callbacks:
    """Works on callbacks.

    Args:
        models: by name.
        payloads: keeps the files of results.
    """

    def __init__(
        self, models: Mapping[str, BackendModel], table: RequestTable, telemetry: Telemetry, payloads: WorkerPayloads
    ) -> None:
        self._models = models
        self._table = table
        self._telemetry = telemetry
        self._payloads = payloads

    def receive(
        self, address: Mapping[str, str], headers: Mapping[str, str], body: bytes, lease_until: int, now: int
    ) -> Done:
        """Work on a callback.

        Args:
            address: the parts of its address: `model`, `request_id`, `number`, `signature`.
            lease_until: when this invocation has certainly ended (epoch ms).

        Raises:
            NotAuthentic: it is not the provider's.
            Unavailable: it can't be worked on now.
        """
        model = self._models.get(address.get("model", ""))
        if model is None:
            raise NotAuthentic("no such model")
        callback = self._authentic(model, address, headers, body)
        request_id, number = address["request_id"], int(address["number"])
        with self._telemetry.adding(request_id=request_id, run_id=callback.provider_id, number=number):
            for _ in range(TRIES):
                record = self._table.get(request_id, consistent=True)
                why = _why_dropped(record, number, callback)
                if why is not None or record is None:
                    self._telemetry.info("callback_dropped", reason=why or "unknown")
                    return Done.DROPPED
                done = self._work(model, record, callback, lease_until, now)
                if done is not None:
                    return done
            raise Unavailable("the record was changed by others each time")

    def _authentic(
        self, model: BackendModel, address: Mapping[str, str], headers: Mapping[str, str], body: bytes
    ) -> Callback:
        try:
            secret = model.provider.secret()
        except BackendError as error:
            raise Unavailable(str(error)) from error
        request_id, number, signature = (address.get(name, "") for name in ("request_id", "number", "signature"))
        if not is_signed(model.name, request_id, number, signature, secret):
            raise NotAuthentic("the address is not one that was given to a provider")
        return model.provider.read_callback(headers, body)

    def _work(self, model: BackendModel, record: Record, callback: Callback, lease_until: int, now: int) -> Done | None:
        """None: the record has changed since it was read."""
        match self._look(model, callback):
            case RunFailed() as failed:
                return self._note(record, callback, failed)
            case RunSucceeded() as succeeded:
                return self._succeed(model, record, callback, succeeded, lease_until, now)
            case _:
                self._telemetry.info("callback_left_to_the_next_look")
                return Done.LEFT

    def _look(self, model: BackendModel, callback: Callback) -> Look:
        if callback.look is not None and not model.provider.polls:
            return callback.look
        try:
            return model.provider.look(callback.provider_id)
        except BackendError as error:
            raise Unavailable(f"the provider could not be asked: {error}") from error

    def _note(self, record: Record, callback: Callback, failed: RunFailed) -> Done | None:
        update = run_transitions.run_failed(record, callback.provider_id, failure_to_json(failed))
        match self._table.apply([update])[0]:
            case Applied():
                self._telemetry.info("run_failure_noted", reason=failed.message[:200])
                return Done.NOTED
            case ConditionFailed():
                return None
            case error:
                raise error

    def _succeed(
        self,
        model: BackendModel,
        record: Record,
        callback: Callback,
        succeeded: RunSucceeded,
        lease_until: int,
        now: int,
    ) -> Done | None:
        outcome = outcome_of_output(succeeded, model.output_files, self._telemetry)
        if isinstance(outcome, Failed):
            return self._note(record, callback, RunFailed(outcome.message, False, succeeded.run_seconds, outcome.code))
        until = max(lease_until, record.lease_until or 0)
        claimed = self._table.apply([run_transitions.called_back(record, callback.provider_id, until)])[0]
        if isinstance(claimed, Unavailable):
            raise claimed
        if isinstance(claimed, ConditionFailed):
            return None
        files = self._payloads.store(record.request_id, record.attempts, outcome.files)
        update = transitions.succeed(record.request_id, record.attempts, outcome.result, now, files)
        match self._table.apply([update])[0]:
            case Applied():
                self._count(record, succeeded, now)
                return Done.SUCCEEDED
            case ConditionFailed(record=current):
                if files is not None:
                    self._payloads.drop(record.request_id, record.attempts, len(outcome.files), current, files)
                return None
            case error:
                raise error

    def _count(self, record: Record, run: RunSucceeded, now: int) -> None:
        age_ms = now - record.submitted_at
        self._telemetry.count_outcome(record.model, Status.SUCCEEDED)
        self._telemetry.measure(record.model, "EndToEnd", age_ms)
        if run.run_seconds is not None:
            self._telemetry.measure(record.model, "RunTime", run.run_seconds * 1000)
        self._telemetry.info(
            "request_finished", status=Status.SUCCEEDED, attempt=record.attempts, age_ms=age_ms, by="callback"
        )


def _why_dropped(record: Record | None, number: int, callback: Callback) -> str | None:
    """Why a callback has nothing to say any more; None: it has."""
    if record is None:
        return "no_record"
    if record.status is not Status.RUNNING:
        return "not_running"
    if record.submits != number:
        return "earlier_submit"
    if record.run_id is not None and record.run_id != callback.provider_id:
        return "another_run"
    return None
