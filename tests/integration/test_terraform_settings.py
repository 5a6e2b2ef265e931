"""What Terraform sets in the functions' environment is what their settings read: no more, no less, no other bounds."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

import pytest

from inference.payloads import MAX_MESSAGE_BYTES
from inference.settings import ApiSettings, DeadLettersSettings, Settings, SweeperSettings, WorkerSettings
from tests.integration.terraform_definition import Module

TERRAFORM = Path(__file__).resolve().parents[2] / "terraform"
STACK = TERRAFORM / "stack"
BY_LAMBDA = {"MODEL_ARTIFACT"}  # set where the model has one


def names_in(text: str) -> set[str]:
    """Names of environment variables that a piece of HCL sets."""
    return set(re.findall(r"^\s*([A-Z][A-Z_]+)\s*=", text, re.MULTILINE))


def block(file: Path, start: str) -> str:
    """The text of a top-level block."""
    text = file.read_text()
    return text[text.index(start) :].split("\n}\n", 1)[0]


@pytest.mark.parametrize(
    ("file", "start", "settings"),
    [
        (STACK / "main.tf", 'module "api"', ApiSettings),
        (STACK / "dead_ends.tf", 'module "dead_letters"', DeadLettersSettings),
        (STACK / "dead_ends.tf", 'module "sweeper"', SweeperSettings),
        (TERRAFORM / "modules" / "worker" / "main.tf", "", WorkerSettings),
    ],
    ids=["api", "dead_letters", "sweeper", "worker"],
)
def test_the_environment_is_what_the_settings_read(file: Path, start: str, settings: type[Settings]) -> None:
    text = block(file, start) if start else file.read_text()
    known = {field.name.upper() for field in fields(settings)}
    assert names_in(text) | BY_LAMBDA & known == known


def test_a_message_that_the_api_makes_fits_in_the_queue() -> None:
    queue = Module("request_queue", name="q", worker_timeout_seconds=1).resource("aws_sqs_queue")
    assert queue["max_message_size"] > MAX_MESSAGE_BYTES


def test_the_sweepers_grace_outlives_a_submit() -> None:
    text = (STACK / "variables.tf").read_text()
    longest = re.search(r"api\.timeout_seconds <= (\d+)", text)
    grace = re.search(r"sweeper\.grace_seconds >= (\d+)", text)
    assert longest is not None
    assert grace is not None
    assert int(longest[1]) < int(grace[1])
