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
