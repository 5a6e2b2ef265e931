"""The dispatcher's smaller rules: inputs and outputs, tokens, addresses, delays, messages that it can't work on."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from inference.errors import ConfigurationError, Unavailable
from inference.references import owner_of, reference_to
from inference.requests import Status
from inference.store.payloads import MAX_RESULT_BYTES, upload_key
from inference.stored_secret import AGAIN_SECONDS, StoredSecret
from tests.unit.dispatch_harness import API_URL, DispatchHarness
from tests.unit.fakes import NOW, Clock, Recorder
from tests.unit.samples import a_message, a_record
from tests.unit.test_dispatch_faults import held
from worker.backends.base import Misconfigured, Submission, Succeeded
from worker.dispatch.addresses import callback_url, is_signed
from worker.dispatch.callbacks import Done
from worker.dispatch.delays import LookDelay, until_deadline
from worker.dispatch.results import outcome_of_output
from worker.dispatch.tokens import parse_secret
from worker.isolation import Failed
from worker.isolation import Succeeded as Success

# Inputs


def test_an_input_is_checked_before_it_is_submitted() -> None:
    harness = DispatchHarness()
    harness.add(text="")
    harness.work()
    assert (harness.record().status, harness.error()["code"]) == (Status.FAILED, "invalid_input")
    assert (harness.provider.runs, harness.record().submits) == ({}, None)


def test_a_submission_has_what_the_provider_needs() -> None:
    harness = held()
    submission = harness.provider.runs["r1"].submission
    assert submission == Submission(
        "a1",
        1,
        {"text": "hi", "threshold": 0.5},
        submission.callback_url,
        harness.record().expires_at // 1000 - NOW // 1000,
    )
    assert str(submission.callback_url).startswith(f"{API_URL}/callbacks/echo/a1/1/")
    assert held(callbacks=False).provider.runs["r1"].submission.callback_url is None


def test_a_file_is_a_link_or_base64() -> None:
    harness = DispatchHarness(input_files={"image": "bytes"})
    upload, owner = "0b7c0d33-5bcb-4b0c-9e3a-0a9f7c7b1f6e", owner_of("anonymous")
    harness.bucket.put(upload_key(owner, upload), b"pixels", "image/png")
    for request_id, image in {"a1": reference_to(upload), "b2": "cGl4ZWxz"}.items():
        record = a_record(request_id, uploads=upload)
        harness.table.put(record)
        message = a_message(record, {"text": "x", "image": image})._replace(owner=owner)
        harness.queue.put(message.to_body())
    harness.run()
    first, second = (run.submission.input["image"] for run in harness.provider.runs.values())
    assert first == {"$ref": f"download:{upload_key(owner, upload)}"}
    assert second == "cGl4ZWxz"


def test_an_upload_that_is_gone_uses_attempts_no_submit() -> None:
    harness = DispatchHarness()
    record = a_record(stored_input="input-1.json")
    harness.table.put(record)
    harness.queue.put(a_message(record)._replace(input=None, stored_input="input-1.json").to_body())
    harness.work()
    assert (harness.record().status, harness.error()["code"]) == (Status.FAILED, "input_unavailable")
    assert harness.provider.runs == {}


# Outputs


def outcome(output: Any, files: Mapping[str, str] | None = None) -> Success | Failed:
    return outcome_of_output(Succeeded(output), files or {}, Recorder())


def test_an_output_that_is_no_object_is_invalid() -> None:
    found = outcome(["a"])
    assert isinstance(found, Failed)
    assert (found.code, found.retryable) == ("invalid_output", False)
    assert "the provider's output is list" in found.message


def test_a_file_in_an_output_is_decoded_and_kept_apart() -> None:
    found = outcome(
        {"image": base64.b64encode(b"pixels").decode(), "more": None}, {"image": "image/png", "more": "a/b"}
    )
    assert isinstance(found, Success)
    assert json.loads(found.result) == {"image": {"$ref": "#/files/0"}, "more": None}
    assert [(file.content, file.content_type) for file in found.files] == [(b"pixels", "image/png")]
    bad = outcome({"image": "no base64!"}, {"image": "image/png"})
    assert isinstance(bad, Failed)
    assert "image of the provider's output is not base64" in bad.message


def test_a_large_output_is_a_file() -> None:
    found = outcome({"text": "x" * MAX_RESULT_BYTES})
    assert isinstance(found, Success)
    assert json.loads(found.result) == {"$ref": "#/files/0"}


@pytest.mark.parametrize("by_callback", [True, False])
def test_the_files_of_a_run_are_in_the_bucket_before_the_outcome_refers_to_them(by_callback: bool) -> None:
    harness = DispatchHarness(output_files={"image": "image/png"})
    harness.provider.result = lambda _: Succeeded({"image": base64.b64encode(b"pixels").decode()})
    harness.add()
    harness.run()
    if by_callback:
        harness.clock.advance(seconds=31)
        assert harness.call_back(harness.provider.runs["r1"]) is Done.SUCCEEDED
    harness.work()
    assert harness.record().result == '{"image": {"$ref": "#/files/0"}}'
    assert harness.bucket.objects["requests/a1/attempt-1/0"].content == b"pixels"
    assert harness.steps.index("after put") < harness.steps.index("before succeed_with_files")


def test_an_output_that_is_not_valid_fails_the_request_by_a_callback_too() -> None:
    harness = held()
    harness.provider.runs["r1"].result = Succeeded("no object")
    harness.clock.advance(seconds=31)
    assert harness.call_back(harness.provider.runs["r1"]) is Done.NOTED
    harness.work()
    assert harness.record().status is Status.FAILED
    assert "the provider's output is str" in harness.error()["message"]


# Tokens


def test_a_token_that_the_provider_rejects_is_read_again_and_the_submit_made_once_more() -> None:
    harness = DispatchHarness()
    harness.provider.on_submit = [(Misconfigured("401"), False)]

    def rotate(step: str) -> None:
        if step == "before provider.submit":
            harness.token.value = {"token": "new"}

    harness.on_step = rotate
    harness.add()
    harness.work()
    assert harness.record().status is Status.SUCCEEDED
    assert (harness.made, len(harness.provider.runs)) == (["t0ken", "new"], 1)


def test_a_token_that_stays_wrong_fails_the_request_with_the_providers_words() -> None:
    harness = DispatchHarness()
    harness.provider.on_submit = [(Misconfigured("401: the token is wrong"), False)] * 2
    harness.add()
    harness.work()
    assert (harness.error()["code"], harness.error()["message"]) == ("backend_error", "401: the token is wrong")
    assert (len(harness.provider.on_submit), True in harness.token.reads) == (1, True)


def test_a_secret_that_cannot_be_read_is_as_a_provider_that_refuses() -> None:
    harness = DispatchHarness()
    harness.token.unreadable = Unavailable("could not read it")
    harness.add()
    harness.run()
    assert harness.record().next_look_at is not None
    harness.token.unreadable = None
    harness.work()
    assert (harness.record().status, harness.record().attempts) == (Status.SUCCEEDED, 1)


def test_a_secret_without_a_token_fails_the_request() -> None:
    harness = DispatchHarness()
    harness.token.unreadable = ConfigurationError("arn has no token")
    harness.add()
    harness.work()
    assert (harness.error()["code"], harness.error()["message"]) == ("backend_error", "arn has no token")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("r8_abc\n", {"token": "r8_abc"}),
        ('{"token": "r8_abc", "callback_key": "k"}', {"token": "r8_abc", "callback_key": "k"}),
    ],
)
def test_a_secret_is_a_token_or_an_object_with_one(text: str, expected: dict[str, str]) -> None:
    assert parse_secret(text, "arn") == expected


@pytest.mark.parametrize("text", ["", "{", '{"key": "r8_secret"}', '{"token": 1}', '{"token": ""}'])
def test_a_secret_without_a_token_is_named_and_not_shown(text: str) -> None:
    with pytest.raises(ConfigurationError, match="arn:secret") as raised:
        parse_secret(text, "arn:secret")
    assert "r8_" not in str(raised.value)


class Manager:
    """Secrets Manager's client."""

    def __init__(self) -> None:
        self.text = "one"
        self.reads = 0

    def get_secret_value(self, SecretId: str) -> dict[str, str]:
        self.reads += 1
        return {"SecretString": self.text}


