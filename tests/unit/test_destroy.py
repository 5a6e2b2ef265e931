"""Destroying an environment: what is shown, what confirms it, and when nothing happens."""

from __future__ import annotations

import io
import sys

import pytest

from inference.requests import Status
from scripts.console import CommandError
from scripts.deployment import aws_session, destroy, removal, terraform
from tests.unit.fake_table import FakeTable
from tests.unit.fakes import Clock
from tests.unit.samples import a_record


class Terminal(io.StringIO):
    """Standard input at which somebody sits."""

    def isatty(self) -> bool:
        return True


class Place:
    """A deployment of prod, and the Terraform commands that ran."""

    def __init__(self) -> None:
        self.ran: list[tuple[str, ...]] = []
        self.table = FakeTable()
        self.outputs = {
            "queue_urls": {"echo": "https://sqs/echo", "idle": "https://sqs/idle"},
            "request_table": "inference-prod-requests",
            "function_names": {"api": "a", "worker/echo": "w"},
            "api_url": "https://api.test",
            "protected": {},
        }

    def execute(self, command: str, name: str, arguments: tuple[str, ...] = ()) -> int:
        self.ran.append((command, name, *arguments))
        return 0


@pytest.fixture
def place(monkeypatch: pytest.MonkeyPatch) -> Place:
    place = Place()
    monkeypatch.delenv("CONFIRM", raising=False)
    monkeypatch.setattr(terraform, "prepare", lambda command, name: 0)
    monkeypatch.setattr(terraform, "execute", place.execute)
    monkeypatch.setattr(terraform, "outputs", lambda name: place.outputs)
    monkeypatch.setattr(aws_session, "client", lambda *_: None)
    monkeypatch.setattr("inference.store.request_table.RequestTable", lambda *_: place.table)
    monkeypatch.setattr(removal, "now_ms", Clock())
    return place


def test_the_name_typed_destroys_after_terraforms_own_question(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", Terminal("prod\n"))
    assert destroy.destroy("prod") == 0
    assert place.ran == [("destroy", "prod")]


@pytest.mark.parametrize("typed", ["yes\n", "\n", "", "dev\n"])
def test_anything_else_typed_destroys_nothing(place: Place, monkeypatch: pytest.MonkeyPatch, typed: str) -> None:
    monkeypatch.setattr(sys, "stdin", Terminal(typed))
    with pytest.raises(CommandError, match="nothing was destroyed"):
        destroy.destroy("prod")
    assert place.ran == []


def test_without_a_terminal_confirm_must_name_the_environment(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("prod\n"))
    with pytest.raises(CommandError, match="without a terminal, confirm with CONFIRM=prod"):
        destroy.destroy("prod")
    monkeypatch.setenv("CONFIRM", "dev")
    with pytest.raises(CommandError, match="nothing was destroyed"):
        destroy.destroy("prod")
    assert place.ran == []
    monkeypatch.setenv("CONFIRM", "prod")
    assert destroy.destroy("prod") == 0
    assert place.ran == [("destroy", "prod", "-auto-approve")]


def test_open_requests_are_counted_first(
    place: Place, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    place.table.put(a_record("a1", model="echo"))
    place.table.put(a_record("b2", model="echo", status=Status.SUCCEEDED))
    monkeypatch.setenv("CONFIRM", "prod")
    destroy.destroy("prod")
    shown = capsys.readouterr().err
    assert "echo: 1 open requests (1 pending), which never end" in shown
    assert "idle:" not in shown
    assert "4 queues" in shown


def test_a_protected_environment_is_not_asked_about(
    place: Place, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    place.outputs["protected"] = {"request_table": "inference-prod-requests"}
    monkeypatch.setenv("CONFIRM", "prod")
    with pytest.raises(CommandError, match="deletion_protection: request table inference-prod-requests can't be"):
        destroy.destroy("prod")
    assert place.ran == []
    assert "no open request" in capsys.readouterr().err


def test_the_emulator_is_not_asked_about(place: Place) -> None:
    assert destroy.destroy("local") == 0
    assert place.ran == [("destroy", "local")]
