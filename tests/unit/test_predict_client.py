"""The client: retries that are safe, polling as the server asks, and an exit code for each end."""

import io
import json
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from scripts import client as client_module
from scripts import predict, predict_many
from scripts.client import Client, Reply, TimedOut, Unreachable
from scripts.console import Failure
from scripts.predict_many import Journal

Answer = Reply | Exception
URL = "https://api.test"


class Server:
    """Answers calls from a script, and keeps what was asked."""

    def __init__(self) -> None:
        self.answers: Iterator[Answer] = iter(())
        self.calls: list[tuple[str, str, bytes, dict[str, str]]] = []
        self.respond: Callable[[str, str, bytes], Answer] | None = None

    def call(
        self, client: Client, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> Reply:
        self.calls.append((method, path, body, dict(headers or {})))
        answer = self.respond(method, path, body) if self.respond else next(self.answers)
        if isinstance(answer, Exception):
            raise answer
        return answer


class Clock:
    """Time that passes only by sleeping."""

    def __init__(self) -> None:
        self.now = 0.0
        self.pauses: list[float] = []

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Server:
    server = Server()
    monkeypatch.setattr(Client, "call", lambda self, *a, **k: server.call(self, *a, **k))
    return server


@pytest.fixture(autouse=True)
def journals(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Where journals are written."""
    monkeypatch.setattr(predict_many, "BUILD", tmp_path)
    return tmp_path / "predict"


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(client_module, "time", clock)
    return clock


def accepted(request_id: str = "r1") -> Reply:
    return Reply(202, {"retry-after": "1"}, {"request_id": request_id, "status": "pending"})


def status(value: str, retry_after: str | None = None, **more: Any) -> Reply:
    headers = {} if retry_after is None else {"retry-after": retry_after}
    return Reply(200, headers, {"request_id": "r1", "status": value, "result": None, "error": None, **more})


def problem(code: int, retry_after: str = "2") -> Reply:
    return Reply(code, {"retry-after": retry_after}, {"title": "No", "detail": f"because {code}"})


def main(monkeypatch: pytest.MonkeyPatch, *arguments: str, stdin: str = "") -> int:
    monkeypatch.setattr("sys.argv", ["predict", "--url", URL, *arguments])
    monkeypatch.setattr("sys.stdin", io.StringIO(stdin))
    try:
        return predict.main()
    except Failure as failure:
        return failure.code


@pytest.mark.parametrize("trouble", [problem(503), problem(429), Unreachable(URL, "reset")])
def test_submit_tries_again_with_the_same_key(server: Server, clock: Clock, trouble: Answer) -> None:
    server.answers = iter([trouble, accepted()])
    assert Client(URL).submit({"text": "x"}, "m") == "r1"
    first, second = server.calls
    assert first == second
    assert first[3]["Idempotency-Key"]
    assert first[1] == "/predict/m"
    assert 0.5 <= clock.pauses[0] <= 1.0 if isinstance(trouble, Exception) else clock.pauses == [2.0]


def test_pauses_grow_and_differ_where_the_server_names_none(server: Server, clock: Clock) -> None:
    server.respond = lambda *_: Reply(429, {}, {"message": "Too Many Requests"})
    seen = []
    for _ in range(2):
        clock.pauses.clear()
        with pytest.raises(Failure):
            Client(URL).submit({})
        seen.append(list(clock.pauses))
    assert seen[0] != seen[1]
    assert all(0.5 * 2**tries <= pause <= 2**tries for tries, pause in enumerate(seen[0][:3]))


def test_a_crash_names_the_route_that_was_called(server: Server) -> None:
    server.respond = lambda *_: Reply(502, {"apigw-requestid": "Abc="}, {"message": "Bad"}, "POST /predict")
    with pytest.raises(Failure, match=r"502 Bad \(POST /predict, .*Abc=.*make logs"):
        Client(URL).submit({})


def test_two_submits_have_two_keys(server: Server) -> None:
    server.answers = iter([accepted(), accepted()])
    client = Client(URL)
    client.submit({"text": "x"})
    client.submit({"text": "x"})
    assert len({call[3]["Idempotency-Key"] for call in server.calls}) == 2


def test_submit_gives_up_in_bounded_time(server: Server, clock: Clock) -> None:
    server.respond = lambda *_: problem(503)
    with pytest.raises(Failure, match="503"):
        Client(URL).submit({})
    assert clock.now <= client_module.RETRY_SECONDS


@pytest.mark.parametrize("code", [400, 404, 413, 415, 422])
def test_a_refusal_is_not_tried_again(server: Server, code: int) -> None:
    server.answers = iter([problem(code)])
    with pytest.raises(Failure, match=f"refused: {code} No: because {code}"):
        Client(URL).submit({})


def test_nobody_listening_is_told_at_once(server: Server, clock: Clock) -> None:
    error = Unreachable(URL, "refused")
    error.__cause__ = ConnectionRefusedError()
    server.answers = iter([error])
    with pytest.raises(Unreachable):
        Client(URL).submit({})
    assert clock.pauses == []


def test_wait_pauses_as_the_server_asks(server: Server, clock: Clock) -> None:
    server.answers = iter([status("pending", "1"), status("running", "7"), status("running"), status("succeeded")])
    seen: list[str] = []
    Client(URL).wait("r1", 60, lambda answer: seen.append(answer["status"]))
    assert clock.pauses == [1.0, 7.0, 1.0]
    assert seen == ["pending", "running", "running", "succeeded"]


def test_wait_survives_passing_troubles(server: Server) -> None:
    server.answers = iter([Unreachable(URL, "reset"), problem(503), status("succeeded")])
    assert Client(URL).wait("r1", 60)["status"] == "succeeded"


def test_wait_ends_at_its_deadline_and_says_how_to_go_on(server: Server, clock: Clock) -> None:
    server.respond = lambda *_: status("running", "30")
    with pytest.raises(TimedOut, match="--resume r1"):
        Client(URL).wait("r1", 45)
    assert clock.now == 45


@pytest.mark.parametrize(
    ("answers", "code"),
    [
        ([accepted(), status("succeeded", result={"prediction": "positive"})], 0),
        ([accepted(), status("failed", error={"code": "model_error", "message": "m"})], 1),
        ([accepted(), status("cancelled")], 1),
        ([accepted(), status("expired")], 1),
        ([problem(422)], 2),
        ([accepted(), problem(404)], 3),
        ([accepted(), *[status("running", "60")] * 9], 4),
    ],
)
def test_exit_codes(
    server: Server,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    answers: list[Answer],
    code: int,
) -> None:
    server.answers = iter(answers)
    assert main(monkeypatch, "x") == code
    shown = capsys.readouterr()
    assert shown.out == ('{"prediction": "positive"}\n' if code == 0 else "")
    if len(answers) > 1:
        assert shown.err.startswith("request r1\n"), "the id comes first, whatever happens after"


def test_no_answer_at_all_is_exit_code_2(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    server.respond = lambda *_: Unreachable(URL, "no route")
    assert main(monkeypatch, "x") == 2


def test_resume_submits_nothing(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    server.answers = iter([status("succeeded", result=1)])
    assert main(monkeypatch, "--resume", "r1") == 0
    assert [call[:2] for call in server.calls] == [("GET", "/status/r1")]


def test_raw_input_is_sent_as_it_is(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    server.answers = iter([accepted(), status("succeeded", result=1)])
    assert main(monkeypatch, "--input", '{"a": [1, 2]}', "--model", "m") == 0
    assert json.loads(server.calls[0][2]) == {"a": [1, 2]}
    assert main(monkeypatch, "--input", "{") == 2


def test_many_lines_come_back_in_their_order(
    server: Server, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def respond(method: str, path: str, body: bytes) -> Answer:
        if method == "POST":
            text = json.loads(body)["text"]
            return problem(422) if text == "bad" else accepted(text)
        name = path.rpartition("/")[2]
        return status("succeeded", request_id=name, result=name.upper())

    server.respond = respond
    texts = ["a", "bad", *(f"t{number}" for number in range(40))]
    assert main(monkeypatch, "-", stdin="\n".join(texts) + "\n\n") == 2
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["result"] for line in lines] == ["A", None, *(text.upper() for text in texts[2:])]
    assert lines[1]["status"] == "refused"
    assert "because 422" in lines[1]["error"]["message"]


# Many inputs


class Api:
    """Accepts each key once, and answers with what it was sent."""

    def __init__(self, fails: int = 10**9) -> None:
        self.by_key: dict[str, str] = {}
        self.inputs: dict[str, Any] = {}
        self.fails = fails

    def __call__(self, client: Client, method: str, path: str, body: bytes = b"", headers: Any = None) -> Reply:
        if method == "POST":
            if len(self.inputs) >= self.fails:
                return Reply(400, {}, {"title": "No", "detail": "stopped here"})
            name = self.by_key.setdefault(headers["Idempotency-Key"], f"r{len(self.by_key)}")
            self.inputs[name] = json.loads(body)
            return accepted(name)
        name = path.rpartition("/")[2]
        return Reply(200, {}, {"request_id": name, "status": "succeeded", "result": self.inputs[name], "error": None})


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_json_lines_go_to_any_model_and_come_back_with_their_index(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    api = Api()
    monkeypatch.setattr(Client, "call", lambda self, *a, **k: api(self, *a, **k))
    file = tmp_path / "inputs.jsonl"
    file.write_text("".join(json.dumps({"features": [n]}) + "\n\n" for n in range(40)))
    assert main(monkeypatch, "--inputs", str(file), "--model", "mine") == 0
    shown = lines(capsys)
    assert [line["index"] for line in shown] == list(range(40))
    assert [line["result"] for line in shown] == [{"features": [n]} for n in range(40)]


def test_a_line_that_is_no_json_is_named_before_anything_is_sent(
    monkeypatch: pytest.MonkeyPatch, server: Server, tmp_path: Path
) -> None:
    file = tmp_path / "inputs.jsonl"
    file.write_text('{"a": 1}\n{"a":\n')
    assert main(monkeypatch, "--inputs", str(file)) == 2
    assert server.calls == []


def test_a_journal_finishes_what_was_begun_and_nothing_is_sent_twice(
    monkeypatch: pytest.MonkeyPatch, journals: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    api = Api(fails=7)
    monkeypatch.setattr(Client, "call", lambda self, *a, **k: api(self, *a, **k))
    texts = "".join(f"text {n}\n" for n in range(20))
    assert main(monkeypatch, "-", stdin=texts) == 2
    assert sum(line["status"] == "refused" for line in lines(capsys)) == 13
    (journal,) = journals.iterdir()
    with journal.open("a", encoding="utf-8") as file:
        file.write('{"index": 19, "request')  # a crash in the middle of a line
    api.fails = 10**9
    assert main(monkeypatch, "--resume", str(journal)) == 0
    assert [line["result"]["text"] for line in lines(capsys)] == [f"text {n}" for n in range(20)]
    assert len(api.by_key) == 20


def test_what_was_accepted_and_not_noted_has_the_same_key_again(
    monkeypatch: pytest.MonkeyPatch, journals: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    api = Api()
    monkeypatch.setattr(Client, "call", lambda self, *a, **k: api(self, *a, **k))
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
    monkeypatch: pytest.MonkeyPatch, server: Server, tmp_path: Path
) -> None:
    path = begun(tmp_path, "https://other.test")
    assert path.stat().st_mode & 0o777 == 0o600
    assert main(monkeypatch, "--resume", str(path)) == 2
    assert server.calls == []


@pytest.mark.parametrize(
    ("arguments", "stdin"),
    [(["--inputs", "-"], '{"text": "a\u2028b"}\n'), (["-"], "a\u2028b\r\n")],
    ids=["JSON", "text"],
)
def test_a_line_separator_inside_a_text_ends_no_line(
    monkeypatch: pytest.MonkeyPatch,
    journals: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    stdin: str,
) -> None:
    api = Api()
    monkeypatch.setattr(Client, "call", lambda self, *a, **k: api(self, *a, **k))
    assert main(monkeypatch, *arguments, stdin=stdin) == 0
    assert json.loads(capsys.readouterr().out)["result"] == {"text": "a\u2028b"}


def test_what_is_no_journal_is_refused(monkeypatch: pytest.MonkeyPatch, server: Server, tmp_path: Path) -> None:
    file = tmp_path / "notes.txt"
    file.write_text("hello\n")
    assert main(monkeypatch, "--resume", str(file)) == 2
    assert server.calls == []


def test_an_input_may_be_in_a_file(monkeypatch: pytest.MonkeyPatch, server: Server, tmp_path: Path) -> None:
    file = tmp_path / "input.json"
    file.write_text('{"features": [1]}')
    server.answers = iter([accepted(), status("succeeded")])
    assert main(monkeypatch, "--input", f"@{file}") == 0
    assert json.loads(server.calls[0][2]) == {"features": [1]}


@pytest.mark.parametrize(
    ("code", "body", "said"),
    [
        (500, {"message": "Internal Server Error"}, "gateway request g1; the api function failed .*make logs"),
        (403, {"message": "Forbidden"}, "403 Forbidden .*is the call signed"),
        (429, {"message": "Too Many Requests"}, "throttling"),
        (502, "", "502 without a text"),
    ],
)
def test_an_answer_that_is_not_the_apis_says_what_is_known(code: int, body: Any, said: str) -> None:
    assert re.search(said, Reply(code, {"apigw-requestid": "g1"}, body).problem)
