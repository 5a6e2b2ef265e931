"""One picture per part, as PNG."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from scripts.bench import stack_sizes
from scripts.bench.sections import RUN, TOKENIZER
from scripts.bench.stats import quantile

Results = Mapping[str, Any]
OURS, THEIRS, OTHERS = "#2a6fb0", "#c0504d", "#8a8a8a"
NEITHER = ("Celery", "Mosec", "LitServe", "BentoML", "floor", "the emulator")


def draw(results: Results, folder: Path) -> list[Path]:
    """Draw what was measured into `folder`; returns the files. Nothing without matplotlib."""
    try:
        import matplotlib
    except ImportError:
        return []
    matplotlib.use("agg")
    from matplotlib import pyplot

    drawn = []
    for part, draw_part in (
        ("worker", _worker),
        ("cold", _cold),
        ("encoder", _encoder),
        ("api", _api),
        ("growth", _growth),
        ("e2e", _e2e),
        ("cost", _cost),
    ):
        if part not in results:
            continue
        figure = draw_part(results[part], pyplot)
        path = folder / f"{part}.png"
        figure.tight_layout()
        figure.savefig(path, dpi=120)
        pyplot.close(figure)
        drawn.append(path)
    return drawn


def _bars(axes: Any, names: Sequence[str], values: Sequence[Mapping[str, float]], unit: str) -> None:
    """Horizontal bars of medians, with the middle half as a whisker."""
    medians = [value["median"] for value in values]
    whiskers = [
        [value["median"] - value["q1"] for value in values],
        [value["q3"] - value["median"] for value in values],
    ]
    bars = axes.barh(names, medians, xerr=whiskers, color=[_colour(name) for name in names], ecolor="black")
    axes.bar_label(bars, labels=[f"{m:,.0f}" if m >= 100 else f"{m:.3g}" for m in medians], padding=4)
    axes.invert_yaxis()
    axes.margins(x=0.15)
    axes.set_xlabel(unit)


def _colour(name: str) -> str:
    if name.startswith("reference"):
        return THEIRS
    return OTHERS if name.startswith(NEITHER) else OURS


def _worker(part: Results, pyplot: Any) -> Any:
    figure, (left, right) = pyplot.subplots(1, 2, figsize=(13, 5))
    lines = part["contestants"]
    _bars(left, [f"{line['name']}, batch {line['batch']}" for line in lines], [line["cpu_ms"] for line in lines], "ms")
    left.set_title("CPU per request, one core")
    windows = part["growth"]["windows"]
    requests = [window["requests"] for window in windows]
    right.plot(requests, [window["cpu_ms"] for window in windows], color=OURS)
    right.set_ylim(0, 1.5 * quantile([window["cpu_ms"] for window in windows], 0.5))
    right.set_xlabel("requests in one process")
    right.set_ylabel("CPU ms per request", color=OURS)
    memory = right.twinx()
    memory.plot(requests, [window["memory_mb"] for window in windows], color=OTHERS)
    memory.set_ylim(0, 1.3 * max(window["memory_mb"] for window in windows))
    memory.set_ylabel("resident MB", color=OTHERS)
    right.set_title("Growth")
    return figure


def _starts(part: Results, pyplot: Any, title: str) -> Any:
    figure, (left, right) = pyplot.subplots(1, 2, figsize=(12, 3.5))
    lines = part["contestants"]
    names = [line["name"] for line in lines]
    _bars(left, names, [line["first_result_ms"] for line in lines], "ms")
    left.set_title(title)
    _bars(right, names, [line["init_memory_mb"] for line in lines], "MB")
    right.set_title("Memory after INIT")
    return figure


def _cold(part: Results, pyplot: Any) -> Any:
    return _starts(part, pyplot, "Worker: process start to first result")


def _encoder(part: Results, pyplot: Any) -> Any:
    figure, ((cpu, spent), (start, memory)) = pyplot.subplots(
        2, 2, figsize=(14, 9), gridspec_kw={"height_ratios": (3, 1)}
    )
    lines = part["contestants"]
    _bars(cpu, [f"{line['name']}, batch {line['batch']}" for line in lines], [line["cpu_ms"] for line in lines], "ms")
    cpu.set_title("Encoder: CPU per text, one core")
    for name, of in part["overhead"].items():
        left = 0.0
        sections = {key: value for key, value in of["sections_ms"].items() if key not in (TOKENIZER, RUN)}
        for number, (section, taken) in enumerate(sorted(sections.items())):
            label = section if name == next(iter(part["overhead"])) else None
            spent.barh([name], [taken], left=left, color=f"C{number}", label=label)
            left += taken
    spent.set_xlabel("CPU ms a text")
    spent.set_title("Where our own CPU goes, batch 10")
    spent.legend(fontsize="small", ncols=2, loc="upper center", bbox_to_anchor=(0.5, -0.12))
    cold = part["cold"]["contestants"]
    names = [line["name"] for line in cold]
    _bars(start, names, [line["init_ms"] for line in cold], "ms")
    start.set_title("INIT")
    _bars(memory, names, [line["init_memory_mb"] for line in cold], "MB")
    memory.set_title("Memory after INIT")
    return figure


def _api(part: Results, pyplot: Any) -> Any:
    figure, (left, right) = pyplot.subplots(1, 2, figsize=(12, 3.5))
    lines = part["contestants"]
    names = [line["name"] for line in lines]
    _bars(left, names, [line["first_result_ms"] for line in lines], "ms")
    left.set_title("api function: process start to first answer")
    labels = [f"{name}, {kind}" for kind in ("submit", "status") for name in names]
    _bars(
        right,
        [label.replace("api, ", "this, ") for label in labels],
        [line[f"{kind}_cpu_ms"] for kind in ("submit", "status") for line in lines],
        "ms",
    )
    right.set_title("Warm: CPU per invocation")
    return figure


def _growth(part: Results, pyplot: Any) -> Any:
    figure, (left, middle, right) = pyplot.subplots(1, 3, figsize=(16, 4.5))
    own = [line for line in part["stacks"] if not line["pools"]]
    models = [line["models"] for line in own]
    pooled = [line for line in part["stacks"] if line["pools"]]
    for lines, key, colour, label in (
        (own, "plan_seconds", OURS, "plan, a queue each"),
        (pooled, "plan_seconds", OTHERS, "plan, in pools"),
        (pooled, "apply_seconds", "black", "apply to the emulator, in pools"),
    ):
        left.plot(
            [line["models"] for line in lines], [line[key] for line in lines], color=colour, marker="o", label=label
        )
    left.set_ylabel("seconds")
    left.set_ylim(bottom=0)
    left.legend()
    for limit in stack_sizes.LIMITS:
        if limit.most:
            shares = [100 * line["sizes"][limit.name] / limit.most for line in own]
            middle.plot(models, shares, marker="o", label=limit.name)
    middle.axhline(100, color=THEIRS)
    middle.set_ylabel("% of AWS's limit")
    middle.legend(fontsize=7)
    for axes in (left, middle):
        axes.set_xlabel("models in one stack")
    for key, label in (("create_cpu_ms", "create"), ("results_cpu_ms", "read all results")):
        points = [(line["items"], line[key] / line["items"]) for line in part["batches"]]
        right.plot(*zip(*points, strict=True), marker="o", label=label)
    right.set_xscale("log")
    right.set_ylim(bottom=0)
    right.set_xlabel("items in one batch")
    right.set_ylabel("CPU ms per item")
    right.legend()
    return figure


def _e2e(part: Results, pyplot: Any) -> Any:
    figure, axes = pyplot.subplots(figsize=(8, 4))
    floor = part["floor_ms"]
    single = part["single_ms"]
    whole = {"median": single["p50"], "q1": single["p50"], "q3": single["p90"]}
    names = [*(f"the emulator: {name}" for name in floor), "the whole way (to p90)"]
    _bars(axes, names, [*floor.values(), whole], "ms")
    axes.set_title("Through the emulator, one at a time")
    return figure


def _cost(part: Results, pyplot: Any) -> Any:
    figure, axes = pyplot.subplots(figsize=(8, 4.5))
    styles = iter(("-", "--", ":"))
    for name, system in part["systems"].items():
        points = [(int(memory), bill["total"]) for memory, bill in system["per_million"].items() if bill["fits"]]
        memories, totals = zip(*points, strict=True) if points else ((), ())
        axes.plot(memories, totals, next(styles, "-"), marker="o", color=_colour(name), label=name)
    axes.set_xscale("log", base=2)
    axes.set_xticks([int(memory) for memory in next(iter(part["systems"].values()))["per_million"]])
    axes.get_xaxis().set_major_formatter(lambda value, _: f"{value:,.0f}")
    axes.set_ylim(bottom=0)
    axes.set_xlabel("worker's memory, MB")
    axes.set_ylabel("dollars per million requests")
    axes.set_title("The whole bill, without the free tier")
    axes.legend()
    return figure
