"""The tables of a run, for the terminal."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from scripts.bench import stack_sizes
from scripts.bench.sections import RUN, TOKENIZER
from scripts.bench.show import targets

Results = Mapping[str, Any]
AGREEMENT = {
    "least_cosine": "least cosine",
    "mean_cosine": "mean cosine",
    "same_neighbour": "same nearest neighbour",
}
ITEMS_WITHOUT_WORKER = (
    "api function",
    "HTTP API",
    "SQS",
    "DynamoDB writes",
    "DynamoDB reads",
    "waiting calls",
    "sweeper",
    "logs",
)


def show(results: Results, parts: Sequence[str], console: Console) -> None:
    """Print these parts, then all targets."""
    for part, tables in (
        ("worker", _worker),
        ("cold", _cold),
        ("encoder", _encoder),
        ("api", _api),
        ("sync", _sync),
        ("growth", _growth),
        ("e2e", _e2e),
        ("cost", _cost),
    ):
        if part not in results or part not in parts:
            continue
        console.print()
        for table in tables(results[part]):
            console.print(table)
        for name, reason in results[part].get("skipped", {}).items():
            console.print(f"skipped: {name}: {reason}", style="yellow", highlight=False, markup=False)
    for part, reason in results["failed"].items():
        console.print(f"not measured: {part}: {reason}", style="red", highlight=False, markup=False)
    console.print()
    console.print(_targets(results))
    for part, of in results["measured"].items():
        if part not in parts or of["quick"]:
            kind = "a quick" if of["quick"] else "an earlier"
            console.print(f"{part}: of {kind} run, {of['at']}", style="dim", highlight=False)
    console.print(
        f"medians, middle half in brackets; load of the machine before and after: {results['load']}",
        style="dim",
        highlight=False,
    )


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False)
    table.add_column(columns[0], no_wrap=True)
    for column in columns[1:]:
        table.add_column(column, justify="right", no_wrap=True)
    return table


def _spread(value: Mapping[str, float], digits: int) -> str:
    return f"{value['median']:,.{digits}f} [dim]({value['q1']:,.{digits}f}-{value['q3']:,.{digits}f})[/]"


def _worker(part: Results) -> Iterable[Table]:
    title = "worker: one core, AWS in memory; what a request takes"
    table = _table(title, "", "batch", "CPU ms", "ms", "requests/s", "AWS calls", "log bytes", "MB peak")
    for line in part["contestants"]:
        table.add_row(
            line["name"],
            str(line["batch"]),
            _spread(line["cpu_ms"], 3),
            _spread(line["ms"], 3),
            f"{line['per_second']['median']:,.0f}",
            f"{line['calls_per_request']:.2f}" if line["calls_per_request"] else "-",
            f"{line['log_bytes_per_request']:,.0f}" if line["calls_per_request"] else "-",
            f"{line['peak_mb']:,.0f}",
        )
    yield table
    windows = part["growth"]["windows"]
    table = _table(
        f"worker, {part['default_runtime']}, batch 10: one process, very many requests", "requests", "CPU ms", "MB"
    )
    shown = {round(step * (len(windows) - 1) / 9) for step in range(10)}
    for index in sorted(shown):
        window = windows[index]
        table.add_row(f"{window['requests']:,}", f"{window['cpu_ms']:.3f}", f"{window['memory_mb']:.1f}")
    yield table


def _cold(part: Results) -> Iterable[Table]:
    yield _starts("worker: cold start under awslambdaric", part)


def _starts(title: str, part: Results) -> Table:
    table = _table(title, "", "INIT ms", "first result ms", "INIT CPU ms", "MB after INIT", "MB peak")
    for line in part["contestants"]:
        table.add_row(
            line["name"],
            *(_spread(line[key], 0) for key in ("init_ms", "first_result_ms", "init_cpu_ms")),
            f"{line['init_memory_mb']['median']:,.0f}",
            f"{line['peak_memory_mb']['median']:,.0f}",
        )
    return table


def _encoder(part: Results) -> Iterable[Table]:
    words = part["texts"]
    reference = next(line for line in part["contestants"] if line["name"] == "reference")["cpu_ms"]["median"]
    title = (
        f"encoder: one core, AWS in memory; what a text takes (median {words['median']:.0f} words, "
        f"p90 {words['p90']:.0f}, longest {words['longest']:.0f})"
    )
    table = _table(title, "", "batch", "CPU ms", "of the reference's", "ms", "log bytes", "MB peak")
    for line in part["contestants"]:
        table.add_row(
            line["name"],
            str(line["batch"]),
            _spread(line["cpu_ms"], 2),
            f"{line['cpu_ms']['median'] / reference:.3f}",
            f"{line['ms']['median']:.2f}",
            f"{line['log_bytes_per_request']:,.0f}" if line["calls_per_request"] else "-",
            f"{line['peak_mb']:,.0f}",
        )
    yield table
    yield _starts("encoder: cold start under awslambdaric", part["cold"])
    table = _table("encoder: vectors beside those of the eager module", "", "texts", *AGREEMENT.values())
    for name, found in part["agreement"].items():
        table.add_row(name, f"{found['texts']}", *(f"{found[key]:.6f}" for key in AGREEMENT))
    yield table
    overhead = part["overhead"]
    table = _table("encoder, batch 10: our own CPU beside tokenizer and session.run, ms a text", "", *overhead)
    for section in sections_of(overhead):
        table.add_row(section, *(f"{of['sections_ms'].get(section, 0):.3f}" for of in overhead.values()))
    table.add_row("ours beyond the floor, % of it", *(_spread(of["percent"], 1) for of in overhead.values()))
    yield table


def sections_of(overhead: Results) -> list[str]:
    """The sections that are measured: the floor's own first, then ours, the largest first."""
    most: dict[str, float] = {}
    for of in overhead.values():
        for name, taken in of["sections_ms"].items():
            most[name] = max(taken, most.get(name, 0))
    return sorted(most, key=lambda name: (name not in (TOKENIZER, RUN), -most[name]))


