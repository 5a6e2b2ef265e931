"""The client: retries that are safe, polling as the server asks, and `make predict`'s exit code for each end."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from inference.errors import InvalidInput, RequestError, Unavailable, UnknownRequest
from inference.http.problems import PROBLEMS
from inference.requests import FINAL
from scripts.console import CommandError
from scripts.operate import client as client_module
from scripts.operate.client import ApiError, Client, Reply, TimedOut, Unreachable
from tests.e2e import http_client
from tests.unit.predict_server import THROTTLED, URL, Answer, Clock, Server, accepted, main, problem, status

pytestmark = pytest.mark.usefixtures("clock")


def test_the_clients_know_every_final_status() -> None:
    """They share no code with the API. One that does not know a status asks until its time is up."""
    assert client_module.FINAL == http_client.FINAL == FINAL


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Server:
    server = Server()
    monkeypatch.setattr(Client, "call", lambda self, *a, **k: server.call(self, *a, **k))
    return server


@pytest.mark.parametrize("trouble", [problem(Unavailable), problem(), THROTTLED, Unreachable(URL, "reset")])
def test_submit_tries_again_with_the_same_key(server: Server, clock: Clock, trouble: Answer) -> None:
    server.answers = iter([trouble, accepted()])
    assert Client(URL).submit({"text": "x"}, "m") == "r1"
    first, second = server.calls
    assert first == second
    assert first[3]["Idempotency-Key"]
    assert first[1] == "/predict/m"
    asked = trouble.pause if isinstance(trouble, Reply) else None
    assert clock.pauses == [2.0] if asked == 2.0 else 0.5 <= clock.pauses[0] <= 1.0


def test_pauses_grow_and_differ_where_the_server_names_none(server: Server, clock: Clock) -> None:
    server.respond = lambda *_: THROTTLED
    seen = []
    for _ in range(2):
        clock.pauses.clear()
        with pytest.raises(CommandError):
            Client(URL).submit({})
        seen.append(list(clock.pauses))
    assert seen[0] != seen[1]
    assert all(0.5 * 2**tries <= pause <= 2**tries for tries, pause in enumerate(seen[0][:3]))


def test_a_crash_names_the_route_that_was_called(server: Server) -> None:
    server.respond = lambda *_: Reply(502, {"apigw-requestid": "Abc="}, {"message": "Bad"}, "POST /predict")
    with pytest.raises(CommandError, match=r"502 Bad \(POST /predict, .*Abc=.*make logs"):
        Client(URL).submit({})


def test_two_submits_have_two_keys(server: Server) -> None:
    server.answers = iter([accepted(), accepted()])
    client = Client(URL)
    client.submit({"text": "x"})
    client.submit({"text": "x"})
    assert len({call[3]["Idempotency-Key"] for call in server.calls}) == 2


def test_submit_gives_up_in_bounded_time(server: Server, clock: Clock) -> None:
    server.respond = lambda *_: problem(Unavailable)
    with pytest.raises(CommandError, match="503"):
        Client(URL).submit({})
    assert clock.now <= client_module.RETRY_SECONDS


@pytest.mark.parametrize("error", [error for error in PROBLEMS if issubclass(error, RequestError)])
def test_a_rejection_is_not_tried_again(server: Server, error: type[RequestError]) -> None:
    server.answers = iter([problem(error)])
    code, title = PROBLEMS[error].status, PROBLEMS[error].title
    with pytest.raises(CommandError, match=f"rejected: {code} {title}: because {code}"):
        Client(URL).submit({})


def test_the_client_and_the_api_agree_on_what_may_pass() -> None:
    ours = {problem.type for error, problem in PROBLEMS.items() if not issubclass(error, RequestError)}
    assert ours == client_module.TRY_AGAIN
    assert PROBLEMS[UnknownRequest].type == client_module.UNKNOWN_REQUEST


def test_a_type_counts_and_not_a_status(server: Server) -> None:
    """A wrong URL is 404 too, but says nothing about the request; and a problem of 503 need not pass."""
    server.answers = iter([Reply(404, {}, {"message": "Not Found"}), Reply(503, {}, {"type": "/problems/closed"})])
    with pytest.raises(ApiError, match="is the URL right"):
        Client(URL).status("r1")
    with pytest.raises(ApiError, match="503"):
        Client(URL).submit({})
    assert len(server.calls) == 2


def test_nobody_listening_is_told_at_once(server: Server, clock: Clock) -> None:
    error = Unreachable(URL, "rejected")
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
    server.answers = iter([Unreachable(URL, "reset"), problem(Unavailable), status("succeeded")])
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
        ([problem(InvalidInput)], 2),
        ([accepted(), problem(UnknownRequest)], 3),
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
