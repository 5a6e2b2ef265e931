"""The simulation against cases that are computed by hand, and against queueing theory's formulas."""

from __future__ import annotations

import math
import random
from collections import Counter
from dataclasses import replace
from statistics import fmean

import numpy as np
import pytest

from scripts.cost.capacity import waiting_share
from scripts.simulate import arrivals
from scripts.simulate.run_time import Spread
from scripts.simulate.runs import Faults
from tests.unit.simulate_examples import LIMITS, Exponential, ran, simulation, system, with_settings

# One server, fixed times


def test_one_worker_that_is_too_slow_falls_behind_by_the_same_with_each_request() -> None:
    # one a second, each takes 1.5 s: the k-th waits for k x 0.5 s
    run = ran(system(1.5, maximum_concurrency=1), [float(second) for second in range(20)])
    assert run.latencies == pytest.approx([1.5 + 0.5 * number for number in range(20)])
    assert run.ends == {"succeeded": 20}


def test_one_worker_that_is_fast_enough_never_lets_wait() -> None:
    run = ran(system(0.5, maximum_concurrency=1), [float(second) for second in range(20)])
    assert run.latencies == pytest.approx([0.5] * 20)


# Queueing theory


@pytest.mark.parametrize(("servers", "load"), [(1, 0.6), (4, 3.2), (20, 15.0)])
def test_waits_are_those_of_erlang_c(servers: int, load: float) -> None:
    times = arrivals.poisson(lambda _: load, 0, 25_000 / load, load, np.random.default_rng(3))
    run = ran(system(1.0, Exponential(), maximum_concurrency=servers), times, pollers=servers)
    assert run.requests > 24_000
    mean_wait = fmean(run.latencies) - 1.0
    expected = waiting_share(servers, load, 0) / (servers - load)
    assert mean_wait == pytest.approx(expected, rel=0.2)


def test_one_server_with_log_normal_times_waits_as_pollaczek_and_khinchine_say() -> None:
    times = arrivals.poisson(lambda _: 0.5, 0, 50_000, 0.5, np.random.default_rng(5))
    run = ran(system(1.0, Spread(0.8), maximum_concurrency=1), times)
    expected = 0.5 * (1 + 0.8**2) / (2 * (1 - 0.5))
    assert fmean(run.latencies) - 1.0 == pytest.approx(expected, rel=0.1)


def test_littles_law_holds_for_what_it_reports() -> None:
    rate, seconds = 8.0, 0.7
    times = arrivals.poisson(lambda _: rate, 0, 4_000, rate, np.random.default_rng(1))
    run = ran(system(seconds, Spread(0.5), maximum_concurrency=7), times, pollers=7)
    in_system = run.area / run.span
    assert in_system == pytest.approx(run.total / run.span * (run.total_seconds / run.total), rel=1e-9)
    # the mean of those that run, which is sampled, is the rate times the time that each runs
    running = fmean(sample[1] for sample in run.samples if sample[0] < 4_000)
    assert running == pytest.approx(rate * seconds, rel=0.05)
    assert in_system > running, "some wait"


# How a mapping scales


def test_a_burst_meets_five_pollers_and_three_hundred_more_a_minute() -> None:
    # 10 s each. Five begin at once and five more after each second; from the tenth on, those that are free begin again
    begun: list[int] = []
    while sum(begun) < 2_000:
        again = begun[len(begun) - 10] if len(begun) >= 10 else 0
        begun.append(min(5 + again, 2_000 - sum(begun)))
    expected = Counter({second + 10: count for second, count in enumerate(begun)})
    run = ran(system(10.0), [0.0] * 2_000)
    assert Counter(round(latency) for latency in run.latencies) == expected
    assert expected[10] == expected[19] == 5 and expected[20] == 10


def test_a_burst_meets_at_most_maximum_concurrency() -> None:
    run = ran(system(10.0, maximum_concurrency=12), [0.0] * 30)
    # 5 at 0 s, 5 at 1 s, 2 at 2 s: twelve. Then as these end
    assert Counter(round(latency) for latency in run.latencies) == {
        10: 5,
        11: 5,
        12: 2,
        20: 5,
        21: 5,
        22: 2,
        30: 5,
        31: 1,
    }
    assert run.asked["maximum_concurrency"] == (pytest.approx(12, abs=0.8), 12)


def test_messages_that_wait_come_in_full_batches() -> None:
    run = ran(system(1.0, batch_size=10, maximum_concurrency=2), [0.0] + [0.5] * 40)
    # The first, and the first of the others, find a free poller: alone. At 1.0 s ten, at 1.5 s ten; then one is free at
    # 11.0 s and takes ten, and the other at 11.5 s the nine that are left. A batch takes a second for each request.
    assert Counter(round(latency, 3) for latency in run.latencies) == {1.0: 2, 10.5: 10, 11.0: 10, 20.0: 9, 20.5: 10}
    assert run.fill == pytest.approx(41 / 6)


# Batch windows


def test_a_window_closes_after_its_time() -> None:
    of = system(0.0, batch_size=10, batch_window_seconds=2, maximum_concurrency=1)
    run = ran(of, [0.0, 0.4, 0.8, 1.2, 1.6], pollers=1)
    assert sorted(run.latencies) == pytest.approx([0.4, 0.8, 1.2, 1.6, 2.0])
    assert run.fill == 5


