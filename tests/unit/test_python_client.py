"""The Python client, sync and async, through httpx2: both have the same methods, values and errors."""

from __future__ import annotations

import ast
import hashlib
import inspect
import pickle
import re
from collections.abc import Callable, Iterator
from typing import Any

import httpx2
import pytest

import async_inference_client
from async_inference_client import AsyncClient, Client, Progress, _pauses, errors
from async_inference_client._version import VERSION
from inference.errors import InvalidInput
from inference.requests import FINAL
from scripts.console import ROOT
from tests.e2e import http_client
from tests.unit import client_plans
from tests.unit.client_plans import BASE, problem, status
from tests.unit.client_transport import Api, caller, sync_client


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """The fake answers Retry-After: 0."""
    monkeypatch.setattr(_pauses, "SHORTEST_SECONDS", 0.001)
    monkeypatch.setattr(_pauses, "FIRST_BACKOFF_SECONDS", 0.001)


@pytest.fixture
def api() -> Api:
    return Api()


@pytest.fixture(params=["sync", "async"])
def call(request: pytest.FixtureRequest, api: Api) -> Callable[..., Any]:
    return caller(request.param, api)


def test_both_clients_have_the_same_methods() -> None:
    def methods(kind: type) -> dict[str, list[inspect.Parameter]]:
        found = {name: member for name, member in vars(kind).items() if inspect.isfunction(member) and name[0] != "_"}
        return {
            name.removeprefix("a"): [
                parameter.replace(annotation=inspect.Parameter.empty)
                for parameter in inspect.signature(member).parameters.values()
            ]
            for name, member in found.items()
        }

    assert methods(Client) == methods(AsyncClient)
    files = {"upload", "download", "save", "result"}
    batches = {"batch", "batch_file", "open_batch"}
    assert {
        "submit",
        "get",
        "wait",
        "resume",
        "predict",
        "predict_sync",
        "map",
        "cancel",
        "delete",
        "close",
    } | files | batches == set(methods(Client))


def test_the_clients_know_every_final_status() -> None:
    """They share no code with the API. One that does not know a status asks until its time is up."""
    assert async_inference_client.FINAL == http_client.FINAL == FINAL


def test_submit_wait_resume_get_cancel_and_predict(api: Api, call: Callable[..., Any]) -> None:
    found = call("submit", {"n": 1}, model="m")
    assert found.request_id == "r0"
    assert call("wait", "r0", timeout=10).result == {"n": 1}
    assert call("resume", "r0", timeout=10) == {"n": 1}
    assert call("get", "r0").submitted_at.isoformat() == "2026-11-26T08:00:00+00:00"
    assert call("cancel", "r0").status == "cancelled"
    ids: list[str] = []
    assert call("predict", {"n": 2}, on_accepted=lambda found: ids.append(found.request_id)) == {"n": 2}
    assert ids == ["r1"]
    assert [request.url.path for request in api.seen] == [
        *("/predict/m", "/status/r0", "/status/r0", "/status/r0", "/cancel/r0", "/predict", "/status/r1"),
    ]
    assert {request.headers["User-Agent"] for request in api.seen} == {f"async-inference-client/{VERSION}"}


def test_a_result_that_is_a_file_is_downloaded(api: Api, call: Callable[..., Any]) -> None:
    content = b'{"words": [1, 2]}'
    file = {"url": "https://s3.test/a", "bytes": len(content), "content_type": "application/json"}
    file["sha256"] = hashlib.sha256(content).hexdigest()

    def respond(request: httpx2.Request, value: Any) -> httpx2.Response | None:
        if request.url.host == "s3.test":
            return httpx2.Response(200, content=content)
        if request.url.path.startswith("/status/"):
            return status("succeeded", result={"$ref": "#/files/0"}, files=[file])
        return None

    api.respond = respond
    assert call("predict", 1) == call("resume", "r0") == {"words": [1, 2]}
    assert [outcome.unwrap() for outcome in call("map", [1, 2])] == [{"words": [1, 2]}] * 2


def test_a_lost_response_makes_no_second_request(api: Api, call: Callable[..., Any]) -> None:
    answers: Iterator[Any] = iter([httpx2.ReadError("reset")])

    def lose_the_first(request: httpx2.Request, value: Any) -> None:
        for error in answers:
            api.ids[request.headers["Idempotency-Key"]] = "r0"
            raise error

    api.respond = lose_the_first  # once it was accepted
    assert call("submit", 1).request_id == "r0"
    assert len(api.ids) == 1


