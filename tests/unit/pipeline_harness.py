"""All that an object in S3 meets on fakes: events on their queue, the intake, workers, the results writer, webhooks."""

from __future__ import annotations

import hashlib
import itertools
import json
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from inference.batches.counting import Counting
from inference.batches.parent import describe_parent
from inference.batches.record import BatchRecord
from inference.catalog import Catalog, PackagedModel
from inference.errors import InvalidInput
from inference.intake.intake import Intake
from inference.intake.results import Writer
from inference.intake.triggers import Results, Trigger
from inference.requests import Record
from inference.service import Limits
from inference.store.payloads import Payloads, file_links
from inference.store.results_place import Written
from inference.sweep import SETTLE_MS, Sweeper
from scripts.stack_defaults import CODE_DIGEST
from tests.unit.fake_bucket import FakeBucket, Held, etag_of
from tests.unit.fake_queue import FakeQueue
from tests.unit.fakes import Clock, Faulty, Killed, ReadyModel, Recorder
from tests.unit.samples import DEADLINE, RETENTION
from tests.unit.webhook_harness import Webhooks, stream_record
from worker.batch import Worker
from worker.invocation import Invocation, RetryDelay
from worker.payloads import WorkerPayloads
from worker.prediction import Prediction

MODELS = ("thumbnail", "digits", "caption")
BUCKET, RESULTS_BUCKET = "photos", "published"
GRACE = 900_000
MEMORY_MB = 512


class FileModel(ReadyModel):
    """Notes the content that it gets, and returns its digest and a file. `reactions`: content -> what is raised."""

    input_files: Mapping[str, str] = {"image": "bytes"}
    output_files: Mapping[str, str] = {"picture": "image/png"}

    def __init__(self) -> None:
        self.got: list[bytes] = []
        self.reactions: dict[bytes, Exception] = {}

    def predict(self, inputs: list[Any]) -> Sequence[Any]:
        found = []
        for value in inputs:
            content = value["image"]
            if content in self.reactions:
                raise self.reactions[content]
            self.got.append(content)
            found.append({"digest": hashlib.sha256(content).hexdigest(), "picture": content[::-1]})
        return found


class FakePlace(Faulty):
    """`ResultsPlace` in memory: bucket and key -> content, sequencer."""

    def __init__(self, payloads: FakeBucket) -> None:
        super().__init__()
        self._payloads = payloads
        self.objects: dict[tuple[str, str], tuple[bytes, str]] = {}

    def written(self, bucket: str, key: str) -> Written | None:
        found = self.objects.get((bucket, key))
        return self._step("head", lambda: None if found is None else Written(etag_of(found[0]), found[1]))

    def copy(self, from_key: str, bucket: str, key: str, content_type: str) -> bool:
        held = self._payloads.objects.get(from_key)
        if held is None:
            return False
        self._step("copy", lambda: self.objects.update({(bucket, key): (held.content, "")}))
        return True

    def write(self, bucket: str, key: str, content: bytes, sequencer: str, before: Written | None) -> bool:
        def effect() -> bool:
            found = self.objects.get((bucket, key))
            if (None if found is None else etag_of(found[0])) != (None if before is None else before.etag):
                return False
            self.objects[bucket, key] = (content, sequencer)
            return True

        return self._step("write", effect)


def validate_image(value: Any) -> Any:
    """A model's validator: an object with an `image`, and a default."""
    if not isinstance(value, dict) or not isinstance(value.get("image"), str | dict) or set(value) - {"image", "size"}:
        raise InvalidInput("data must contain ['image'] properties")
    value.setdefault("size", 128)
    return value


