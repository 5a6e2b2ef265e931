"""Settings of the functions, read from the environment once, at cold start, by each function's main module.

All missing and bad settings are reported in one error.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from inference.errors import ConfigurationError
from inference.webhooks.options import WebhookOptions

if TYPE_CHECKING:
    from inference.intake.triggers import Trigger

GZIP_IN_BASE64 = "H4sI"
"""How a value begins that Terraform has compressed, since it would not fit: no JSON begins like this."""


def _json(text: str) -> Any:
    if text.startswith(GZIP_IN_BASE64):
        import binascii  # where a deployment has many models
        import zlib

        try:
            text = zlib.decompress(binascii.a2b_base64(text), wbits=31).decode()
        except zlib.error as error:
            raise ValueError(f"not compressed text: {error}") from error
    return json.loads(text)


def _texts(text: str) -> Mapping[str, str]:
    value = _json(text)
    if not isinstance(value, dict) or not all(isinstance(each, str) for each in value.values()):
        raise ValueError("not a JSON object of model name to text")
    return value


def _models(text: str) -> Mapping[str, str]:
    """Model name -> source; where many models are compressed, no source stands for the model's own name."""
    models = _texts(text)
    if not models:
        raise ValueError("names no model")
    return {name: source or name for name, source in models.items()}


def _numbers(text: str) -> Mapping[str, int]:
    value = _json(text)
    if not isinstance(value, dict) or not all(type(each) is int for each in value.values()):
        raise ValueError("not a JSON object of model name to whole number")
    return value


def _pools(text: str) -> Mapping[str, str]:
    """A JSON object of pool name to the names of its models, read as model name -> pool name."""
    value = _json(text)
    if not isinstance(value, dict) or not all(isinstance(names, list) for names in value.values()):
        raise ValueError("not a JSON object of pool name to model names")
    return {str(name): pool for pool, names in value.items() for name in names}


def _backends(text: str) -> Mapping[str, Mapping[str, Any]]:
    value = json.loads(text)
    if not isinstance(value, dict) or not all(isinstance(each, dict) for each in value.values()):
        raise ValueError("not a JSON object of model name to settings")
    return value


def _positive(text: str) -> int:
    value = int(text)
    if value <= 0:
        raise ValueError("not a positive number")
    return value


def _not_negative(text: str) -> int:
    value = int(text)
    if value < 0:
        raise ValueError("not zero or a positive number")
    return value


def _log_level(text: str) -> str:
    if text not in logging.getLevelNamesMapping():
        raise ValueError("not a log level")
    return text


def _digest(text: str) -> str:
    if not text.startswith("sha256:") or len(text) != 71:
        raise ValueError("not sha256: and 64 hex digits")
    return text


def _caller_identity(text: str) -> str:
    if text not in ("role", "session"):
        raise ValueError("neither role nor session")
    return text


class Deployed(NamedTuple):
    """What a description of the API says of this deployment.

    Attributes:
        authorizer: its type, such as `AWS_IAM`.
        without: paths whose routes are switched off.
        open_paths: paths that need no credentials here, beside those that openapi.json asks none for.
        memory_mb: model name -> its worker's memory, where that is not what the manifest says.
        architecture: of the workers, as in prices: `x86_64` or `arm64`.
        sync: names of the models that have synchronous routes, too.
    """

    authorizer: str
    without: Sequence[str]
    open_paths: Sequence[str]
    memory_mb: Mapping[str, int]
    architecture: str
    sync: Sequence[str]


def _deployed(text: str) -> Deployed:
    value = _json(text)
    if not isinstance(value, dict) or value.keys() != set(Deployed._fields):
        raise ValueError(f"not a JSON object of {', '.join(Deployed._fields)}")
    return Deployed(**value)


def _triggers(text: str) -> Mapping[str, Trigger]:
    from inference.intake.triggers import triggers_of  # which few functions need

    return triggers_of(text)


def _webhooks(text: str) -> WebhookOptions:
    value = json.loads(text)
    if not isinstance(value, dict) or not value.keys() <= set(WebhookOptions._fields):
        raise ValueError(f"not a JSON object with {' and '.join(WebhookOptions._fields)}")
    return WebhookOptions(**value)


class Setting(NamedTuple):
    """How a setting is read: from its text, and what it is where the variable is missing; None: it must be there."""

    parse: Callable[[str], Any]
    default: Callable[[], Any] | None = None


def _setting(parse: Callable[[str], Any] = str) -> Any:
    return Setting(parse)


def _optional(parse: Callable[[str], Any], default: Callable[[], Any]) -> Any:
    return Setting(parse, default)


