"""What of the caller's shell reaches Terraform and AWS clients."""

from __future__ import annotations

import ast
import os
from pathlib import Path

import pytest

from scripts.console import ROOT, CommandError
from scripts.deployment import shell, terraform
from scripts.local.emulator import Emulator

HOSTILE = {
    "AWS_PROFILE": "prod",
    "AWS_CONFIG_FILE": "/home/me/.aws/config",
    "AWS_ENDPOINT_URL_STS": "https://sts.eu-west-1.amazonaws.com",
    "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true",
    "AWS_USE_FIPS_ENDPOINT": "true",
    "AWS_CA_BUNDLE": "/missing.pem",
    "TF_WORKSPACE": "other",
    "TF_DATA_DIR": "/elsewhere",
    "TF_VAR_default_model": "mine",
    "TF_CLI_ARGS": "-compact-warnings",
    "TF_CLI_ARGS_plan": "-destroy",
}


@pytest.fixture
def local(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scripts.local.emulator.current", lambda: Emulator(4999, tmp_path))
    monkeypatch.setattr(terraform, "provider_env", lambda env, host: dict(env))


def test_local_takes_nothing_of_a_hostile_shell(local: None, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in HOSTILE.items():
        monkeypatch.setenv(name, value)
    env = terraform.environment_env("local")
    assert not {value for name, value in env.items() if HOSTILE.get(name) == value}
    assert env["TF_WORKSPACE"] == "default"
    assert env["AWS_CONFIG_FILE"] == env["AWS_SHARED_CREDENTIALS_FILE"] == os.devnull
    assert "TF_DATA_DIR" not in env


def test_local_says_what_it_ignores() -> None:
    ignored = ["TF_CLI_ARGS", "TF_CLI_ARGS_plan", "TF_DATA_DIR", "TF_VAR_default_model", "TF_WORKSPACE"]
    assert shell.ignored_in_local(HOSTILE) == ignored
    assert shell.ignored_in_local({"TF_WORKSPACE": "", "TF_LOG": "debug", "PATH": "/bin"}) == []


def test_dev_takes_the_shells_settings_and_says_so(tmp_path: Path) -> None:
    assert shell.used_settings(tmp_path, HOSTILE) == [
        "workspace: other (from TF_WORKSPACE); its state is not the default workspace's",
        "variables from the shell: TF_VAR_default_model",
        "arguments from the shell: TF_CLI_ARGS, TF_CLI_ARGS_plan",
        "TF_DATA_DIR: /elsewhere",
    ]
    assert shell.used_settings(tmp_path, {"PATH": "/bin"}) == []


def test_a_workspace_that_was_selected_is_said_too(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "environment").write_text("blue")
    env = {"TF_DATA_DIR": "data"}
    assert shell.used_settings(tmp_path, env)[0].startswith("workspace: blue (from terraform workspace select)")


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:4566", "http://localhost:4566", "http://[::1]:1", "localhost:4566", "http://127.9.9.9"]
)
def test_an_emulators_address_is_rejected_for_a_real_environment(url: str) -> None:
    with pytest.raises(CommandError, match=r"AWS_ENDPOINT_URL_SQS=.* is an emulator on this machine.*: unset"):
        shell.check_endpoints("dev", {"AWS_ENDPOINT_URL_SQS": url})


def test_another_address_is_said() -> None:
    env = {"AWS_ENDPOINT_URL": "https://vpce-1.sqs.eu-west-1.vpce.amazonaws.com", "AWS_ENDPOINT_URL_SQS": ""}
    (sentence,) = shell.check_endpoints("prod", env)
    assert "vpce-1" in sentence


@pytest.mark.parametrize("arguments", ["-compact-warnings", "-lock=false", "-parallelism=4"])
def test_arguments_for_all_subcommands_do_not_reach_version(
    arguments: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "terraform"
    program.write_text(
        '#!/bin/sh\ntest -z "$TF_CLI_ARGS" || { echo "Error: flag provided but not defined" >&2; exit 1; }\n'
        """echo '{"terraform_version": "1.11.4"}'\n"""
    )
    program.chmod(0o755)
    monkeypatch.setenv("TF", str(program))
    monkeypatch.setenv("TF_CLI_ARGS", arguments)
    terraform.terraform_binary.cache_clear()
    assert terraform.terraform_binary() == str(program)


def test_what_terraform_said_is_part_of_the_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "terraform"
    program.write_text("#!/bin/sh\necho '\u2577\n\u2502 Error: no such thing\n\u2575' >&2; exit 1\n", encoding="utf-8")
    program.chmod(0o755)
    monkeypatch.setenv("TF", str(program))
    terraform.terraform_binary.cache_clear()
    with pytest.raises(CommandError, match=r"can't get the version of .* \(Error: no such thing\): set TF"):
        terraform.terraform_binary()


def calls_without_encoding(source: str) -> list[int]:
    """Lines of calls that decode or encode text in the locale's way."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call):
            continue
        given = {keyword.arg for keyword in node.keywords}
        called = node.func.attr if isinstance(node.func, ast.Attribute) else ""
        decodes = bool(given & {"text", "universal_newlines"})
        if (decodes or called in ("read_text", "write_text")) and "encoding" not in given:
            found.append(node.lineno)
    return found


def test_no_text_depends_on_the_locale() -> None:
    """In a POSIX locale, Python decodes what Terraform prints as ASCII, and ends in a traceback."""
    assert calls_without_encoding("subprocess.run(c, text=True)\np.read_text()\np.read_text(encoding=e)") == [1, 2]
    tools = [path for folder in ("scripts", "worker", "lambda") for path in sorted((ROOT / folder).rglob("*.py"))]
    found = {str(path.relative_to(ROOT)): calls_without_encoding(path.read_text(encoding="utf-8")) for path in tools}
    assert {name: lines for name, lines in found.items() if lines} == {}
