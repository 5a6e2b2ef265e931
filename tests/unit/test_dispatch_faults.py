"""The dispatcher and the callbacks function are killed at each of their steps, and the provider misbehaves. Whatever
happens: one outcome, nothing stuck, and no more runs than were counted.

`pytest -s -k matrix` prints what became of the request for each step.
"""

from __future__ import annotations

import pytest

from inference import transitions
from inference.errors import Unavailable
from inference.requests import Status
from tests.unit.dispatch_harness import DispatchHarness
from tests.unit.fakes import Fault
from tests.unit.samples import a_message
from worker.backends.base import Failed, NotAuthentic, Refused, Rejected, Running, Succeeded, Uncertain
from worker.dispatch.callbacks import Done

HOUR = 3600


def the_way(harness: DispatchHarness) -> None:
    """Submit, hold, look, finish."""
    harness.add()
    harness.work()


def steps_of_the_way() -> list[str]:
    harness = DispatchHarness()
    the_way(harness)
    return harness.steps


STEPS = steps_of_the_way()


def check_end(harness: DispatchHarness, status: Status = Status.SUCCEEDED) -> None:
    """The request ended once, its message is gone, and no run goes on at the provider that nobody knows of."""
    assert harness.record().status is status
    assert harness.outcomes == 1
    assert not harness.queue.messages
    assert not harness.queue.dead_lettered
    known = {harness.record().run_id}
    assert len(set(harness.provider.working) - known) <= harness.count("PossibleDuplicateSubmits")


def test_the_way_without_a_fault() -> None:
    harness = DispatchHarness()
    the_way(harness)
    check_end(harness)
    record = harness.record()
    assert (record.attempts, record.submits, record.run_id) == (1, 1, "r1")
    assert record.result == '{"echo": "hi"}'
    assert (record.lease_until, record.next_look_at) == (None, None)
    assert [run.submission.input for run in harness.provider.runs.values()] == [{"text": "hi", "threshold": 0.5}]
    assert [line["RunTime"] for line in harness.log.embedded if "RunTime" in line] == [[12_500.0]]


def test_matrix_of_a_dispatcher_killed_at_each_step() -> None:
    print(f"\n{'killed':42} {'status':10} {'attempts':>8} {'submits':>8} {'runs':>5} {'possible duplicates':>20}")
    for at, step in enumerate(STEPS):
        harness = DispatchHarness()
        harness.kill_at = at
        the_way(harness)
        check_end(harness)
        runs, duplicates = len(harness.provider.runs), harness.count("PossibleDuplicateSubmits")
        record = harness.record()
        print(f"{step:42} {record.status:10} {record.attempts:8} {record.submits or 0:8} {runs:5} {duplicates:20}")
        assert runs <= 1 + duplicates, step
        assert record.attempts <= 2
        assert (record.submits or 0) <= 2
    assert {"before intend", "after intend", "after provider.submit", "before hold_run", "after provider.look"} <= {
        *STEPS
    }


@pytest.mark.parametrize("callback", ["comes", "is lost"])
def test_a_run_whose_id_was_not_recorded_is_adopted_by_its_callback(callback: str) -> None:
    harness = DispatchHarness()
    harness.kill_at = STEPS.index("before hold_run")
    harness.add()
    assert not harness.run()
    harness.clock.advance(seconds=31)
    if callback == "comes":
        assert harness.call_back(harness.provider.runs["r1"]) is Done.SUCCEEDED
    harness.work()
    check_end(harness)
    assert len(harness.provider.runs) == (1 if callback == "comes" else 2)
    assert harness.count("PossibleDuplicateSubmits") == (0 if callback == "comes" else 1)


def held(**arguments: bool) -> DispatchHarness:
    """A request that is held while its run goes on."""
    harness = DispatchHarness(**arguments)
    harness.add()
    harness.run()
    assert harness.record().next_look_at is not None
    return harness


def called_back_steps() -> list[str]:
    harness = held()
    harness.clock.advance(seconds=31)
    harness.steps.clear()
    assert harness.call_back(harness.provider.runs["r1"]) is Done.SUCCEEDED
    return harness.steps


