"""Part 7: what grows with the number of models in one stack, of requests in one batch, and of records in the table.

Plans and applies go to an emulator on this machine: their times say how they grow, and not how long AWS takes.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from scripts.bench import batch_growth, model_growth, traffic
from scripts.bench.api_bench import MEMORY_MB, api_environment
from scripts.bench.cold_bench import summary
from scripts.bench.functions import Function, Start, start_cold
from scripts.bench.model_growth import StackSize
from scripts.bench.packages import WORK, Packages
from scripts.bench.plan import Plan, rotated
from scripts.bench.processes import FakeAws
from scripts.bench.traffic import MODEL
from scripts.console import BUILD, CommandError

KNOWN = ("MODELS", "POOLS", "DEPLOYED")
"""What the api function knows of the models, in its environment."""

POOLS = 8
"""That have the models of a stack that is applied: a queue of its own for each would take minutes, and fifty models of
one pool do not fit in the environment of its worker."""

Say = Callable[[str], None]


def measure(plan: Plan, packages: Packages, fake_aws: FakeAws, say: Say) -> dict[str, Any]:
    """What goes into results.json under `growth`."""
    skipped: dict[str, str] = {}
    own = [StackSize(models, 0, applied=False) for models in plan.growth_models]
    pooled = [StackSize(models, POOLS, applied=True) for models in plan.growth_applied]

    def attempt(size: StackSize) -> tuple[StackSize, dict[str, Any], Mapping[str, str]] | None:
        say(f"growth: {'applying' if size.applied else 'planning'} a stack ({size})")
        try:
            with tempfile.TemporaryDirectory(dir=BUILD / "bench", prefix="growth-") as work:
                return size, *model_growth.planned(size, Path(work))
        except CommandError as failure:
            skipped[str(size)] = str(failure)
            return None

    with ThreadPoolExecutor(max_workers=max(1, len(pooled))) as side_by_side:  # an apply waits most of the time
        stacks = [*filter(None, map(attempt, own)), *filter(None, side_by_side.map(attempt, pooled))]
    environments = {size.models: environment for size, _, environment in stacks if not size.pools}
    return {
        "stacks": [line for _, line, _ in stacks],
        "starts": _starts(plan, packages, fake_aws, environments, say),
        "batches": batch_growth.measure(plan.growth_items, packages.api, fake_aws, say),
        "skipped": skipped,
    }


def _starts(
    plan: Plan, packages: Packages, fake_aws: FakeAws, environments: Mapping[int, Mapping[str, str]], say: Say
) -> list[dict[str, Any]]:
    """Cold starts of the api function, as it is deployed with so many models."""
    functions = {
        models: Function(
            f"api, {models} models",
            _api_with(models, packages.api),
            "api.handler",
            api_environment(fake_aws)
            | {name: environment[name] for name in KNOWN}
            | {"DEFAULT_MODEL": model_growth.names(1)[0]},
            MEMORY_MB,
        )
        for models, environment in environments.items()
    }
    starts: dict[int, list[Start]] = {models: [] for models in functions}
    for turn in range(plan.cold_rounds + 1):
        say(f"growth: cold start of the api function, round {turn} of {plan.cold_rounds}")
        for models, function in rotated(list(functions.items()), turn):
            start = start_cold(function, traffic.submit_event(traffic.texts(1, seed=turn)[0]))
            if turn:
                starts[models].append(start)
    return [{"models": models, **summary(taken)} for models, taken in starts.items()]


def _api_with(models: int, api: Path) -> Path:
    """The api function's package, where it knows so many models: copies of the demo model."""
    folder = WORK / f"api-{models}"
    shutil.copytree(api, folder)
    manifest = folder / "manifests" / f"{MODEL}.json"
    for name in model_growth.names(models):
        shutil.copy(manifest, manifest.with_stem(name))
        for source in (api / "validators").glob(f"**/{MODEL}.*py*"):
            copy = folder / source.relative_to(api).with_name(source.name.replace(MODEL, name.replace("-", "_")))
            shutil.copy(source, copy)
    return folder
