"""Settings: everything that is missing or bad, in one message."""

import base64
import gzip
import json

import pytest

from inference.errors import ConfigurationError
from inference.settings import (
    ApiSettings,
    DeadLettersSettings,
    Deployed,
    RequestSettings,
    SweeperSettings,
    WorkerSettings,
)
from scripts.stack_defaults import DEPLOYED

API = {
    "REQUEST_TABLE": "t",
    "MODELS": '{"sentiment": "sentiment", "fast": "sentiment"}',
    "POOLS": '{"small": ["fast"]}',
    "DEFAULT_MODEL": "sentiment",
    "QUEUE_URL_PREFIX": "https://sqs/1/p-",
    "LOG_LEVEL": "INFO",
    "MAX_BODY_BYTES": "1000",
    "MAX_BODY_DEPTH": "10",
    "MAX_ATTEMPTS": "3",
    "REQUEST_DEADLINE_SECONDS": "60",
    "RETENTION_SECONDS": "120",
    "MAX_WAIT_SECONDS": "0",
    "CALLER_IDENTITY": "role",
    "PAYLOAD_BUCKET": "p-payloads",
    "LINK_SECONDS": "900",
    "MAX_UPLOAD_BYTES": "5000",
    "MAX_BATCH_ITEMS": "20",
    "BATCH_QUEUE_URL": "https://sqs/batches",
    "DEPLOYED": json.dumps(DEPLOYED),
}
WORKER = {
    "REQUEST_TABLE": "t",
    "MODELS": '{"m": "s"}',
    "QUEUE_URL": "u",
    "PAYLOAD_BUCKET": "p-payloads",
    "CODE_DIGEST": "sha256:" + 64 * "c",
    "LOG_LEVEL": "INFO",
    "RETRY_BASE_SECONDS": "2",
    "RETRY_MAX_SECONDS": "300",
}


def test_the_settings_of_the_api() -> None:
    settings = ApiSettings.from_environment(API)
    assert settings.models == {"sentiment": "sentiment", "fast": "sentiment"}
    assert settings.pools == {"fast": "small"}
    assert (settings.max_body_bytes, settings.max_body_depth, settings.max_attempts) == (1000, 10, 3)
    assert (settings.payload_bucket, settings.link_seconds, settings.max_upload_bytes) == ("p-payloads", 900, 5000)
    assert settings.max_batch_items == 20
    assert (settings.request_deadline_seconds, settings.retention_seconds) == (60, 120)
    assert settings.log_level == "INFO"
    assert settings.deployed == Deployed("NONE", [], [], {}, "x86_64", [])


@pytest.mark.parametrize("text", ["[]", "{}", '{"authorizer": "NONE"}'])
def test_what_is_deployed_must_be_whole(text: str) -> None:
    with pytest.raises(ConfigurationError, match=r"DEPLOYED is .*not a JSON object of authorizer, without"):
        ApiSettings.from_environment(API | {"DEPLOYED": text})


def test_values_are_parsed() -> None:
    settings = WorkerSettings.from_environment(
        WORKER | {"RETRY_BASE_SECONDS": "7", "MODEL_ARTIFACTS": '{"m": "s3://b/k"}'}
    )
    assert (settings.retry_base_seconds, settings.retry_max_seconds) == (7, 300)
    assert (settings.models, settings.model_artifacts) == ({"m": "s"}, {"m": "s3://b/k"})


def test_a_retry_without_a_pause_is_allowed_as_in_terraform() -> None:
    settings = WorkerSettings.from_environment(WORKER | {"RETRY_BASE_SECONDS": "0", "RETRY_MAX_SECONDS": "0"})
    assert (settings.retry_base_seconds, settings.retry_max_seconds) == (0, 0)


def test_everything_that_is_missing_is_named_at_once() -> None:
    with pytest.raises(ConfigurationError) as error:
        ApiSettings.from_environment({})
    for name in API:
        assert f"{name} is missing" in str(error.value)