@pytest.mark.parametrize("again", [False, True])
def test_matrix_of_a_callback_killed_at_each_step(again: bool) -> None:
    print(f"\n{'killed':42} {'repeated':>8} {'status':10} {'attempts':>8} {'runs':>5}")
    for at, step in enumerate(called_back_steps()):
        harness = held()
        run = harness.provider.runs["r1"]
        harness.clock.advance(seconds=31)
        harness.steps.clear()
        harness.kill_at = at
        assert harness.call_back(run) is None
        if again:
            assert harness.call_back(run) in (Done.SUCCEEDED, Done.DROPPED)
        harness.work()
        check_end(harness)
        record = harness.record()
        print(f"{step:42} {again!s:>8} {record.status:10} {record.attempts:8} {len(harness.provider.runs):5}")
        assert (record.attempts, len(harness.provider.runs)) == (1, 1)


def test_a_callback_ends_the_request_before_the_next_look_and_a_second_one_is_dropped() -> None:
    harness = held()
    run = harness.provider.runs["r1"]
    harness.clock.advance(seconds=31)
    assert harness.call_back(run) is Done.SUCCEEDED
    assert harness.record().status is Status.SUCCEEDED
    assert harness.call_back(run) is Done.DROPPED
    harness.work()
    check_end(harness)


@pytest.mark.parametrize("how", ["forged", "no bearer", "other model", "no number"])
def test_a_callback_that_is_not_the_providers_is_rejected_before_anything_is_read(how: str) -> None:
    harness = held()
    harness.clock.advance(seconds=31)
    run = harness.provider.runs["r1"]
    harness.steps.clear()
    with pytest.raises(NotAuthentic):
        match how:
            case "forged":
                harness.call_back(run, forged=True)
            case "no bearer":
                harness.call_back(run, bearer="somebody")
            case "other model":
                harness.callbacks.receive({"model": "none"}, {}, b"{}", 0, 0)
            case "no number":
                address = {"model": "echo", "request_id": "a1", "number": "\u0661", "signature": "x"}
                harness.callbacks.receive(address, {}, b"{}", 0, 0)
    assert harness.steps == []
    assert harness.record().status is Status.RUNNING


def test_a_callback_while_the_submit_is_answered() -> None:
    """The run ends, and is announced, before its id is recorded."""
    harness = DispatchHarness()
    harness.provider.seconds = 0

    def announce(step: str) -> None:
        if step == "before hold_run":
            harness.on_step = lambda _: None
            assert harness.call_back(harness.provider.runs["r1"]) is Done.SUCCEEDED

    harness.on_step = announce
    harness.add()
    harness.work()
    check_end(harness)
    assert len(harness.provider.runs) == 1
    assert not harness.provider.runs["r1"].cancelled


def test_a_late_callback_of_an_earlier_submit_is_dropped() -> None:
    harness = held()
    first = harness.provider.runs.pop("r1")  # the provider has lost it
    harness.work(until=lambda: (harness.record().submits or 0) == 2)
    harness.provider.runs["r1"] = first
    assert harness.call_back(first) is Done.DROPPED
    harness.work()
    check_end(harness)
    assert (harness.record().attempts, harness.record().run_id) == (2, "r2")


def test_a_callback_of_a_run_that_is_not_the_recorded_one_is_dropped() -> None:
    harness = held()
    run = harness.provider.runs["r1"]
    other = type(run)("r9", run.submission, 0, Succeeded({"echo": "another"}))
    harness.provider.runs["r9"] = other
    assert harness.call_back(other) is Done.DROPPED


def test_a_callback_of_a_run_that_goes_on_is_left_to_the_next_look() -> None:
    harness = held()
    assert harness.call_back(harness.provider.runs["r1"]) is Done.LEFT
    harness.work()
    check_end(harness)


def test_a_failure_that_a_callback_tells_ends_the_attempt_at_the_next_look_with_its_input_kept() -> None:
    harness = held()
    harness.provider.runs["r1"].result = Failed("the model raised ValueError", retryable=False)
    harness.clock.advance(seconds=31)
    harness.provider.runs["r1"].ends_at = harness.clock.now
    assert harness.call_back(harness.provider.runs["r1"]) is Done.NOTED
    assert harness.record().status is Status.RUNNING
    del harness.provider.runs["r1"]  # forgotten meanwhile
    harness.work()
    check_end(harness, Status.FAILED)
    assert harness.error() == {"code": "model_error", "message": "the model raised ValueError", "attempt": 1}
    assert harness.record().input == '{"text": "hi"}'