def _api(part: Results) -> Iterable[Table]:
    yield _starts("api function: cold start under awslambdaric", part)
    title = "api function: warm, under awslambdaric"
    table = _table(title, "", "submit CPU ms", "status CPU ms", "requests/s and core", "AWS calls", "log bytes")
    for line in part["contestants"]:
        table.add_row(
            line["name"],
            _spread(line["submit_cpu_ms"], 2),
            _spread(line["status_cpu_ms"], 2),
            f"{line['per_second_and_core']:,.0f}",
            f"{line['submit_calls']:.0f}, {line['status_calls']:.0f}",
            f"{line['submit_log_bytes']:.0f}, {line['status_log_bytes']:.0f}",
        )
    yield table


def _sync(part: Results) -> Iterable[Table]:
    yield _starts("synchronous function: cold start under awslambdaric", part)
    title = "synchronous function: warm, under awslambdaric"
    table = _table(title, "", "predict CPU ms", "predict ms", "batch of 10 CPU ms", "batch of 10 ms")
    for line in part["contestants"]:
        keys = ("predict_cpu_ms", "predict_ms", "batch_cpu_ms", "batch_ms")
        table.add_row(line["name"], *(_spread(line[key], 2) for key in keys))
    yield table


def _growth(part: Results) -> Iterable[Table]:
    title = "growth: stacks, planned and applied on this machine"
    columns = ("plan s", "plan MB", "apply s", "state MB", "prediction s", "plan again s")
    table = _table(title, "models", "pools", *columns)
    for line in part["stacks"]:
        keys = ("plan_seconds", "plan_mb", "apply_seconds", "state_mb", "answer_seconds", "replan_seconds")
        table.add_row(
            str(line["models"]), str(line["pools"]), *(f"{line[key]:,.1f}" if key in line else "-" for key in keys)
        )
    yield table
    own = [line for line in part["stacks"] if not line["pools"]]
    table = _table(
        "growth: sizes, of the largest role or function",
        "models",
        *(str(line["models"]) for line in own),
        "AWS's limit",
    )
    for limit in stack_sizes.LIMITS:
        sizes = (f"{line['sizes'][limit.name]:,}" for line in own)
        table.add_row(limit.name, *sizes, f"{limit.most:,}" if limit.most else "-")
    yield table
    table = _table("growth: cold start of the api function", "models", "INIT ms", "first answer ms", "MB after INIT")
    for line in part["starts"]:
        times = (_spread(line[key], 0) for key in ("init_ms", "first_result_ms"))
        table.add_row(str(line["models"]), *times, f"{line['init_memory_mb']['median']:,.1f}")
    yield table
    of_items = ("submit", "create", "an item", "MB", "status, open", "status, final", "results", "an item", "MB")
    table = _table("growth: a batch from a file, CPU ms", "items", *of_items)
    for line in part["batches"]:
        table.add_row(
            f"{line['items']:,}",
            f"{line['submit_cpu_ms']:.1f}",
            f"{line['create_cpu_ms']:,.0f}",
            f"{line['create_cpu_ms'] / line['items']:.2f}",
            f"{line['create_mb']:.0f}",
            f"{line['open_status_cpu_ms']:.1f}",
            f"{line['final_status_cpu_ms']:.1f}",
            f"{line['results_cpu_ms']:,.0f}",
            f"{line['results_cpu_ms'] / line['items']:.2f}",
            f"{line['api_mb']:.0f}",
        )
    yield table


