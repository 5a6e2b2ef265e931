"""The parts of the simulation, days that are made of windows, what is full first, and what `make simulate` prints."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from scripts.console import CommandError
from scripts.cost import prices
from scripts.cost.demand import SECONDS_PER_DAY, Traffic
from scripts.cost.deployment import Deployment, Function
from scripts.cost.report import Estimate
from scripts.simulate import arrivals, best, plots, report
from scripts.simulate.buckets import Bucket
from scripts.simulate.fitting import fitted
from scripts.simulate.limits import Limits
from scripts.simulate.run_time import Spread, at_memory, run_time
from scripts.simulate.system import System, system_of
from scripts.simulate.table import PATIENCE_SECONDS, Table
from scripts.simulate.use import REMEDIES, uses
from scripts.simulate.windows import Day, Demand, Part, parts, quantiles, simulate
from tests.unit.cost_examples import DEPLOYMENT, MEASURED, WORKER
from tests.unit.simulate_examples import SETTINGS

SMALL = 2_000
"""Requests of a simulation whose numbers are not looked at closely."""

DEPLOYED = replace(DEPLOYMENT, workers={"mine": replace(WORKER, maximum_concurrency=10)}, listed=True, record_days=7)
SET = replace(SETTINGS, rate=200, burst=500)
REAL = system_of(DEPLOYED, SET, "mine", MEASURED, 100, Spread())


# Rates


def test_a_bucket_lets_a_burst_through_then_its_rate() -> None:
    bucket = Bucket(rate=2, size=3)
    assert [bucket.take(0) for _ in range(4)] == [True] * 3 + [False]
    assert [bucket.take(1) for _ in range(3)] == [True, True, False]
    assert Bucket(rate=2, size=3).take(-12), "it is full at any time at first"
    assert bucket.busiest == 7 / 10, "what is refused is asked for, too"


def test_what_is_reserved_waits_for_its_tokens() -> None:
    bucket = Bucket(rate=2, size=2)
    assert [bucket.reserve(0, 1, 1.0) for _ in range(5)] == [0, 0, 0.5, 1.0, None]
    assert bucket.reserve(2, 1, 1.0) == 0, "the rejected one took nothing"


def test_a_partition_of_an_index_takes_so_many_writes() -> None:
    limits = Limits(partition_writes=10, burst_seconds=1)
    table = Table(limits, listed=True, callers=2)
    waits = [table.submit(0, shard=number % 16, caller=0) for number in range(14)]
    assert waits == pytest.approx([0.0] * 10 + [0.1, 0.2, 0.3, 0.4])
    assert table.submit(0, shard=15, caller=1) == 0, "another caller has a partition of its own"
    unlisted = Table(limits, listed=False, callers=1)
    assert [unlisted.submit(0, shard=number % 16, caller=0) for number in range(14)] == [0] * 14
    while unlisted.submit(0, shard=3, caller=0) is not None:
        pass
    assert unlisted.shards[3].reserve(PATIENCE_SECONDS, 1, 0.1) is not None


def test_a_table_takes_twice_what_it_had_half_an_hour_ago() -> None:
    table = Table(Limits(table_writes=40, most_table_writes=70), listed=False, callers=1)
    for second in range(1_900):
        table.work(second, [second % 16] * 15)  # two writes of each
    assert table.records.rate == 60
    for second in range(1_900, 3_900):
        table.work(second, [second % 16] * 25)
    assert table.records.rate == 70, "the quota"
    assert Table(Limits(), listed=False, callers=1, used_before=5_000).records.rate == 10_000


# Durations


def test_durations_have_their_mean_whatever_their_spread() -> None:
    rng = random.Random(1)
    for spread in (Spread(0), Spread(0.5), Spread(0.5, slow=0.1, times=10)):
        factor = spread.of_requests(rng)
        drawn = [factor() for _ in range(40_000)]
        assert np.mean(drawn) == pytest.approx(1, rel=0.03)
    assert np.std([Spread(0.5).factors(rng)() for _ in range(40_000)]) == pytest.approx(0.5, rel=0.05)
    slow = Spread(0.0, slow=0.1, times=11).of_requests(rng)
    assert {round(slow(), 3) for _ in range(200)} == {0.5, 5.5}, "0.9 x 0.5 + 0.1 x 5.5 = 1"


def test_a_batch_takes_what_the_bill_says() -> None:
    measured = run_time(MEASURED, None, 1769, 10, Spread())
    assert measured.mean(1) == pytest.approx(0.002 + 3 * 0.005)
    assert measured.mean(10) == pytest.approx(0.005 + 3 * 0.005)
    assert run_time(MEASURED, 100, 1769, 10, Spread()).mean(10) == pytest.approx(1.0 + 3 * 0.005)
    assert at_memory(100, 885, 1769) == pytest.approx(100 * 885 / 1769)
    assert at_memory(100, 1769, 3538) == 100


# Arrivals


@pytest.mark.parametrize("peak", [1.0, 1.5, 3.0, 10.0])
def test_a_day_has_its_requests_and_its_peak(peak: float) -> None:
    rate = arrivals.daily(86_400, peak)
    rates = [rate(second) for second in range(0, SECONDS_PER_DAY, 60)]
    assert np.mean(rates) == pytest.approx(1, rel=1e-3)
    assert max(rates) == rate(SECONDS_PER_DAY / 2) == pytest.approx(peak, rel=1e-3)


def test_arrivals_follow_the_rate() -> None:
    times = list(arrivals.poisson(lambda at: 2.0 if at < 500 else 8.0, 0, 1_000, 8.0, np.random.default_rng(1)))
    assert times == sorted(times) and times[-1] < 1_000
    assert sum(time < 500 for time in times) == pytest.approx(1_000, rel=0.1)
    assert sum(time >= 500 for time in times) == pytest.approx(4_000, rel=0.1)


# Days


def test_a_day_is_made_of_parts() -> None:
    assert parts(Demand(1_000), 60_000) == [Part(0, 5 * SECONDS_PER_DAY, 5_000, warm=False)]
    assert parts(Demand(50_000), 60_000) == [Part(0, SECONDS_PER_DAY, 50_000, warm=False)]
    strata = parts(Demand(1e8, peak=3), 60_000)
    assert sum(part.weight for part in strata) == pytest.approx(1e8, rel=0.01)
    assert (strata[0].start + strata[0].end) / 2 == SECONDS_PER_DAY / 2, "the peak itself"
    assert strata[0].end - strata[0].start == 8, "the shortest"
    (window,) = parts(Demand(8.64e6, "steady"), 50_000)
    assert window.end - window.start == 500


def test_quantiles_count_weights() -> None:
    values, weights = np.array([3.0, 1.0, 2.0]), np.array([0.1, 0.6, 0.3])
    assert quantiles(values, weights, (0.5, 0.6, 0.61, 0.95, 1.0)) == [1, 1, 2, 3, 3]


def test_windows_say_what_the_whole_day_says() -> None:
    of = replace(REAL, worker_init_seconds=0.0, api_init_seconds=0.0)
    limits, demand = Limits(placement_seconds=0.0), Demand(20_000, polls=0)
    whole = simulate(of, limits, demand, budget=30_000)
    windows = simulate(of, limits, demand, budget=9_000)
    assert not whole.parts[0].warm and len(windows.parts) == 6
    assert whole.p50 == pytest.approx(windows.p50, rel=0.05)
    assert whole.p95 == pytest.approx(windows.p95, rel=0.05)
    assert whole.concurrency == pytest.approx(windows.concurrency, rel=0.15)
    assert whole.concurrency == pytest.approx(20_000 / SECONDS_PER_DAY * of.run.mean(1), rel=0.15), "Little's law"


def test_too_much_is_seen() -> None:
    slow = replace(REAL, run=replace(REAL.run, each=60.0))
    day = simulate(slow, Limits(), Demand(200_000, "steady", polls=0), budget=SMALL)
    assert not day.keeps_up and day.growth > 0.5
    assert uses(day)[0].name == "maximum_concurrency"
    assert simulate(REAL, Limits(), Demand(200_000, "steady", polls=0), budget=SMALL).keeps_up


def test_a_burst_is_more_than_the_throttling_takes() -> None:
    day = simulate(REAL, Limits(), Demand(1_000, "burst", burst=2_000))
    assert day.refused["throttling"] > 1_000
    assert uses(day)[0].name == "throttling"
    assert sum(day.ends.values()) == pytest.approx(1)
    assert day.most > 0.5, "what runs after the burst is seen"


# What to change


def test_each_resource_has_a_remedy() -> None:
    day = simulate(REAL, Limits(), Demand(1_000, "burst", burst=100))
    assert {use.name for use in uses(day)} == REMEDIES.keys()


def test_little_traffic_needs_no_change() -> None:
    assert fitted(REAL, Limits(), Demand(10_000)).changes == ()


def test_much_traffic_needs_settings_and_quotas_by_name() -> None:
    slower = replace(REAL, run=replace(REAL.run, each=0.2))
    found = fitted(slower, Limits(), Demand(1e8))
    text = "\n".join(found.changes)
    for name in ("throttling", "Throttle rate", "maximum_concurrency", "Concurrent executions", "list_by_caller"):
        assert name in text
    rate = 3e8 / SECONDS_PER_DAY
    assert found.system.settings.rate >= rate * 2
    assert found.limits.gateway_rate >= rate * 3
    assert not found.system.listed
    assert found.system.worker.maximum_concurrency == pytest.approx(rate * slower.run.mean(1) * 1.25, rel=0.1)


def test_sweeps_that_cannot_pass_a_days_requests_come_each_minute() -> None:
    swept = replace(DEPLOYED, others=(Function("p-sweeper", 256, 60, "x86_64"),), sweeps_per_month=8_640)
    system = system_of(swept, SET, "mine", MEASURED, 100, Spread())
    # every five minutes 55 s, each 40 ms a hundred requests
    assert system.swept_per_second == pytest.approx(55 / 300 * 100 / 0.04)
    advice = 'sweeper = { schedule = "rate(1 minute)" }'
    # 30 million a day are 347 a second, 35 million 405, and a quarter more is kept free
    assert advice not in fitted(system, Limits(), Demand(30e6)).changes
    assert advice in fitted(system, Limits(), Demand(35e6)).changes


@pytest.fixture(scope="module")
def ten_million() -> report.Decade:
    """What DEPLOYED makes of ten million requests a day, and what it makes of them with what they need."""
    demand = Demand(1e7, "steady")
    changed = fitted(REAL, Limits(), demand)
    before = simulate(REAL, Limits(), demand, budget=SMALL)
    after = simulate(changed.system, changed.limits, demand, budget=SMALL)
    return report.Decade(demand.per_day, before, changed, after, 1_000.0)


def test_what_is_changed_is_enough(ten_million: report.Decade) -> None:
    after = ten_million.day
    assert not ten_million.as_it_is.keeps_up
    assert after.keeps_up and uses(after)[0].share < 1 and after.p95 < 1


# The best entry


def made(deployment: Deployment, run_ms: float | None) -> System:
    return system_of(deployment, SET, "mine", MEASURED, run_ms, Spread())


@pytest.fixture(scope="module")
def entries() -> Callable[[float], list[best.Candidate]]:
    estimate = Estimate(prices.load(), DEPLOYED, Traffic(run_ms={"mine": 300}), MEASURED)

    def search(target: float) -> list[best.Candidate]:
        return best.candidates(estimate, made, Limits(), Demand(100_000, polls=0), target)

    return search


def test_the_cheapest_entry_that_meets_the_target(
    entries: Callable[[float], list[best.Candidate]],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(best, "CANDIDATE_BUDGET", 600)
    found = entries(3.0)
    assert [candidate.dollars for candidate in found] == sorted(candidate.dollars for candidate in found)
    chosen = next(candidate for candidate in found if candidate.meets(3.0))
    assert chosen.day.p95 <= 3.0 and not chosen.worker.function.provisioned, "kept environments cost more"
    assert all(candidate.worker.batch_window_seconds < 3 for candidate in found)
    report.show_candidates(found, 3.0, "mine", Console(width=140))
    shown = capsys.readouterr().out
    assert f"maximum_concurrency  = {chosen.worker.maximum_concurrency}" in shown
    report.show_candidates([candidate for candidate in found if not candidate.meets(0.1)], 0.1, "mine", Console())
    assert "no entry" in capsys.readouterr().out


def test_batches_save_calls_where_there_is_time_for_a_window() -> None:
    one, ten = (
        best.dollars(Estimate(prices.load(), DEPLOYED, Traffic(), MEASURED), day_with(fill=fill), None)
        for fill in (1.0, 8.0)
    )
    assert ten < one


def day_with(fill: float) -> Day:
    return replace(simulate(REAL, Limits(), Demand(1_000_000, "steady", polls=0), budget=200), fill=fill)


# What is read and printed


def test_a_model_that_is_not_there_is_refused() -> None:
    with pytest.raises(CommandError, match="MODEL=other: there is no such model: there are mine"):
        system_of(DEPLOYED, SET, "other", MEASURED, None, Spread())


def test_a_day_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    day = simulate(REAL, Limits(), Demand(1_000_000), budget=SMALL)
    report.show_day("prod, mine", day, 12.5, Console(width=160))
    shown = capsys.readouterr().out
    for text in ("1,000,000 requests a day", "p95", "12.50", "throttling", "full first"):
        assert text in shown
    assert all(name in shown for name in day.asked)


def test_decades_are_shown_and_drawn(
    ten_million: report.Decade, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report.show_decades([ten_million], Console(width=160))
    shown = capsys.readouterr().out
    assert "too much" in shown and ten_million.fitted.changes[0] in shown
    drawn = (
        plots.draw_decades("prod", [ten_million], tmp_path / "decades.png"),
        plots.draw_day("x", ten_million.day, tmp_path / "day.png"),
    )
    assert drawn == (bool(find_spec("matplotlib")),) * 2
    for path in tmp_path.iterdir():
        assert 5_000 < path.stat().st_size < 150_000


def test_no_latency_is_shown_as_none() -> None:
    assert report.seconds(quantiles(np.array([]), np.array([]), (0.5,))[0]) == "none"