@pytest.mark.parametrize("successful", [True, False])
def test_a_provider_that_cannot_be_asked_tells_by_its_callback_alone(successful: bool) -> None:
    harness = DispatchHarness()
    harness.provider.polls = False
    if not successful:
        harness.provider.result = lambda _: Failed("no", retryable=False)
    harness.provider.seconds = HOUR
    harness.add()
    harness.work(until=lambda: harness.record().run_uncertain)
    assert harness.record().status is Status.RUNNING
    expected = Done.SUCCEEDED if successful else Done.NOTED
    assert harness.call_back(harness.provider.runs["r1"]) is expected
    harness.work()
    check_end(harness, Status.SUCCEEDED if successful else Status.FAILED)


def test_a_provider_that_cannot_be_asked_and_whose_callbacks_are_lost() -> None:
    """Its server runs nothing any more: after a while for the callback, the attempt ends, and another one submits."""
    harness = DispatchHarness()
    harness.provider.polls = False
    harness.add()
    harness.work(until=lambda: (harness.record().submits or 0) == 2)
    assert (harness.clock.now - harness.record().submitted_at) // 1000 > 180
    harness.clock.advance(seconds=31)
    assert harness.call_back(harness.provider.runs["r2"]) is Done.SUCCEEDED
    harness.work()
    check_end(harness)


def test_a_callback_that_cannot_be_worked_on_is_refused_so_that_it_comes_again() -> None:
    for break_it in ("table", "write", "provider", "secret"):
        harness = held()
        run = harness.provider.runs["r1"]
        harness.clock.advance(seconds=31)
        match break_it:
            case "table":
                harness.table.faults = [Fault("get")]
            case "write":
                harness.table.faults = [Fault("apply")]
            case "provider":
                harness.provider.on_look = [Uncertain("no answer")]
            case "secret":
                harness.token.unreadable = Unavailable("no answer")
        with pytest.raises(Unavailable):
            harness.call_back(run)
        harness.token.unreadable = None
        assert harness.call_back(run) is Done.SUCCEEDED
        harness.work()
        check_end(harness)


# The provider


