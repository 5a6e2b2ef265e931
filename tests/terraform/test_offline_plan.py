"""`make plan ENV=prod` on a machine that has no AWS account and reaches no network."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from scripts.console import ROOT
from scripts.deployment.shell import without_aws
from scripts.deployment.terraform import ENVIRONMENTS, terraform_env

pytestmark = pytest.mark.terraform

NOWHERE = "http://127.0.0.1:9"


def files() -> list[Path]:
    """What is in the folders that the plan might write to."""
    return sorted((*ENVIRONMENTS.iterdir(), *(ENVIRONMENTS / "prod").iterdir()))


def test_prod_is_planned_with_no_account_and_no_network(tmp_path: Path) -> None:
    env = without_aws({**terraform_env(), "HOME": str(tmp_path), "TF_VAR_models": "{}"})
    if "TF_PLUGIN_CACHE_DIR" not in env:  # the provider comes from a mirror
        env |= {"HTTPS_PROXY": NOWHERE, "HTTP_PROXY": NOWHERE}
    before = files()
    done = subprocess.run(
        [sys.executable, "-m", "scripts.deployment.apply", "--plan", "--env", "prod", "--offline=1", "-no-color"],
        cwd=ROOT,
        env=env,
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith("offline: the plan of prod against an empty account in us-east-1. AWS was not called")
    assert 'authorization_type = "AWS_IAM"' in done.stdout.replace("  ", " ")
    assert f"inference-prod-worker@sha256:{'0' * 64}" in done.stdout, "the worker runs from an image, as deployed"
    assert " to add, 0 to change, 0 to destroy." in done.stdout
    assert "backend.hcl it is your account's." in done.stdout.splitlines()[-1]
    assert "offline ignores what your shell sets: TF_VAR_models" in done.stderr
    assert files() == before
