"""Running Terraform in the folders of a copy of terraform/."""

import json
import subprocess
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from scripts.deployment.terraform import terraform_binary
from tests.terraform.plans import Json, Plan

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "terraform"
ENVIRONMENTS = ("local", "dev", "prod")


def folders() -> list[str]:
    """Every folder that Terraform can be run in: modules, stack, environments."""
    found = (path.parent.relative_to(SOURCE) for path in SOURCE.rglob("main.tf"))
    return sorted(str(folder) for folder in found if ".terraform" not in folder.parts)


class Terraform:
    """Runs Terraform in the folders of a copy of terraform/."""

    def __init__(self, copy: Path, env: Mapping[str, str]) -> None:
        self.copy = copy
        self.env = dict(env)
        self.init = cache(self._init)

    def run(self, folder: str, *arguments: str) -> str:
        """Run a command and return its stdout; a failure shows everything that Terraform printed."""
        done = subprocess.run(
            [terraform_binary(), *arguments],
            cwd=self.copy / folder,
            env=self.env,
            capture_output=True,
            text=True,
            check=False,
            timeout=900,
        )
        assert done.returncode == 0, f"terraform {' '.join(arguments)} in {folder}:\n{done.stdout}{done.stderr}"
        return done.stdout

    def override(self, folder: str, settings: Mapping[str, Any], region: str | None = None) -> None:
        """Override an environment's settings for the stack, and keep its state here."""
        override: Json = {"terraform": {"backend": {"local": {}}}, "module": {"stack": settings}}
        if region:
            override["locals"] = {"region": region}
        (self.copy / folder / "test_override.tf.json").write_text(json.dumps(override))

    def overridden(self, folder: str) -> Json:
        """The overriding settings of an environment."""
        settings: Json = json.loads((self.copy / folder / "test_override.tf.json").read_text())["module"]["stack"]
        return settings

    def plan(self, folder: str, settings: Mapping[str, Any], region: str | None = None) -> Plan:
        """The plan of applying an environment for the first time, with these settings over its own."""
        self.override(folder, settings, region)
        self.init(folder)
        self.run(folder, "plan", "-no-color", "-input=false", "-lock=false", "-out=plan")
        plan: Json = json.loads(self.run(folder, "show", "-json", "plan"))
        return Plan(plan)

    def _init(self, folder: str) -> None:
        self.run(folder, "init", "-input=false")
