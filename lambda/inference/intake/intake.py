"""The intake: from events about created objects to requests.

    message -> event -> parent (a batch's record) -> its requests' records -> their messages -> confirm -> deleted

An event's parent has an id that follows from the trigger and the object's version: an event that comes twice, or again
after a crash, finds the same parent, and completes what is missing of it. What each crash leaves is in
docs/adr/0019-triggers.md.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from inference import transitions
from inference.batches import transitions as batch_transitions
from inference.batches.items import Item, Queues, cancel_items, complete_items, create_items, record_of
from inference.batches.record import BatchRecord
from inference.catalog import Catalog
from inference.errors import Unavailable
from inference.intake.events import ObjectCreated, read_event
from inference.intake.inputs import Unsuitable, input_of
from inference.intake.triggers import Trigger
from inference.requests import ErrorCode, Failure, Status, derived_id, new_request_id
from inference.service import Limits
from inference.store.batch_table import BatchTable
from inference.store.payloads import Payloads
from inference.store.request_table import Applied, RequestTable
from inference.telemetry import Telemetry
from inference.webhooks.options import new_webhook

FIRST_PAUSE_SECONDS = 30
LONGEST_PAUSE_SECONDS = 900
"""Between two tries while AWS does not answer; doubled with each. The queue allows 12: about two hours and a half."""

Clock = Callable[[], int]


class Hider(Protocol):
    """What sets messages' visibility: `RequestQueue`."""

    def set_visibility(self, delays: Mapping[str, int]) -> Sequence[str]: ...


