"""The smoke test at the end of a deployment: which input it sends, what it says, and its exit code."""

from __future__ import annotations

import functools
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx2
import pytest

from async_inference_client import Client
from scripts.console import CommandError
from scripts.deployment import smoke_test as command
from scripts.deployment import terraform
from scripts.deployment.environment_config import ConfiguredModel, EnvironmentConfig
from scripts.operate import endpoint
from tests.unit import client_plans
from tests.unit.client_plans import response

ACCEPTED = client_plans.accepted()


def status(name: str, **more: Any) -> httpx2.Response:
    return client_plans.status(name, **{"model_version": "1.0.0", "result": {"y": 1}} | more)


class Api:
    """Answers a client's calls from a list."""

    def __init__(self) -> None:
        self.answers: list[httpx2.Response] = []
        self.calls: list[tuple[str, str, bytes]] = []

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        self.calls.append((request.method, request.url.path, request.content))
        return self.answers.pop(0)


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Api:
    api = Api()
    transport = httpx2.MockTransport(api)
    monkeypatch.setattr(command, "Client", functools.partial(Client, transport=transport))
    monkeypatch.setattr(terraform, "outputs", lambda _: {"default_model": "first"})
    monkeypatch.setattr(endpoint, "base_url", lambda _: "https://api.test")
    monkeypatch.setattr(command, "_auth", lambda *_: None)
    return api


@pytest.fixture
def config(tmp_path: Path) -> EnvironmentConfig:
    names = ("first", "second")
    for name in names:
        (tmp_path / name / "tests").mkdir(parents=True)
        (tmp_path / name / "tests" / "input.json").write_text(json.dumps({"from": name}))
    return EnvironmentConfig("x86_64", {name: ConfiguredModel(name, tmp_path / name) for name in names}, "p")


def test_the_default_models_sample_is_sent_and_its_result_shown(
    api: Api, config: EnvironmentConfig, capsys: pytest.CaptureFixture[str]
) -> None:
    api.answers = [ACCEPTED, status("succeeded")]
    assert command.smoke_test("dev", config, None, 5) == 0
    assert api.calls == [("POST", "/predict/first", b'{"from":"first"}'), ("GET", "/status/r1", b"")]
    assert 'first 1.0.0 succeeded: {"y": 1}' in capsys.readouterr().err


def test_another_model_can_be_named(api: Api, config: EnvironmentConfig) -> None:
    api.answers = [ACCEPTED, status("succeeded")]
    assert command.smoke_test("dev", config, "second", 5) == 0
    assert api.calls[0] == ("POST", "/predict/second", b'{"from":"second"}')
    with pytest.raises(CommandError, match="no model third: its models are first, second"):
        command.smoke_test("dev", config, "third", 5)


def test_a_failed_request_is_said_with_its_reason_and_the_way_back(api: Api, config: EnvironmentConfig) -> None:
    error = {"code": "out_of_memory", "message": "The worker was killed."}
    api.answers = [ACCEPTED, status("failed", result=None, error=error)]
    with pytest.raises(CommandError, match=r"r1 of first failed: out_of_memory: The worker was killed\.") as failed:
        command.smoke_test("dev", config, None, 5)
    assert "`make rollback ENV=dev MODEL=first` goes back" in str(failed.value)


def test_a_pools_model_is_rolled_back_with_its_pool(api: Api, config: EnvironmentConfig) -> None:
    first = replace(config.models["first"], pool="trials")
    error = {"code": "model_error", "message": "no"}
    api.answers = [ACCEPTED, status("failed", result=None, error=error)]
    with pytest.raises(CommandError, match="`make rollback ENV=dev POOL=trials` goes back"):
        command.smoke_test("dev", replace(config, models={"first": first}), None, 5)


def test_a_request_that_does_not_end_fails_at_the_deadline(api: Api, config: EnvironmentConfig) -> None:
    api.answers = [ACCEPTED, *[status("pending")] * 2]
    with pytest.raises(CommandError, match=r"smoke test of dev failed: r1 is not done after 0 s.*docs/deploy.md"):
        command.smoke_test("dev", config, None, 0)


def test_a_caller_who_is_not_accepted_is_not_told_to_roll_back(api: Api, config: EnvironmentConfig) -> None:
    api.answers = [response(401, {"message": "Unauthorized"})]
    with pytest.raises(CommandError, match=r"does not accept this caller.*API_KEY.*API_TOKEN") as failed:
        command.smoke_test("dev", config, None, 5)
    assert "oll back" not in str(failed.value)


@pytest.mark.parametrize(
    ("variable", "header", "value"), [("API_TOKEN", "Authorization", "Bearer t"), ("API_KEY", "X-Api-Key", "t")]
)
def test_the_credential_is_sent(monkeypatch: pytest.MonkeyPatch, variable: str, header: str, value: str) -> None:
    monkeypatch.setenv(variable, "t")
    auth = command._auth("dev", {})
    assert auth is not None
    (sent,) = auth.sync_auth_flow(httpx2.Request("GET", "https://api.test"))
    assert sent.headers[header] == value


@pytest.mark.parametrize(("schema", "found"), [({"examples": [{"x": 1}, {}]}, [{"x": 1}]), ({}, None)])
def test_the_manifests_first_example_is_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, schema: dict[str, Any], found: list[Any] | None
) -> None:
    monkeypatch.setattr(command, "read_manifest", lambda _: {"input_schema": schema})
    assert command.sample_input(tmp_path) == found


def test_without_a_sample_it_is_skipped_and_said(
    api: Api, config: EnvironmentConfig, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command, "sample_input", lambda _: None)
    assert command.smoke_test("dev", config, None, 5) == 0
    assert api.calls == []
    assert "skipped" in capsys.readouterr().err
