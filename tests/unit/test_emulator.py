"""Finding our own emulator again, and never touching a process that is not ours."""

import os
import socket
from pathlib import Path
from typing import Any

import pytest

from scripts.console import CommandError
from scripts.local import emulator as module
from scripts.local.emulator import Emulator, current


def pretend_running(monkeypatch: pytest.MonkeyPatch, emulator: Emulator, *, command: str, pid: int = 4_000_000) -> None:
    """Write the files of a running emulator, with a process of that command line."""
    emulator.folder.mkdir(parents=True, exist_ok=True)
    (emulator.folder / "pid").write_text(str(pid))
    (emulator.folder / "port").write_text(str(emulator.port))
    monkeypatch.setattr(module, "_command_line", lambda asked: command if asked == pid else "")


def test_a_pid_that_another_program_has_now_is_not_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    emulator = Emulator(4999, tmp_path)
    pretend_running(monkeypatch, emulator, command="vim notes.txt")
    killed: list[Any] = []
    monkeypatch.setattr(os, "kill", lambda *arguments: killed.append(arguments))
    monkeypatch.setattr(os, "killpg", lambda *arguments: killed.append(arguments))
    assert emulator.pid is None
    assert emulator.stop() is False
    assert killed == []
    assert not (tmp_path / "pid").exists()


def test_the_command_line_of_a_real_process_is_read() -> None:
    assert "pytest" in module._command_line(os.getpid())
    assert module._command_line(2**22 + 1) == ""


def test_it_is_found_again_on_the_port_it_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "emulator"
    monkeypatch.setattr(Emulator.__init__, "__defaults__", (4566, folder))
    monkeypatch.delenv("EMULATOR_PORT", raising=False)
    assert current().port == 4566
    pretend_running(monkeypatch, Emulator(4999, folder), command=f"python emulator serve --folder {folder}")
    assert current().port == 4999
    monkeypatch.setenv("EMULATOR_PORT", "4999")
    assert current().port == 4999


def test_whoever_asks_on_another_port_is_told_the_right_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Emulator.__init__, "__defaults__", (4566, tmp_path))
    pretend_running(monkeypatch, Emulator(4999, tmp_path), command=f"serve --folder {tmp_path}")
    monkeypatch.setenv("EMULATOR_PORT", "5000")
    with pytest.raises(CommandError, match="is running on port 4999, not 5000: unset EMULATOR_PORT"):
        current()


def test_another_port_than_the_running_one_is_rejected(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pretend_running(monkeypatch, Emulator(4999, tmp_path), command=f"serve --folder {tmp_path}")
    with pytest.raises(CommandError, match="is running on port 4999, not 5000"):
        Emulator(5000, tmp_path).start()


def test_a_taken_port_is_named_with_the_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_port_is_free", lambda port: False)
    with pytest.raises(CommandError, match=r"^port 4566 is in use .* EMULATOR_PORT=4666$"):
        Emulator(4566, tmp_path).start()


def test_a_missing_installation_is_named_with_the_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(CommandError, match="run `make venv`"):
        Emulator(4566, tmp_path).start()


@pytest.mark.parametrize("port", ["http", "0", "65536", "-1"])
def test_a_wrong_port_is_named(monkeypatch: pytest.MonkeyPatch, port: str) -> None:
    monkeypatch.setenv("EMULATOR_PORT", port)
    with pytest.raises(CommandError, match=f"EMULATOR_PORT={port} "):
        current()


def test_clients_get_no_setting_of_a_real_account(tmp_path: Path) -> None:
    real = {"AWS_PROFILE": "prod", "AWS_SESSION_TOKEN": "t", "AWS_ENDPOINT_URL_SQS": "https://x", "HOME": "/h"}
    env = Emulator(4999, tmp_path).client_env(real)
    assert {name: value for name, value in env.items() if name.startswith("AWS_")} == {
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_ENDPOINT_URL": "http://127.0.0.1:4999",
        "AWS_REGION": "us-east-1",
    }
    assert env["HOME"] == "/h"
    assert "127.0.0.1" in env["NO_PROXY"]


def test_the_server_is_on_loopback_enforces_iam_and_sees_no_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "real")
    monkeypatch.setenv("PYTHONPATH", "lambda")
    monkeypatch.setenv("GITHUB_TOKEN", "real")
    env = Emulator(4999, tmp_path, settings={"LAMBDA_WARM_TTL_SECONDS": "5"})._server_env()
    assert (env["BIND_HOST"], env["AUTH"], env["GATEWAY_PORT"]) == ("127.0.0.1", "true", "4999")
    assert env["AWS_SECRET_ACCESS_KEY"] == "test"
    assert env["AWS_CONFIG_FILE"] == env["AWS_SHARED_CREDENTIALS_FILE"] == os.devnull, "HOME has the user's own"
    assert env["LAMBDA_WARM_TTL_SECONDS"] == "5"
    assert not {"PYTHONPATH", "GITHUB_TOKEN"} & env.keys()
    for name in ("TMPDIR", "S3_DATA_DIR", "STATE_DIR"):
        assert Path(env[name]).is_relative_to(tmp_path)


def test_unit_tests_have_no_sockets() -> None:
    with pytest.raises((RuntimeError, UserWarning), match="tried to use socket"):
        socket.socket()