class Settings:
    """What every function needs. A subclass's attribute `queue_url` is the variable `QUEUE_URL`.

    No data class: making sixteen of them takes a tenth of the api function's start.
    """

    log_level: str = _setting(_log_level)

    @classmethod
    def declared(cls) -> dict[str, Setting]:
        """The settings by name."""
        classes = reversed(cls.__mro__)
        return {name: value for each in classes for name, value in vars(each).items() if isinstance(value, Setting)}

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Self:
        """Read the settings.

        Raises:
            ConfigurationError: names every variable that is missing or can't be parsed.
        """
        values: dict[str, Any] = {}
        problems = []
        for name, setting in cls.declared().items():
            variable = name.upper()
            text = environment.get(variable, "")
            if not text:
                if setting.default is None:
                    problems.append(f"{variable} is missing")
                else:
                    values[name] = setting.default()
                continue
            try:
                values[name] = setting.parse(text)
            except ValueError as error:
                problems.append(f"{variable} is '{text[:80]}': {error}")
        if problems:
            raise ConfigurationError("; ".join(problems))
        settings = cls()
        vars(settings).update(values)
        return settings


class RequestSettings(Settings):
    """What every function needs that reads or writes requests.

    `metrics_environment`, which is optional, is the dimension `Environment` of the metrics; without it none is written.
    """

    request_table: str = _setting()
    metrics_environment: str = _optional(str, default=str)


class ApiSettings(RequestSettings):
    """Settings of the api function. Sizes in bytes, times in seconds.

    Attributes:
        pools: model name -> the pool that it is in.
        payload_bucket: its name.
        link_seconds: for how long the links to uploads and files are valid.
        max_batch_items: of one batch that is not from a file.
        batch_queue_url: the queue of the batches function.
        webhooks: None where the deployment has none.
    """

    models: Mapping[str, str] = _setting(_models)
    pools: Mapping[str, str] = _setting(_pools)
    default_model: str = _setting()
    queue_url_prefix: str = _setting()
    max_body_bytes: int = _setting(_positive)
    max_body_depth: int = _setting(_positive)
    max_attempts: int = _setting(_positive)
    request_deadline_seconds: int = _setting(_positive)
    retention_seconds: int = _setting(_positive)
    max_wait_seconds: int = _setting(_not_negative)
    caller_identity: str = _setting(_caller_identity)
    payload_bucket: str = _setting()
    link_seconds: int = _setting(_positive)
    max_upload_bytes: int = _setting(_positive)
    max_batch_items: int = _setting(_positive)
    batch_queue_url: str = _setting()
    deployed: Deployed = _setting(_deployed)
    webhooks: WebhookOptions | None = _optional(_webhooks, default=lambda: None)


class BatchesSettings(RequestSettings):
    """Settings of the batches function.

    Attributes:
        max_batch_lines: of the file of a batch.
        max_body_bytes, max_body_depth: of each line, as of an input that the api function takes.
    """

    models: Mapping[str, str] = _setting(_models)
    pools: Mapping[str, str] = _setting(_pools)
    default_model: str = _setting()
    queue_url_prefix: str = _setting()
    batch_queue_url: str = _setting()
    payload_bucket: str = _setting()
    max_batch_lines: int = _setting(_positive)
    max_body_bytes: int = _setting(_positive)
    max_body_depth: int = _setting(_positive)


class WorkerSettings(RequestSettings):
    """Settings of a worker.

    Attributes:
        models: model name -> source.
        pool: the pool that these are the models of; optional.
        payload_bucket: its name.
        code_digest: of the function's image or zip, `sha256:<hex>`.
        model_artifacts: model name -> the artifact in S3 that replaces the packaged one; optional.
    """

    models: Mapping[str, str] = _setting(_models)
    pool: str = _optional(str, default=str)
    queue_url: str = _setting()
    payload_bucket: str = _setting()
    code_digest: str = _setting(_digest)
    model_artifacts: Mapping[str, str] = _optional(_texts, default=dict)
    retry_base_seconds: int = _setting(_not_negative)
    retry_max_seconds: int = _setting(_not_negative)


class SyncSettings(Settings):
    """Settings of a synchronous function. Sizes in bytes.

    Attributes:
        models: model name -> source.
        model_artifacts: as a worker's.
        max_body_bytes, max_body_depth: of an input, and of a batch, as of an input that the api function takes.
        max_batch_items: of a batch; by default the model's own batch_size.
    """

    models: Mapping[str, str] = _setting(_models)
    model_artifacts: Mapping[str, str] = _optional(_texts, default=dict)
    max_body_bytes: int = _setting(_positive)
    max_body_depth: int = _setting(_positive)
    max_batch_items: int | None = _optional(_positive, default=lambda: None)