def _e2e(part: Results) -> Iterable[Table]:
    burst = part["burst"]
    columns = [name for name in part["single_ms"] if name != "count"]
    table = _table("e2e through the emulator: submit to outcome, ms", "", *columns, "requests/s")
    table.add_row("one at a time", *(f"{part['single_ms'][name]:,.0f}" for name in columns), "")
    latency = (f"{burst['latency_ms'][name]:,.0f}" for name in columns)
    table.add_row(f"{burst['requests']} at once", *latency, f"{burst['per_second']:,.1f}")
    yield table
    table = _table("the emulator's floor", "", "ms")
    for name, value in part["floor_ms"].items():
        table.add_row(name, _spread(value, 1))
    yield table


def _cost(part: Results) -> Iterable[Table]:
    assumed, prices, systems = part["assumptions"], part["prices"], part["systems"]
    names = list(systems)
    title = (
        f"dollars per million requests, {prices['region']}, {prices['date']}, without the free tier\n"
        f"assumed: {assumed['call_ms']:g} ms per AWS call, {assumed['polls']} status queries, or none and a wait of"
        f" {assumed['handover_ms']:g} ms and the worker's time; struck out: does not fit"
    )
    table = _table(title, "", *names)
    bills = {name: next(iter(system["per_million"].values())) for name, system in systems.items()}
    for item in ITEMS_WITHOUT_WORKER:
        table.add_row(item, *(f"{bills[name].get(item, 0):.2f}" for name in names))
    table.add_section()
    for memory in systems[names[0]]["per_million"]:
        cells = []
        for name in names:
            bill = systems[name]["per_million"][memory]
            text = f"{bill['worker']:.2f} ({bill['billed_ms']:,.0f} ms)  total {bill['total']:.2f}"
            cells.append(text if bill["fits"] else f"[strike]{text}[/]")
        table.add_row(f"worker, {memory} MB", *cells)
    yield table
    instance, price = part["instance"], prices["instance"]
    title = f"dollars a month at the cheapest size that fits, against one {price['name']} always on"
    table = _table(title, "requests a day", *names, price["name"])
    for traffic, months in instance["per_month_at"].items():
        cells = [f"{months[name]:,.2f}" if name in months else "-" for name in names]
        table.add_row(f"{int(traffic):,}", *cells, f"{instance['per_month']:,.2f}")
    table.add_section()
    even = instance["break_even_per_day"]
    table.add_row("as dear as the instance at", *(f"{even[name]:,.0f}" if name in even else "-" for name in names), "")
    for name, capacity in instance["capacity_per_day"].items():
        table.add_row(f"{name} on it can take", *("" for _ in names), f"{capacity:,.0f}")
    yield table


def _targets(results: Results) -> Table:
    table = _table("to be reached", "", "measured", "at most", "")
    for target in targets(results):
        if target.value is None:
            table.add_row(target.promise, "-", f"{target.limit:.3f}", "[yellow]not measured[/]")
            continue
        word = "[green]PASS[/]" if target.passed else "[red]miss[/]"
        table.add_row(target.promise, f"{target.value:.3f}", f"{target.limit:.3f}", word)
    return table