def test_too_many_calls_cost_no_attempt() -> None:
    harness = DispatchHarness()
    harness.provider.on_submit = [(Refused("429", retry_after=20), False)] * 30
    harness.add()
    harness.run()
    assert [(held.visible_at - harness.clock.now) // 1000 for held in harness.queue.messages.values()] == [20]
    harness.work()
    check_end(harness)
    assert (harness.record().attempts, len(harness.provider.runs)) == (1, 1)
    assert harness.count("SubmitsRefused") == 30
    assert harness.count("Submits") == 1


def test_a_provider_that_is_down_for_an_hour_loses_nothing() -> None:
    harness = DispatchHarness()
    for number in range(5):
        harness.add(request_id=f"{number}-held")
    harness.run()
    harness.provider.down = True
    for number in range(5):
        harness.add(request_id=f"{number}-new")
    end = harness.clock.now + HOUR * 1000
    harness.work(until=lambda: harness.clock.now >= end)
    assert {record["status"] for record in harness.table.items.values()} == {"running"}
    harness.provider.down = False
    harness.work()
    assert {record["status"] for record in harness.table.items.values()} == {"succeeded"}
    assert {record["attempts"] for record in harness.table.items.values()} == {1}
    assert len(harness.provider.runs) == 10
    assert harness.outcomes == 10


def test_a_provider_that_never_comes_back_leaves_the_request_to_its_deadline() -> None:
    harness = DispatchHarness()
    harness.provider.down = True
    harness.add()
    harness.work()
    check_end(harness, Status.EXPIRED)
    assert harness.queue.dead_lettered == []


@pytest.mark.parametrize("taken", [True, False])
@pytest.mark.parametrize("callbacks", [True, False])
def test_a_submit_without_an_answer_is_counted_and_made_again(taken: bool, callbacks: bool) -> None:
    harness = DispatchHarness(callbacks=callbacks)
    harness.provider.on_submit = [(Uncertain("timed out"), taken)]
    harness.add()
    harness.work()
    check_end(harness)
    record = harness.record()
    assert (record.attempts, record.submits) == (2, 2)
    assert harness.count("PossibleDuplicateSubmits") == 1


def test_a_submit_without_an_answer_is_adopted_by_its_callback() -> None:
    harness = DispatchHarness()
    harness.provider.on_submit = [(Uncertain("timed out"), True)]
    harness.add()
    harness.run()
    harness.clock.advance(seconds=31)
    assert harness.call_back(harness.provider.runs["r1"]) is Done.SUCCEEDED
    harness.work()
    check_end(harness)
    assert (harness.record().submits, harness.count("PossibleDuplicateSubmits")) == (1, 0)


def test_submits_that_are_never_answered_end_with_the_attempts() -> None:
    harness = DispatchHarness()
    harness.provider.on_submit = [(Uncertain("timed out"), False)] * 9
    harness.add()
    harness.work()
    check_end(harness, Status.FAILED)
    assert harness.error()["code"] == "backend_error"
    assert (harness.record().submits, harness.record().input) == (5, '{"text": "hi"}')


def test_a_rejected_submit_fails_at_once() -> None:
    harness = DispatchHarness()
    harness.provider.on_submit = [(Rejected("the endpoint wants 'prompt': fix the input"), False)]
    harness.add()
    harness.work()
    check_end(harness, Status.FAILED)
    assert harness.error() == {
        "code": "backend_error",
        "message": "the endpoint wants 'prompt': fix the input",
        "attempt": 1,
    }


def test_a_run_that_is_forgotten_is_submitted_again_until_the_attempts_are_used_up() -> None:
    harness = held()
    harness.provider.runs.clear()
    harness.work()
    check_end(harness)
    assert (harness.record().attempts, harness.record().submits) == (2, 2)

    harness = DispatchHarness()
    harness.add()
    harness.work(until=lambda: bool(harness.provider.runs.clear()))
    check_end(harness, Status.FAILED)
    assert "does not know the run any more" in harness.error()["message"]
    assert harness.record().submits == 5


def test_a_run_that_is_not_visible_yet_is_looked_at_again() -> None:
    harness = held()
    run = harness.provider.runs.pop("r1")
    harness.clock.advance(seconds=2)
    harness.run()
    harness.provider.runs["r1"] = run
    harness.work()
    check_end(harness)
    assert harness.record().attempts == 1


@pytest.mark.parametrize(("retryable", "attempts"), [(True, 5), (False, 1)])
def test_a_failed_run_uses_an_attempt(retryable: bool, attempts: int) -> None:
    harness = DispatchHarness()
    harness.provider.result = lambda _: Failed("CUDA error", retryable)
    harness.add()
    harness.work()
    check_end(harness, Status.FAILED)
    assert (harness.record().attempts, len(harness.provider.runs)) == (attempts, attempts)


@pytest.mark.parametrize("error", [Refused("503"), Uncertain("timed out"), Rejected("401: the token is wrong")])
def test_a_look_without_an_answer_changes_nothing(error: Exception) -> None:
    harness = held()
    harness.provider.on_look = [error] * 4
    harness.work()
    check_end(harness)
    assert (harness.record().attempts, len(harness.provider.runs)) == (1, 1)
    assert len(harness.log.events("look_failed")) == 4


# The client and the deadline


CANCELLED_AT = [step for step in dict.fromkeys(STEPS) if step.startswith(("before", "after"))]


@pytest.mark.parametrize("at", CANCELLED_AT)
def test_a_cancel_at_each_step_ends_the_request_and_its_run(at: str) -> None:
    harness = DispatchHarness()

    def cancel(step: str) -> None:
        if step == at:
            harness.on_step = lambda _: None
            before = harness.table.applying
            harness.table.before = harness.table.after = lambda _: None
            harness.table.apply([transitions.cancel("a1", harness.clock.now)])
            harness.table.before, harness.table.after = harness._before, harness._after
            harness.table.applying = before

    harness.on_step = cancel
    harness.add()
    harness.work()
    assert harness.record().status in (Status.CANCELLED, Status.SUCCEEDED)
    assert harness.outcomes == 1
    if harness.record().status is Status.CANCELLED:
        assert harness.provider.working == []
    assert not harness.queue.messages


def test_a_cancel_while_the_request_is_held_reaches_the_provider_at_the_next_look() -> None:
    harness = held()
    harness.table.apply([transitions.cancel("a1", harness.clock.now)])
    harness.work()
    check_end(harness, Status.CANCELLED)
    assert harness.provider.runs["r1"].cancelled
    assert len(harness.log.events("run_cancelled")) == 1


@pytest.mark.parametrize(("failures", "cancelled"), [(3, True), (100, False)])
def test_a_cancel_that_the_provider_does_not_take_is_tried_again_for_a_while(failures: int, cancelled: bool) -> None:
    harness = held()
    harness.provider.seconds = 10 * HOUR
    harness.provider.runs["r1"].ends_at += 10 * HOUR * 1000
    harness.provider.on_cancel = [Refused("503")] * failures
    harness.table.apply([transitions.cancel("a1", harness.clock.now)])
    harness.work()
    assert harness.provider.runs["r1"].cancelled == cancelled
    assert 3 <= len(harness.log.events("cancel_failed")) <= 35
    assert not harness.queue.messages


@pytest.mark.parametrize("killed", [None, "after expire_held", "before provider.cancel"])
def test_the_deadline_ends_the_request_and_its_run(killed: str | None) -> None:
    harness = DispatchHarness()
    harness.provider.seconds = 10 * HOUR
    harness.add(expires_at=harness.clock.now + 600_000)
    harness.run()
    if killed:

        def kill(step: str) -> None:
            if step == killed:
                harness.on_step = lambda _: None
                harness.kill_at = 0
                harness._step("killed")

        harness.on_step = kill
    harness.work()
    check_end(harness, Status.EXPIRED)
    assert harness.provider.runs["r1"].cancelled
    assert (harness.record().finished_at or 0) - harness.record().expires_at <= 2_000
    assert harness.provider.runs["r1"].submission.seconds == 600


def test_a_run_of_a_day_needs_fewer_receives_than_the_queue_allows() -> None:
    harness = DispatchHarness()
    harness.provider.seconds = 23 * HOUR
    harness.add()
    harness.work()
    check_end(harness)
    assert harness.invocations < 750


def test_progress_of_the_run_is_shown() -> None:
    harness = held()
    harness.provider.runs["r1"].result = Running(0.25)
    harness.provider.runs["r1"].ends_at = 0
    harness.clock.advance(seconds=2)
    harness.run()
    assert harness.record().progress == '{"fraction": 0.25, "message": ""}'


def test_a_dispatcher_that_dies_each_time_fails_the_request_and_stops_its_run() -> None:
    harness = held()
    harness.provider.runs["r1"].ends_at += 10 * HOUR * 1000

    def kill(step: str) -> None:
        if step == "before provider.look":
            harness.kill_at = 0
            harness._step("killed")

    harness.on_step = kill
    harness.work()
    check_end(harness, Status.FAILED)
    assert harness.error()["code"] == "crashed"
    assert harness.record().attempts == 5
    assert harness.provider.runs["r1"].cancelled
    assert harness.record().input == '{"text": "hi"}'


# AWS


@pytest.mark.parametrize("done", [True, False])
@pytest.mark.parametrize("position", range(6))
def test_a_write_without_an_answer_loses_nothing(position: int, done: bool) -> None:
    harness = DispatchHarness()
    harness.table.faults = [Fault("apply", done=done, skip=position)]
    the_way(harness)
    check_end(harness)
    assert len(harness.provider.runs) <= 1 + harness.count("PossibleDuplicateSubmits")


def test_two_deliveries_of_one_message_look_once() -> None:
    harness = held()
    harness.queue.put(next(iter(harness.queue.messages.values())).body)
    harness.clock.advance(seconds=2)
    looks: list[str] = []
    harness.on_step = lambda step: looks.append(step) if step == "before provider.look" else None
    harness.run()
    assert looks == ["before provider.look"]
    harness.work()
    check_end(harness)
    assert len(harness.provider.runs) == 1


def test_a_replayed_request_is_submitted_again() -> None:
    """The run that failed is not looked at again."""
    harness = DispatchHarness()
    harness.provider.result = lambda _: Failed("no", retryable=False)
    harness.add()
    harness.work()
    check_end(harness, Status.FAILED)
    failed, later = harness.record(), harness.clock.now + HOUR * 1000
    replay = transitions.replay(failed, harness.clock.now, expires_at=later, delete_at=later // 1000, attempts=5)
    harness.table.apply([replay])
    harness.queue.put(a_message(harness.record(), {"text": "hi"}).to_body())
    harness.provider.result = lambda _: Succeeded({"echo": "again"})
    harness.work()
    record = harness.record()
    assert (record.status, record.result) == (Status.SUCCEEDED, '{"echo": "again"}')
    assert (record.submits, record.run_id, record.attempts) == (2, "r2", 2)
