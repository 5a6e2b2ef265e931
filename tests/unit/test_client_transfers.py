"""Uploads, downloads and erasing by the Python client's plans: what is sent again, and what counts as done."""

from __future__ import annotations

import hashlib
import io
import json
from pathlib import Path
from typing import Any

import httpx2
import pytest

from async_inference_client import File, Request, errors
from async_inference_client._content import Content, content_of, from_the_beginning, replacing
from async_inference_client._operations import RETRY_SECONDS
from async_inference_client._transfers import delete, download_bytes, result, upload
from inference.errors import InvalidUpload, Unavailable, UnknownRequest
from tests.unit.client_plans import RESET, Answer, Runner, document, problem, response

CONTENT = b"0123456789"
REFERENCE = {"$ref": "/uploads/u1"}
LINK = "https://bucket.test/uploads/o/u1?X-Amz-Signature=secret"
HEADERS = {"content-length": "10", "content-type": "image/png", "if-none-match": "*"}
FILE = File(LINK, len(CONTENT), hashlib.sha256(CONTENT).hexdigest(), "image/png")


def created() -> httpx2.Response:
    body = {"upload_id": "u1", "reference": REFERENCE, "method": "PUT", "url": LINK, "headers": HEADERS}
    return response(201, body | {"expires_at": "2026-11-26T08:15:00.000Z"})


def from_s3(status: int, content: bytes = b"", code: str = "") -> httpx2.Response:
    body = f"<?xml version='1.0'?><Error><Code>{code}</Code></Error>".encode() if code else content
    return httpx2.Response(status, content=body, request=httpx2.Request("PUT", LINK))


def uploaded(runner: Runner, source: Any = CONTENT, **more: Any) -> Any:
    return runner.run(upload(runner.operations(**more), content_of(source), "image/png"))


def test_an_upload_gets_a_link_and_sends_the_content_with_its_headers() -> None:
    runner = Runner([created(), from_s3(200)])
    assert uploaded(runner) == REFERENCE
    (call,), (put,) = runner.calls, runner.transfers
    assert (call.method, call.path) == ("POST", "/uploads")
    assert json.loads(call.content) == {"content_type": "image/png", "bytes": 10}
    assert (put.method, put.url, put.headers, runner.sent) == ("PUT", LINK, HEADERS, [CONTENT])


@pytest.mark.parametrize("trouble", [RESET, from_s3(503, code="SlowDown"), from_s3(409), from_s3(500)])
def test_the_content_is_sent_again_from_its_beginning_by_the_same_link(trouble: Answer) -> None:
    runner = Runner([created(), trouble, from_s3(200)])
    assert uploaded(runner, io.BytesIO(CONTENT)) == REFERENCE
    assert len(runner.calls) == 1
    assert runner.sent == [CONTENT, CONTENT]


def test_an_upload_whose_answer_was_lost_is_there() -> None:
    runner = Runner([created(), RESET, from_s3(412, code="PreconditionFailed")])
    assert uploaded(runner) == REFERENCE


def test_a_rejected_upload_is_not_repeated_and_its_error_has_no_signature() -> None:
    runner = Runner([created(), from_s3(403, code="SignatureDoesNotMatch")])
    with pytest.raises(errors.StorageError, match="403 SignatureDoesNotMatch") as raised:
        uploaded(runner)
    assert (raised.value.status, raised.value.retryable) == (403, False)
    assert "secret" not in str(raised.value)
    runner = Runner([created(), *[RESET] * 99])
    with pytest.raises(errors.ConnectionFailed) as lost:
        uploaded(runner)
    assert "secret" not in str(lost.value)


def test_a_wrong_upload_is_an_error_of_the_api() -> None:
    runner = Runner([problem(InvalidUpload)])
    with pytest.raises(errors.InvalidUpload):
        uploaded(runner)
    with pytest.raises(errors.ResponseError, match="a link"):
        uploaded(Runner([response(201, {"upload_id": "u1"})]))


def test_an_upload_is_given_up_after_its_pauses_however_long_a_call_takes() -> None:
    runner = Runner([created(), *[RESET] * 3, from_s3(200)], seconds_per_call=200)
    assert uploaded(runner) == REFERENCE
    runner = Runner([created(), *[RESET] * 99], seconds_per_call=200)
    with pytest.raises(errors.ConnectionFailed):
        uploaded(runner)
    assert RETRY_SECONDS - 10 < sum(runner.pauses) <= RETRY_SECONDS
    runner = Runner([created(), RESET])
    with pytest.raises(errors.ConnectionFailed):
        uploaded(runner, retry_seconds=0)


def downloaded(answers: list[Answer], file: File = FILE) -> tuple[Any, Runner]:
    runner = Runner(answers)
    return runner.run(download_bytes(runner.operations(), file)), runner


