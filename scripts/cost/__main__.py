"""Say what an environment costs a month, before it is deployed.

python -m scripts.cost [--env ENVIRONMENT] [--plan FILE] [--requests PER_DAY] [--run-ms [MODEL=]MS]... [...]
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from rich.console import Console

from scripts.console import BUILD, ROOT, CommandError, note, run
from scripts.cost import capacity, demand, deployment, gpu, gpu_report, measured, plot, prices, report
from scripts.cost.files import MOST_LINES
from scripts.cost.gpu import GpuRun
from scripts.cost.requests import ASSUMED_POLLS
from scripts.deployment import terraform
from scripts.deployment.terraform_process import capture

WIDTH = 140  # of the tables where there is no terminal
BENCH = BUILD / "bench" / "results.json"
DEFAULT_PER_DAY = 100_000

Read = TypeVar("Read")


def read_plan(environment: str, path: Path | None) -> deployment.Deployment:
    """The deployment of a plan: of a file, or of an offline plan that is made for this.

    Args:
        environment: local, dev or prod.
        path: what `terraform plan -out` or `terraform show -json` wrote.

    Raises:
        CommandError: it can't be read, or is no plan of a whole environment.
    """
    return parsed(load_plan(environment, path), path, deployment.read)


def load_plan(environment: str, path: Path | None) -> dict[str, Any]:
    """The JSON of a plan: see `read_plan`.

    Raises:
        CommandError: the file can't be read.
    """
    return _plan_file(path, environment) if path else _offline_plan(environment)


def parsed(plan: dict[str, Any], path: Path | None, read: Callable[[dict[str, Any]], Read]) -> Read:
    """What `read` finds in a plan.

    Raises:
        CommandError: it is no plan of a whole environment.
    """
    try:
        return read(plan)
    except (ValueError, KeyError, StopIteration) as error:
        raise CommandError(f"{path or 'the plan'} can't be read as a plan of this stack: {error}") from error


def _offline_plan(environment: str) -> dict[str, Any]:
    from scripts.deployment import offline_plan  # it needs the emulator, which a plan from a file does not

    note(f"planning {environment} offline, against an empty account ...")
    return offline_plan.plan_as_json(environment)


def _plan_file(path: Path, environment: str) -> dict[str, Any]:
    if not path.is_file():
        raise CommandError(f"{path}: there is no such file: `terraform plan -out={path.name}` writes one")
    data = path.read_bytes()
    if not data.lstrip().startswith(b"{"):  # as -out writes it
        folder = terraform.ENVIRONMENTS / environment
        command = [terraform.terraform_binary(), f"-chdir={folder}", "show", "-json", str(path.resolve())]
        shown = capture(command, terraform.terraform_env())
        if shown.returncode:
            raise CommandError(f"{path} is no plan that Terraform can show: {shown.stderr.strip()}")
        data = shown.stdout.encode()
    try:
        plan: dict[str, Any] = json.loads(data)
    except ValueError as error:
        raise CommandError(f"{path} is no JSON of `terraform show -json`: {error}") from error
    return plan


def run_times(given: Sequence[str], models: Sequence[str]) -> dict[str, float]:
    """Model -> ms, from arguments of the form MS (all models) or MODEL=MS.

    Raises:
        CommandError: there is no such model, or that is no time.
    """
    found: dict[str, float] = {}
    for text in sorted(given, key=lambda argument: "=" in argument):
        name, _, ms = text.rpartition("=")
        if name and name not in models:
            raise CommandError(f"RUN_MS={text}: there is no model {name}: there are {', '.join(models)}", code=2)
        found |= dict.fromkeys([name] if name else models, positive(ms, f"RUN_MS={text}"))
    return found


def gpu_run(
    name: str | None, ms: str | None, load: str, run_ms: Mapping[str, float], known: Sequence[str]
) -> GpuRun | None:
    """What the options say of a GPU; None where none is asked for.

    Args:
        name: the GPU. ms: of a request on it; without it, the mean of the workers' times.
        load: seconds that a start loads the model.
        run_ms: of the workers, as given.
        known: GPUs of the price file.

    Raises:
        CommandError: there is no such GPU, or no time is given.
    """
    if name is None:
        if ms is not None:
            raise CommandError(f"GPU_MS={ms}: say which GPU: GPU={'|'.join(known)}", code=2)
        return None
    found = next((gpu for gpu in known if gpu.lower() == name.lower()), None)
    if found is None:
        raise CommandError(f"GPU={name}: the price file has {', '.join(known)}", code=2)
    if ms is None and not run_ms:
        raise CommandError(
            f"GPU={name}: give GPU_MS, the ms of a request on it, or RUN_MS, if a CPU is as fast", code=2
        )
    seconds = (positive(ms, f"GPU_MS={ms}") if ms is not None else statistics.fmean(run_ms.values())) / 1000
    return GpuRun(found, seconds, positive(load, f"GPU_LOAD={load}"))


def planned_run(planned: deployment.Deployment, traffic: demand.Traffic, known: Sequence[str]) -> GpuRun | None:
    """A request to the first backend of a plan whose GPU and time are known; None: there is none."""
    for worker in planned.workers.values():
        seconds = demand.run_seconds(worker, traffic)
        if worker.backend and worker.backend.gpu in known and seconds:
            return gpu.run_of(worker.backend, seconds)
    return None


def positive(text: str, named: str) -> float:
    """A number from an argument.

    Raises:
        CommandError: it is none above 0.
    """
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not value > 0 or value == float("inf"):
        raise CommandError(f"{named}: give a number above 0", code=2)
    return value


def measured_here(path: Path) -> measured.Measured:
    """What the bench has measured here, else what is kept."""
    here = measured.of_bench(json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else None
    return here or measured.load()


def main() -> int:
    """Command line of this module."""
    parser = argparse.ArgumentParser(prog="cost", description="What an environment costs a month.")
    parser.add_argument("--env", default=terraform.LOCAL, help="local (default), dev or prod")
    parser.add_argument("--plan", type=Path, help="a plan's file, or its JSON; without it an offline plan is made")
    parser.add_argument("--requests", default=str(DEFAULT_PER_DAY), help="a day, for capacity and by model")
    parser.add_argument("--run-ms", nargs="*", default=[], metavar="[MODEL=]MS", help="a worker's time for one request")
    parser.add_argument("--fill", help="requests in a batch, on average; default: what the batch window collects")
    parser.add_argument("--polls", type=float, default=ASSUMED_POLLS, help="status queries per request")
    parser.add_argument(
        "--items", type=int, default=1, help="requests that are submitted together, as a batch; above 100, in a file"
    )
    parser.add_argument("--waits", type=float, default=0.0, help="seconds that a submit waits for its result")
    parser.add_argument(
        "--webhooks", type=float, default=0.0, help="webhooks per request, or per batch: the share that has one"
    )
    parser.add_argument("--keys", type=int, default=demand.ASSUMED_KEYS, help="API keys in use at the same time")
    parser.add_argument("--large", type=float, default=0.0, help="share of requests with an upload, 0 to 1")
    parser.add_argument("--size", type=float, default=1.0, help="megabytes of an upload")
    parser.add_argument("--peak", default="3", help="the busiest rate over the mean")
    parser.add_argument("--wait", default="5", help="seconds that 95%% of the requests may wait at most")
    parser.add_argument("--quota", type=int, default=capacity.DEFAULT_QUOTA, help="the account's concurrency")
    parser.add_argument("--gpu", metavar="NAME", help="compare with this GPU: on platforms, and always on")
    parser.add_argument("--gpu-ms", metavar="MS", help="a request's time on it; default: the mean of --run-ms")
    parser.add_argument(
        "--gpu-load", default=f"{gpu.ASSUMED_LOAD_SECONDS:g}", help="seconds that a start loads the model"
    )
    parser.add_argument("--out", type=Path, help="the picture, .png or .svg (default: build/cost/<environment>.png)")
    args = parser.parse_args()
    planned = read_plan(args.env, args.plan)
    traffic = demand.Traffic(
        run_ms=run_times(args.run_ms, planned.models),
        fill=None if args.fill is None else positive(args.fill, f"FILL={args.fill}"),
        polls=max(0.0, args.polls),
        items=min(max(1, args.items), MOST_LINES),
        waits=max(0.0, args.waits),
        webhooks=max(0.0, args.webhooks),
        keys=max(1, args.keys),
        large=min(max(0.0, args.large), 1.0),
        large_bytes=max(0.0, args.size) * 1e6,
        peak=positive(args.peak, f"PEAK={args.peak}"),
    )
    estimate = report.Estimate(prices.load(), planned, traffic, measured_here(BENCH))
    known = list(estimate.prices.gpu.memory_gb)
    on_gpu = gpu_run(args.gpu, args.gpu_ms, args.gpu_load, traffic.run_ms, known) or planned_run(
        planned, traffic, known
    )
    per_day = positive(args.requests.replace(",", "").replace("_", ""), f"REQUESTS={args.requests}")
    wait = positive(args.wait, f"WAIT={args.wait}")
    console = Console(width=None if sys.stdout.isatty() else WIDTH)
    report.show(estimate, args.env, per_day, wait, args.quota, console)
    if on_gpu:
        console.print()
        gpu_report.show(estimate, on_gpu, per_day, console)
    path = args.out or BUILD / "cost" / f"{args.env}.png"
    if plot.draw(estimate, args.env, path):
        note(f"picture: {path.relative_to(ROOT) if path.is_relative_to(ROOT) else path}")
    else:
        note("no picture: matplotlib is not installed (pip install -e '.[bench]')")
    return 0


if __name__ == "__main__":
    run(main)