def test_a_stored_secret_is_read_again_when_it_is_old_or_a_fresh_one_is_asked_for() -> None:
    manager, clock = Manager(), Clock(0)
    stored: StoredSecret[str] = StoredSecret("arn:aws:secretsmanager:x", str, lambda _: manager, 900, clock)
    assert [stored.value(), stored.value(), stored.value(fresh=True), manager.reads] == ["one", "one", "one", 1]
    manager.text = "two"
    clock.now += AGAIN_SECONDS
    assert [stored.value(), stored.value(fresh=True)] == ["one", "two"]
    manager.text = "three"
    clock.now += 900
    assert stored.value() == "three"


# Addresses

SECRET = {"token": "t"}


def test_an_address_holds_for_its_model_request_and_submit_alone() -> None:
    url = callback_url("https://a", "echo", "id", 2, SECRET)
    model, request_id, number, signature = url.removeprefix("https://a/callbacks/").split("/")
    assert is_signed(model, request_id, number, signature, SECRET)
    wrong: list[Callable[[], bool]] = [
        lambda: is_signed("other", request_id, number, signature, SECRET),
        lambda: is_signed(model, "other", number, signature, SECRET),
        lambda: is_signed(model, request_id, "3", signature, SECRET),
        lambda: is_signed(model, request_id, "\u0662", signature, SECRET),
        lambda: is_signed(model, request_id, number, signature[:-1], SECRET),
        lambda: is_signed(model, request_id, number, "\u0662", SECRET),
        lambda: is_signed(model, request_id, number, signature, {"token": "u"}),
        lambda: is_signed(model, "x" * 65, number, signature, SECRET),
    ]
    assert not any(check() for check in wrong)


