"""A batch: its record in the request table, and the ids of its items.

The record does not change when an item does: what became of the items is read from their own records.
"""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

from inference.requests import derived_id

CHUNK = 100
"""Items that are read, and kept as ended, together: what one BatchGetItem takes."""


class Stage(StrEnum):
    """Where the items of a batch from a file stand. In `checking` and `creating` the batches function has work to do;
    in the others it has none, unless the batch is cancelled after them."""

    CHECKING = "checking"
    CREATING = "creating"
    CREATED = "created"
    REJECTED = "rejected"
    FAILED = "failed"
    STOPPED = "stopped"


UNFINISHED = frozenset({Stage.CHECKING, Stage.CREATING})
DEADLINE_PASSED = "The items were not all created before the deadline of the batch. Send the file again."


class BatchRecord(NamedTuple):
    """A batch. Times are in epoch milliseconds, except `delete_at`, in seconds.

    Attributes:
        seed: random; the items' ids are derived from it and their index.
        total: how many items it has; 0 while its file is being checked.
        expires_at, delete_at, attempt_limit: of each item.
        input_digest: of the items, if it was submitted with an Idempotency-Key.
        submit_id: random, names the one submit that may discard the batch; removed when its messages are confirmed.
        cancelled_at: when it was cancelled.
        ended: JSON, chunk -> tally, of chunks whose items are all final (`progress.py`).

    Of a batch from a file (`creation.py`), None in others:
        upload, upload_bytes: the id of the file, and its size.
        stage: a `Stage`.
        position, line: the byte of the file where the next step begins, and how many lines are before it.
        accepted: how many items the lines before it have; while it is creating, these are created.
        error_count, errors: how many lines are not valid, and the first of them (JSON).
        failure: why the items are not, or not all, created; for a person.
        settled_at: when it was created, rejected, failed or stopped.
        cancelled_to: up to, and without, this index items were cancelled.
        lease_id, lease_until: the invocation that works on it, and until when.
        runs: invocations in a row that began a step and did not come to its end, nor gave the lease back.

    Of a parent, which an object's event has made (`inference.intake`), None in others:
        trigger: the name of the trigger.
        models: the models of its items in their order, with spaces between; `model` is the first of them.
        source: JSON (`sources.Source`): the object.
        writes_results: whether the outcomes of its items are written to S3, too.

    Of a batch with a webhook, None in others; the `webhook_` fields are those of a request:
        finished_at: when it was found that all items are final, and that no more will be created.
        open_to: items from this index on are final.
    """

    batch_id: str
    caller: str
    model: str
    seed: str
    total: int
    submitted_at: int
    expires_at: int
    delete_at: int
    attempt_limit: int
    input_digest: str | None = None
    submit_id: str | None = None
    cancelled_at: int | None = None
    ended: str | None = None
    upload: str | None = None
    upload_bytes: int = 0
    stage: str | None = None
    position: int = 0
    line: int = 0
    accepted: int = 0
    error_count: int = 0
    errors: str | None = None
    failure: str | None = None
    settled_at: int | None = None
    cancelled_to: int = 0
    lease_id: str | None = None
    lease_until: int | None = None
    runs: int = 0
    trigger: str | None = None
    models: str | None = None
    source: str | None = None
    writes_results: bool = False
    webhook_url: str | None = None
    webhook_state: str | None = None
    webhook_attempts: int | None = None
    webhook_attempt_limit: int | None = None
    webhook_due: int | None = None
    webhook_lease_until: int | None = None
    webhook_retry_at: int | None = None
    webhook_log: str | None = None
    finished_at: int | None = None
    open_to: int | None = None

    @property
    def id(self) -> str:
        """What the API calls it by."""
        return self.batch_id

    def stage_at(self, now: int) -> str | None:
        """The stage for a reader: past the deadline no item is created, also before the batches function writes it."""
        return Stage.FAILED if self.stage in UNFINISHED and self.expires_at <= now else self.stage

    def failure_at(self, now: int) -> str | None:
        """The failure for a reader."""
        return DEADLINE_PASSED if self.stage != self.stage_at(now) else self.failure

    @property
    def has_work(self) -> bool:
        """Whether the batches function has something to do: check, create, or cancel."""
        return self.stage in UNFINISHED or (
            self.cancelled_at is not None and self.stage in (Stage.CREATED, Stage.FAILED)
        )

    @property
    def created_to(self) -> int:
        """Items from this index on were not created. Of one that was stopped some items of the last chunk may be."""
        if self.stage is None or self.stage == Stage.CREATED:
            return self.total
        if self.stage in UNFINISHED:
            return 0 if self.stage == Stage.CHECKING else self.accepted
        return min(self.accepted + CHUNK, self.total)

    def model_of(self, index: int) -> str:
        """The model of an item, from 0: one for all items, but each of a parent's has its own."""
        return self.model if self.models is None else self.models.split(" ")[index]

    def item_id(self, index: int) -> str:
        """The request id of an item, from 0."""
        return derived_id(self.seed, index)

    def item_ids(self, start: int, end: int) -> list[str]:
        """The request ids of the items from `start` up to, and without, `end`."""
        return [self.item_id(index) for index in range(start, min(end, self.total))]