class Pipeline:
    """Everything that an object meets, with one trigger that has three models."""

    def __init__(self, **changes: Any) -> None:
        self.clock = Clock()
        self.hooks = Webhooks(self.clock)
        self.table, self.batch_table = self.hooks.table, self.hooks.batch_table
        self.bucket = self.hooks.bucket
        self.source = FakeBucket(self.clock)
        self.queue = FakeQueue(self.clock)
        self.dead_letters = FakeQueue(self.clock)
        self.events = FakeQueue(self.clock, 180, 12, self.dead_letters)
        self.log = Recorder()
        self.place = FakePlace(self.bucket)
        known: dict[str, Any] = {
            "bucket": BUCKET,
            "prefix": "in/",
            "suffix": ".png",
            "models": MODELS,
            "caller": "anonymous",
            "results": Results(bucket=RESULTS_BUCKET, prefix="out/"),
        }
        self.trigger = Trigger(name="uploads", **known | changes)
        self.triggers = {"uploads": self.trigger}
        self.models = {name: FileModel() for name in MODELS}
        self.payloads = Payloads(self.bucket, link_seconds=900, max_upload_bytes=10**9)
        self.memory_mb: dict[str, int] = {}
        self._sequencers = itertools.count(0x6000)
        self._invocations = itertools.count(1)
        self._streamed = 0
        self.sweeper = Sweeper(self.table, MODELS, lambda _: (self.queue,), GRACE, Recorder())

    # What the outside does

    def put(self, key: str, content: bytes, version_id: str | None = None) -> str:
        """Create an object. Returns the body of its event."""
        held = Held(content, "image/png", self.clock.now)
        self.source.objects[key] = held
        if version_id is not None:
            self.source.versions[key, version_id] = held
        return self.event(key, content, version_id)

    def event(self, key: str, content: bytes, version_id: str | None = None, bucket: str = BUCKET) -> str:
        found: dict[str, Any] = {
            "key": key,
            "size": len(content),
            "etag": etag_of(content),
            "sequencer": f"{next(self._sequencers):016X}",
        }
        found |= {} if version_id is None else {"version-id": version_id}
        at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(self.clock.now / 1000))
        event = {"source": "aws.s3", "detail-type": "Object Created", "time": at}
        return json.dumps({**event, "detail": {"bucket": {"name": bucket}, "object": found}})

    def upload(self, key: str = "in/cat.png", content: bytes = b"cat", version_id: str | None = None) -> str:
        """Create an object, and have its event on the queue. Returns the event."""
        body = self.put(key, content, version_id)
        self.events.put(body)
        return body

    # The functions

    def catalog(self) -> Catalog:
        schema = {"type": "object"}
        files = FileModel.input_files
        packaged = {name: PackagedModel("1.0.0", "A model.", schema, schema, None, MEMORY_MB, files) for name in MODELS}
        return Catalog({name: name for name in self.models}, MODELS[0], packaged, lambda _: validate_image)

    def intake(self) -> Intake:
        """A new process of it."""
        return Intake(
            self.triggers,
            self.batch_table,
            self.table,
            lambda _: self.queue,
            self.catalog(),
            Limits(attempts=5, deadline=DEADLINE, retention=RETENTION),
            self.payloads,
            self.memory_mb,
            None,
            self.events,
            self.log,
        )

    def take_in(self, most: int = 10) -> list[str]:
        """One invocation of the intake, and what the mapping does after it."""
        records = self.events.receive(most)
        kept = self.intake().handle(records, self.clock) if records else []
        self.events.settle(records, kept)
        return kept

    def predict(self) -> None:
        """One invocation of a worker that has all models."""
        payloads = WorkerPayloads(self.bucket, {BUCKET: self.source}.__getitem__)
        predictions = {
            name: Prediction(model, validate_image, self.log, payloads) for name, model in self.models.items()
        }
        worker = Worker(predictions, self.table, self.queue, RetryDelay(2, 300), CODE_DIGEST, self.log, payloads)
        records = self.queue.receive()
        if not records:
            return
        invocation = Invocation(f"i{next(self._invocations)}", lambda: 30_000, self.clock)
        self.queue.settle(records, worker.process(records, invocation))

    def results_stream(self) -> list[dict[str, Any]]:
        """What the filter of the results function lets through of the changes that it has not handled."""
        changes = [after for _, _, after in self.table.log[self._streamed :]]
        return [
            stream_record(after, self._streamed + number)
            for number, after in enumerate(changes)
            if after.status in ("succeeded", "failed", "cancelled", "expired") and after.results_of is not None
        ]

    def write_results(self) -> list[str]:
        """One invocation of the results function with all that is new; repeated from where it failed."""
        records, end = self.results_stream(), len(self.table.log)
        failed = Writer(self.triggers, self.table, self.place, self.log).handle(records) if records else []
        self._streamed = int(failed[0]) - 1000 if failed else end
        return failed

    # Time

    def work(self, rounds: int = 40) -> None:
        """All functions, until nothing is left to do or time for it has passed."""
        for _ in range(rounds):
            self.take_in()
            self.predict()
            self.write_results()
            while records := self.hooks.stream():  # what the relay writes comes by the stream, too
                self.hooks.relay(records)
            self.hooks.deliver()
            if not (self.events.messages or self.queue.messages or self.hooks.queue.messages):
                return
            self.clock.advance(seconds=30)
        raise AssertionError(f"there is still work: {self.events.messages} {self.queue.messages}")

    def sweep(self) -> None:
        self.clock.advance(ms=GRACE + SETTLE_MS + 1)
        self.sweeper.sweep(self.clock, lambda: True)

    def everywhere(self, action: Callable[[str], object], after: bool = False) -> None:
        """Do something before, or after, each effect of the intake."""
        for target in (self.batch_table, self.table, self.bucket, self.queue, self.events):
            setattr(target, "after" if after else "before", action)

    def killed(self, action: Callable[[], object]) -> bool:
        """Whether a process was killed while it did this; no kill is set any more."""
        dead = True
        with suppress(Killed):
            action()
            dead = False
        self.everywhere(lambda _: None)
        self.everywhere(lambda _: None, after=True)
        return dead

    # What is there

    def parents(self) -> list[BatchRecord]:
        found = (self.batch_table.get(name) for name in list(self.batch_table.items))
        return [parent for parent in found if parent is not None]

    def parent(self) -> BatchRecord:
        (only,) = self.parents()
        return only

    def requests(self) -> list[Record]:
        return [self.table.record(name) for name in self.table.items]

    def status(self, parent: BatchRecord | None = None) -> dict[str, Any]:
        """The status document of a parent."""
        parent = parent or self.parent()
        shown = Counting(self.batch_table, self.table).show(parent, self.clock(), limit=parent.total)
        return describe_parent(shown, self.clock(), lambda record, now: file_links(self.bucket, record, 900, now))

    def statuses(self) -> dict[str, str]:
        return {name: each["status"] for name, each in self.status()["models"].items()}

    def document(self, model: str, key: str = "in/cat.png") -> Any:
        """What the results place has of a model."""
        return json.loads(self.place.objects[RESULTS_BUCKET, f"out/{key}/{model}.json"][0])
