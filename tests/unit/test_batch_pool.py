"""A batch with messages of several models: each group is predicted by its model, and hurts no other group."""

from __future__ import annotations

import pytest

from tests.unit.fakes import Clock, Killed
from tests.unit.scripted import ScriptedTimeout
from tests.unit.worker_harness import LEASE_SECONDS, REMAINING, EchoModel, WorkerHarness
from worker.batch import FIRST_AFTER_RECEIVES, UNKNOWN_MODEL_SECONDS
from worker.model.errors import NotLoadedError
from worker.visibility import return_seconds


class LoadingModel(EchoModel):
    """Not loaded at first; a load takes `load_seconds`."""

    def __init__(self, clock: Clock, load_seconds: float = 0) -> None:
        super().__init__()
        self.is_loaded = False
        self._clock = clock
        self._load_seconds = load_seconds

    def load(self) -> None:
        if not self.is_loaded:
            self._clock.advance(seconds=self._load_seconds)
        self.is_loaded = True


def a_pool(*others: EchoModel) -> WorkerHarness:
    """A worker of `echo` and of others, which are called other, other2, ..."""
    harness = WorkerHarness(other=others[0] if others else None)
    for number, model in enumerate(others[1:], 2):
        harness.predictions[f"other{number}"] = harness.prediction(model)
    return harness


def test_each_model_predicts_its_own_in_batches_of_its_own_size() -> None:
    harness = a_pool()
    harness.models["other"].batch_size = 2
    for text in "abc":
        harness.add(text)
        harness.add(text.upper(), model="other")
    assert harness.run() == []
    assert harness.models["echo"].passes == [["a", "b", "c"]]
    assert harness.models["other"].passes == [["A", "B"], ["C"]]
    assert harness.statuses() == ["succeeded"] * 6


def test_each_model_has_its_own_version_and_permanent_errors() -> None:
    harness = a_pool()
    harness.models["other"].version = "7.0.0"
    harness.models["other"].permanent_errors = ("ValueError",)
    for model in harness.models.values():
        model.reactions["bad"] = ValueError("bad")
    retried, failed = *harness.add("bad"), *harness.add("bad", model="other")
    assert harness.run() == ["m1"]
    assert harness.statuses() == ["pending", "failed"]
    assert harness.table.record(retried).model_version == "1.0.0"
    assert harness.table.record(failed).model_version == "7.0.0"


def test_a_model_that_does_not_load_hurts_only_its_own() -> None:
    def fail(*_: object) -> None:
        raise NotLoadedError("The model other could not be loaded: no weights")

    harness = a_pool()
    harness.models["other"].load = harness.models["other"].predict = fail  # type: ignore[method-assign,assignment]
    (broken,) = harness.add("a", model="other")
    harness.add("b")
    assert harness.run() == ["m1"]
    assert harness.statuses() == ["pending", "succeeded"]
    assert harness.error(broken)["code"] == "model_not_loaded"


def test_the_groups_behind_one_that_kills_the_worker_come_back_soon_and_lose_no_attempt() -> None:
    harness = a_pool(EchoModel(), EchoModel())
    harness.models["other"].reactions["dies"] = Killed()
    for text, model in (("first", "echo"), ("dies", "other"), ("behind", "other2")):
        harness.add(text, model=model)
    with pytest.raises(Killed):
        harness.process(harness.queue.receive())
    assert harness.statuses() == ["succeeded", "running", "pending"]
    _, killer, behind = harness.hidden_seconds()
    assert (killer, behind) == (LEASE_SECONDS, return_seconds(0))
    assert harness.table.record("2-behind").attempts == 0
    harness.clock.advance(seconds=behind)
    harness.run()
    assert harness.statuses() == ["succeeded", "running", "succeeded"]
    assert harness.table.record("2-behind").attempts == 1


def test_the_groups_behind_one_that_takes_long_are_left_to_other_workers() -> None:
    """They are visible again by then: another worker may have them, whose visibility timeouts must not be changed."""
    harness = a_pool(EchoModel(), EchoModel())
    harness.models["other"].reactions["slow"] = lambda: harness.clock.advance(seconds=20)
    for text, model in (("slow", "other"), ("behind", "other2")):
        harness.add(text, model=model)
    assert harness.run() == ["m2"]
    assert harness.statuses() == ["succeeded", "pending"]
    assert harness.table.record("1-behind").attempts == 0
    assert harness.hidden_seconds() == [return_seconds(0) - 20]
    (line,) = harness.log.events("message_returned")
    assert line["reason"] == "handed_back"


