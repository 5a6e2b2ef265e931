"""Where a deployment is said to answer, and what to type next."""

from pathlib import Path
from typing import Any

import pytest

from scripts.deployment import terraform
from scripts.local import emulator
from scripts.local.emulator import Emulator
from scripts.operate import endpoint

OUTPUTS = {"api_id": "abc", "api_url": "https://abc.execute-api.us-east-1.amazonaws.com/", "default_model": "sentiment"}


@pytest.fixture
def outputs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, Any]:
    outputs: dict[str, Any] = dict(OUTPUTS)
    monkeypatch.setattr(terraform, "outputs", lambda environment: outputs)
    monkeypatch.setattr(emulator, "current", lambda: Emulator(4999, tmp_path))
    return outputs


def test_what_answers_here_is_the_emulator(outputs: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    endpoint.print_next("local")
    shown = capsys.readouterr().out
    assert 'curl -i http://127.0.0.1:4999/_aws/execute-api/abc/predict -d \'{"text": ' in shown
    assert 'make predict TEXT="' in shown
    assert "amazonaws.com" not in shown


def test_another_model_than_the_demos_is_asked_with_an_input_of_its_own(
    outputs: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    outputs["default_model"] = "mine"
    endpoint.print_next("dev")
    shown = capsys.readouterr().out
    assert "make predict INPUT='{" in shown
    assert "ENV=dev" in shown
    assert "Base URL     https://abc.execute-api.us-east-1.amazonaws.com\n" in shown
