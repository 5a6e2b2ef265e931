"""The bucket of the Terraform states, created on the emulator by the command."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import boto3
import pytest

from scripts.deployment import bootstrap, terraform
from scripts.local import emulator as emulators
from scripts.local.emulator import Emulator

BUCKET = "states-of-this-test"


@pytest.fixture
def command(tmp_path: Path, emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The command, with a copy of the folder and this session's emulator. Returns the copy."""
    folder = tmp_path / "bootstrap"
    shutil.copytree(bootstrap.FOLDER, folder, ignore=shutil.ignore_patterns(".terraform*", "*.tfstate*", "tests"))
    monkeypatch.setattr(bootstrap, "FOLDER", folder)
    monkeypatch.setattr(emulators, "current", lambda: emulator)
    return folder


def test_the_bucket_is_versioned_encrypted_private_and_stays(
    command: Path, emulator: Emulator, capfd: pytest.CaptureFixture[str]
) -> None:
    assert bootstrap.bootstrap("local", BUCKET) == 0
    assert capfd.readouterr().out.splitlines()[-1] == BUCKET
    s3 = boto3.client(
        "s3",
        endpoint_url=emulator.endpoint,
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )
    assert s3.get_bucket_versioning(Bucket=BUCKET)["Status"] == "Enabled"
    (rule,) = s3.get_bucket_encryption(Bucket=BUCKET)["ServerSideEncryptionConfiguration"]["Rules"]
    assert rule["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"] == "AES256"
    assert set(s3.get_public_access_block(Bucket=BUCKET)["PublicAccessBlockConfiguration"].values()) == {True}
    (statement,) = json.loads(s3.get_bucket_policy(Bucket=BUCKET)["Policy"])["Statement"]
    assert (statement["Effect"], statement["Condition"]) == ("Deny", {"Bool": {"aws:SecureTransport": "false"}})

    assert "No changes." in _terraform("plan", "-no-color", f"-var=bucket={BUCKET}").stdout
    destroyed = _terraform("destroy", "-auto-approve", "-no-color")
    assert destroyed.returncode != 0
    assert "prevent_destroy" in destroyed.stderr
    s3.head_bucket(Bucket=BUCKET)


def _terraform(*arguments: str) -> Any:
    return subprocess.run(
        [terraform.terraform_binary(), f"-chdir={bootstrap.FOLDER}", *arguments],
        env=bootstrap._with_data("local", terraform.environment_env("local")),
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
