"""What an AWS error says to a user of the tools: one line that names the thing and the remedy."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from botocore import exceptions

from inference.errors import Unavailable
from scripts.aws_errors import describe_aws_error
from scripts.console import run
from scripts.deployment import aws_session, terraform


def rejected(code: str) -> exceptions.ClientError:
    return exceptions.ClientError({"Error": {"Code": code, "Message": "no"}}, "GetQueueUrl")


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (exceptions.NoCredentialsError(), "no AWS credentials were found"),
        (exceptions.NoRegionError(), "set AWS_REGION"),
        (exceptions.ProfileNotFound(profile="prod"), "(prod) could not be found: correct AWS_PROFILE"),
        (exceptions.UnauthorizedSSOTokenError(), "expired"),
        (exceptions.SSOTokenLoadError(error_msg="x", profile_name="p"), "aws sso login"),
        (exceptions.EndpointConnectionError(endpoint_url="https://sqs"), "AWS does not answer"),
        (rejected("ExpiredTokenException"), "have expired"),
        (rejected("InvalidClientTokenId"), "does not accept the credentials"),
        (rejected("AccessDeniedException"), "lack a permission"),
        (rejected("QueueDoesNotExist"), "QueueDoesNotExist"),
        (exceptions.ParamValidationError(report="x\ny"), "x y"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_each_error_is_one_line(error: Exception, said: str) -> None:
    assert said in describe_aws_error(error)
    assert "\n" not in describe_aws_error(error)


def test_an_aws_file_that_cannot_be_parsed_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "config"
    config.write_text("[default\nregion = eu-west-1\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    monkeypatch.setattr(terraform, "environment_env", lambda name: dict(os.environ))

    def main() -> int:
        aws_session.client("dev", "logs", {"queue_urls": {"a": "https://sqs.eu-west-1.amazonaws.com/1/a"}})
        return 0

    with pytest.raises(SystemExit) as ended:
        run(main)
    assert ended.value.code == 1
    line = f"error: the AWS file {config} can't be parsed: correct it, or set AWS_CONFIG_FILE\n"
    assert capsys.readouterr().err == line


@pytest.mark.parametrize(
    ("url", "region"),
    [
        ("https://sqs.eu-central-1.amazonaws.com/1/a", "eu-central-1"),
        ("https://sqs.cn-north-1.amazonaws.com.cn/1/a", "cn-north-1"),
        ("https://sqs.eusc-de-east-1.amazonaws.eu/1/a", "eusc-de-east-1"),
        ("http://127.0.0.1:4566/1/a", None),
    ],
)
def test_the_region_is_the_deployments(url: str, region: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    assert aws_session.region_of({"queue_urls": {"a": url}}) == region
    if region is None:
        return
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-west-2")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "a")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "b")
    monkeypatch.setattr(terraform, "environment_env", lambda name: dict(os.environ))
    client = aws_session.client("dev", "logs", {"queue_urls": {"a": url}})
    assert client.meta.region_name == region


def test_the_emulators_client_sees_no_file_and_no_profile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = tmp_path / "config"
    config.write_text("[default]\nignore_configured_endpoint_urls = true\nuse_fips_endpoint = true\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    monkeypatch.setenv("AWS_PROFILE", "no-such-profile")
    env = {"AWS_CONFIG_FILE": os.devnull, "AWS_ENDPOINT_URL": "http://127.0.0.1:4999", "AWS_REGION": "us-east-1"}
    keys = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
    monkeypatch.setattr(terraform, "environment_env", lambda name: env | keys)
    before = dict(os.environ)
    client = aws_session.client("local", "logs", {})
    assert client.meta.endpoint_url == "http://127.0.0.1:4999"
    assert dict(os.environ) == before


def test_an_error_of_an_adapter_says_what_its_cause_is() -> None:
    def unavailable(cause: Exception | None) -> Unavailable:
        error = Unavailable("could not ask https://sqs/q for its length: no")
        error.__cause__ = cause
        return error

    assert "have expired" in describe_aws_error(unavailable(rejected("ExpiredTokenException")))
    assert (
        describe_aws_error(unavailable(rejected("QueueDoesNotExist")))
        == "could not ask https://sqs/q for its length: no"
    )
    assert describe_aws_error(unavailable(None)) == "could not ask https://sqs/q for its length: no"