def test_a_callback_key_outlives_the_token() -> None:
    url = callback_url("https://a", "echo", "id", 2, {"token": "old", "callback_key": "k"})
    assert is_signed("echo", "id", "2", url.rpartition("/")[2], {"token": "new", "callback_key": "k"})


# Delays


def test_looks_become_rarer_from_the_least_delay_to_the_most() -> None:
    delay = LookDelay(2, 120)
    assert [delay.after(seconds * 1000) for seconds in (0, 3, 4, 10, 100, 240, 10**6)] == [2, 2, 2, 5, 50, 120, 120]


def test_the_last_look_comes_right_after_the_deadline() -> None:
    assert until_deadline(120, NOW + 600_000, NOW) == 120
    assert until_deadline(120, NOW + 60_000, NOW) == 61
    assert until_deadline(120, NOW - 1, NOW) == 1


# Messages


def test_a_held_message_that_comes_early_is_put_back() -> None:
    harness = held()
    harness.queue.put(next(iter(harness.queue.messages.values())).body)
    harness.run()
    assert "before provider.look" not in harness.steps
    assert {(held.visible_at - harness.clock.now) // 1000 for held in harness.queue.messages.values()} <= {2, 3}


def test_messages_that_it_cannot_work_on() -> None:
    harness = DispatchHarness()
    harness.queue.put("no message")
    record = a_record("b1", model="unknown")
    harness.queue.put(a_message(record).to_body())
    harness.table.put(a_record("c1", submitted_at=NOW + 5))
    harness.queue.put(a_message(a_record("c1")).to_body())
    harness.queue.put(a_message(a_record("d1")).to_body())
    harness.run()
    assert [(held.visible_at - NOW) // 1000 for held in harness.queue.messages.values()] == [60, 10]
    assert [line["reason"] for line in harness.log.events("message_dropped")] == ["earlier_submit", "no_record"]


def test_a_message_is_begun_only_with_time_for_the_slowest_so_far() -> None:
    harness = DispatchHarness()
    harness.add(request_id="a1")
    harness.add(request_id="b1")
    harness.on_step = lambda step: harness.clock.advance(seconds=50 if step == "after provider.submit" else 0)
    harness.run()
    assert [harness.record(name).status for name in ("a1", "b1")] == [Status.RUNNING, Status.PENDING]
    harness.on_step = lambda _: None
    harness.work()
    assert {harness.record(name).attempts for name in ("a1", "b1")} == {1}


def test_a_claim_whose_answer_was_lost_is_found_again() -> None:
    """The client's retry finds what its own first try has written."""
    harness = DispatchHarness()
    harness.add()
    applied = harness.table.apply

    def twice(updates: Any) -> Any:
        applied(updates)
        harness.table.apply = applied  # type: ignore[method-assign]
        return applied(updates)

    harness.table.apply = twice  # type: ignore[method-assign]
    harness.work()
    assert (harness.record().status, harness.record().attempts, len(harness.provider.runs)) == (Status.SUCCEEDED, 1, 1)
