"""`make status`: what is counted, and what is said about what was not seen."""

from __future__ import annotations

import json
from typing import Any

import pytest

from inference.errors import Unavailable
from inference.requests import ErrorCode, Failure, Status
from scripts.console import CommandError
from scripts.deployment import aws_session, terraform
from scripts.operate import status
from tests.unit.fake_queue import FakeQueue
from tests.unit.fake_table import FakeTable
from tests.unit.fakes import NOW, Clock, Fault
from tests.unit.samples import a_message, a_record

HOUR = 3_600_000


class Setting:
    """A deployment with the models echo and other, and their queues."""

    def __init__(self) -> None:
        self.clock = Clock(NOW + 10 * HOUR)
        self.table = FakeTable()
        self.queues = {name: FakeQueue(self.clock) for name in ("other", "echo")}
        self.pools: dict[str, list[str]] = {}
        self.dead_letters = FakeQueue(self.clock)
        self.webhook_dead_letters: FakeQueue | None = None

    def look(self, model: str | None = None) -> status.Overview:
        dead = (self.dead_letters, self.webhook_dead_letters)
        return status.look(self.table, self.queues, self.pools, *dead, model, self.clock())  # type: ignore[arg-type]

    def put(self, request_id: str, age_ms: int, **changes: Any) -> None:
        self.table.put(a_record(request_id, submitted_at=self.clock() - age_ms, **changes))

    def fail(self, request_id: str, ago_ms: int, code: ErrorCode, **changes: Any) -> None:
        error = Failure(code, "no").to_json()
        finished = self.clock() - ago_ms
        self.put(request_id, 2 * HOUR, status=Status.FAILED, finished_at=finished, error=error, **changes)


@pytest.fixture
def setting() -> Setting:
    return Setting()


def test_each_model_is_counted_by_itself(setting: Setting) -> None:
    setting.put("a1", 90_000)
    setting.put("a2", 30_000, status=Status.RUNNING, attempts=2)
    setting.put("b1", 5_000, model="other")
    setting.put("c1", 5_000, status=Status.SUCCEEDED)
    queue = setting.queues["echo"]
    for _ in range(3):
        queue.send(a_message(a_record()))
    queue.receive(1)
    setting.dead_letters.put("{}")
    overview = setting.look()
    assert list(overview.models) == ["echo", "other"]
    echo = overview.models["echo"]
    assert (echo.waiting, echo.in_flight, overview.dead_letters) == (2, 1, 1)
    assert (echo.pending, echo.running, echo.oldest_open_seconds) == (1, 1, 90)
    other = overview.models["other"]
    assert (other.waiting, other.pending, other.oldest_open_seconds) == (0, 1, 5)
    assert [request.request_id for request in overview.requests] == ["a1", "a2", "b1"], "the oldest first"
    assert overview.requests[1].attempts == 2
    assert (overview.all_open_seen, overview.all_failed_seen) == (True, True)


def test_only_failures_of_the_last_hour_count_by_their_code(setting: Setting) -> None:
    setting.fail("a1", HOUR - 1, ErrorCode.TIMEOUT)
    setting.fail("a2", 0, ErrorCode.TIMEOUT)
    setting.fail("a3", 0, ErrorCode.CRASHED)
    setting.fail("a4", HOUR, ErrorCode.LOST)
    setting.fail("b1", 0, ErrorCode.LOST, model="other")
    models = setting.look().models
    assert models["echo"].failed_last_hour == {"timeout": 2, "crashed": 1}
    assert models["other"].failed_last_hour == {"lost": 1}


def test_requests_of_a_removed_model_are_seen(setting: Setting, capsys: pytest.CaptureFixture[str]) -> None:
    setting.put("a1", 5_000, model="old")
    overview = setting.look()
    assert overview.models["old"] == status.ModelStatus(pending=1, oldest_open_seconds=5)
    status.show(overview, with_list=False)
    assert "old (not deployed)" in capsys.readouterr().out


def test_one_model_leaves_the_others_out(setting: Setting) -> None:
    setting.put("a1", 5_000)
    setting.put("b1", 5_000, model="other")
    setting.fail("a2", 0, ErrorCode.LOST)
    overview = setting.look("other")
    assert list(overview.models) == ["other"]
    assert [request.request_id for request in overview.requests] == ["b1"]


