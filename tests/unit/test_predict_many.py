"""Many inputs: all are sent first, each line comes in its turn, and the journal survives every interruption."""

import json
import signal
from collections import defaultdict
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx2
import pytest

from inference.errors import InvalidInput, NotJson, Unavailable
from scripts.operate import predict_journal, predict_many, predict_progress
from scripts.operate.predict_journal import Journal
from tests.unit.client_plans import problem, response
from tests.unit.predict_server import URL, Api, Clock, lines, main, serve

COUNT = 100
STDIN = "".join(f"{n}\n" for n in range(COUNT))


def number(value: Any) -> int:
    return int(value["text"])


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch, clock: Clock) -> Api:
    api = Api()
    serve(monkeypatch, api)
    return api


@pytest.fixture(autouse=True)
def journals(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Where journals are written."""
    monkeypatch.setattr(predict_journal, "BUILD", tmp_path)
    return tmp_path / "predict"


def ids(journals: Path) -> list[str]:
    (journal,) = journals.iterdir()
    found = [json.loads(line) for line in journal.read_text(encoding="utf-8").splitlines()]
    return [line["request_id"] for line in found if "request_id" in line]


def test_everything_is_sent_before_the_first_result_is_there(
    monkeypatch: pytest.MonkeyPatch, api: Api, capsys: pytest.CaptureFixture[str]
) -> None:
    api.ready = lambda _: len(api.by_key) == COUNT
    assert main(monkeypatch, "-", stdin=STDIN) == 0
    shown = lines(capsys)
    assert [line["index"] for line in shown] == list(range(COUNT))
    assert [number(line["result"]) for line in shown] == list(range(COUNT))


def test_a_line_is_printed_as_soon_as_those_before_it_are_done(
    monkeypatch: pytest.MonkeyPatch, api: Api, clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    api.ready = lambda value: number(value) != 3 or clock.now > 20
    seen: list[int] = []
    shown_by: dict[float, list[int]] = {}

    def look() -> None:
        seen.extend(line["index"] for line in lines(capsys))
        shown_by[clock.now] = list(seen)

    clock.on_sleep = look
    assert main(monkeypatch, "-", stdin="0\n1\n2\n3\n4\n5\n") == 0
    assert [0, 1, 2] in shown_by.values()
    assert not any(4 in shown for now, shown in shown_by.items() if now < 20)
    look()
    assert seen == [0, 1, 2, 3, 4, 5]


def interrupt() -> None:
    """As Ctrl-C."""
    signal.raise_signal(signal.SIGINT)


def test_interrupted_after_everything_was_sent_the_journal_has_every_id(
    monkeypatch: pytest.MonkeyPatch, api: Api, clock: Clock, journals: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    api.ready = lambda _: False
    clock.on_sleep = lambda: interrupt() if len(api.by_key) == COUNT else None
    with pytest.raises(KeyboardInterrupt):
        main(monkeypatch, "-", stdin=STDIN)
    (journal,) = journals.iterdir()
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.splitlines()[-1].endswith(f"--resume {journal}")
    assert sorted(ids(journals)) == sorted(api.inputs)

    api.ready, clock.on_sleep = lambda _: True, lambda: None
    api.reject = lambda _: problem(NotJson)
    assert main(monkeypatch, "--resume", str(journal)) == 0
    assert [number(line["result"]) for line in lines(capsys)] == list(range(COUNT))


def test_interrupted_while_sending_the_journal_has_what_was_accepted_and_nothing_is_accepted_twice(
    monkeypatch: pytest.MonkeyPatch, api: Api, journals: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    api.reject = lambda _: interrupt() if len(api.inputs) == 20 else None
    with pytest.raises(KeyboardInterrupt):
        main(monkeypatch, "-", stdin=STDIN)
    assert 20 < len(api.inputs) < COUNT
    assert sorted(ids(journals)) == sorted(api.inputs)
    capsys.readouterr()
    (journal,) = journals.iterdir()
    assert main(monkeypatch, "--resume", str(journal)) == 0
    assert [number(line["result"]) for line in lines(capsys)] == list(range(COUNT))
    assert len(api.by_key) == len(set(ids(journals))) == len(ids(journals)) == COUNT


@pytest.mark.parametrize(("retry_after", "pause"), [({}, 0.5), ({"retry_after": "2"}, 2)], ids=["gateway", "api"])
def test_throttling_slows_all_senders_and_fails_no_line(
    monkeypatch: pytest.MonkeyPatch,
    api: Api,
    clock: Clock,
    capsys: pytest.CaptureFixture[str],
    retry_after: dict[str, str],
    pause: float,
) -> None:
    sent_at: dict[float, int] = defaultdict(int)

    def five_at_a_time(_: Any) -> httpx2.Response | None:
        sent_at[clock.now] += 1
        return response(429, {"message": "slow"}, **retry_after) if sent_at[clock.now] > 5 else None

    api.reject = five_at_a_time
    assert main(monkeypatch, "-", "--timeout", "600", stdin=STDIN) == 0
    assert [line["status"] for line in lines(capsys)] == ["succeeded"] * COUNT
    assert max(sent_at.values()) <= predict_many.SENDERS + 5, "those of the five that did not know it yet"
    assert all(after - before >= pause for before, after in pairwise(sent_at)), "none is sent while one is throttled"


def test_throttling_without_end_is_given_up_after_the_time_of_an_input(
    monkeypatch: pytest.MonkeyPatch, api: Api, clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    tries: dict[int, int] = defaultdict(int)

    def reject(value: Any) -> httpx2.Response:
        tries[number(value)] += 1
        return problem(Unavailable)

    api.reject = reject
    assert main(monkeypatch, "-", "--timeout", "45", stdin=STDIN) == 2
    assert {line["status"] for line in lines(capsys)} == {"rejected"}
    assert 40 < clock.now <= 45
    assert {tries[index] for index in range(predict_many.SENDERS, COUNT)} == {1}


def test_a_journal_that_can_not_be_written_ends_the_run(monkeypatch: pytest.MonkeyPatch, api: Api) -> None:
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Journal, "accepted", full)
    with pytest.raises(OSError, match="No space left"):
        main(monkeypatch, "-", stdin=STDIN)


def test_the_numbers_are_said_now_and_then(
    monkeypatch: pytest.MonkeyPatch, api: Api, clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    api.ready = lambda value: number(value) < 3 or clock.now > 3 * predict_progress.NOTE_SECONDS
    assert main(monkeypatch, "-", stdin="0\n1\n2\n3\n") == 0
    said = capsys.readouterr().err.splitlines()
    assert said[0].startswith("0 of 4 inputs sent, 0 done; to resume")
    assert said[1:4] == ["4 of 4 inputs sent, 3 done"] * 3


def test_on_a_terminal_there_are_bars_and_results_go_to_stdout(
    monkeypatch: pytest.MonkeyPatch, api: Api, clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    api.ready = lambda _: clock.now > 8
    assert main(monkeypatch, "-", stdin=STDIN) == 0
    shown = capsys.readouterr()
    assert [json.loads(line)["index"] for line in shown.out.splitlines()] == list(range(COUNT))
    assert f"{COUNT}/{COUNT}" in shown.err


def test_rejected_inputs_have_their_lines_and_the_others_go_on(
    monkeypatch: pytest.MonkeyPatch, api: Api, capsys: pytest.CaptureFixture[str]
) -> None:
    api.reject = lambda value: problem(InvalidInput) if number(value) % 3 == 0 else None
    assert main(monkeypatch, "-", stdin=STDIN) == 2
    shown = lines(capsys)
    assert [line["status"] for line in shown] == ["succeeded" if n % 3 else "rejected" for n in range(COUNT)]
    assert "because 422" in shown[0]["error"]["message"]


def test_one_that_is_never_done_is_given_up_and_holds_no_more_results_than_the_window(
    monkeypatch: pytest.MonkeyPatch, api: Api, clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    asked_meanwhile: set[int] = set()

    def ready(value: Any) -> bool:
        if clock.now < 20:
            asked_meanwhile.add(number(value))
        return number(value) != 0

    api.ready = ready
    assert main(monkeypatch, "-", "--timeout", "20", stdin=STDIN) == 4
    assert asked_meanwhile == set(range(predict_many.WINDOW))
    assert [line["status"] for line in lines(capsys)] == ["open", *["succeeded"] * (COUNT - 1)]
    assert 20 < clock.now < 30


def test_the_time_behind_other_inputs_is_not_an_inputs_own_and_none_is_asked_for_too_often(
    monkeypatch: pytest.MonkeyPatch, api: Api, clock: Clock
) -> None:
    asked: dict[int, list[float]] = defaultdict(list)

    def one_in_ten_seconds(value: Any) -> bool:
        asked[number(value)].append(clock.now)
        return clock.now >= 10 * number(value)

    api.ready = one_in_ten_seconds
    assert main(monkeypatch, "-", "--timeout", "30", stdin="".join(f"{n}\n" for n in range(30))) == 0
    assert len(asked) == 30
    for times in asked.values():
        assert all(after - before >= 7 for before, after in pairwise(times)), times


def test_json_lines_go_to_any_model_and_come_back_with_their_index(
    monkeypatch: pytest.MonkeyPatch, api: Api, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "inputs.jsonl"
    file.write_text("".join(json.dumps({"features": [n]}) + "\n\n" for n in range(40)))
    assert main(monkeypatch, "--inputs", str(file), "--model", "mine") == 0
    shown = lines(capsys)
    assert [line["index"] for line in shown] == list(range(40))
    assert [line["result"] for line in shown] == [{"features": [n]} for n in range(40)]


def test_a_line_that_is_no_json_is_named_before_anything_is_sent(
    monkeypatch: pytest.MonkeyPatch, api: Api, tmp_path: Path
) -> None:
    file = tmp_path / "inputs.jsonl"
    file.write_text('{"a": 1}\n{"a":\n')
    assert main(monkeypatch, "--inputs", str(file)) == 2
    assert api.by_key == {}
    assert api.asked == []


def test_a_journal_finishes_what_was_begun_and_nothing_is_sent_twice(
    monkeypatch: pytest.MonkeyPatch, api: Api, journals: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    api.reject = lambda _: problem(NotJson) if len(api.inputs) >= 7 else None
    texts = "".join(f"text {n}\n" for n in range(20))
    assert main(monkeypatch, "-", stdin=texts) == 2
    assert sum(line["status"] == "rejected" for line in lines(capsys)) == 13
    (journal,) = journals.iterdir()
    with journal.open("a", encoding="utf-8") as file:
        file.write('{"index": 19, "request')  # a crash in the middle of a line
    api.reject = lambda _: None
    assert main(monkeypatch, "--resume", str(journal)) == 0
    assert [line["result"]["text"] for line in lines(capsys)] == [f"text {n}" for n in range(20)]
    assert len(api.by_key) == 20


def test_what_was_accepted_and_not_noted_has_the_same_key_again(
    monkeypatch: pytest.MonkeyPatch, api: Api, journals: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(monkeypatch, "-", stdin="a\nb\n") == 0
    (journal,) = journals.iterdir()
    kept = [line for line in journal.read_text(encoding="utf-8").splitlines() if "request_id" not in line]
    journal.write_text("\n".join(kept) + "\n", encoding="utf-8")
    assert main(monkeypatch, "--resume", str(journal)) == 0
    assert len(api.by_key) == 2


def begun(journals: Path, url: str = URL) -> Path:
    journals.mkdir(parents=True, exist_ok=True)
    path = journals / "begun"
    Journal.begin([1, 2, 3], None, url, path)
    return path


def test_what_is_written_behind_half_a_line_is_kept(tmp_path: Path) -> None:
    path = begun(tmp_path)
    with path.open("a", encoding="utf-8") as file:
        file.write('{"index": 0, "request')
    journal = Journal.read(path, URL)
    for item in journal.items:
        journal.accepted(item, f"r{item.index}")
    assert [item.request_id for item in Journal.read(path, URL).items] == ["r0", "r1", "r2"]


def test_a_journal_is_of_one_deployment_and_of_one_user(
    monkeypatch: pytest.MonkeyPatch, api: Api, tmp_path: Path
) -> None:
    path = begun(tmp_path, "https://other.test")
    assert path.stat().st_mode & 0o777 == 0o600
    assert main(monkeypatch, "--resume", str(path)) == 2
    assert api.by_key == {}
    assert api.asked == []


@pytest.mark.parametrize(
    ("arguments", "stdin"),
    [(["--inputs", "-"], '{"text": "a\u2028b"}\n'), (["-"], "a\u2028b\r\n")],
    ids=["JSON", "text"],
)
def test_a_line_separator_inside_a_text_ends_no_line(
    monkeypatch: pytest.MonkeyPatch,
    api: Api,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    stdin: str,
) -> None:
    assert main(monkeypatch, *arguments, stdin=stdin) == 0
    assert json.loads(capsys.readouterr().out)["result"] == {"text": "a\u2028b"}


def test_what_is_no_journal_is_rejected(monkeypatch: pytest.MonkeyPatch, api: Api, tmp_path: Path) -> None:
    file = tmp_path / "notes.txt"
    file.write_text("hello\n")
    assert main(monkeypatch, "--resume", str(file)) == 2
    assert api.by_key == {}
    assert api.asked == []
