"""Terraform's known failures end with a remedy; unknown ones do not."""

import pytest

from scripts.deployment import terraform_errors


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("Error: Failed to query available provider packages", "TF_PROVIDER_MIRROR"),
        ("Error: No valid credential sources found", "AWS_PROFILE"),
        ("Error: Error acquiring the state lock", "locked"),
        ("Error: Error acquiring the state lock: open .terraform.tfstate.lock.info: permission denied", "writable"),
        ("dial tcp 127.0.0.1:4566: connect: connection refused", "emulator"),
        ("Error: Backend configuration changed", "-reconfigure"),
        ("Error: open x: read-only file system", "writable"),
        ("Error: creating Logs Group: ResourceAlreadyExistsException: The group already exists", "import --env dev"),
    ],
)
def test_known_failures_end_with_one_line_of_remedy(text: str, told: str) -> None:
    remedy = terraform_errors.remedy(text, "dev")
    assert remedy is not None
    assert told in remedy
    assert "\n" not in remedy


def test_what_exists_without_the_state_knowing_it_has_another_remedy_on_the_emulator() -> None:
    told = terraform_errors.remedy("Error: creating IAM Role (x): EntityAlreadyExists", "local")
    assert told is not None
    assert "`make down && make up`" in told
    assert "import" not in told


def test_an_unknown_failure_gets_no_invented_remedy() -> None:
    assert terraform_errors.remedy("Error: Unsupported argument", "dev") is None
