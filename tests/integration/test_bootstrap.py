"""The bucket of the Terraform states: found if it exists, and named in backend.hcl, with a fake S3."""

from __future__ import annotations

from pathlib import Path

import boto3
import pytest

from scripts.console import CommandError
from scripts.deployment import bootstrap, preflight, terraform


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(terraform, "ENVIRONMENTS", tmp_path)
    (tmp_path / "dev").mkdir()
    return tmp_path / "dev"


def no_terraform(*_: object) -> int:
    raise AssertionError("the bucket exists: nothing is applied")


def test_a_second_person_only_gets_the_backend_file(
    on_moto: None, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "inference-terraform-123456789012-us-east-1"
    boto3.client("s3").create_bucket(Bucket=name)
    monkeypatch.setattr(bootstrap, "_apply", no_terraform)
    assert bootstrap.bootstrap("dev", None) == 0
    path = folder / "backend.hcl"
    expected = {"bucket": name, "key": "inference/dev.tfstate", "region": "us-east-1"}
    assert preflight.backend_settings(path) == expected
    terraform.check_backend(folder, "dev")
    path.write_text('bucket = "mine"\n')
    assert bootstrap.bootstrap("dev", None) == 0
    assert path.read_text() == 'bucket = "mine"\n', "it may name another bucket on purpose"


def test_a_bucket_that_does_not_exist_is_applied(on_moto: None, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    applied = []
    monkeypatch.setattr(bootstrap, "_apply", lambda environment, env, *given: applied.append(given) or 1)
    assert bootstrap.bootstrap("dev", "no-such-bucket") == 1
    assert applied == [("no-such-bucket", None)]
    assert not (folder / "backend.hcl").exists()


def test_an_unknown_environment_is_named(on_moto: None, folder: Path) -> None:
    with pytest.raises(CommandError, match="no environment staging"):
        bootstrap.bootstrap("staging", None)


def test_the_key_of_the_bucket_is_named_in_the_backend_file(on_moto: None, folder: Path) -> None:
    """By Terraform's own setting, else it asks S3 to encrypt the state by S3's own key, whatever the bucket says."""
    s3, key = boto3.client("s3"), "arn:aws:kms:us-east-1:123456789012:key/1"
    s3.create_bucket(Bucket="encrypted")
    rule = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key}}
    s3.put_bucket_encryption(Bucket="encrypted", ServerSideEncryptionConfiguration={"Rules": [rule]})
    with pytest.raises(CommandError, match="the bucket encrypted is not encrypted with another"):
        bootstrap.bootstrap("dev", "encrypted", "another")
    assert bootstrap.bootstrap("dev", "encrypted", key) == 0
    assert preflight.backend_settings(folder / "backend.hcl")["kms_key_id"] == key
