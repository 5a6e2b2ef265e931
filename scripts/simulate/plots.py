"""What was simulated, as pictures; where matplotlib is not installed there are none."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from scripts.simulate.report import Decade, described
from scripts.simulate.windows import Day

DPI = 80
POINTS = 600
"""Of a line over time, at most."""

LINES = {"p50": "#8fb7de", "p95": "#2a6fb0", "p99": "#12395f"}
SAMPLED = {1: "workers that run", 2: "api functions that run", 3: "pollers", 4: "messages that wait"}
"""Column of `Run.samples` -> its name."""

AS_IT_IS = "#c0504d"


def draw_day(name: str, day: Day, path: Path) -> bool:
    """How long requests take, and what runs over time in the busiest part. False where matplotlib is not installed."""
    pyplot = _pyplot()
    if pyplot is None:
        return False
    figure, (left, right) = pyplot.subplots(1, 2, figsize=(12, 4.5))
    run = max(day.runs, key=lambda run: run.asked["maximum_concurrency"][0])
    latencies = np.sort(run.latencies)
    shares = np.arange(1, len(latencies) + 1) / max(1, len(latencies))
    left.plot(latencies, shares, color=LINES["p95"])
    for share, colour in ((0.5, LINES["p50"]), (0.95, LINES["p95"]), (0.99, LINES["p99"])):
        left.axhline(share, color=colour, linewidth=0.8, linestyle=":")
    left.set_xscale("log")
    left.set_xlabel("seconds from the submit to the outcome, in the busiest part")
    left.set_ylabel("share of the requests")
    if run.samples:
        step = max(1, len(run.samples) // POINTS)
        samples = np.array(run.samples[: len(run.samples) // step * step]).reshape(-1, step, 5).mean(axis=1)
        hours = samples[-1, 0] - samples[0, 0] > 3 * 3600
        times = samples[:, 0] / 3600 if hours else samples[:, 0] - samples[0, 0]
        for column, label in (
            (1, "workers that run"),
            (2, "api functions that run"),
            (3, "pollers"),
            (4, "messages that wait"),
        ):
            right.plot(times, samples[:, column], label=label, linewidth=1)
        right.set_yscale("symlog", linthresh=1)
        right.set_ylim(bottom=0)
        right.set_xlabel("hours" if hours else "seconds")
        right.legend(fontsize=8)
    figure.suptitle(f"{name}: {described(day.demand)}")
    _save(pyplot, figure, path)
    return True


def draw_decades(name: str, found: Sequence[Decade], path: Path) -> bool:
    """Latency, workers and dollars by traffic. False where matplotlib is not installed."""
    pyplot = _pyplot()
    if pyplot is None:
        return False
    figure, (left, middle, right) = pyplot.subplots(1, 3, figsize=(14, 4.5))
    traffic = [decade.per_day for decade in found]
    kept = [decade for decade in found if decade.day.keeps_up]
    for label, colour in LINES.items():
        values = [getattr(decade.day, label) for decade in kept]
        left.plot([decade.per_day for decade in kept], values, "o-", color=colour, label=f"{label}, changed")
    held = [decade for decade in found if decade.as_it_is.keeps_up]
    left.plot(
        [decade.per_day for decade in held],
        [decade.as_it_is.p95 for decade in held],
        "s--", color=AS_IT_IS, label="p95, as it is, while it keeps up", markerfacecolor="none",
    )  # fmt: skip
    left.set_title("seconds from the submit to the outcome")
    middle.plot(
        traffic, [decade.day.concurrency for decade in found], "o-", color=LINES["p50"], label="mean of the day"
    )
    middle.plot(traffic, [decade.day.most for decade in found], "o-", color=LINES["p99"], label="busiest ten seconds")
    middle.set_title("workers that run at a time")
    right.plot(traffic, [decade.dollars for decade in found], "o-", color=LINES["p95"], label="dollars a month")
    right.set_title("dollars a month, without the free tier")
    for axes in (left, middle, right):
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.set_xlabel("requests a day")
        axes.grid(visible=True, which="major", alpha=0.3)
        axes.legend(fontsize=8)
    figure.suptitle(name)
    _save(pyplot, figure, path)
    return True


def _pyplot() -> Any:
    try:
        import matplotlib
    except ImportError:
        return None
    matplotlib.use("agg")
    from matplotlib import pyplot

    return pyplot


def _save(pyplot: Any, figure: Any, path: Path) -> None:
    figure.tight_layout()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=DPI)
    pyplot.close(figure)
