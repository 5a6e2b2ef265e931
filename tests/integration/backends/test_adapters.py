"""What each adapter sends to its provider, and what it makes of the answers."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest

from inference.errors import ConfigurationError
from inference.requests import ErrorCode
from inference.webhooks.signature import parse_secrets, signed_headers
from tests.integration.backends.scripted_provider import ScriptedProvider
from worker.backends import KINDS, make_backend
from worker.backends.base import (
    Backend,
    Failed,
    Gone,
    Misconfigured,
    NotAuthentic,
    Refused,
    Rejected,
    Running,
    Submission,
    Succeeded,
    Uncertain,
)
from worker.backends.beam import signature
from worker.isolation import Failed as WrapperFailed
from worker.run_error import to_text

TOKEN = "t0p"
SIGNING = "whsec_MDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAw"
CALLBACK = "https://api.example/callbacks/m/r1/1/sig"
SUBMISSION = Submission("r1", 1, {"text": "hello", "image": {"$ref": "https://files.example/a"}}, CALLBACK, 600)
ENDPOINTS = {"replicate": "owner/name:0a1b", "runpod": "abc123"}
IDS = {"replicate": "p1", "runpod": "p1", "cog": "r1-1-1795700000", "modal": "p1", "beam": "p1"}
SUBMITTED = {
    "replicate": {"id": "p1", "status": "starting"},
    "runpod": {"id": "p1", "status": "IN_QUEUE"},
    "cog": {"id": "r1-1", "status": "starting"},
    "modal": {"id": "p1"},
    "beam": {"task_id": "p1"},
}
POLLED = ["beam", "modal", "replicate", "runpod"]


def backend_of(kind: str, provider: ScriptedProvider, webhook_secret: str | None = None) -> Backend:
    secret = {"token": TOKEN} | ({"webhook_secret": webhook_secret} if webhook_secret else {})
    settings = {"kind": kind, "url": provider.url, "api_url": provider.url, "endpoint": ENDPOINTS.get(kind)}
    return make_backend(settings, secret)


def submitted(kind: str, provider: ScriptedProvider, submission: Submission = SUBMISSION) -> dict[str, Any]:
    """Submit; returns the method, path, body and headers that the provider got."""
    provider.says(SUBMITTED[kind])
    provider_id = backend_of(kind, provider).submit(submission)
    assert provider_id == IDS[kind] or kind == "cog"
    asked = provider.asked[-1]
    return {"call": f"{asked.method} {asked.path}", "body": asked.body, "headers": asked.headers}


def looked(kind: str, provider: ScriptedProvider, body: Any, status: int = 200) -> Any:
    provider.says(body, status)
    return backend_of(kind, provider).look(IDS[kind])


def test_replicate_gets_links_a_filter_and_a_deadline(provider: ScriptedProvider) -> None:
    sent = submitted("replicate", provider)
    assert sent["call"] == "POST /v1/predictions"
    assert sent["body"] == {
        "version": "0a1b",
        "input": {"text": "hello", "image": "https://files.example/a"},
        "webhook": CALLBACK,
        "webhook_events_filter": ["completed"],
    }
    assert sent["headers"]["cancel-after"] == "600s"
    assert sent["headers"]["authorization"] == "Bearer t0p"


@pytest.mark.parametrize(
    ("endpoint", "path"),
    [("owner/name", "/v1/models/owner/name/predictions"), ("deployments/o/n", "/v1/deployments/o/n/predictions")],
)
def test_replicate_runs_models_and_deployments(provider: ScriptedProvider, endpoint: str, path: str) -> None:
    provider.says(SUBMITTED["replicate"], 201)
    backend = make_backend({"kind": "replicate", "url": provider.url, "endpoint": endpoint}, {"token": TOKEN})
    backend.submit(Submission("r1", 1, {}, None, 1))
    assert (provider.asked[0].path, provider.asked[0].body) == (path, {"input": {}})
    assert provider.asked[0].headers["cancel-after"] == "5s", "Replicate takes no less"


def test_runpod_gets_the_input_and_a_policy(provider: ScriptedProvider) -> None:
    sent = submitted("runpod", provider)
    assert sent["call"] == "POST /abc123/run"
    assert sent["body"] == {
        "input": SUBMISSION.input,
        "webhook": CALLBACK,
        "policy": {"executionTimeout": 600_000, "ttl": 600_000},
    }


@pytest.mark.parametrize(
    ("seconds", "execution", "ttl"), [(1, 6_000, 10_000), (30 * 86_400, 7 * 86_400_000, 7 * 86_400_000)]
)
def test_runpods_policy_is_within_its_bounds(
    provider: ScriptedProvider, seconds: int, execution: int, ttl: int
) -> None:
    sent = submitted("runpod", provider, Submission("r1", 1, {}, None, seconds))
    assert sent["body"] == {"input": {}, "policy": {"executionTimeout": execution, "ttl": ttl}}


def test_cog_gets_an_id_of_the_submit(provider: ScriptedProvider) -> None:
    sent = submitted("cog", provider)
    assert re.fullmatch(r"PUT /predictions/r1-1-\d{10}", sent["call"])
    assert sent["headers"]["prefer"] == "respond-async"
    assert sent["body"]["input"] == {"text": "hello", "image": "https://files.example/a"}
    assert sent["body"]["webhook_events_filter"] == ["completed"]


def test_a_busy_cog_server_refuses(provider: ScriptedProvider) -> None:
    provider.says({"error": "busy"}, 409)
    with pytest.raises(Refused):
        backend_of("cog", provider).submit(SUBMISSION)


def test_cog_needs_a_callback(provider: ScriptedProvider) -> None:
    with pytest.raises(ConfigurationError):
        backend_of("cog", provider).submit(Submission("r1", 1, {}, None, 60))


def test_modal_and_beam_get_the_input_as_it_is(provider: ScriptedProvider) -> None:
    wanted = {"input": SUBMISSION.input, "callback_url": CALLBACK}
    modal = submitted("modal", provider)
    assert (modal["call"], modal["body"]) == ("POST /submit", wanted)
    provider.answers.clear()
    beam = submitted("beam", provider)
    assert (beam["call"], beam["body"]) == ("POST /", wanted)


@pytest.mark.parametrize("kind", sorted(KINDS))
@pytest.mark.parametrize(
    ("status", "error"),
    [(401, Misconfigured), (404, Misconfigured), (422, Rejected), (429, Refused), (503, Refused), (500, Uncertain)],
)
def test_a_submit_that_fails_says_how(
    provider: ScriptedProvider, kind: str, status: int, error: type[Exception]
) -> None:
    provider.says({"detail": "no"}, status)
    with pytest.raises(error):
        backend_of(kind, provider).submit(SUBMISSION)


@pytest.mark.parametrize("kind", POLLED)
@pytest.mark.parametrize("body", [None, [], {}, {"id": 5, "task_id": 5}, {"id": "", "task_id": ""}, "p1"])
def test_a_submit_without_an_id_is_uncertain(provider: ScriptedProvider, kind: str, body: Any) -> None:
    provider.says(body)
    with pytest.raises(Uncertain):
        backend_of(kind, provider).submit(SUBMISSION)


OUTPUT = {"label": "positive"}
WRAPPED = to_text(WrapperFailed(ErrorCode.INVALID_INPUT, "text is empty", False))
LOOKS: list[tuple[str, Any, Any]] = [
    ("replicate", {"status": "starting"}, Running()),
    ("replicate", {"status": "processing"}, Running()),
    ("replicate", {"status": "a-new-one"}, Running()),
    ("replicate", {"status": "succeeded", "output": OUTPUT, "metrics": {"predict_time": 1.5}}, Succeeded(OUTPUT, 1.5)),
    ("replicate", {"status": "succeeded", "output": None}, Succeeded(None)),
    ("replicate", {"status": "succeeded", "output": None, "data_removed": True}, Gone()),
    ("replicate", {"status": "failed", "error": "boom", "metrics": {}}, Failed("Replicate: boom", True)),
    (
        "replicate",
        {"status": "failed", "error": WRAPPED},
        Failed("text is empty", False, None, ErrorCode.INVALID_INPUT),
    ),
    (
        "replicate",
        {"status": "failed", "error": "Prediction interrupted; please retry (code: PA)"},
        Failed("Replicate ended the run: Prediction interrupted; please retry (code: PA)", True),
    ),
    ("runpod", {"status": "IN_QUEUE"}, Running()),
    ("runpod", {"status": "IN_PROGRESS"}, Running()),
    ("runpod", {"status": "COMPLETED", "output": OUTPUT, "executionTime": 1500}, Succeeded(OUTPUT, 1.5)),
    ("runpod", {"status": "COMPLETED", "output": OUTPUT, "executionTime": "x"}, Succeeded(OUTPUT)),
    ("runpod", {"status": "FAILED", "error": WRAPPED}, Failed("text is empty", False, None, ErrorCode.INVALID_INPUT)),
    ("runpod", {"status": "FAILED", "error": {"error_type": "X"}}, Failed('RunPod: {"error_type": "X"}', True)),
    ("runpod", {"status": "FAILED"}, Failed("RunPod: the run failed", True)),
    ("runpod", {"status": "CANCELLED"}, Failed("RunPod ended the run: it was cancelled", True)),
    ("modal", {"status": "running"}, Running()),
    ("modal", {"status": "succeeded", "output": OUTPUT, "run_seconds": 2}, Succeeded(OUTPUT, 2)),
    ("modal", {"status": "failed", "error": WRAPPED}, Failed("text is empty", False, None, ErrorCode.INVALID_INPUT)),
    ("beam", {"status": "PENDING"}, Running()),
    ("beam", {"status": "RETRY"}, Running()),
    (
        "beam",
        {
            "status": "COMPLETE",
            "result": {"output": OUTPUT, "run_seconds": 2},
            "started_at": "2026-11-26T10:00:00+00:00",
            "ended_at": "2026-11-26T10:00:02.500000+00:00",
        },
        Succeeded(OUTPUT, 2.5),
    ),
    (
        "beam",
        {"status": "COMPLETE", "result": OUTPUT},
        Failed("Beam: the task's result is not that of an app that `make gpu-app` writes", False),
    ),
    (
        "beam",
        {"status": "COMPLETE", "result": {"error": WRAPPED}},
        Failed("text is empty", False, None, ErrorCode.INVALID_INPUT),
    ),
    ("beam", {"status": "TIMEOUT"}, Failed("Beam ended the run: timeout", True)),
    ("cog", {"status": "BUSY"}, Running()),
    ("cog", {"status": "READY", "setup": {"started_at": "2026-11-26T10:00:00.123456789+00:00"}}, Running()),
    ("cog", {"status": "READY", "setup": {"started_at": "2026-11-28T10:00:00.123456789+00:00"}}, Gone()),
    ("cog", {"status": "STARTING", "setup": {"started_at": "2026-11-28T10:00:00Z"}}, Gone()),
    ("cog", {"status": "READY", "setup": {"started_at": "soon"}}, Running()),
    ("cog", {"status": "DEFUNCT"}, Gone()),
]


@pytest.mark.parametrize(("kind", "body", "look"), LOOKS)
def test_looks(provider: ScriptedProvider, kind: str, body: Any, look: Any) -> None:
    assert looked(kind, provider, body) == look


@pytest.mark.parametrize("kind", POLLED)
def test_a_run_that_is_unknown_is_gone(provider: ScriptedProvider, kind: str) -> None:
    assert looked(kind, provider, {"error": "not found"}, 404) == Gone()


@pytest.mark.parametrize("kind", sorted(KINDS))
@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (401, {}, Misconfigured),
        (429, {}, Refused),
        (500, {}, Uncertain),
        (200, b"<html>", Uncertain),
        (200, {"status": 5}, Uncertain),
        (200, ["status"], Uncertain),
    ],
)
def test_a_look_that_fails_is_no_outcome(
    provider: ScriptedProvider, kind: str, status: int, body: Any, error: type[Exception]
) -> None:
    with pytest.raises(error):
        looked(kind, provider, body, status)


@pytest.mark.parametrize("kind", POLLED)
def test_an_output_beyond_the_bound_fails_the_run(
    provider: ScriptedProvider, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("worker.backends.http.Http._decoded", too_large)
    look = looked(kind, provider, {"status": "x"})
    assert isinstance(look, Failed)
    assert not look.retryable, "the next run would have as much"


def too_large(self: Any, content: bytes) -> Any:
    from worker.backends.http import AnswerTooLarge

    raise AnswerTooLarge("the answer has more than 5 bytes")


@pytest.mark.parametrize(
    ("kind", "call", "body"),
    [
        ("replicate", "POST /v1/predictions/p1/cancel", None),
        ("runpod", "POST /abc123/cancel/p1", None),
        ("cog", "POST /predictions/r1-1-1795700000/cancel", None),
        ("modal", "POST /cancel/p1", None),
        ("beam", "DELETE /v2/task/cancel/", {"task_ids": ["p1"]}),
    ],
)
@pytest.mark.parametrize("status", [200, 404])
def test_cancel(provider: ScriptedProvider, kind: str, call: str, body: Any, status: int) -> None:
    provider.says({}, status)
    backend_of(kind, provider).cancel(IDS[kind])
    (asked,) = provider.asked
    assert (f"{asked.method} {asked.path}", asked.body) == (call, body)


def test_a_cancel_that_is_not_done_says_so(provider: ScriptedProvider) -> None:
    provider.says({}, 503)
    with pytest.raises(Refused):
        backend_of("runpod", provider).cancel("p1")


BODY = json.dumps({"id": "p1", "status": "succeeded", "output": OUTPUT}).encode()


@pytest.mark.parametrize("kind", ["modal", "replicate", "runpod"])
def test_a_callback_names_its_run_and_nothing_more(provider: ScriptedProvider, kind: str) -> None:
    callback = backend_of(kind, provider).read_callback({}, BODY)
    assert (callback.provider_id, callback.look) == ("p1", None), "the outcome is read by GET"


def test_cogs_callback_has_the_outcome(provider: ScriptedProvider) -> None:
    callback = backend_of("cog", provider).read_callback({}, BODY)
    assert (callback.provider_id, callback.look) == ("p1", Succeeded(OUTPUT))


@pytest.mark.parametrize("kind", ["cog", "modal", "replicate", "runpod"])
@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"id": 7}', b"[" * 100_000, b"\xff"])
def test_a_callback_that_names_no_run_is_rejected(provider: ScriptedProvider, kind: str, body: bytes) -> None:
    with pytest.raises(NotAuthentic):
        backend_of(kind, provider).read_callback({}, body)


def signed_by_replicate(now: int) -> dict[str, str]:
    return dict(signed_headers("msg_1", now * 1000, BODY, parse_secrets(SIGNING)))


def signed_by_cog(now: int) -> dict[str, str]:
    return {"authorization": f"Bearer {SIGNING}"}


def signed_by_beam(now: int) -> dict[str, str]:
    stamp = str(now)
    return {"x-task-id": "p1", "x-task-timestamp": stamp, "x-task-signature": signature(SIGNING, BODY, stamp)}


@pytest.mark.parametrize(
    ("kind", "sign", "header"),
    [
        ("replicate", signed_by_replicate, "webhook-signature"),
        ("cog", signed_by_cog, "authorization"),
        ("beam", signed_by_beam, "x-task-signature"),
    ],
)
def test_a_signed_callback_is_verified(
    provider: ScriptedProvider, kind: str, sign: Callable[[int], dict[str, str]], header: str
) -> None:
    import time

    now = int(time.time())
    backend = backend_of(kind, provider, SIGNING)
    good = sign(now)
    assert backend.read_callback(good, BODY).provider_id == "p1"
    forged = [{}, good | {header: "v1,AAAA"}, good | {header: good[header][:-2] + "x="}]
    for headers in forged:
        with pytest.raises(NotAuthentic):
            backend.read_callback(headers, BODY)
    if kind != "cog":  # a bearer token signs neither the body nor the time
        with pytest.raises(NotAuthentic):
            backend.read_callback(good, BODY + b" ")
        for late in (now - 1000, now + 1000):
            with pytest.raises(NotAuthentic):
                backend.read_callback(sign(late), BODY)


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"kind": "banana"}, "kind"),
        ({}, "kind"),
        ({"kind": "runpod"}, "endpoint"),
        ({"kind": "runpod", "endpoint": "a/b"}, "endpoint"),
        ({"kind": "replicate"}, "endpoint"),
        ({"kind": "replicate", "endpoint": "name"}, "endpoint"),
        ({"kind": "replicate", "endpoint": "a/b/c:v"}, "endpoint"),
        ({"kind": "replicate", "endpoint": "a/b", "url": "http://api.example"}, "url"),
        ({"kind": "cog"}, "url"),
        ({"kind": "modal"}, "url"),
        ({"kind": "beam"}, "url"),
    ],
)
def test_wrong_settings_name_the_key(settings: dict[str, Any], named: str) -> None:
    with pytest.raises(ConfigurationError, match=named):
        make_backend(settings, {"token": TOKEN})