class ServerSettings(SyncSettings):
    """Settings of the server, which is the synchronous function's app outside Lambda.

    Attributes:
        host, port: where it listens.
        timeout_seconds: of one call.
        max_waiting: calls that may wait while one is predicted.
        async_url: base URL of the asynchronous API with the same models; empty: there is none.
    """

    host: str = _setting()
    port: int = _setting(_not_negative)
    timeout_seconds: int = _setting(_positive)
    max_waiting: int = _setting(_not_negative)
    async_url: str = _optional(str, default=str)


class DispatcherSettings(RequestSettings):
    """Settings of a dispatcher: of a worker whose model runs at a GPU provider.

    Attributes:
        models, queue_url, payload_bucket, code_digest, retry_base_seconds, retry_max_seconds: as of a worker.
        backends: model name -> its `backend` settings.
        api_url: the API's, which providers call; empty where none of them does.
    """

    models: Mapping[str, str] = _setting(_models)
    backends: Mapping[str, Mapping[str, Any]] = _setting(_backends)
    queue_url: str = _setting()
    payload_bucket: str = _setting()
    code_digest: str = _setting(_digest)
    api_url: str = _optional(str, default=str)
    retry_base_seconds: int = _setting(_not_negative)
    retry_max_seconds: int = _setting(_not_negative)


class CallbacksSettings(RequestSettings):
    """Settings of the callbacks function; `models` and `backends` as of a dispatcher, of all models that have one."""

    models: Mapping[str, str] = _setting(_models)
    backends: Mapping[str, Mapping[str, Any]] = _setting(_backends)
    payload_bucket: str = _setting()


class DeadLettersSettings(RequestSettings):
    """Settings of the dead_letters function."""

    models: Mapping[str, str] = _setting(_models)
    pools: Mapping[str, str] = _setting(_pools)
    worker_log_group_prefix: str = _setting()


class SweeperSettings(RequestSettings):
    """Settings of the sweeper. `sweep_grace_seconds`: the time without activity before a request can be ended as
    lost. `webhook_queue_url`: the deliverer's queue; empty where the deployment has no webhooks."""

    models: Mapping[str, str] = _setting(_models)
    pools: Mapping[str, str] = _setting(_pools)
    queue_url_prefix: str = _setting()
    sweep_grace_seconds: int = _setting(_positive)
    webhook_queue_url: str = _optional(str, default=str)


class RelaySettings(RequestSettings):
    """Settings of the relay."""

    webhook_queue_url: str = _setting()


class DelivererSettings(RequestSettings):
    """Settings of the deliverer.

    Attributes:
        payload_bucket, link_seconds: as the api function has them.
        webhook_secret_arn: of the secret in Secrets Manager, or of the parameter in SSM.
        webhooks: what the api function has, too.
    """

    payload_bucket: str = _setting()
    link_seconds: int = _setting(_positive)
    webhook_queue_url: str = _setting()
    webhook_dead_letter_queue_url: str = _setting()
    webhook_secret_arn: str = _setting()
    webhooks: WebhookOptions = _setting(_webhooks)
    pools: Mapping[str, str] = _setting(_pools)


class IntakeSettings(RequestSettings):
    """Settings of the intake.

    Attributes:
        triggers: by name.
        intake_queue_url: the queue of the events.
        memory_mb: model name -> its worker's memory, where that is not what the manifest says.
        webhooks, and the limits: what the api function has, too.
    """

    models: Mapping[str, str] = _setting(_models)
    pools: Mapping[str, str] = _setting(_pools)
    default_model: str = _setting()
    queue_url_prefix: str = _setting()
    payload_bucket: str = _setting()
    max_attempts: int = _setting(_positive)
    request_deadline_seconds: int = _setting(_positive)
    retention_seconds: int = _setting(_positive)
    triggers: Mapping[str, Trigger] = _setting(_triggers)
    intake_queue_url: str = _setting()
    memory_mb: Mapping[str, int] = _setting(_numbers)
    webhooks: WebhookOptions | None = _optional(_webhooks, default=lambda: None)


class ResultsSettings(RequestSettings):
    """Settings of the results function. `triggers`: those of the intake."""

    payload_bucket: str = _setting()
    triggers: Mapping[str, Trigger] = _setting(_triggers)


class AuthorizerSettings(Settings):
    """Settings of the authorizer. `key_table`: the table of the API keys."""

    key_table: str = _setting()
