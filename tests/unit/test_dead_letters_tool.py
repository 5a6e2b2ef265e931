"""The operator's tool for failed requests: what it does to each, and that doing it again does no harm."""

from __future__ import annotations

import json
from argparse import Namespace
from typing import Any

import pytest

from inference.errors import Unavailable
from inference.references import owner_of
from inference.requests import ErrorCode, Failure, Message, Record, Status
from inference.store.payloads import JSON, request_key, upload_key
from scripts.console import CommandError
from scripts.deployment import terraform
from scripts.operate import dead_letters
from scripts.operate.dead_letters import FAILED, NOT_FOUND, OK, DeadLetters, ReplayLimits
from tests.unit.fake_bucket import FakeBucket, Held
from tests.unit.fake_queue import FakeQueue
from tests.unit.fake_table import FakeTable
from tests.unit.fakes import NOW, Clock, Fault
from tests.unit.samples import a_record

VALUE = {"text": "hello"}
TERMS = ReplayLimits(attempts=4, deadline=100, retention=1000)


class Setting:
    """A table with one failed request, and its model's queue."""

    def __init__(self) -> None:
        self.clock = Clock(NOW + 50_000)
        self.table = FakeTable()
        self.queue = FakeQueue(self.clock)
        self.bucket = FakeBucket(self.clock)
        queues = {"echo": self.queue}.__getitem__
        self.dead_letters = DeadLetters(self.table, queues, TERMS, self.bucket)  # type: ignore[arg-type]

    def put(self, **changes: Any) -> None:
        self.table.put(a_failed_record(**changes))

    def sent(self) -> list[Message]:
        return [Message.from_body(held.body) for held in self.queue.messages.values()]


def a_failed_record(**changes: Any) -> Record:
    known = {
        "status": Status.FAILED,
        "attempts": 5,
        "started_at": NOW + 10_000,
        "finished_at": NOW + 20_000,
        "input": json.dumps(VALUE),
        "error": Failure(ErrorCode.CRASHED, "died", 5).to_json(),
    }
    return a_record(**known | changes)


@pytest.fixture
def setting() -> Setting:
    return Setting()


