"""Properties of the Python client's pauses, for any sequence of troubles: never too often, never too long."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from async_inference_client import errors
from async_inference_client._operations import OUTAGE_SECONDS
from async_inference_client._pauses import SPREAD, Pauses
from async_inference_client._responses import LONGEST_RETRY_AFTER_SECONDS, retry_after
from inference.errors import InvalidInput
from tests.unit.client_plans import RESET, THROTTLED, Answer, Runner, accepted, problem, response, status

NOW = datetime(2026, 11, 26, 8, 0, tzinfo=UTC)

asked_pauses = st.integers(0, 120)
troubles = st.one_of(
    st.just(RESET),
    st.just(THROTTLED),
    st.sampled_from([500, 502, 503, 504]).map(lambda code: response(code, {"message": "x"})),
    asked_pauses.map(lambda seconds: response(503, {"message": "x"}, retry_after=str(seconds))),
)
open_polls = st.one_of(
    st.just(status("pending")), asked_pauses.map(lambda seconds: status("running", retry_after=str(seconds)))
)


def pauses(seed: int) -> Pauses:
    return Pauses(random.Random(seed).uniform)


def asked(answer: Answer) -> float:
    found = None if isinstance(answer, Exception) else retry_after(answer)
    return 0.0 if found is None else found


@given(answers=st.lists(troubles, max_size=60), seed=st.integers(), retry_seconds=st.floats(0, 200))
def test_a_submit_ends_in_its_time_and_never_comes_before_it_may(
    answers: list[Answer], seed: int, retry_seconds: float
) -> None:
    runner = Runner([*answers, accepted()])
    try:
        found = runner.run(runner.operations(retry_seconds, pauses(seed)).submit(1))
    except errors.InferenceError as error:
        assert error.retryable, "what can't pass is not among the answers"
    else:
        assert found.request_id == "r1"
        assert len(runner.calls) == len(answers) + 1
    assert runner.passed <= retry_seconds
    assert len({(call.headers["Idempotency-Key"], call.content) for call in runner.calls}) == 1
    for answer, pause in zip(answers, runner.pauses, strict=False):
        assert max(asked(answer), 0.1) <= pause <= max(asked(answer) * SPREAD, 10.0)


@given(answers=st.lists(st.one_of(troubles, open_polls), max_size=60), seed=st.integers(), timeout=st.floats(0, 500))
def test_a_wait_polls_as_asked_and_ends_at_its_deadline(answers: list[Answer], seed: int, timeout: float) -> None:
    runner = Runner([*answers, status("succeeded", result=1)])
    try:
        found = runner.run(runner.operations(pauses=pauses(seed)).wait("r1", timeout=timeout))
    except errors.WaitTimeout:
        assert runner.passed == pytest.approx(timeout)
    except errors.InferenceError as error:
        assert error.request_id == "r1"
        assert runner.passed >= min(timeout, OUTAGE_SECONDS) - 1e-6
    else:
        assert found.unwrap() == 1
        assert len(runner.calls) == len(answers) + 1
    assert runner.passed <= timeout + 1e-6
    for number, (answer, pause) in enumerate(zip(answers, runner.pauses, strict=False)):
        cut_by_the_deadline = number == len(runner.pauses) - 1 and runner.passed >= timeout - 1e-6
        assert pause >= max(asked(answer), 0.1) or cut_by_the_deadline


@given(failures=st.integers(1, 10_000), seed=st.integers())
def test_backoff_doubles_up_to_a_longest(failures: int, seed: int) -> None:
    pause = pauses(seed).before_retry(errors.ConnectionFailed("x"), failures)
    assert pause is not None
    longest = min(2.0 ** min(failures - 1, 10), 10.0)
    assert longest / 2 <= pause <= longest


def test_two_clients_do_not_stay_together() -> None:
    taken = set()
    for seed in range(20):
        runner = Runner([THROTTLED] * 3 + [status("pending", "2")] * 3 + [status("succeeded")])
        runner.run(runner.operations(pauses=pauses(seed)).wait("r1"))
        taken.add(round(runner.passed, 3))
    assert len(taken) > 15


def test_what_can_not_pass_has_no_pause() -> None:
    runner = Runner([problem(InvalidInput)])
    with pytest.raises(errors.InvalidInput) as raised:
        runner.run(runner.operations().submit(1))
    assert pauses(1).before_retry(raised.value, 1) is None


@given(seconds=st.integers(-1000, 100_000))
def test_a_retry_after_may_be_a_date(seconds: int) -> None:
    answer = response(503, retry_after=format_datetime(NOW + timedelta(seconds=seconds), usegmt=True))
    assert retry_after(answer, lambda: NOW) == min(max(0, seconds), LONGEST_RETRY_AFTER_SECONDS)


@pytest.mark.parametrize("text", ["", "soon", "-1", "1.5", "²", "Thu, 26 Nov 2026 08:00:00 -0000", "99 Nov"])
def test_an_invalid_retry_after_counts_as_none(text: str) -> None:
    assert retry_after(response(503, retry_after=text) if text.isascii() else response(503), lambda: NOW) is None


def test_a_retry_after_of_years_is_bounded() -> None:
    assert retry_after(response(503, retry_after="9" * 400)) == LONGEST_RETRY_AFTER_SECONDS
