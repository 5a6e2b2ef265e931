"""Part 7: what grows with the number of models in one stack, of requests in one batch, and of records in the table.

Plans and applies go to an emulator on this machine: their times say how they grow, and not how long AWS takes.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from scripts.bench import batch_growth, model_growth, traffic
from scripts.bench.api_bench import MEMORY_MB, api_environment
from scripts.bench.cold_bench import summary
from scripts.bench.functions import Function, Start, start_cold
from scripts.bench.packages import WORK, Packages
from scripts.bench.plan import Plan, rotated
from scripts.bench.processes import FakeAws
from scripts.bench.traffic import MODEL
from scripts.console import BUILD, CommandError

KNOWN = ("MODELS", "POOLS", "DEPLOYED")
"""What the api function knows of the models, in its environment."""

POOLS = 4
"""That have the models of the largest stack, when it is applied: a queue of its own for each would take minutes."""

Say = Callable[[str], None]


def measure(plan: Plan, packages: Packages, fake_aws: FakeAws, say: Say) -> dict[str, Any]:
    """What goes into results.json under `growth`."""
    skipped: dict[str, str] = {}
    environments: dict[int, Mapping[str, str]] = {}
    stacks = []
    for models, pools, applied in _stacks(plan):
        ways = f"{pools} pools" if pools else "a queue each"
        say(f"growth: {'applying' if applied else 'planning'} {models} models, {ways}")
        try:
            with tempfile.TemporaryDirectory(dir=BUILD / "bench", prefix="growth-") as work:
                line, environment = model_growth.planned(models, pools, Path(work), apply=applied)
        except CommandError as failure:
            skipped[f"{models} models, {ways}"] = str(failure)
            continue
        stacks.append(line)
        if not pools:
            environments[models] = environment
    return {
        "stacks": stacks,
        "starts": _starts(plan, packages, fake_aws, environments, say),
        "batches": batch_growth.measure(plan.growth_items, packages.api, fake_aws, say),
        "skipped": skipped,
    }


def _stacks(plan: Plan) -> list[tuple[int, int, bool]]:
    """Models, pools, and whether the stack is applied."""
    own = [(models, 0, models in plan.growth_applied) for models in plan.growth_models]
    return [*own, (plan.growth_models[-1], POOLS, bool(plan.growth_applied))]


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