def test_errors_come_out_of_both(api: Api, call: Callable[..., Any]) -> None:
    api.respond = lambda *_: problem(InvalidInput)
    with pytest.raises(errors.InvalidInput):
        call("submit", 1)
    api.respond = lambda *_: status("failed", error={"code": "timeout", "message": "slow"})
    with pytest.raises(errors.RequestFailed, match="timeout: slow"):
        call("resume", "r1")
    api.respond = lambda *_: status("running", "0")
    with pytest.raises(errors.WaitTimeout):
        call("wait", "r1", timeout=0.01)


def test_a_base_path_is_kept(api: Api) -> None:
    with Client(f"{BASE}/_aws/execute-api/abc/", transport=httpx2.MockTransport(api)) as client:
        client.submit(1, model="a b/c")
    assert api.seen[0].url.raw_path == b"/_aws/execute-api/abc/predict/a%20b%2Fc"


@pytest.mark.parametrize("url", ["", "api.test", "ftp://api.test", "http://", "https://[::1"])
def test_what_is_no_url_is_rejected(url: str) -> None:
    for kind in (Client, AsyncClient):
        with pytest.raises(ValueError, match=r"not an http\(s\) URL"):
            kind(url)


def test_a_sleep_that_is_interrupted_leaves_the_id_known(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(_: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("async_inference_client.client.time.sleep", interrupt)
    ids: list[str] = []
    with sync_client(api, wait_seconds=0) as talking, pytest.raises(KeyboardInterrupt):
        talking.predict(1, on_accepted=lambda found: ids.append(found.request_id))
    assert ids == ["r0"]


def test_members_that_are_not_known_are_kept() -> None:
    document = client_plans.document("succeeded", webhook={"attempts": 1}, batch_id="b1", attempts=[])
    found = async_inference_client.Request.from_document(document)
    assert found.document["webhook"] == {"attempts": 1}
    assert "batch_id" not in repr(found)
    assert found.attempts == 0, "of another type: as if it was not there"


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        ({"fraction": 0.4, "message": "page 4"}, Progress(0.4, "page 4")),
        ({"fraction": 1, "message": ""}, Progress(1.0)),
        (None, None),
        ({"message": "page 4"}, None),
        ("half", None),
    ],
)
def test_the_progress_of_a_request(found: Any, expected: Progress | None) -> None:
    document = client_plans.document("running", progress=found)
    assert async_inference_client.Request.from_document(document).progress == expected


def test_the_readmes_examples_use_names_that_are_there() -> None:
    text = (ROOT / "clients" / "python" / "README.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    assert len(blocks) > 3
    trees = [
        compile(block, "README.md", "exec", ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT) for block in blocks
    ]
    nodes = [node for tree in trees for node in ast.walk(tree)]
    imported = {
        alias.name
        for node in nodes
        if isinstance(node, ast.ImportFrom) and node.module == "async_inference_client"
        for alias in node.names
    }
    assert imported >= {"Client", "errors", "webhooks"}
    assert [name for name in imported if not hasattr(async_inference_client, name)] == []
    for owner, kind in {"client": Client, "errors": errors}.items():
        used = {node.attr for node in nodes if isinstance(node, ast.Attribute) and ast.unparse(node.value) == owner}
        assert used
        assert [name for name in used if not hasattr(kind, name)] == []
    methods = set(re.findall(r"^\| `(\w+)\(", text, re.MULTILINE))
    assert methods == {name for name in vars(Client) if name[0] != "_"} - {"close"}


def test_the_package_has_the_repositorys_version() -> None:
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert f'\nversion = "{VERSION}"\n' in project


@pytest.mark.parametrize(
    "error",
    [
        errors.InvalidInput("422 no", status=422, body={"type": errors.InvalidInput.TYPE, "detail": "d"}),
        errors.GatewayError("503 no", status=503, headers={"a": "b"}, retry_after=2.0),
        errors.ConnectionFailed("no answer", refused=True),
        errors.WaitTimeout("r1", 5),
        errors.RequestFailed(async_inference_client.Request.from_document(client_plans.document("failed"))),
        errors.UnencodableInput("no"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_an_error_comes_out_of_another_process_as_it_was(error: errors.InferenceError) -> None:
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is type(error)
    assert (str(again), again.args, vars(again)) == (str(error), error.args, vars(error))


def test_what_became_of_an_object_has_a_request_of_each_model() -> None:
    known = {"request_id": "b", "status": "succeeded", "result": {"width": 64}, "files": []}
    document = {"request_id": "a", "status": "succeeded", "trigger": "uploads", "models": {"thumbnail": known}}
    found = async_inference_client.Request.from_document(document)
    assert found.final
    assert found.models["thumbnail"].model == "thumbnail"
    assert found.models["thumbnail"].unwrap() == {"width": 64}
    assert found.model == ""
