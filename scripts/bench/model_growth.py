"""Part of `growth`: stacks of one model to two hundred, planned and applied by Terraform against an empty emulator.

Each stack is a copy of terraform/ in a folder of its own, with an emulator of its own. All models have one manifest.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import socket
import time
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scripts.bench import stack_sizes
from scripts.bench.traffic import MODEL
from scripts.console import ROOT, CommandError
from scripts.deployment import terraform
from scripts.deployment.environment_config import MODELS
from scripts.deployment.terraform_process import capture
from scripts.local.emulator import HOST, Emulator

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
Say = Callable[[str], None]


@dataclass(frozen=True)
class Stack:
    """A folder in which Terraform is ready, and its environment."""

    folder: Path
    env: Mapping[str, str]

    def run(self, *arguments: str) -> tuple[str, float]:
        """What Terraform printed, and the seconds that it took. Raises CommandError with its error."""
        began = time.perf_counter()
        done = capture([terraform.terraform_binary(), f"-chdir={self.folder}", *arguments], self.env)
        if done.returncode:
            raise CommandError(f"terraform {arguments[0]}: {done.stderr.strip()[-1000:]}")
        return done.stdout, time.perf_counter() - began


def planned(models: int, pools: int, work: Path, *, apply: bool = False) -> tuple[dict[str, Any], dict[str, Any]]:
    """Plan a stack, and apply it where that is asked for: a line of the table, and the api function's environment.

    Args:
        models: how many there are.
        pools: how many pools have them; 0: each has its own queue and worker.
        work: an empty folder.
    """
    with _stack(models, pools, work) as stack:
        stack.run("init", "-input=false", "-no-color")
        _, plan_seconds = stack.run(*PLANNED)
        shown, _ = stack.run("show", "-json", "plan")
        plan = json.loads(shown)
        line: dict[str, Any] = {
            "models": models,
            "pools": pools,
            "plan_seconds": plan_seconds,
            "plan_mb": len(shown) / 1e6,
        }
        line |= {"sizes": stack_sizes.sizes(plan)}
        if apply:
            _, line["apply_seconds"] = stack.run("apply", "-input=false", "-no-color", "plan")
            line["state_mb"] = (stack.folder / "terraform.tfstate").stat().st_size / 1e6
            _, line["replan_seconds"] = stack.run(*PLANNED)
    return line, stack_sizes.environment_of(plan, "-api")


def names(models: int) -> list[str]:
    """At most four hundred names of words, as models have: what compresses is their length in Lambda's environment."""
    found = [f"{subject}-{task}" for task in TASKS for subject in SUBJECTS]
    return found[:models]


def write_models(models: int, folder: Path) -> None:
    """A folder with a manifest for each model: copies of the demo model's, without its artifact."""
    manifest = json.loads((MODELS / MODEL / "manifest.json").read_text(encoding="utf-8"))
    del manifest["artifacts"]
    for name in names(models):
        (folder / name).mkdir(parents=True)
        (folder / name / "manifest.json").write_text(json.dumps(manifest | {"name": name}), encoding="utf-8")


@contextlib.contextmanager
def _stack(models: int, pools: int, work: Path) -> Iterator[Stack]:
    tree, packages = work / "terraform", work / "packages"
    ignored = shutil.ignore_patterns(".terraform*", "*.tfstate*", "*_override.tf*", "tests")
    shutil.copytree(terraform.TERRAFORM, tree, ignore=ignored)
    for shared in ("lambda", "worker"):
        (work / shared).symlink_to(ROOT / shared)
    write_models(models, work / "models")
    packages.mkdir()
    zips = ["lambda", *(f"worker-{name}" for name in names(models)), *(f"pool-p{number}" for number in range(pools))]
    for name in zips:
        with zipfile.ZipFile(packages / f"{name}.zip", "w") as archive:
            archive.writestr("api.py", "")
    folder = tree / "environments" / terraform.LOCAL
    (folder / "growth_override.tf.json").write_text(json.dumps(_settings(models, pools, work)), encoding="utf-8")
    emulator = Emulator(_free_port(), work / "emulator", lifetime_seconds=LIFETIME_SECONDS)
    emulator.start()
    try:
        yield Stack(folder, emulator.client_env(terraform.terraform_env()))
    finally:
        emulator.stop()


def _settings(models: int, pools: int, work: Path) -> dict[str, Any]:
    every = {name: {"models_dir": str(work / "models")} for name in names(models)}
    if pools:
        for number, model in enumerate(every.values()):
            model["pool"] = f"p{number % pools}"
    stack = {
        "packages_dir": str(work / "packages"),
        "models": every,
        "pools": {f"p{number}": {} for number in range(pools)},
        "default_model": names(1)[0],
        "monitoring": MONITORING,
    }
    return {"terraform": {"backend": {"local": {}}}, "module": {"stack": stack}}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
    return port