def test_the_model_that_was_slow_goes_last() -> None:
    harness = a_pool()
    harness.predictions["echo"]._slowest_ms = 5_000
    order: list[str] = []
    for name, model in harness.models.items():
        model.reactions["x"] = lambda name=name: order.append(name)
        harness.add("x", model=name)
    assert harness.run() == []
    assert order == ["other", "echo"]


def test_a_slow_model_that_never_had_time_behind_others_goes_first_at_last() -> None:
    harness = a_pool()
    slow = harness.models["other"]
    harness.predictions["other"]._slowest_ms = REMAINING  # no time for it behind another group
    slow.reactions["slow"] = lambda: harness.clock.advance(seconds=1)
    harness.models["echo"].reactions["a"] = lambda: harness.clock.advance(seconds=1)
    (late,) = harness.add("slow", model="other")
    runs = 0
    while harness.table.record(late).status != "succeeded":
        runs += 1
        harness.add("a")
        harness.run()
        assert runs <= FIRST_AFTER_RECEIVES
    assert runs == FIRST_AFTER_RECEIVES
    assert harness.table.record(late).attempts == 1


def test_a_model_is_loaded_behind_others_only_with_half_of_the_time_left() -> None:
    """What it needs is not known: begun late it may time out, and its requests would lose an attempt for others."""
    clock = Clock()
    harness = WorkerHarness(clock=clock, other=LoadingModel(clock))
    ends = clock.now + 12_000
    harness.remaining = lambda: ends - clock.now
    harness.models["echo"].reactions["a"] = lambda: clock.advance(seconds=7)
    harness.predictions["echo"]._slowest_ms = 2_000
    harness.add("a")
    (late,) = harness.add("b", model="other")
    assert harness.run() == ["m2"]
    assert (harness.statuses(), harness.table.record(late).attempts) == (["succeeded", "pending"], 0)
    assert harness.log.events("message_returned")[0]["reason"] == "no_time"
    harness.remaining = lambda: REMAINING
    assert harness.run() == []
    assert harness.statuses() == ["succeeded", "succeeded"]


def test_the_time_of_a_load_counts_until_the_model_is_loaded_and_when_it_was_dropped(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = Clock()
    model = LoadingModel(clock, load_seconds=4)

    class Watch:
        def __init__(self) -> None:
            self._start = clock.now

        @property
        def ms(self) -> float:
            return clock.now - self._start

    monkeypatch.setattr("worker.prediction.Stopwatch", Watch)
    harness = WorkerHarness(clock=clock, other=model)
    seen = [harness.predictions["other"].expected_ms]
    harness.add("a", model="other")
    assert harness.run() == []
    seen.append(harness.predictions["other"].expected_ms)
    model.is_loaded = False
    seen.append(harness.predictions["other"].expected_ms)
    assert seen == [None, 0, 4_000]


def test_a_message_of_a_model_that_this_worker_does_not_have_waits() -> None:
    harness = a_pool()
    (unknown,) = harness.add("a", model="removed")
    harness.add("b")
    assert harness.run() == ["m1"]
    assert (harness.statuses(), harness.table.record(unknown).attempts) == (["pending", "succeeded"], 0)
    assert harness.hidden_seconds() == [UNKNOWN_MODEL_SECONDS]
    (line,) = harness.log.events("model_unknown")
    assert (line["model"], line["request_id"]) == ("removed", unknown)


def test_duplicates_and_requests_that_run_alone_keep_to_their_models() -> None:
    harness = a_pool()
    record = harness.add("a", model="other", status="running", attempts=1, lease_until=1)[0]
    harness.queue.put(next(iter(harness.queue.messages.values())).body)
    harness.add("b")
    assert harness.run() == ["m2"]
    assert harness.statuses() == ["succeeded", "succeeded"]
    assert harness.models["other"].passes == [["a"]]
    assert harness.table.record(record).attempts == 2


def test_a_timeout_releases_the_group_that_hangs_and_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("worker.prediction.Timeout", ScriptedTimeout)
    harness = a_pool(EchoModel(), EchoModel())

    def hang() -> None:
        ScriptedTimeout.time_is_up()
        raise Killed

    harness.models["other"].reactions["hangs"] = hang
    hanging, behind = *harness.add("hangs", model="other"), *harness.add("behind", model="other2")
    with pytest.raises(Killed):
        harness.process(harness.queue.receive())
    assert harness.error(hanging)["code"] == "timeout"
    assert harness.table.record(hanging).run_alone
    assert (harness.table.record(behind).attempts, harness.table.record(behind).run_alone) == (0, False)


def test_each_group_costs_one_call_to_the_queue() -> None:
    clock = Clock()
    harness = WorkerHarness(clock=clock)
    for name in ("echo", "other"):
        harness.add("a", "b", model=name)
    harness.run()
    assert harness.queue.calls == ["set_visibility"] * 2
