"""`make plan` and `make apply`: the order of the steps, and that the environment is evaluated once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from scripts.console import CommandError
from scripts.deployment import apply, offline_plan, removal, rollout, terraform
from scripts.deployment.environment_config import ConfiguredModel, EnvironmentConfig
from scripts.packaging import package

CONFIG = EnvironmentConfig("x86_64", {"mine": ConfiguredModel("mine", Path("mine"))}, "inference-dev")


class Steps:
    """Plays what is called, and notes it; `codes` are exit codes of Terraform, by step."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.codes: dict[str, int] = {}
        self.held = False

    def read_config(self, environment: str) -> EnvironmentConfig:
        self.done.append(f"read {environment}")
        return CONFIG

    def build_for_environment(self, out: Path, environment: str, config: EnvironmentConfig) -> str:
        assert config is CONFIG
        self.done.append(f"package {environment}")
        return "packages"

    def prepare(self, command: str, environment: str) -> int:
        self.done.append(f"prepare {command} {environment}")
        return self.codes.get("prepare", 0)

    def check(self, environment: str, command: str, queues: Mapping[str, str]) -> None:
        assert queues == {"mine": "inference-dev-mine"}
        self.done.append(f"check {command} {environment}")
        if self.held:
            raise CommandError("held")

    def hold(self, environment: str, config: EnvironmentConfig) -> None:
        assert config is CONFIG
        self.done.append(f"hold {environment}")

    def execute(self, command: str, environment: str, arguments: Sequence[str]) -> int:
        self.done.append(" ".join([command, environment, *arguments]))
        return self.codes.get("execute", 0)


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> Steps:
    steps = Steps()
    monkeypatch.setattr(offline_plan, "chosen", lambda environment, option: False)
    monkeypatch.setattr(apply, "read_config", steps.read_config)
    monkeypatch.setattr(package, "build_for_environment", steps.build_for_environment)
    monkeypatch.setattr(package, "show", lambda packages: steps.done.append(f"show {packages}"))
    monkeypatch.setattr(terraform, "prepare", steps.prepare)
    monkeypatch.setattr(removal, "check", steps.check)
    monkeypatch.setattr(rollout, "hold", steps.hold)
    monkeypatch.setattr(terraform, "execute", steps.execute)
    monkeypatch.setattr(apply, "print_next", lambda environment: steps.done.append(f"next {environment}"))
    return steps


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr("sys.argv", ["apply", *arguments])
    return apply.main()


@pytest.mark.parametrize("plan", [True, False])
def test_a_plan_and_an_apply_take_the_same_steps(steps: Steps, monkeypatch: pytest.MonkeyPatch, plan: bool) -> None:
    command = "plan" if plan else "apply"
    assert run(monkeypatch, "--env", "dev", "-lock=false", *(["--plan"] if plan else [])) == 0
    assert steps.done == [
        "read dev",
        "package dev",
        "show packages",
        f"prepare {command} dev",
        f"check {command} dev",
        *([] if plan else ["hold dev"]),
        f"{command} dev -lock=false",
    ]


def test_an_apply_to_the_emulator_says_what_to_type_next(steps: Steps, monkeypatch: pytest.MonkeyPatch) -> None:
    run(monkeypatch)
    assert steps.done[-2:] == ["apply local", "next local"]
    run(monkeypatch, "--plan")
    assert steps.done[-1] == "plan local"
    steps.codes = {"execute": 1}
    assert run(monkeypatch) == 1
    assert steps.done[-1] == "apply local"


def test_nothing_is_applied_where_init_fails_or_requests_are_open(steps: Steps) -> None:
    steps.codes = {"prepare": 3}
    assert apply.apply("dev") == 3
    assert steps.done[-1] == "prepare apply dev"
    steps.codes, steps.held = {}, True
    with pytest.raises(CommandError, match="held"):
        apply.apply("dev")
    assert steps.done[-1] == "check apply dev"


def test_an_apply_of_a_part_removes_no_model(steps: Steps) -> None:
    assert apply.apply("dev", ["-target=module.stack.module.api"]) == 0
    assert not any(step.startswith("check") for step in steps.done)
