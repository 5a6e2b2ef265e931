"""Part of `growth`: stacks of one model to two hundred, planned and applied by Terraform against an empty emulator.

Each stack is a copy of terraform/ in a folder of its own, with an emulator of its own. Its model folders are copies of
the demo model's.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import socket
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from async_inference_client import Client
from scripts.bench import e2e_bench, stack_sizes
from scripts.bench.traffic import MODEL
from scripts.console import ROOT, CommandError
from scripts.deployment import terraform
from scripts.deployment.environment_config import MODELS
from scripts.deployment.terraform_process import capture
from scripts.local.emulator import HOST, Emulator
from scripts.operate.endpoint import url_on
from scripts.packaging.model_files import Files, worker_files
from scripts.packaging.package import POOL_PREFIX, make_zips

LIFETIME_SECONDS = 3600
SUBJECTS = (
    *("invoice", "receipt", "contract", "resume", "review", "tweet", "support-ticket", "product", "address", "patient"),
    *("radiology", "satellite", "traffic", "vehicle", "plant", "document", "voice", "video", "transaction", "login"),
)
TASKS = (
    *("sentiment", "language", "topic", "toxicity", "entities", "summary", "embedding", "similarity", "ranking", "ocr"),
    *(
        "layout",
        "segmentation",
        "detection",
        "captioning",
        "quality",
        "anomaly",
        "forecast",
        "churn",
        "fraud",
        "intent",
    ),
)
MONITORING = {"alarms": True, "dashboard": True}
PLANNED = ("plan", "-input=false", "-lock=false", "-no-color", "-out=plan")
UNCHANGED = "No changes."


@dataclass(frozen=True)
class StackSize:
    """A stack to be planned.

    Attributes:
        models: how many there are.
        pools: how many pools have them; 0: each has its own queue and worker.
        applied: whether it is applied, too, and asked for a prediction.
    """

    models: int
    pools: int
    applied: bool

    def __str__(self) -> str:
        where = f"in pools: {self.pools}" if self.pools else "a queue each"
        return f"models: {self.models}, {where}"


@dataclass(frozen=True)
class Stack:
    """A folder in which Terraform is ready, its environment, and the emulator that it applies to."""

    folder: Path
    env: Mapping[str, str]
    emulator: Emulator

    def run(self, *arguments: str) -> tuple[str, float]:
        """What Terraform printed, and the seconds that it took. Raises CommandError with its error."""
        began = time.perf_counter()
        done = capture([terraform.terraform_binary(), f"-chdir={self.folder}", *arguments], self.env)
        if done.returncode:
            raise CommandError(f"terraform {arguments[0]}: {done.stderr.strip()[-1000:]}")
        return done.stdout, time.perf_counter() - began


def planned(size: StackSize, work: Path) -> tuple[dict[str, Any], dict[str, str]]:
    """Plan a stack, and apply it where that is asked for: a line of the table, and the api function's environment.

    Args:
        size: of the stack.
        work: an empty folder.

    Raises:
        CommandError: Terraform fails, a second plan is not empty, or a prediction does not succeed.
    """
    with _stack(size, work) as stack:
        stack.run("init", "-input=false", "-no-color")
        _, plan_seconds = stack.run(*PLANNED)
        shown, _ = stack.run("show", "-json", "plan")
        plan = json.loads(shown)
        line: dict[str, Any] = {
            "models": size.models,
            "pools": size.pools,
            "plan_seconds": plan_seconds,
            "plan_mb": len(shown) / 1e6,
            "sizes": stack_sizes.sizes(plan),
        }
        if size.applied:
            line |= _applied(stack, names(size.models)[-1])
    return line, stack_sizes.environment_of(plan, "-api")


def _applied(stack: Stack, model: str) -> dict[str, float]:
    """Apply the plan, ask a model for a prediction, and plan again."""
    _, apply_seconds = stack.run("apply", "-input=false", "-no-color", "plan")
    outputs, _ = stack.run("output", "-json")
    with Client(url_on(stack.emulator, json.loads(outputs)["deployment"]["value"])) as client:
        answer_ms = e2e_bench.way(client, "what a lovely day", model)
    said, replan_seconds = stack.run(*PLANNED)
    if UNCHANGED not in said:
        raise CommandError(f"the stack is applied, and a second plan is not empty: {said.strip()[-1000:]}")
    return {
        "apply_seconds": apply_seconds,
        "state_mb": (stack.folder / "terraform.tfstate").stat().st_size / 1e6,
        "answer_seconds": answer_ms / 1000,
        "replan_seconds": replan_seconds,
    }


def names(models: int) -> list[str]:
    """At most four hundred names of words, as models have: what compresses is their length in Lambda's environment."""
    found = [f"{subject}-{task}" for task in TASKS for subject in SUBJECTS]
    return found[:models]


def write_models(models: int, folder: Path) -> dict[str, Path]:
    """A copy of the demo model's folder for each model, by name."""
    found = {name: folder / name for name in names(models)}
    for name, copy in found.items():
        shutil.copytree(MODELS / MODEL, copy, ignore=shutil.ignore_patterns("__pycache__"))
        manifest = json.loads((copy / "manifest.json").read_text(encoding="utf-8"))
        (copy / "manifest.json").write_text(json.dumps(manifest | {"name": name}), encoding="utf-8")
    return found


@contextlib.contextmanager
def _stack(size: StackSize, work: Path) -> Iterator[Stack]:
    tree = work / "terraform"
    ignored = shutil.ignore_patterns(".terraform*", "*.tfstate*", "*_override.tf*", "tests")
    shutil.copytree(terraform.TERRAFORM, tree, ignore=ignored)
    for shared in ("lambda", "worker"):
        (work / shared).symlink_to(ROOT / shared)
    folders = write_models(size.models, work / "models")
    pools = dict(zip(folders, _pools(size), strict=True))
    _package(folders, pools, work / "packages", empty=not size.applied)
    folder = tree / "environments" / terraform.LOCAL
    (folder / "growth_override.tf.json").write_text(json.dumps(_settings(pools, work)), encoding="utf-8")
    emulator = Emulator(_free_port(), work / "emulator", lifetime_seconds=LIFETIME_SECONDS)
    emulator.start()
    try:
        yield Stack(folder, emulator.client_env(terraform.terraform_env()), emulator)
    finally:
        emulator.stop()


def _pools(size: StackSize) -> list[str | None]:
    """The pool of each model."""
    return [f"p{number % size.pools}" if size.pools else None for number in range(size.models)]


def _package(folders: Mapping[str, Path], pools: Mapping[str, str | None], out: Path, *, empty: bool) -> None:
    """The zips of the stack, without bytecode; `empty` where they are only planned."""
    workers: dict[str, Files] = {}
    for name, folder in folders.items():
        pool = pools[name]
        files = workers.setdefault(f"{POOL_PREFIX}{pool}" if pool else name, {})
        files |= {} if empty else worker_files(name, folder)
    make_zips(out, {} if empty else folders, workers, ROOT, None)


def _settings(pools: Mapping[str, str | None], work: Path) -> dict[str, Any]:
    stack = {
        "packages_dir": str(work / "packages"),
        "models": {
            name: {"models_dir": str(work / "models")} | ({"pool": pool} if pool else {})
            for name, pool in pools.items()
        },
        "pools": {pool: {} for pool in pools.values() if pool},
        "default_model": next(iter(pools)),
        "monitoring": MONITORING,
    }
    return {"terraform": {"backend": {"local": {}}}, "module": {"stack": stack}}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
    return port