def test_a_replay_keeps_the_id_and_gives_new_attempts_and_a_new_deadline(setting: Setting) -> None:
    setting.put()
    assert setting.dead_letters.replay("a1", setting.clock()) == dead_letters.Result("a1", OK, "replayed")
    record = setting.table.record("a1")
    expires_at = NOW + 150_000
    assert (record.status, record.attempts, record.attempt_limit) == (Status.PENDING, 5, 9)
    assert (record.expires_at, record.delete_at) == (expires_at, expires_at // 1000 + 1000)
    assert record.finished_at is None
    assert setting.sent() == [Message("a1", "echo", VALUE, NOW, expires_at, 9)]
    assert list(setting.table.followed("a")) == ["a1"]


STORED = request_key("a1", "input-1.json")
UPLOAD_ID = "00000000-0000-4000-8000-00000000000a"
UPLOAD = upload_key(owner_of("anonymous"), UPLOAD_ID)


class TestAnInputWithObjects:
    @pytest.fixture
    def stored(self, setting: Setting) -> Setting:
        setting.put(input="null", stored_input="input-1.json", uploads=UPLOAD_ID)
        for key in (STORED, UPLOAD):
            setting.bucket.objects[key] = Held(b"{}", JSON, NOW)
        return setting

    def test_a_replay_names_them_and_begins_their_time_anew(self, stored: Setting) -> None:
        assert stored.dead_letters.replay("a1", stored.clock()).code == OK
        (message,) = stored.sent()
        assert (message.input, message.stored_input, message.owner) == (None, "input-1.json", owner_of("anonymous"))
        assert {held.modified for held in stored.bucket.objects.values()} == {stored.clock()}

    @pytest.mark.parametrize("key", [STORED, UPLOAD])
    def test_one_that_is_gone_cannot_be_replayed(self, stored: Setting, key: str) -> None:
        del stored.bucket.objects[key]
        result = stored.dead_letters.replay("a1", stored.clock())
        assert (result.code, "payload bucket" in result.text) == (FAILED, True)
        assert stored.table.record("a1").status is Status.FAILED

    def test_a_purge_deletes_them(self, stored: Setting) -> None:
        stored.bucket.faults = [Fault("delete")]
        assert stored.dead_letters.purge("a1").code == FAILED
        assert stored.dead_letters.purge("a1").code == OK
        assert stored.bucket.objects == {}


def test_a_replay_that_broke_off_between_its_two_writes_is_finished_by_the_next(setting: Setting) -> None:
    setting.put()
    setting.queue.faults.append(Fault("send"))
    first = setting.dead_letters.replay("a1", setting.clock())
    assert (first.code, setting.sent()) == (FAILED, [])
    assert "replay it again" in first.text
    again = setting.dead_letters.replay("a1", setting.clock())
    assert (again.code, len(setting.sent())) == (OK, 1)
    assert "sent again" in again.text


@pytest.mark.parametrize(
    "changes",
    [
        {"status": Status.RUNNING, "started_at": NOW + 60_000, "replayed_at": NOW + 50_000},
        {"status": Status.PENDING, "started_at": NOW + 60_000, "replayed_at": NOW + 50_000},
        {"status": Status.PENDING, "started_at": None, "input": None},
        {"status": Status.SUCCEEDED},
        {"status": Status.CANCELLED},
        {"input": None},
    ],
    ids=["running", "tried again", "never replayed", "succeeded", "cancelled", "no input"],
)
def test_what_needs_no_replay_is_left_alone(setting: Setting, changes: dict[str, Any]) -> None:
    setting.put(**changes)
    before = setting.table.record("a1")
    done = setting.dead_letters.replay("a1", setting.clock())
    assert (done.code, setting.sent(), setting.table.record("a1")) == (OK, [], before)
    assert done.text.startswith("nothing to do")


def test_two_replays_at_once_send_one_message(setting: Setting) -> None:
    setting.put()
    setting.table.before = lambda step: _let_another_be_faster(setting) if step == "apply" else None
    done = setting.dead_letters.replay("a1", setting.clock())
    assert (done.code, len(setting.sent())) == (OK, 1)
    assert "by another command" in done.text


def _let_another_be_faster(setting: Setting) -> None:
    setting.table.before = lambda _: None
    assert setting.dead_letters.replay("a1", setting.clock()).text == "replayed"


def test_a_model_that_is_gone(setting: Setting) -> None:
    setting.put(model="old")
    done = setting.dead_letters.replay("a1", setting.clock())
    assert (done.code, done.text) == (FAILED, "the model old is not deployed")
    assert setting.table.record("a1").status is Status.FAILED


def test_a_table_that_does_not_take_the_write(setting: Setting) -> None:
    setting.put()
    setting.table.faults.append(Fault("apply"))
    assert setting.dead_letters.replay("a1", setting.clock()).code == FAILED
    assert setting.sent() == []


def test_a_purged_request_stays_failed_and_cannot_be_replayed(setting: Setting) -> None:
    setting.put()
    assert setting.dead_letters.purge("a1").text == "purged"
    record = setting.table.record("a1")
    assert (record.status, record.input) == (Status.FAILED, None)
    assert record.error is not None
    done = setting.dead_letters.replay("a1", setting.clock())
    assert (done.code, setting.sent()) == (OK, [])
    assert "not kept" in done.text


def test_only_what_failed_is_purged(setting: Setting) -> None:
    setting.put(status=Status.RUNNING)
    assert setting.dead_letters.purge("a1").text == "nothing to do: running"
    assert setting.table.record("a1").input is not None


def test_unknown_ids(setting: Setting) -> None:
    assert (setting.dead_letters.replay("no", NOW).code, setting.dead_letters.purge("no").code) == (
        NOT_FOUND,
        NOT_FOUND,
    )


# The command


def _arguments(command: str, *ids: str, **options: Any) -> Namespace:
    return Namespace(**{"command": command, "ids": list(ids), "all": False, "model": None, "json": True} | options)


def test_all_of_a_model_are_replayed(setting: Setting, capsys: pytest.CaptureFixture[str]) -> None:
    setting.put()
    setting.put(request_id="a2")
    setting.put(request_id="b1", model="other")
    code = dead_letters._run(setting.dead_letters, _arguments("replay", all=True, model="echo"))
    assert code == OK
    assert sorted(capsys.readouterr().out.split("\n")) == ["", "a1  replayed", "a2  replayed"]
    assert setting.table.record("b1").status is Status.FAILED


def test_the_worst_code_counts(setting: Setting, capsys: pytest.CaptureFixture[str]) -> None:
    setting.put()
    assert dead_letters._run(setting.dead_letters, _arguments("replay", "no", "a1")) == NOT_FOUND
    assert capsys.readouterr().out == "no  unknown\na1  replayed\n"


def test_the_list_has_one_json_object_a_line(setting: Setting, capsys: pytest.CaptureFixture[str]) -> None:
    setting.put()
    setting.put(request_id="a2", input=None)
    assert dead_letters._run(setting.dead_letters, _arguments("list")) == OK
    (line,) = capsys.readouterr().out.splitlines()
    assert json.loads(line)["input"] == VALUE
    assert json.loads(line)["error"]["code"] == "crashed"
    assert dead_letters._run(setting.dead_letters, _arguments("list", json=False)) == OK
    assert "died" in capsys.readouterr().out


def test_show(setting: Setting, capsys: pytest.CaptureFixture[str]) -> None:
    setting.put(status=Status.SUCCEEDED, result='{"a": 1}')
    assert dead_letters._run(setting.dead_letters, _arguments("show", "a1")) == OK
    assert json.loads(capsys.readouterr().out)["result"] == {"a": 1}
    assert dead_letters._run(setting.dead_letters, _arguments("show", "no")) == NOT_FOUND


@pytest.mark.parametrize("arguments", [["replay"], ["purge", "a1", "--all"], ["show"], ["list", "a1"]])
def test_a_command_that_is_not_clear(arguments: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["dead_letters", *arguments])
    monkeypatch.setattr(terraform, "outputs", lambda _: pytest.fail("it connected"))
    with pytest.raises(CommandError) as rejected:
        dead_letters.main()
    assert rejected.value.code == 2


def test_a_table_that_cannot_be_read_is_one_clear_line(setting: Setting, monkeypatch: pytest.MonkeyPatch) -> None:
    def unreadable(*_: Any) -> Any:
        raise Unavailable("could not scan the table: no")

    monkeypatch.setattr("sys.argv", ["dead_letters", "list"])
    monkeypatch.setattr(terraform, "outputs", lambda _: {})
    monkeypatch.setattr(dead_letters, "_connect", lambda *_: setting.dead_letters)
    monkeypatch.setattr(setting.table, "failed_with_input", unreadable)
    with pytest.raises(CommandError, match="could not scan"):
        dead_letters.main()


@pytest.mark.parametrize(
    ("options", "replay_limits"),
    [
        ([], ReplayLimits(attempts=3, deadline=3600, retention=86_400)),
        (["--attempts", "7", "--deadline-hours", "2"], ReplayLimits(attempts=7, deadline=7200, retention=86_400)),
    ],
)
def test_a_replay_has_the_limits_of_the_deployment_unless_told(
    options: list[str], replay_limits: ReplayLimits, setting: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[ReplayLimits] = []
    limits = {"max_attempts": 3, "deadline_seconds": 3600, "retention_seconds": 86_400}
    monkeypatch.setattr(terraform, "outputs", lambda _: {"replay_limits": limits})
    monkeypatch.setattr(
        dead_letters, "_connect", lambda *arguments: given.append(arguments[-1]) or setting.dead_letters
    )
    monkeypatch.setattr("sys.argv", ["dead_letters", "replay", "no", *options])
    assert dead_letters.main() == NOT_FOUND
    assert given == [replay_limits]
