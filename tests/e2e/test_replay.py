"""An operator's day: requests fail, the model is repaired, the requests are replayed under their ids."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest

from scripts.deployment import terraform
from scripts.local.emulator import Emulator
from scripts.operate import dead_letters
from tests.e2e.control import Control
from tests.e2e.deployment import Deployment
from tests.e2e.http_client import Api
from tests.e2e.test_faults import right_answer

MODEL = "deliveries"

Command = Callable[..., tuple[int, str]]


@pytest.fixture
def command(
    deployment: Deployment,
    control: Control,
    emulator: Emulator,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Command:
    """Run scripts/operate/dead_letters.py on this deployment: its exit code and what it printed."""
    monkeypatch.setattr(terraform, "outputs", lambda _: deployment.outputs)
    monkeypatch.setattr(terraform, "environment_env", lambda _: emulator.env)

    def run(*arguments: str) -> tuple[int, str]:
        monkeypatch.setattr("sys.argv", ["dead_letters", *arguments])
        code = dead_letters.main()
        return code, capsys.readouterr().out

    return run


@pytest.mark.parametrize(("kind", "code"), [("exception", "model_error"), ("sigkill", "crashed")])
def test_a_failed_request_is_replayed_under_its_id(
    kind: str, code: str, api: Api, control: Control, command: Command, tmp_path: Path
) -> None:
    repaired = tmp_path / "repaired"
    text = f"to be repaired {uuid.uuid4()}"
    fault = {"point": "during_predict", "kind": kind, "until": str(repaired)}
    request_id = api.accepted({"text": text, "fault": fault}, model=MODEL)
    outcome = api.outcome(request_id, 90)
    assert (outcome["status"], outcome["error"]["code"], outcome["attempts"]) == ("failed", code, 3)
    control.drained(MODEL)

    _, listed = command("list", "--json", "--model", MODEL)
    assert request_id in [json.loads(line)["request_id"] for line in listed.splitlines()]
    _, shown = command("show", request_id)
    assert json.loads(shown)["input"]["text"] == text

    repaired.touch()
    assert command("replay", request_id) == (0, f"{request_id}  replayed\n")
    outcome = api.outcome(request_id)
    assert (outcome["status"], outcome["attempts"], outcome["error"]) == ("succeeded", 4, None)
    assert outcome["result"] == right_answer(text)
    assert command("replay", request_id) == (0, f"{request_id}  nothing to do: succeeded\n")
    control.drained(MODEL)
    assert api.status(request_id).body == outcome


def test_what_is_purged_cannot_be_replayed(api: Api, control: Control, command: Command) -> None:
    fault = {"point": "during_predict", "kind": "exception"}
    request_id = api.accepted({"text": f"hopeless {uuid.uuid4()}", "fault": fault}, model=MODEL)
    outcome = api.outcome(request_id, 60)
    assert command("purge", request_id) == (0, f"{request_id}  purged\n")
    code, said = command("replay", request_id)
    assert (code, "its input was not kept" in said) == (0, True)
    assert api.status(request_id).body == outcome
    assert command("replay", "--all", "--model", "nothing")[0] == 0
    assert command("replay", "unknown")[0] == 3
