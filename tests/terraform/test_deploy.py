"""What `make deploy` asks Terraform: the environments' variables, read before there is a package or an image."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from scripts import deploy, terraform
from scripts.console import ROOT

pytestmark = pytest.mark.terraform


@pytest.fixture
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of dev whose state is a file."""
    left_out = shutil.ignore_patterns(".terraform*", "*.tfstate*", "*.auto.tfvars*")
    shutil.copytree(ROOT / "terraform", tmp_path / "terraform", ignore=left_out)
    shutil.copytree(ROOT / "worker" / "models", tmp_path / "worker" / "models")
    folder = tmp_path / "terraform" / "environments" / "dev"
    (folder / "backend_override.tf").write_text('terraform {\n  backend "local" {}\n}\n')
    (folder / "backend.hcl").write_text('path = "state"\n')
    monkeypatch.setattr(terraform, "ENVIRONMENTS", folder.parent)
    return folder


def test_the_models_that_need_an_image_are_read_from_all_of_terraforms_files(environment: Path) -> None:
    settings = environment / "mine.auto.tfvars"
    settings.write_text(
        'models = {\n  sentiment = { memory_mb = 512 }\n  again = { source = "sentiment" }\n'
        f'  elsewhere = {{ source = "sentiment", models_dir = "{ROOT / "worker" / "models"}" }}\n'
        f'  own = {{ source = "sentiment", package = {{ image = {{ uri = "r@sha256:{"0" * 64}" }} }} }}\n}}\n'
        'architecture = "arm64"\n'
    )
    wanted = deploy.read_wanted("dev")
    assert wanted == {
        "architecture": "arm64",
        "models": {
            "again": {"source": "sentiment", "models_dir": None},
            "elsewhere": {"source": "sentiment", "models_dir": str(ROOT / "worker" / "models")},
            "sentiment": {"source": "sentiment", "models_dir": None},
        },
    }
