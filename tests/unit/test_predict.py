"""`make predict` with one input: an exit code for each end, and the request's id before any waiting."""

import json
import signal
from pathlib import Path

import httpx2
import pytest

from async_inference_client import ApiKey, BearerToken, SigV4, errors
from async_inference_client._operations import RETRY_SECONDS
from inference.errors import InvalidInput, Unavailable, UnknownRequest
from scripts.console import CommandError
from scripts.operate import connection, predict
from tests.unit.client_plans import RESET, THROTTLED, Answer, accepted, problem, response, status
from tests.unit.predict_server import Clock, Server, main, serve

pytestmark = pytest.mark.usefixtures("clock")


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Server:
    server = Server()
    serve(monkeypatch, server)
    return server


@pytest.mark.parametrize(
    ("answers", "code"),
    [
        ([accepted(), status("succeeded", result={"prediction": "positive"})], 0),
        ([accepted(), status("failed", error={"code": "model_error", "message": "m"})], 1),
        ([accepted(), status("cancelled")], 1),
        ([accepted(), status("expired")], 1),
        ([problem(InvalidInput)], 2),
        ([accepted(), response(403, {"message": "Forbidden"})], 2),
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


@pytest.mark.parametrize(
    ("answers", "said"),
    [
        ([problem(InvalidInput)], "error: rejected: 422 Invalid input: because 422"),
        ([accepted(), problem(UnknownRequest)], "error: there is no request r1 (it may have been deleted"),
        ([accepted(), *[status("running", "60")] * 9], "r1 is not done after 120 s and continues: --resume r1"),
        ([accepted(), status("failed", error={"code": "timeout", "message": "m"})], "request r1 failed: timeout: m"),
        ([response(403, {"message": "Forbidden"})], "rejected: 403 Forbidden (POST /predict, not from the API itself"),
    ],
)
def test_an_error_says_what_happened_and_what_to_do(
    server: Server,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    answers: list[Answer],
    said: str,
) -> None:
    server.answers = iter(answers)
    assert main(monkeypatch, "x") > 0
    assert said in capsys.readouterr().err


def test_no_answer_at_all_is_exit_code_2_in_bounded_time(
    server: Server, monkeypatch: pytest.MonkeyPatch, clock: Clock
) -> None:
    server.respond = lambda _: RESET
    assert main(monkeypatch, "x") == 2
    assert 0 < clock.now <= RETRY_SECONDS


def test_passing_troubles_make_one_request(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    server.answers = iter([RESET, problem(Unavailable), THROTTLED, accepted(), RESET, status("succeeded", result=1)])
    assert main(monkeypatch, "x") == 0
    assert len({call.headers["Idempotency-Key"] for call in server.calls if call.method == "POST"}) == 1


def test_resume_submits_nothing(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    server.answers = iter([status("succeeded", result=1)])
    assert main(monkeypatch, "--resume", "r1") == 0
    assert [(call.method, call.url.path) for call in server.calls] == [("GET", "/status/r1")]


def test_an_interrupted_wait_says_how_to_go_on(
    server: Server, monkeypatch: pytest.MonkeyPatch, clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    server.answers = iter([accepted(), status("running", "60")])
    clock.on_sleep = lambda: signal.raise_signal(signal.SIGINT) if len(server.calls) == 2 else None
    with pytest.raises(KeyboardInterrupt):
        main(monkeypatch, "x")
    assert capsys.readouterr().err.splitlines()[-1] == "the request continues; get its result with --resume r1"


def test_raw_input_is_sent_as_it_is(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    server.answers = iter([accepted(), status("succeeded", result=1)])
    assert main(monkeypatch, "--input", '{"a": [1, 2]}', "--model", "m") == 0
    assert json.loads(server.calls[0].content) == {"a": [1, 2]}
    assert server.calls[0].url.path == "/predict/m"
    assert main(monkeypatch, "--input", "{") == 2


def test_an_input_may_be_in_a_file(monkeypatch: pytest.MonkeyPatch, server: Server, tmp_path: Path) -> None:
    file = tmp_path / "input.json"
    file.write_text('{"features": [1]}', encoding="utf-8")
    server.answers = iter([accepted(), status("succeeded")])
    assert main(monkeypatch, "--input", f"@{file}") == 0
    assert json.loads(server.calls[0].content) == {"features": [1]}


def test_a_url_that_is_none_is_rejected(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    assert main(monkeypatch, "--url", "api.test", "x") == 2
    assert server.calls == []


@pytest.fixture
def no_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, "/dev/null")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


@pytest.mark.usefixtures("no_credentials")
def test_without_credentials_nothing_is_signed_unless_it_must_be() -> None:
    assert connection.signer(required=False, region=None) is None
    with pytest.raises(CommandError, match="no AWS credentials") as raised:
        connection.signer(required=True, region=None)
    assert raised.value.code == 2


@pytest.mark.parametrize(
    ("arguments", "given", "kind"),
    [
        (["--url", "https://abc.execute-api.eu-west-1.amazonaws.com"], {}, SigV4),
        (["--url", "https://abc.execute-api.eu-west-1.amazonaws.com"], {connection.TOKEN: "t"}, BearerToken),
        (["--url", "https://abc.execute-api.eu-west-1.amazonaws.com"], {connection.KEY: "k"}, ApiKey),
        (["--url", "https://api.example.org", "--sign", "--region", "eu-north-1"], {connection.KEY: "k"}, SigV4),
        (["--url", "https://api.example.org"], {connection.TOKEN: "t"}, BearerToken),
        (["--url", "https://api.example.org"], {connection.KEY: "k"}, ApiKey),
        (["--url", "https://api.example.org"], {}, type(None)),
    ],
)
def test_what_is_signed(
    monkeypatch: pytest.MonkeyPatch, arguments: list[str], given: dict[str, str], kind: type
) -> None:
    seen: list[httpx2.Auth | None] = []
    for name in (connection.TOKEN, connection.KEY):
        monkeypatch.delenv(name, raising=False)
    for name, value in {"AWS_ACCESS_KEY_ID": "AKIATEST", "AWS_SECRET_ACCESS_KEY": "secret", **given}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(predict, "AsyncClient", lambda url, auth: seen.append(auth))
    predict._opener(predict._parser().parse_args([*arguments, "x"]))()
    assert [type(auth) for auth in seen] == [kind]


def test_a_key_and_a_token_are_one_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(connection.TOKEN, "t")
    monkeypatch.setenv(connection.KEY, "k")
    with pytest.raises(CommandError, match="API_KEY and API_TOKEN are both set"):
        connection.credential()


def test_an_unknown_request_without_an_id_is_shown_too() -> None:
    raised = errors.UnknownRequest("404 No such request", status=404, body={"type": errors.UnknownRequest.TYPE})
    assert str(connection.explain(raised)).startswith("404 No such request (it may have been deleted")