def test_a_window_closes_when_the_batch_is_full() -> None:
    of = system(0.0, batch_size=3, batch_window_seconds=2, maximum_concurrency=1)
    run = ran(of, [0.0, 0.4, 0.8, 1.2, 1.6], pollers=1)
    assert sorted(run.latencies) == pytest.approx([0.0, 0.4, 0.8, 1.6, 2.0])


def test_each_poller_collects_its_share() -> None:
    # a window opens with its first message and gets a fifth of those of the next two seconds: 1 + 6 x 2 / 5
    times = arrivals.poisson(lambda _: 6.0, 0, 3_000, 6.0, np.random.default_rng(2))
    run = ran(system(0.0, batch_size=100, batch_window_seconds=2), times)
    assert run.fill == pytest.approx(3.4, rel=0.05)


# Cold starts, and the account's concurrency


def test_an_environment_is_kept_for_five_minutes() -> None:
    of = replace(system(0.5), worker_init_seconds=2.0)
    run = ran(of, [0.0, 100.0, 500.0, 500.1])
    assert run.latencies == pytest.approx([2.5, 0.5, 2.5, 2.5])
    assert run.cold == 3 / 4


def test_provisioned_environments_never_start_cold() -> None:
    of = replace(system(0.5, provisioned=1), worker_init_seconds=2.0)
    run = ran(of, [0.0, 0.1, 1_000.0])
    assert sorted(run.latencies) == pytest.approx([0.5, 0.5, 2.5])


def test_what_the_account_does_not_allow_is_tried_again() -> None:
    run = ran(system(0.5), [0.0, 0.0], replace(LIMITS, concurrency=1))
    assert run.latencies == pytest.approx([0.5, 1.5]), "after a second"
    assert run.refused["account's concurrency"] == 1


def test_a_message_that_stays_throttled_is_received_again() -> None:
    of = with_settings(system(1_000.0), visibility_seconds=10, max_receive_count=2)
    run = ran(of, [0.0, 0.0], replace(LIMITS, concurrency=1))
    # it is held for 1, 2 and 4 s, then comes back after 10 s; the second time too, and then it has had two receives
    assert run.ends == {"succeeded": 1, "failed": 1}
    assert min(run.latencies) == pytest.approx(20)


# Faults


def test_attempts_that_fail_are_repeated_with_a_pause_that_doubles() -> None:
    of = with_settings(system(1.0), max_attempts=3)
    run = ran(of, [0.0], faults=Faults(errors=1.0))
    assert run.latencies == pytest.approx([1 + 2 + 1 + 4 + 1])
    assert run.ends == {"failed": 1}


def test_a_lost_worker_hides_its_messages_until_they_were_received_too_often() -> None:
    of = with_settings(system(1.0), visibility_seconds=60, max_receive_count=3)
    run = ran(of, [0.0], faults=Faults(crashes=1.0))
    assert run.latencies == pytest.approx([3 * 60])
    assert run.ends == {"failed": 1}


def test_a_request_past_its_deadline_expires() -> None:
    of = with_settings(system(1.0, maximum_concurrency=1), deadline_seconds=2.5)
    assert ran(of, [0.0] * 4).ends == {"succeeded": 2, "expired": 2}


# The API's limits


def test_above_the_throttling_a_client_repeats_its_submit() -> None:
    of = with_settings(system(0.0), rate=1, burst=2)
    run = ran(of, [0.0] * 3)
    assert sorted(run.latencies)[:2] == [0, 0]
    assert 1 <= max(run.latencies) < 3, "the pauses are up to 1 s, 2 s, ..."
    assert run.refused["throttling"] >= 1


def test_a_client_gives_up_after_its_time() -> None:
    of = with_settings(system(0.0), rate=1e-6, burst=1)
    run = ran(of, [0.0] * 2, client_seconds=5)
    assert run.ends == {"succeeded": 1, "rejected": 1}


# Everything at once


@pytest.mark.parametrize("seed", range(8))
def test_every_request_ends_exactly_once(seed: int) -> None:
    rng = random.Random(seed)
    of = system(
        rng.uniform(0.05, 2), Spread(1.0, 0.1, 5), batch_size=rng.choice([1, 3, 10]),
        batch_window_seconds=rng.choice([0, 1]), maximum_concurrency=rng.choice([2, 9, None]),
    )  # fmt: skip
    of = with_settings(of, visibility_seconds=20, max_receive_count=4, max_attempts=3, rate=40, burst=20)
    of = replace(of, listed=True, worker_init_seconds=0.5, submit_seconds=0.02)
    limits = replace(LIMITS, concurrency=12, in_flight=30, partition_writes=3, burst_seconds=5, table_writes=60)
    times = sorted([rng.uniform(0, 60) for _ in range(600)] + [30.0] * 100)
    simulated = simulation(of, times, limits, faults=Faults(errors=0.1, crashes=0.05), polls=1)
    run = simulated.run()
    assert sum(run.ends.values()) == run.requests == run.total == 700
    assert len(run.latencies) == run.ends["succeeded"] + run.ends["failed"]
    assert run.ends["succeeded"] > 0 and run.refused
    assert simulated.messages_left == 0
    assert run.area == pytest.approx(run.total_seconds), "Little's law"


def test_the_same_seed_gives_the_same_run() -> None:
    def once() -> list[float]:
        times = arrivals.poisson(lambda _: 5.0, 0, 100, 5.0, np.random.default_rng(1))
        return ran(system(0.5, Spread(0.5)), times, faults=Faults(errors=0.1)).latencies

    assert once() == once()
    assert not math.isnan(sum(once()))
