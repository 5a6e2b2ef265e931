"""What make's targets hand on to the commands."""

import json
import shlex
import subprocess

import pytest

from scripts.console import ROOT


def made(*arguments: str) -> list[str]:
    """The arguments that `make ...` starts Python with."""
    show = r"RUN=printf '%s\n' scripts"
    done = subprocess.run(["make", *arguments, show], cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


@pytest.mark.parametrize(
    ("setting", "handed_on"),
    [
        (
            {"INPUT": json.dumps({"features": [1, 2], "it's": "a b"})},
            ["--input", '{"features": [1, 2], "it\'s": "a b"}'],
        ),
        ({"TEXT": "it's a day"}, ["it's a day"]),
        ({"RESUME": "r1", "MODEL": "mine"}, ["--model", "mine", "--resume", "r1"]),
    ],
)
def test_predict_hands_on_what_is_asked(setting: dict[str, str], handed_on: list[str]) -> None:
    variables = [f"{name}={value}" for name, value in setting.items()]
    shown = made("predict", *variables)
    assert shown[-len(handed_on) :] == handed_on, shlex.join(shown)


def test_predict_without_anything_to_ask_says_what_it_takes() -> None:
    with pytest.raises(subprocess.CalledProcessError) as failed:
        made("predict")
    assert "INPUT=" in failed.value.stderr


def test_choose_hands_on_each_variable_in_one_piece() -> None:
    shown = made("choose", "RATE=10 / min", "RUN_MS=500", "MEMORY_MB=2048", "IN_AWS=1")
    assert shown[-5:] == ["scripts.choose", "--rate=10 / min", "--run-ms=500", "--memory-mb=2048", "--in-aws=1"]


def test_cost_hands_on_what_a_gpu_takes() -> None:
    shown = made("cost", "ENV=prod", "GPU=A10G", "GPU_MS=500", "GPU_LOAD=5")
    assert shown[-5:] == ["--env", "prod", "--gpu=A10G", "--gpu-ms=500", "--gpu-load=5"]


def test_simulate_hands_on_its_traffic_and_its_target() -> None:
    shown = made("simulate", "ENV=prod", "MODEL=mine", "PATTERN=burst", "P95=3", "RUN_MS=mine=20", "DECADES=1")
    assert shown[-8:] == [
        "--env", "prod", "--model=mine", "--pattern=burst", "--p95=3", "--run-ms", "mine=20", "--decades",
    ]  # fmt: skip
