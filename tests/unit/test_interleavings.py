"""Property test: whatever happens in whatever order, no promise is broken.

The real service, worker, dead-letter handler and sweeper run on the fakes, each operation as an actor that stops before
every call to AWS and inside every prediction. Hypothesis decides who makes the next step, whose call fails or loses its
answer, who is killed, what is delivered twice, and when time passes. The invariants are checked after each step; at
the end everything left is run down, and every request must have ended.

A failure prints its schedule: the steps that were drawn, as Python, and above each, as comments, what each actor did in
it. Nothing is random but the draw, so these lines as the body of a test function here replay the failure.
"""

from __future__ import annotations

import itertools
import json
import re
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import Phase, currently_in_test_context, note, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from inference import service, transitions
from inference.dead_letter_handler import DeadLetterHandler
from inference.errors import InferenceError
from inference.listing import Listing
from inference.requests import Message
from inference.service import Limits, Service
from inference.store.payloads import Payloads, message_of
from inference.store.request_table import Applied
from inference.sweep import SETTLE_MS, Sweeper
from scripts.stack_defaults import CODE_DIGEST
from tests.unit.actors import TIMEOUT_MS, Actor, EchoModel, LaggingQueue, ScheduledTimeout, go_on
from tests.unit.fake_batch_table import FakeBatchTable
from tests.unit.fake_bucket import FakeBucket
from tests.unit.fake_table import FakeTable
from tests.unit.fakes import Clock, Fault, Faulty, Recorder
from tests.unit.promises import STATUSES_TAKEN, Promises
from tests.unit.samples import DEADLINE, RETENTION, TRANSITIONS, a_catalog, validate_text
from worker import prediction
from worker.batch import Worker
from worker.invocation import Invocation, RetryDelay
from worker.payloads import WorkerPayloads
from worker.prediction import Prediction

API_TIMEOUT_MS = 29_000
GRACE_MS = 900_000
MOST_ACTORS, MOST_REQUESTS = 4, 3
TEXTS = ["one", "one", "two", "boom", "odd"]
WORKER_STEPS = ["apply", "take_over", "predict", "finish"]
"""Steps of a worker that others like to come between."""
NAMED_STEPS = {transitions.TAKE_OVER: "take_over", transitions.CONFIRM_SUBMIT: "confirm"}
"""Updates that a schedule can stop before; all others are called `apply`."""


