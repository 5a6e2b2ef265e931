"""The graph and the tables of docs/choosing.md, between markers: from the rules, platforms.json and the price file.

python -m scripts.choose.tables            write them
python -m scripts.choose.tables --check    say whether they are out of date; exit code 1 if they are
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Iterable, Iterator, Sequence

from scripts.choose import answers, costs, document, needs, platforms, rules
from scripts.choose.platforms import Source
from scripts.console import ROOT, CommandError, run
from scripts.cost import gpu, prices
from scripts.cost.report import dollars, ranges
from scripts.module_tables import update

PAGE = ROOT / "docs" / "choosing.md"

UNCONFIRMED = " (?)"
"""After what no page of the platform says, and nobody tried."""

GPUS = ("T4", "L4", "A10G", "L40S", "A100", "H100")


EXAMPLE = {"RATE": "10000", "RUN_MS": "500", "MEMORY_MB": "2048", "LATENCY": "10"}


def example() -> Iterator[str]:
    """What the command answers to EXAMPLE."""
    found = costs.of(needs.parse(EXAMPLE, prices.load().gpu.memory_gb))
    given = " ".join(f"{name}={value}" for name, value in EXAMPLE.items())
    yield from ("```console", f"$ make choose {given}", *answers.lines(found), "```")


def graph() -> Iterator[str]:
    """The questions and the places."""
    yield from ("```mermaid", rules.graph(), "```")


def compared() -> Iterator[str]:
    """What each platform can do, and where that is from."""
    guide = platforms.load()
    rows = [
        [row.title, *(fact.text + ("" if fact.confirmed else UNCONFIRMED) for fact in row.of.values())]
        for row in guide.rows
    ]
    yield from _table(["", *guide.platforms.values()], rows)
    used = [fact.source for row in guide.rows for fact in row.of.values()]
    used += [statement.source for statement in guide.document]
    yield ""
    yield f"Sources, with the day on which they were read: {', '.join(_source(source) for source in _once(used))}."


def wrong() -> Iterator[str]:
    """What the reference document says, item by item, and what is so."""
    rows = [
        [item.where, item.says, item.now + ("" if item.confirmed else UNCONFIRMED), _source(item.source, dated=False)]
        for item in platforms.load().document
    ]
    yield from _table(["section", "the document says", f"{platforms.load().date[:7]}", "source"], rows)


def gpu_prices() -> Iterator[str]:
    """Dollars for an hour of each GPU, by platform, and what is billed beside the runs."""
    found = prices.load()
    rows = []
    for key, platform in found.gpu.platforms.items():
        hours = [f"{gpu.second(platform, name) * 3600:.2f}" if name in platform.per_second else "" for name in GPUS]
        mark = UNCONFIRMED if f"gpu.{key}" in found.unconfirmed else ""
        rows.append([f"[{platform.name}]({platform.source}){mark}", *hours, f"{platform.idle_seconds:g} s"])
    for machine in found.gpu.instances:
        hours = [f"{machine.per_hour:.2f}" if machine.gpu == name else "" for name in GPUS]
        rows.append([f"{machine.name}, always on{UNCONFIRMED}", *hours, "always"])
    yield from _table(["$ an hour", *GPUS, "billed after a request"], rows)


def traffic() -> Iterator[str]:
    """The document's cost table beside ours."""
    head = ["requests a day", "document: EC2", "document: Lambda", "it takes"]
    for ms in document.COMPARED_MS:
        head += [f"this stack, {ms:g} ms", f"instances, {ms:g} ms", "costs less"]
    rows = []
    for line in document.TABLE:
        cells = [f"{line.per_day:,.0f}", f"${line.serverful:,.0f}", f"${line.serverless:,.0f}", line.winner]
        for ms in document.COMPARED_MS:
            stack, instance = document.stack(line.per_day, ms), document.instance(line.per_day, ms)
            cells += [f"${dollars(stack)}", f"${dollars(instance)}", "this stack" if stack < instance else "instances"]
        rows.append(cells)
    yield from _table(head, rows)


def edges() -> Iterator[str]:
    """Where an instance costs less than this stack, by run time."""
    rows = [
        [f"{ms:g} ms", *(_short(document.instance_costs_less(ms, peak)) for peak in document.PEAKS)]
        for ms in document.EDGES_MS
    ]
    yield from _table(["run time of a request", *(f"peak {peak:g} times the mean" for peak in document.PEAKS)], rows)


def littles_law() -> Iterator[str]:
    """The document's calculate_concurrency beside ours."""
    most = max(document.PEAKS)
    rows = [
        [
            "at a time",
            f"{document.at_a_time():g}",
            f"{document.at_a_time():g}; {document.at_a_time() * most:g} at a peak of {most:g}",
        ],
        ["more than the quota of 1,000?", "no", "yes" if document.needs_quota(most) else "no; a new account has less"],
        [
            "$ for a million",
            f"{document.DOCUMENT_PER_MILLION:.2f}",
            "; ".join(f"{document.per_million(size):,.2f} at {size:,} MB" for size in document.SIZES_MB),
        ],
    ]
    yield from _table(["`calculate_concurrency(100, 2)`", "the document", "here"], rows)


BLOCKS: dict[str, Callable[[], Iterator[str]]] = {
    "example": example,
    "graph": graph,
    "platforms": compared,
    "gpu": gpu_prices,
    "edges": edges,
    "traffic": traffic,
    "concurrency": littles_law,
    "document": wrong,
}
"""Name of a marker -> what is between it and its end."""


def with_tables(page: str) -> str:
    """The page's text with up-to-date tables.

    Raises:
        CommandError: a marker is missing.
    """
    for name, make in BLOCKS.items():
        begin, end = f"<!-- BEGIN {name} -->", f"<!-- END {name} -->"
        between = re.compile(rf"{begin}\n.*?{end}", re.DOTALL)
        if not between.search(page):
            raise CommandError(f"{PAGE.relative_to(ROOT)} has no lines {begin} and {end}: put them where it belongs")
        parts = between.split(page, maxsplit=1)
        page = "\n".join((begin, *make(), end)).join(parts)
    return page


def _short(found: list[tuple[float, float | None]]) -> str:
    """Ranges in a cell: many of them are those in which one more machine has just been bought."""
    if len(found) <= 2:
        return ranges(found)
    (start, end), *_ = found
    return f"in {len(found)} short ranges, the first from {start:,.0f} to {end:,.0f}"


def _source(source: Source, *, dated: bool = True) -> str:
    name = f"[{source.title}]({source.url})" if source.url else source.title
    return f"{name} ({source.date})" if dated else name


def _once(sources: Iterable[Source]) -> list[Source]:
    return [source for source in dict.fromkeys(sources) if source.url]


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield f"|{'---|' * len(head)}"
    for row in rows:
        yield f"| {' | '.join(row)} |"


def main() -> int:
    """Command line of this module."""
    parser = argparse.ArgumentParser(prog="choose.tables", description=__doc__.split("\n")[0])
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 1 when the page is out of date")
    args = parser.parse_args()
    return update({PAGE: with_tables(PAGE.read_text(encoding="utf-8"))}, args.check)


if __name__ == "__main__":
    run(main)
