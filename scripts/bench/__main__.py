"""Command line of the bench; see the package's docstring.

python -m scripts.bench [--quick] [--only worker,cold,encoder,api,sync,growth,e2e,cost] [--fail]
"""

import argparse
import contextlib
import datetime
import importlib.util
import json
import os
import platform
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from scripts.bench import plots, report
from scripts.bench.plan import FULL, QUICK, Plan
from scripts.bench.show import targets
from scripts.console import BUILD, ROOT, CommandError, note, run

OUT = BUILD / "bench"
WIDTH = 128  # of the tables where there is no terminal
PARTS = ("worker", "cold", "encoder", "api", "sync", "growth", "e2e", "cost")


def measure(plan: Plan, parts: Sequence[str], results: dict[str, Any], keep: Callable[[], None]) -> list[str]:
    """Measure the parts in their order, into `results`; a part that can't be measured goes into `failed`.

    `keep` is called after each part.

    Returns:
        The parts that an error of the bench itself ended: the others, half an hour's work, are measured all the same.
    """
    from scripts.bench import (
        api_bench,
        cold_bench,
        cost_bench,
        e2e_bench,
        encoder_bench,
        growth_bench,
        sync_bench,
        worker_bench,
    )
    from scripts.bench.packages import prepare
    from scripts.bench.processes import FakeAws, as_helper

    broken: list[str] = []

    def attempt(part: str, measure_part: Callable[[], dict[str, Any]]) -> None:
        if part not in parts:
            return
        results.pop(part, None)
        results["measured"].pop(part, None)
        try:
            results[part] = measure_part()
            results["measured"][part] = {"at": _now(), "quick": plan is QUICK}
        except (CommandError, OSError) as failure:
            results["failed"][part] = str(failure)
            note(f"{part}: not measured: {failure}")
        except Exception as failure:
            results["failed"][part] = f"{type(failure).__name__}: {failure}"
            broken.append(part)
            traceback.print_exc()
        keep()

    of_demo = {"worker", "cold", "api", "sync", "growth"} & set(parts)
    if of_demo or "encoder" in parts:
        with as_helper(), FakeAws() as fake_aws:
            if of_demo:
                note("packaging")
                packages = prepare()
                attempt("worker", lambda: worker_bench.measure(plan, packages, fake_aws, note))
                attempt("cold", lambda: cold_bench.measure(plan, packages, fake_aws, note))
                attempt("api", lambda: api_bench.measure(plan, packages, fake_aws, note))
                attempt("sync", lambda: sync_bench.measure(plan, packages, note))
                attempt("growth", lambda: growth_bench.measure(plan, packages, fake_aws, note))
            attempt("encoder", lambda: encoder_bench.measure(plan, fake_aws, note))
    attempt("e2e", lambda: e2e_bench.measure(plan, note))
    attempt("cost", lambda: cost_bench.measure(results))
    return broken


def main() -> int:
    """Measure, write, show."""
    parser = argparse.ArgumentParser(prog="bench", description="Measure the worker and the api function.")
    parser.add_argument("--quick", action="store_true", help="see that it runs; the numbers are rough")
    parser.add_argument("--only", default=",".join(PARTS), help=f"some of {','.join(PARTS)}")
    parser.add_argument("--fail", action="store_true", help="exit with 1 when a promise is not kept")
    args = parser.parse_args()
    parts = args.only.split(",")
    unknown = sorted(set(parts) - set(PARTS))
    if unknown:
        raise CommandError(f"there is no part {', '.join(unknown)}: --only takes {','.join(PARTS)}", code=2)
    OUT.mkdir(parents=True, exist_ok=True)
    path = OUT / "results.json"
    # Parts that are not measured now keep the numbers of an earlier run: the bill needs three of them.
    results: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {"measured": {}}
    before = os.getloadavg()[0]

    def keep() -> None:
        results["load"] = f"{before:.1f}, {os.getloadavg()[0]:.1f}"
        path.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")

    results |= {"machine": _machine(), "failed": {}}
    broken = measure(QUICK if args.quick else FULL, parts, results, keep)
    console = Console(record=True, width=None if sys.stdout.isatty() else WIDTH)
    report.show(results, parts, console)
    console.save_text(str(OUT / "report.txt"))
    files = [path, OUT / "report.txt", *plots.draw({part: results[part] for part in parts if part in results}, OUT)]
    print("\nwritten: " + " ".join(str(file.relative_to(ROOT)) for file in files))
    if importlib.util.find_spec("matplotlib") is None:
        note("no pictures: matplotlib is not installed (pip install -e '.[bench]')")
    if broken:
        raise CommandError(f"an error of the bench itself ended {', '.join(broken)}: see the traceback above")
    missed = [target for target in targets(results) if target.passed is False]
    return 1 if args.fail and missed else 0


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="minutes")


def _processor() -> str:
    """The processor's name where Linux tells it, else its architecture."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return f"{line.partition(':')[2].strip()}, {platform.machine()}"
    return platform.machine()


def _machine() -> dict[str, Any]:
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "system": platform.platform(terse=True),
    }


if __name__ == "__main__":
    run(main)