class Interleavings(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        if currently_in_test_context():
            note("# To replay it, make a test function of the lines from 'state = ...' on, in test_interleavings.py.")
        self.clock = Clock()
        self.table = FakeTable()
        self.dead_letters = LaggingQueue(self.clock, max_receives=10**6)
        self.queue = LaggingQueue(self.clock, dead_letters=self.dead_letters)
        self.log = Recorder()
        limits = Limits(attempts=3, deadline=DEADLINE, retention=RETENTION)
        listing = Listing(self.table.caller_index, self.table)
        bucket = FakeBucket(self.clock)
        payloads = Payloads(bucket, link_seconds=900, max_upload_bytes=10**9)
        self.payloads = WorkerPayloads(bucket)
        self.service = Service(self.table, lambda _: self.queue, a_catalog(), listing, limits, payloads)
        self.dead_letter_handler = DeadLetterHandler(
            self.table, FakeBatchTable(), {"echo": "/p-echo"}, lambda *_: [], self.log
        )
        queues = (self.queue, self.dead_letters)
        self.sweeper = Sweeper(self.table, ("echo",), lambda _: queues, GRACE_MS, self.log)
        for target in (self.table, self.queue, self.dead_letters):
            target.before = lambda operation, target=target: self._pause(target, operation)
        self.actors: list[Actor] = []
        self.invocations = self.acts = 0
        ids, self.keys = itertools.count(), itertools.count()
        self.patch = pytest.MonkeyPatch()
        self.patch.setattr(prediction, "Timeout", ScheduledTimeout)
        # Random ids would make every run another.
        self.patch.setattr(service, "new_request_id", lambda: f"{7 * next(ids) % 16:x}-{next(ids)}")
        self.promises = Promises(self.table, self.clock)

    def _pause(self, target: Faulty, operation: str) -> None:
        actor = threading.current_thread()
        if isinstance(actor, Actor):
            applying = self.table.applying.transition if operation == "apply" else None
            actor.pause(NAMED_STEPS.get(applying, operation))
            if actor.fault:
                target.faults.append(Fault(operation, done=actor.fault == "lost"))

    def _act(self, what: str, operation: Callable[[], None], until: str = "start", limit_ms: int = TIMEOUT_MS) -> None:
        """Start an operation, and let it go on until it is about to make a step of this name."""
        self.clock.advance(ms=1)
        self.acts += 1
        actor = Actor(f"{what} {self.acts}", operation, self.clock.now, limit_ms)
        self.actors.append(actor)
        go_on(actor, until)
        self._reap()

    def _reap(self) -> None:
        """Errors of the operations' own kinds are answers to a client; anything else is a bug."""
        for actor in self.actors:
            if actor.done and actor.error is not None and not isinstance(actor.error, InferenceError):
                raise actor.error
        self.actors = [actor for actor in self.actors if not actor.done]

    def _room(self) -> bool:
        return len(self.actors) < MOST_ACTORS

    # What clients, AWS and operators do

    @initialize(texts=st.lists(st.sampled_from(TEXTS), max_size=2))
    def begin_with(self, texts: list[str]) -> None:
        for text in texts:
            self._submission(text, None)()

    @precondition(lambda self: self._room() and len(self.table.items) < MOST_REQUESTS)
    @rule(
        text=st.sampled_from(TEXTS),
        key=st.sampled_from([None, "k", "k"]),
        until=st.sampled_from(["start", "send", "confirm", "end"]),
    )
    def submit(self, text: str, key: str | None, until: str) -> None:
        self._act("submit", self._submission(text, key), until, API_TIMEOUT_MS)

    @precondition(lambda self: len(self.actors) + 2 <= MOST_ACTORS and len(self.table.items) < MOST_REQUESTS)
    @rule(
        text=st.sampled_from(TEXTS),
        until=st.lists(st.sampled_from(["send", "send", "confirm", "end"]), min_size=2, max_size=2),
        faults=st.lists(st.sampled_from([None, "rejected", "lost"]), min_size=2, max_size=2),
    )
    def submit_twice(self, text: str, until: list[str], faults: list[str | None]) -> None:
        """Two submits with a new key at once; each stops before some step, the second then the first meet a fault."""
        submission = self._submission(text, f"k{next(self.keys)}")
        for step in until:
            self._act("submit", submission, step, API_TIMEOUT_MS)
        for actor, fault in zip(reversed(self.actors[-2:]), faults, strict=False):
            if fault:
                actor.step(fault)
        self._reap()

    @precondition(lambda self: len(self.actors) + 2 <= MOST_ACTORS and len(self.table.items) < MOST_REQUESTS)
    @rule(
        text=st.sampled_from(TEXTS),
        until=st.lists(st.sampled_from(["start", "create", "send", "confirm", "end"]), min_size=2, max_size=2),
        arrives=st.sampled_from([None, "before", "between", "after"]),
    )
    def submit_again_what_was_lost(self, text: str, until: list[str], arrives: str | None) -> None:
        """A submit with a new key dies before it sends, its request is ended as lost, and two others repeat it. Its
        message may arrive all the same.
        """
        submission = self._submission(text, f"k{next(self.keys)}")
        known = set(self.table.items)
        self._act("submit", submission, "send", API_TIMEOUT_MS)
        self.actors.pop().kill()
        (request_id,) = self.table.items.keys() - known
        message = message_of(self.table.record(request_id), {"text": text, "threshold": 0.5})
        for _ in range(2):
            self._advance(GRACE_MS + SETTLE_MS)
            self._act("sweep", lambda: self.sweeper.sweep(self.clock, lambda: True), "end")
        for moment, step in zip(("before", "between"), until, strict=True):
            if arrives == moment:
                self.queue.send(message)
            self._act("submit", submission, step, API_TIMEOUT_MS)
        if arrives == "after":
            self.queue.send(message)

    def _submission(self, text: str, key: str | None) -> Callable[[], None]:
        def operation() -> None:
            self.promises.accept(self.service.submit(None, {"text": text}, "me", self.clock(), key), text)

        return operation

    @precondition(_room)
    @rule(
        what=st.sampled_from(["cancel", "dead_letters", "dead_letters", "sweep", "sweep", "replay", "replay"]),
        which=st.integers(0, 9),
        until=st.sampled_from(["apply", "send", "end"]),
    )
    def somebody_else(self, what: str, which: int, until: str) -> None:
        names = {"replay": self._in("failed"), "cancel": self._in("pending", "running") or list(self.table.items)}
        if names.get(what) == []:
            return
        name = names[what][which % len(names[what])] if what in names else ""
        operations: dict[str, Callable[[], Any]] = {
            "cancel": lambda: self.service.cancel(name, "me", self.clock()),
            "replay": lambda: self._replay(name),
            "sweep": lambda: self.sweeper.sweep(self.clock, lambda: True),
            "dead_letters": self._dead_letters(),
        }
        self._act(what, operations[what], until)

    def _in(self, *statuses: str) -> list[str]:
        return [name for name, item in self.table.items.items() if item["status"] in statuses]

    def _ready(self) -> bool:
        return any(held.visible_at <= self.clock.now for held in self.queue.messages.values())

    @precondition(lambda self: self._room() and self._ready())
    @rule(most=st.integers(1, 3), until=st.sampled_from(WORKER_STEPS), twice=st.booleans())
    def deliver(self, most: int, until: str, twice: bool) -> None:
        if twice:
            ready = next(held for held in self.queue.messages.values() if held.visible_at <= self.clock.now)
            self.queue.put(ready.body)
        self._act("worker", self._invocation(most), until)

    @precondition(lambda self: self._room() and self._ready())
    @rule(first=st.sampled_from(WORKER_STEPS), second=st.sampled_from(WORKER_STEPS))
    def deliver_twice(self, first: str, second: str) -> None:
        """The same message to two workers, which are about to make some step."""
        self.deliver(1, first, twice=True)
        if self._room() and self._ready():
            self.deliver(1, second, twice=False)

    @precondition(lambda self: self.queue.messages and not self._ready())
    @rule()
    def messages_come_back(self) -> None:
        self._advance(min(held.visible_at for held in self.queue.messages.values()) - self.clock.now)

    @precondition(_ready)
    @rule(until=st.sampled_from(WORKER_STEPS))
    def deliver_and_kill(self, until: str) -> None:
        self._act("worker", self._invocation(10), until)
        if self.actors:
            self.actors[-1].kill()
        self._reap()

    def _invocation(self, most: int) -> Callable[[], None]:
        records = self.queue.receive(most)
        self.invocations += 1
        ends = self.clock.now + TIMEOUT_MS
        invocation = Invocation(f"i{self.invocations}", lambda: max(ends - self.clock.now, 0), self.clock)
        # A process of its own: nothing is remembered from invocation to invocation.
        worker = Worker(
            {"echo": Prediction(EchoModel(), validate_text, self.log, self.payloads)},
            self.table,
            self.queue,
            RetryDelay(2, 300),
            CODE_DIGEST,
            self.log,
            self.payloads,
        )

        def operation() -> None:
            self.queue.settle(records, worker.process(records, invocation))

        return operation

    def _dead_letters(self) -> Callable[[], None]:
        def operation() -> None:
            records = self.dead_letters.receive(10)
            self.dead_letters.settle(records, self.dead_letter_handler.handle(records, self.clock))

        return operation

    @precondition(lambda self: self.queue.messages)
    @rule()
    def the_message_uses_up_its_receives(self) -> None:
        """Deliveries that found the worker throttled, until SQS gave up."""
        held = next(iter(self.queue.messages.values()))
        held.receive_count = 8

    def _replay(self, request_id: str) -> None:
        """What the operator's tool does: record first, then message."""
        record = self.table.get(request_id, consistent=True)
        if record is None or record.input is None:
            return
        expires_at = self.clock.now + DEADLINE * 1000
        update = transitions.replay(
            record, self.clock(), expires_at=expires_at, delete_at=expires_at // 1000 + RETENTION, attempts=3
        )
        match self.table.apply([update])[0]:
            case Applied(record=replayed) if replayed is not None:
                value = json.loads(record.input)
                self.queue.send(
                    Message(request_id, record.model, value, record.submitted_at, expires_at, replayed.attempt_limit)
                )

    # What the schedule does

    @precondition(lambda self: self.actors)
    @rule(which=st.integers(0, MOST_ACTORS), until=st.sampled_from(["next", "take_over", "predict", "finish", "end"]))
    def go_on(self, which: int, until: str) -> None:
        actor = self.actors[which % len(self.actors)]
        actor.step()
        if until != "next":
            go_on(actor, until)
        self._reap()

    @precondition(lambda self: self.actors)
    @rule(which=st.integers(0, MOST_ACTORS), fault=st.sampled_from(["rejected", "lost"]), to_end=st.booleans())
    def go_on_with_a_fault(self, which: int, fault: str, to_end: bool) -> None:
        actor = self.actors[which % len(self.actors)]
        actor.step(fault)
        if to_end:
            actor.fault = None
            go_on(actor, "end")
        self._reap()

    @precondition(lambda self: self.actors)
    @rule(which=st.integers(0, MOST_ACTORS))
    def kill(self, which: int) -> None:
        self.actors[which % len(self.actors)].kill()
        self._reap()

    @precondition(lambda self: self._room() and any(actor.on_timeout for actor in self.actors))
    @rule()
    def prediction_times_out(self) -> None:
        on_timeout = next(actor.on_timeout for actor in self.actors if actor.on_timeout)
        self._act("on_timeout", on_timeout)

    @rule(seconds=st.sampled_from([0.001, 5, 31, 34, 34, 200, 1000, DEADLINE]))
    def time_passes(self, seconds: float) -> None:
        """Lambda kills what runs too long. A worker may be late all the same, for clocks differ: with its prediction,
        but not with a call that it has made already.
        """
        self._advance(int(seconds * 1000))

    def _advance(self, ms: int) -> None:
        self.clock.advance(ms=ms)
        for actor in self.actors:
            if self.clock.now - actor.started_at > actor.limit_ms and actor.at != "predict":
                actor.kill()
        self._reap()

    @invariant()
    def promises_hold(self) -> None:
        self.promises.check()

    def teardown(self) -> None:
        try:
            for actor in self.actors:
                while not actor.done:
                    actor.step()
            self._reap()
            self.promises.check()
            self._run_down()
        finally:
            for actor in self.actors:
                actor.kill()
            self.patch.undo()

    def _run_down(self) -> None:
        """Nobody does anything new: with what is in the queues and a sweep now and then, every request ends."""
        until = self.clock.now + DEADLINE * 1000 // 2
        while self.clock.now < until and (self.queue.messages or self.dead_letters.messages or self._open()):
            self.clock.advance(seconds=301)
            self._invocation(10)()
            self._dead_letters()()
            self.sweeper.sweep(self.clock, lambda: True)
            self.promises.check()
        assert not self._open(), "a request never ended"
        assert not self.queue.messages
        assert not self.dead_letters.messages

    def _open(self) -> list[str]:
        return self._in("pending", "running")


TestInterleavings = Interleavings.TestCase
TestInterleavings.settings = settings(max_examples=500, stateful_step_count=40)


def test_the_machine_gets_everywhere() -> None:
    """It would prove little if it never took some way. (Examples are the same in every run.)"""
    if not STATUSES_TAKEN:
        pytest.skip("judges the machine's run")
    possible = {(before, it.after) for it in TRANSITIONS.values() if it.after for before in it.before}
    assert possible <= STATUSES_TAKEN.keys()


class NothingEnds(Interleavings):
    """Fails as soon as a request has a final status, which takes a few steps."""

    @invariant()
    def nothing_is_final(self) -> None:
        assert not self._in("succeeded", "failed"), "a request ended"


def test_a_failure_prints_its_schedule_and_the_schedule_replays_it() -> None:
    drawn = settings(max_examples=50, phases=[Phase.generate], print_blob=False)  # on CI a blob follows the steps
    with pytest.raises(AssertionError, match="a request ended") as failure:
        run_state_machine_as_test(NothingEnds, settings=drawn)
    printed = "\n".join(failure.value.__notes__)
    assert "To replay it, make a test function" in printed
    assert re.search(r"^#   worker \d+: predict -> apply$", printed, re.MULTILINE), "what an actor did in a step"
    script = printed[printed.index("state = NothingEnds()") :]
    replayed: dict[str, Any] = {"NothingEnds": NothingEnds}
    with pytest.raises(AssertionError, match="a request ended"):
        exec(script, replayed)
    with suppress(AssertionError):
        replayed["state"].teardown()
