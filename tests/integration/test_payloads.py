"""Large inputs, uploads, files of results and erasing, by the packaged functions on moto's S3."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, ClassVar

import boto3
import pytest

from inference.requests import Status
from scripts.stack_defaults import PAYLOAD_BUCKET, defaults
from tests.events import golden
from tests.integration.api_calls import rejected
from tests.integration.system import System, calls_of, sentiment_of
from tests.unit.fakes import ReadyModel
from worker.invocation import Invocation

LARGE = {"text": "\u20ac" * 4_000 + "x" * 400_000}
PNG = b"\x89PNG"
SHA256 = "0f4636c78f65d3639ece5a064b5ae753e3408614a14fb18ab4d7540d2c248543"


class Painter(ReadyModel):
    """Returns what it got of each input, and a file."""

    output_files: ClassVar[dict[str, str]] = {"image": "image/png"}  # type: ignore[misc]

    def __init__(self) -> None:
        self.got: list[Any] = []

    def predict(self, inputs: list[Any]) -> Sequence[Any]:
        self.got += inputs
        return [{"image": PNG, "words": len(value["text"].split())} for value in inputs]


def run(system: System, model: ReadyModel) -> list[str]:
    records = system.receive("wordcount")
    context = system._context()
    invocation = Invocation(context.aws_request_id, context.get_remaining_time_in_millis, system.clock)
    failed = system.worker("wordcount", model).process(records, invocation)  # type: ignore[arg-type]
    system.settle("wordcount", records, failed)
    return failed


def test_a_large_input_is_an_object_and_reaches_the_model(system: System) -> None:
    request_id = system.predict({"text": LARGE["text"][:5000] + " "}, model="wordcount")["json"]["request_id"]
    assert system.objects() == []
    request_id = system.predict(LARGE, model="wordcount")["json"]["request_id"]
    (key,) = system.objects()
    assert key.startswith(f"requests/{request_id}/input-")
    painter = Painter()
    assert run(system, painter) == []
    assert [len(value["text"]) for value in painter.got] == [5001, len(LARGE["text"])]


def test_the_calls_of_a_submit_with_a_large_input(system: System) -> None:
    with calls_of(system) as calls:
        system.predict(LARGE, model="wordcount")
        assert calls == ["PutItem", "PutObject", "SendMessage"]


def test_the_largest_body_in_base64_fits_in_lambdas_event() -> None:
    base64_bytes = (defaults("requests")["max_body_bytes"] + 2) // 3 * 4
    assert base64_bytes + 100_000 < 6 * 2**20  # Lambda's limit; the rest of the event is a few kilobytes


def test_an_upload_stands_for_the_input_or_a_part_of_it(system: System) -> None:
    text = system.upload(b'"worst delay of my life"', "application/json")
    whole = system.upload(b'{"text": "lovely"}', "application/json")
    ids = [system.predict(value)["json"]["request_id"] for value in ({"text": text}, whole)]
    assert system.run_worker() == []
    results = [system.status(request_id)["json"]["result"] for request_id in ids]
    assert results == [
        sentiment_of({"text": "worst delay of my life", "threshold": 0.5}),
        sentiment_of({"text": "lovely", "threshold": 0.5}),
    ]


@pytest.mark.parametrize(
    "reference",
    ["/uploads/00000000-0000-4000-8000-000000000000", "http://169.254.169.254/", "/requests/a/input-1.json", 5],
)
def test_a_reference_to_anything_else(system: System, reference: Any) -> None:
    problem = rejected(system.predict({"text": {"$ref": reference}}), 422)
    assert problem["type"] == "/problems/invalid-reference"
    assert system.messages() == 0


@pytest.mark.parametrize("body", ["[]", "{}", '{"bytes": 5}', '{"content_type": "image/png", "bytes": 7, "key": "x"}'])
def test_a_wrong_upload(system: System, body: str) -> None:
    problem = rejected(system.call(golden("http_upload") | {"body": body}), 422)
    assert problem["type"] == "/problems/invalid-upload"


def test_an_upload_above_the_limit(system: System) -> None:
    body = json.dumps({"content_type": "image/png", "bytes": defaults("requests")["max_upload_bytes"] + 1})
    assert rejected(system.call(golden("http_upload") | {"body": body}), 413)["type"] == "/problems/too-large"


def test_a_file_of_a_result_has_a_link_its_size_and_its_digest(system: System) -> None:
    request_id = system.predict({"text": "a b"}, model="wordcount")["json"]["request_id"]
    assert run(system, Painter()) == []
    shown = system.status(request_id)["json"]
    assert shown["result"] == {"image": {"$ref": "#/files/0"}, "words": 2}
    (file,) = shown["files"]
    assert (file["bytes"], file["sha256"], file["content_type"]) == (4, SHA256, "image/png")
    assert f"requests/{request_id}/attempt-1/0" in file["url"]
    assert file["expires_at"] > shown["finished_at"]


def test_erasing_leaves_nothing(system: System) -> None:
    text = system.upload(b'"' + b"x" * 10 + b'"', "application/json")
    request_id = system.predict({"text": text}, model="wordcount")["json"]["request_id"]
    other = system.predict(LARGE, model="wordcount")["json"]["request_id"]
    run(system, Painter())
    assert len(system.objects()) == 4
    response = system.erase(request_id)
    assert (response["statusCode"], response["json"]) == (200, {"request_id": request_id})
    assert sorted(key.split("/")[1] for key in system.objects()) == [other, other]
    rejected(system.status(request_id), 404)
    rejected(system.erase(request_id), 404)
    assert system.status(other)["json"]["status"] == Status.SUCCEEDED


def test_erasing_one_that_waits(system: System) -> None:
    request_id = system.predict(LARGE, model="wordcount")["json"]["request_id"]
    system.erase(request_id)
    assert (system.objects(), system.records()) == ([], {})
    painter = Painter()
    assert run(system, painter) == []
    assert (painter.got, system.messages("wordcount")) == ([], 0)


def test_s3_fails_and_nothing_is_left(system: System) -> None:
    boto3.client("s3").delete_bucket(Bucket=PAYLOAD_BUCKET)
    try:
        rejected(system.predict(LARGE, model="wordcount"), 503)
        assert (system.records(), system.messages("wordcount")) == ({}, 0)
    finally:
        boto3.client("s3").create_bucket(Bucket=PAYLOAD_BUCKET)