@pytest.mark.parametrize("trouble", [None, RESET, from_s3(503), from_s3(200, b"another")])
def test_a_download_that_is_not_what_its_digest_says_is_repeated(trouble: Answer | None) -> None:
    content, runner = downloaded([*([trouble] if trouble else []), from_s3(200, CONTENT)])
    assert content == CONTENT
    assert (runner.calls, [each.url for each in runner.transfers]) == ([], [LINK] * (2 if trouble else 1))


def test_a_download_that_stays_wrong_is_an_error() -> None:
    with pytest.raises(errors.CorruptDownload, match=FILE.sha256):
        downloaded([from_s3(200, b"another")] * 99)
    with pytest.raises(errors.StorageError, match="get the request again"):
        downloaded([from_s3(403, code="AccessDenied")])


def final(files: list[dict[str, Any]], value: Any) -> Request:
    return Request.from_document(document("succeeded", result=value, files=files))


def test_a_request_has_its_files() -> None:
    member = {"url": LINK, "bytes": 10, "sha256": FILE.sha256, "content_type": "image/png"}
    request = final([member | {"expires_at": "2026-11-26T08:15:00.000Z"}], {"image": {"$ref": "#/files/0"}})
    (file,) = request.files
    assert (file.url, file.bytes, file.sha256, file.content_type) == (LINK, 10, FILE.sha256, "image/png")
    assert file.expires_at and file.expires_at.isoformat() == "2026-11-26T08:15:00+00:00"
    assert request.whole_result is None
    with pytest.raises(ValueError, match="files"):
        final([{"url": LINK}], None)


def test_a_result_that_is_too_large_for_its_record_is_downloaded() -> None:
    content = json.dumps({"words": [1, 2]}).encode()
    member = {"url": LINK, "bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    whole = final([member | {"content_type": "application/json"}], {"$ref": "#/files/0"})
    runner = Runner([from_s3(200, content)])
    assert runner.run(result(runner.operations(), whole)) == {"words": [1, 2]}
    runner = Runner([])
    for request in (final([], {"$ref": "#/files/0"}), final([], [1])):
        assert runner.run(result(runner.operations(), request)) == request.result


@pytest.mark.parametrize("trouble", [None, RESET, problem(Unavailable)])
def test_deleting_is_repeated_until_the_request_is_gone(trouble: Answer | None) -> None:
    done = problem(UnknownRequest) if trouble else response(200, {"request_id": "r1"})
    runner = Runner([*([trouble] if trouble else []), done])
    assert runner.run(delete(runner.operations(), "r 1")) is None
    assert {(call.method, call.path) for call in runner.calls} == {("DELETE", "/requests/r%201")}


def test_deleting_what_is_not_there_is_an_error() -> None:
    runner = Runner([problem(UnknownRequest)])
    with pytest.raises(errors.UnknownRequest):
        runner.run(delete(runner.operations(), "r1"))


def both(content: Content) -> tuple[int, list[bytes], list[bytes]]:
    return content.size, [b"".join(content.parts())], [b"".join(content.parts())]


def test_contents_can_be_read_twice(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(CONTENT)
    for source in (CONTENT, bytearray(CONTENT), path, str(path)):
        assert both(content_of(source)) == (10, [CONTENT], [CONTENT])
    with path.open("rb") as file:
        file.seek(4)
        assert both(content_of(file)) == (6, [CONTENT[4:]], [CONTENT[4:]])
    content = content_of(path)
    with path.open("ab") as file:
        file.write(b"more")
    assert both(content) == (10, [CONTENT], [CONTENT])


def test_a_large_content_is_read_in_parts(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"x" * 1_000_000)
    assert [len(part) for part in content_of(path).parts()] == [2**18] * 3 + [1_000_000 - 3 * 2**18]


def test_what_cannot_be_uploaded_is_said_before_anything_is_sent(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        content_of(tmp_path / "none")
    (tmp_path / "a").write_bytes(CONTENT)
    with (tmp_path / "a").open(encoding="utf-8") as text, pytest.raises(TypeError, match="binary"):
        content_of(text)  # type: ignore[arg-type]

    class Pipe(io.BytesIO):
        def seekable(self) -> bool:
            return False

    with pytest.raises(ValueError, match="seekable"):
        content_of(Pipe(b"x"))


def test_a_file_is_replaced_as_a_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "out"
    path.write_bytes(b"before")
    with pytest.raises(RuntimeError), replacing(path) as file:
        file.write(b"half")
        raise RuntimeError
    assert path.read_bytes() == b"before"
    with replacing(path) as file:
        from_the_beginning(file)(b"a first try")
        from_the_beginning(file)(b"after")
    assert path.read_bytes() == b"after"
    assert [each.name for each in tmp_path.iterdir()] == ["out"]