class Intake:
    """Makes requests of events.

    Args:
        triggers: by name.
        batches: where the parents are.
        table: where the items' records are.
        queues: model name -> its queue.
        limits: of each request.
        memory_mb: model name -> its worker's memory, where that is not what the manifest says.
        webhook_url: of parents whose trigger names none.
        queue: of the events.
    """

    def __init__(
        self,
        triggers: Mapping[str, Trigger],
        batches: BatchTable,
        table: RequestTable,
        queues: Queues,
        catalog: Catalog,
        limits: Limits,
        payloads: Payloads,
        memory_mb: Mapping[str, int],
        webhook_url: str | None,
        queue: Hider,
        telemetry: Telemetry,
    ) -> None:
        self._triggers = triggers
        self._batches = batches
        self._table = table
        self._queues = queues
        self._catalog = catalog
        self._limits = limits
        self._payloads = payloads
        self._memory_mb = memory_mb
        self._webhook_url = webhook_url
        self._queue = queue
        self._telemetry = telemetry

    def handle(self, records: Sequence[Mapping[str, Any]], clock: Clock) -> list[str]:
        """Handle an SQS event. Returns the ids of the messages that must not be deleted."""
        kept: list[str] = []
        delays: dict[str, int] = {}
        for record in records:
            seconds = self._handle(record, clock())
            if seconds is not None:
                kept.append(record["messageId"])
                delays[record["receiptHandle"]] = seconds
        if delays and (missed := self._queue.set_visibility(delays)):
            self._telemetry.warning("visibility_not_set", messages=len(missed))
        return kept

    def _handle(self, record: Mapping[str, Any], now: int) -> int | None:
        """Returns the seconds until the message comes back; None: it is deleted. What can never become a request comes
        back at once, until SQS moves it to the dead-letter queue."""
        try:
            event = read_event(record["body"])
        except (ValueError, RecursionError) as error:
            self._telemetry.error("message_unreadable", reason=str(error), body=record["body"][:2000])
            return 0
        source = event.source
        if event.is_folder:
            self._telemetry.info("event_dropped", source=source.url, reason="an empty object that stands for a folder")
            return None
        triggers = [trigger for trigger in self._triggers.values() if trigger.takes(source)]
        if not triggers:
            self._telemetry.error("event_refused", source=source.url, reason="no trigger takes objects of this place")
            return 0
        if event.at + (self._limits.deadline + self._limits.retention) * 1000 <= now:
            # A parent of it may have been made, and deleted after its retention: another would run everything again.
            self._telemetry.error("event_refused", source=source.url, reason="it is older than the retention")
            return 0
        try:
            for trigger in triggers:
                self._accept(trigger, event, now)
        except Unavailable as error:
            tries = int(record["attributes"]["ApproximateReceiveCount"])
            seconds = min(FIRST_PAUSE_SECONDS << (tries - 1), LONGEST_PAUSE_SECONDS)
            self._telemetry.error("event_postponed", error, source=source.url, seconds=seconds)
            return seconds
        return None

    def _accept(self, trigger: Trigger, event: ObjectCreated, now: int) -> None:
        new = self._new(trigger, event, now)
        existing = self._batches.create(new)
        if existing is not None and existing.submit_id is None:
            self._telemetry.info("event_repeated", parent_id=existing.batch_id, source=event.source.url)
            return
        parent = existing or new
        if parent.cancelled_at is None:
            self._create(trigger, event, parent, now, again=existing is not None)
        confirmed = self._batches.apply(batch_transitions.confirm(parent))
        if confirmed is not None and confirmed.cancelled_at is not None:
            # Cancelled while its items were made: those that came after the cancel are still open.
            cancel_items(self._table, confirmed.item_ids(0, confirmed.total), now)
        self._telemetry.info(
            "event_accepted",
            parent_id=parent.batch_id,
            trigger=trigger.name,
            source=event.source.url,
            models=list(trigger.models),
        )

    def _new(self, trigger: Trigger, event: ObjectCreated, now: int) -> BatchRecord:
        source = event.source
        expires_at = now + self._limits.deadline * 1000
        return BatchRecord(
            batch_id=parent_id(trigger.name, event),
            caller=trigger.caller,
            model=trigger.models[0],
            seed=new_request_id(),
            total=len(trigger.models),
            submitted_at=now,
            expires_at=expires_at,
            delete_at=expires_at // 1000 + self._limits.retention,
            attempt_limit=self._limits.attempts,
            submit_id=new_request_id(),
            trigger=trigger.name,
            models=" ".join(trigger.models),
            source=source.to_json(),
            writes_results=trigger.results is not None,
            **new_webhook(trigger.webhook, self._webhook_url, expires_at),
        )

    def _create(self, trigger: Trigger, event: ObjectCreated, parent: BatchRecord, now: int, again: bool) -> None:
        """Make the requests of a parent, of the models that it has, also if the trigger has others by now."""
        items: list[tuple[int, Item]] = []
        for index in range(parent.total):
            model = parent.model_of(index)
            try:
                items.append((index, self._item(trigger, model, event)))
            except Unsuitable as error:
                self._fail(parent, index, str(error), now)
        if again:
            complete_items(parent, items, self._table, self._payloads, self._queues, now)
        else:
            create_items(parent, items, self._table, self._payloads, self._queues)

    def _item(self, trigger: Trigger, model: str, event: ObjectCreated) -> Item:
        if model not in self._catalog.names:
            raise Unsuitable(f"The model '{model}' was removed from the deployment.")
        memory_mb = self._memory_mb.get(model, self._catalog.packaged(model).memory_mb)
        return input_of(trigger, model, event.source, self._catalog, memory_mb)

    def _fail(self, parent: BatchRecord, index: int, reason: str, now: int) -> None:
        """Make a request that has failed. It has no message, so only a sweep or this can end it."""
        record = record_of(parent, index, Item(None, ()))._replace(stored_input=None)
        self._table.create_many([record])
        failure = Failure(ErrorCode.INVALID_INPUT, reason)
        written = self._table.apply([transitions.fail_unleased(record.request_id, failure, now)])[0]
        if isinstance(written, Unavailable):
            raise written
        if isinstance(written, Applied):
            self._telemetry.warning("request_rejected", request_id=record.request_id, model=record.model, reason=reason)
            self._telemetry.count_outcome(record.model, Status.FAILED, ErrorCode.INVALID_INPUT)


def parent_id(trigger: str, event: ObjectCreated) -> str:
    """The id of the parent of an event: another for each version of an object, and for each trigger."""
    source = event.source
    return derived_id("trigger", trigger, source.bucket, source.key, source.version_id or source.sequencer)