def test_an_artifact_of_its_own_may_be_missing() -> None:
    assert WorkerSettings.from_environment(WORKER).model_artifacts == {}


def test_an_empty_value_is_missing() -> None:
    with pytest.raises(ConfigurationError, match=r"^REQUEST_TABLE is missing$"):
        RequestSettings.from_environment({"REQUEST_TABLE": "", "LOG_LEVEL": "INFO"})


def test_missing_and_bad_ones_together() -> None:
    bad = {"QUEUE_URL": "", "RETRY_BASE_SECONDS": "soon", "RETRY_MAX_SECONDS": "-1", "LOG_LEVEL": "loud"}
    environment = WORKER | bad
    with pytest.raises(ConfigurationError) as error:
        WorkerSettings.from_environment(environment)
    for text in ("QUEUE_URL is missing", "RETRY_BASE_SECONDS is 'soon'", "RETRY_MAX_SECONDS is '-1'", "LOG_LEVEL is"):
        assert text in str(error.value)


@pytest.mark.parametrize("digest", ["c" * 64, "sha256:c", "latest"])
def test_a_code_digest_is_one(digest: str) -> None:
    with pytest.raises(ConfigurationError, match="CODE_DIGEST"):
        WorkerSettings.from_environment(WORKER | {"CODE_DIGEST": digest})


@pytest.mark.parametrize("models", ["x", "[]", '{"a": 1}', "null"])
def test_bad_models(models: str) -> None:
    with pytest.raises(ConfigurationError, match="MODELS"):
        ApiSettings.from_environment(API | {"MODELS": models})


@pytest.mark.parametrize("name", ["MAX_BODY_BYTES", "MAX_ATTEMPTS", "REQUEST_DEADLINE_SECONDS"])
@pytest.mark.parametrize("value", ["0", "-1", "1.5", "x"])
def test_limits_are_positive_whole_numbers(name: str, value: str) -> None:
    with pytest.raises(ConfigurationError, match=name):
        ApiSettings.from_environment(API | {name: value})


def test_whose_an_assumed_roles_request_is() -> None:
    assert ApiSettings.from_environment(API).caller_identity == "role"
    assert ApiSettings.from_environment(API | {"CALLER_IDENTITY": "session"}).caller_identity == "session"
    with pytest.raises(ConfigurationError, match="CALLER_IDENTITY is 'user': neither role nor session"):
        ApiSettings.from_environment(API | {"CALLER_IDENTITY": "user"})


def test_the_other_functions() -> None:
    environment = API | {"WORKER_LOG_GROUP_PREFIX": "/aws/lambda/p-worker-", "SWEEP_GRACE_SECONDS": "900"}
    assert DeadLettersSettings.from_environment(environment).worker_log_group_prefix == "/aws/lambda/p-worker-"
    assert SweeperSettings.from_environment(environment).sweep_grace_seconds == 900


def test_what_terraform_compressed_is_read_like_plain_json() -> None:
    names = [f"model-{number:03}" for number in range(200)]
    models = {name: name for name in names} | {"fast": "sentiment"}
    packed = {
        "MODELS": _packed(dict.fromkeys(names, "") | {"fast": "sentiment"}),
        "POOLS": _packed({"small": ["model-001"]}),
        "DEPLOYED": _packed(DEPLOYED),
        "DEFAULT_MODEL": "model-000",
    }
    settings = ApiSettings.from_environment(API | packed)
    assert (settings.models, settings.pools) == (models, {"model-001": "small"})
    assert settings.deployed == Deployed(**DEPLOYED)


@pytest.mark.parametrize("text", ["H4sI", "H4sIAAAA", "H4sI not base64!", "H4sIAAAAAAAC/wMAAAAAAAAAAAA="])
def test_a_compressed_value_that_cannot_be_read_is_named(text: str) -> None:
    with pytest.raises(ConfigurationError, match="MODELS is 'H4sI"):
        ApiSettings.from_environment(API | {"MODELS": text})


def _packed(value: object) -> str:
    return base64.b64encode(gzip.compress(json.dumps(value).encode())).decode()
