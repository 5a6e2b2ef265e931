"""Simulate an environment under some traffic: latency, concurrency, cost, and what is full first.

python -m scripts.simulate [--env ENVIRONMENT] [--model NAME] [--requests PER_DAY] [--pattern PATTERN] [--p95 SECONDS]
    [--decades 1] [...]
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

from rich.console import Console

from scripts.console import BUILD, ROOT, CommandError, note, run
from scripts.cost import capacity, deployment, prices
from scripts.cost.__main__ import (
    BENCH,
    DEFAULT_PER_DAY,
    WIDTH,
    load_plan,
    measured_here,
    parsed,
    positive,
    run_times,
)
from scripts.cost.demand import Traffic
from scripts.cost.deployment import Deployment
from scripts.cost.report import Estimate
from scripts.deployment import terraform
from scripts.simulate import arrivals, best, plots, report
from scripts.simulate.fitting import fitted
from scripts.simulate.limits import Limits
from scripts.simulate.run_time import ASSUMED_SPREAD, Spread
from scripts.simulate.runs import Faults
from scripts.simulate.system import System, settings_of, system_of, worker_of
from scripts.simulate.windows import BUDGET, Demand, simulate


def main() -> int:
    """Command line of this module."""
    args = _parser().parse_args()
    plan = load_plan(args.env, args.plan)
    planned = parsed(plan, args.plan, deployment.read)
    model = args.model or planned.models[0]
    name = worker_of(planned, model)
    settings = parsed(plan, args.plan, partial(settings_of, name=name))
    given = run_times(args.run_ms, planned.models)
    known, spread = measured_here(BENCH), _spread(args)
    one = replace(planned, workers={name: planned.workers[name]})

    def make(of: Deployment, run_ms: float | None) -> System:
        return system_of(of, settings, model, known, run_ms, spread)

    run_ms = given.get(model)
    demand = _demand(args)
    limits = Limits(concurrency=args.quota)
    system = make(one, run_ms)
    traffic = Traffic(run_ms=given, polls=demand.polls, peak=demand.peak if demand.pattern == "daily" else 1.0)
    estimate = Estimate(prices.load(), one, traffic, known)
    console = Console(width=None if sys.stdout.isatty() else WIDTH)
    out = args.out or BUILD / "simulate"
    title = f"{args.env}, {name}"
    if args.decades:
        traffics = [replace(demand, per_day=per_day) for per_day in report.PER_DAY]
        found = [_decade(estimate, system, limits, each, run_ms, args) for each in traffics]
        report.show_decades(found, console)
        drawn = plots.draw_decades(title, found, path := out / f"{args.env}-decades.png")
    else:
        day = simulate(system, limits, demand, seed=args.seed, budget=args.budget)
        report.show_day(title, day, best.dollars(estimate, day, run_ms), console)
        drawn = plots.draw_day(title, day, path := out / f"{args.env}-{demand.per_day:.0f}-{demand.pattern}.png")
        if args.p95 is not None:
            target = positive(args.p95, f"P95={args.p95}")
            note(f"searching the entry for {model} ...")
            console.print()
            entries = best.candidates(estimate, make, limits, demand, target, args.seed)
            report.show_candidates(entries, target, name, console)
    shown = path.relative_to(ROOT) if path.is_relative_to(ROOT) else path
    note(f"picture: {shown}" if drawn else "no picture: matplotlib is not installed (pip install -e '.[simulate]')")
    return 0


def _decade(
    estimate: Estimate, system: System, limits: Limits, demand: Demand, run_ms: float | None, args: argparse.Namespace
) -> report.Decade:
    note(f"{demand.per_day:,.0f} requests a day ...")
    changed = fitted(system, limits, demand)

    day = simulate(changed.system, changed.limits, demand, seed=args.seed, budget=args.budget)
    before = day
    if changed.changes:  # what is too much takes long to simulate: each submit is repeated
        before = simulate(system, limits, demand, seed=args.seed, budget=args.budget, at_the_peak=True)
    at_it = replace(
        estimate,
        deployment=replace(
            estimate.deployment, workers={system.name: changed.system.worker}, listed=changed.system.listed
        ),
    )
    return report.Decade(demand.per_day, before, changed, day, best.dollars(at_it, day, run_ms))


def _demand(args: argparse.Namespace) -> Demand:
    requests = args.requests.replace(",", "").replace("_", "")
    return Demand(
        per_day=positive(requests, f"REQUESTS={args.requests}"),
        pattern=args.pattern,
        peak=max(1.0, positive(args.peak, f"PEAK={args.peak}")),
        burst=args.burst,
        polls=args.polls,
        callers=args.callers,
        client_seconds=args.client_seconds,
        faults=Faults(errors=_share(args.errors, "ERRORS"), crashes=_share(args.crashes, "CRASHES")),
    )


def _spread(args: argparse.Namespace) -> Spread:
    return Spread(max(0.0, args.spread), _share(args.slow, "SLOW"), max(1.0, args.slow_times))


def _share(value: float, named: str) -> float:
    if not 0 <= value < 1:
        raise CommandError(f"{named}={value:g}: give a share, from 0 to below 1", code=2)
    return value


def _whole(text: str) -> int:
    value = int(text)
    if value < 0:
        raise argparse.ArgumentTypeError(f"{text} is below 0")
    return value


def _count(text: str) -> int:
    value = _whole(text)
    if not value:
        raise argparse.ArgumentTypeError("give 1 or more")
    return value


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="simulate", description="How long requests take, and what is full first.")
    parser.add_argument("--env", default=terraform.LOCAL, help="local (default), dev or prod")
    parser.add_argument("--plan", type=Path, help="a plan's file, or its JSON; without it an offline plan is made")
    parser.add_argument("--model", help="the one that gets all requests; default: the first")
    parser.add_argument("--requests", default=str(DEFAULT_PER_DAY), help="a day")
    parser.add_argument("--pattern", choices=arrivals.PATTERNS, default="daily")
    parser.add_argument("--peak", default="3", help="of a daily pattern, over the mean")
    parser.add_argument("--burst", type=_count, default=arrivals.BURST, help="requests at once, in that pattern")
    parser.add_argument("--run-ms", nargs="*", default=[], metavar="[MODEL=]MS", help="a worker's time for one request")
    parser.add_argument(
        "--spread", type=float, default=ASSUMED_SPREAD, help="standard deviation of durations over their mean"
    )
    parser.add_argument("--slow", type=float, default=0.0, help="share of requests that are slow")
    parser.add_argument("--slow-times", type=float, default=10.0, help="how much longer the model takes for those")
    parser.add_argument("--errors", type=float, default=0.0, help="share of the model's runs that fail")
    parser.add_argument("--crashes", type=float, default=0.0, help="share of invocations that lose their process")
    parser.add_argument("--polls", type=_whole, default=2, help="status queries per request")
    parser.add_argument("--callers", type=_count, default=1, help="callers that submit, as much each")
    parser.add_argument(
        "--client-seconds", type=float, default=arrivals.CLIENT_SECONDS, help="a client repeats a rejected submit"
    )
    parser.add_argument("--quota", type=_count, default=capacity.DEFAULT_QUOTA, help="the account's concurrency")
    parser.add_argument("--p95", help="seconds: search the entry of `models` that meets it and costs least")
    parser.add_argument("--decades", action="store_true", help="1 thousand to 100 million requests a day")
    parser.add_argument("--seed", type=_whole, default=1, help="of all that is random")
    parser.add_argument("--budget", type=_count, default=BUDGET, help="requests that are simulated, at most about")
    parser.add_argument("--out", type=Path, help="folder of the pictures (default: build/simulate)")
    return parser


if __name__ == "__main__":
    run(main)