def test_counts_that_are_not_complete_end_in_a_plus(
    setting: Setting, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(status, "MOST_OPEN", 2)
    monkeypatch.setattr(status, "MOST_PAGES", 0)
    for number in range(3):
        setting.put(f"a{number}", 7_000)
    status.show(setting.look(), with_list=False)
    (row,) = [line for line in capsys.readouterr().out.splitlines() if "echo" in line]
    assert row.split("│")[4:8] == [" 2+      ", " 0+      ", " 7 s+        ", " 0+           "]


def test_the_list_says_what_the_sweeper_is_going_to_end(setting: Setting, capsys: pytest.CaptureFixture[str]) -> None:
    setting.put("a1", 200_000_000, attempts=3, expires_at=setting.clock() - 1)
    setting.put("a2", 3 * HOUR, expires_at=setting.clock() + 90 * 60_000)
    status.show(setting.look(), with_list=True)
    rows = {line.split("│")[1].strip(): line for line in capsys.readouterr().out.splitlines() if "│" in line}
    assert "3 of 5" in rows["a1"]
    assert "2 d 7 h" in rows["a1"]
    assert "ends with the next sweep" in rows["a1"]
    assert "3 h 0 min" in rows["a2"]
    assert "in 1 h 30 min" in rows["a2"]
    status.show(setting.look("other"), with_list=True)
    assert "no open request" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("seconds", "said"), [(0, "0 s"), (119, "119 s"), (120, "2 min"), (3600, "1 h 0 min"), (90_000, "1 d 1 h")]
)
def test_durations(seconds: int, said: str) -> None:
    assert status._duration(seconds) == said


def test_the_models_of_a_pool_have_its_queue_in_common(setting: Setting, capsys: pytest.CaptureFixture[str]) -> None:
    shared = FakeQueue(setting.clock)
    setting.queues |= {"a": shared, "b": shared}
    setting.pools = {"small": ["a", "b"]}
    shared.send(a_message(a_record(model="a")))
    setting.put("a1", 1_000, model="a")
    overview = setting.look()
    assert (overview.pools["small"].waiting, overview.models["a"].waiting, overview.models["a"].pending) == (1, None, 1)
    assert shared.calls.count("counts") == 1
    assert overview.models["b"].pool == "small"
    assert setting.look("echo").pools == {}
    status.show(overview, with_list=False)
    shown = capsys.readouterr().out
    assert "in small" in shown
    assert "pool small" in shown


def test_webhooks_that_were_given_up_are_counted(setting: Setting, capsys: pytest.CaptureFixture[str]) -> None:
    status.show(setting.look(), with_list=False)
    assert "webhooks" not in capsys.readouterr().out
    setting.webhook_dead_letters = FakeQueue(setting.clock)
    setting.webhook_dead_letters.put("{}")
    overview = setting.look()
    assert (overview.dead_letters, overview.webhook_dead_letters) == (0, 1)
    status.show(overview, with_list=False)
    assert "webhooks that were given up: 1" in capsys.readouterr().out


# The command


@pytest.fixture
def command(setting: Setting, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Run the command on the setting."""
    setting.webhook_dead_letters = FakeQueue(setting.clock)
    by_url = {**setting.queues, "dlq": setting.dead_letters, "webhooks-dlq": setting.webhook_dead_letters}
    outputs = {
        "queue_urls": {name: name for name in setting.queues},
        "dead_letter_queue_url": "dlq",
        "webhook_dead_letter_queue_url": "webhooks-dlq",
        "pools": setting.pools,
        "request_table": "requests",
    }
    monkeypatch.setattr(terraform, "outputs", lambda _: outputs)
    monkeypatch.setattr(aws_session, "client", lambda *_: None)
    monkeypatch.setattr(status, "RequestQueue", lambda _, url: by_url[url])
    monkeypatch.setattr(status, "RequestTable", lambda *_: setting.table)

    def run(*arguments: str) -> int:
        monkeypatch.setattr("sys.argv", ["status", *arguments])
        return status.main()

    return run


def test_json_has_everything(setting: Setting, command: Any, capsys: pytest.CaptureFixture[str]) -> None:
    setting.table.put(a_record(model="old", submitted_at=1))
    assert command("--json") == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["models"]["echo"]["deployed"] is True
    assert shown["models"]["old"]["waiting"] is None
    assert shown["requests"][0]["request_id"] == "a1"
    assert shown["all_open_seen"] is True
    assert shown["webhook_dead_letters"] == 0


def test_a_model_asked_for_brings_its_list(setting: Setting, command: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert command("--model", "echo") == 0
    assert "no open request" in capsys.readouterr().out
    assert command() == 0
    assert "no open request" not in capsys.readouterr().out


def test_a_model_that_nobody_knows(command: Any) -> None:
    with pytest.raises(
        CommandError, match="has no model nobody, and no requests for it: its models are echo, other"
    ) as rejected:
        command("--model", "nobody")
    assert rejected.value.code == 2


def test_what_can_not_be_read_is_one_line(setting: Setting, command: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    setting.queues["echo"].faults.append(Fault("counts"))
    with pytest.raises(CommandError):
        command()


def test_an_unavailable_table(setting: Setting, command: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def unreadable(*_: Any) -> Any:
        raise Unavailable("could not scan the table: no")

    monkeypatch.setattr(setting.table, "failed_since", unreadable)
    with pytest.raises(CommandError, match="could not scan the table"):
        command()
