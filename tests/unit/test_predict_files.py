"""`make predict` with files: what is uploaded, where its reference stands, and what is saved."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import httpx2
import pytest

from inference.errors import InvalidUpload
from scripts.operate.predict_files import put
from tests.unit.client_plans import Answer, accepted, problem, response, status
from tests.unit.predict_server import lines, main, serve

S3 = "https://bucket.test"
PNG = b"\x89PNG of a result"


class Deployment:
    """Takes uploads, and answers each request with one result."""

    def __init__(self) -> None:
        self.result: dict[str, Any] = {}
        self.uploads: list[tuple[str, bytes]] = []
        self.inputs: list[Any] = []
        self.files: dict[str, bytes] = {}
        self.rejection: Answer | None = None

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        if str(request.url).startswith(S3):
            if request.method == "GET":
                return httpx2.Response(200, content=self.files[request.url.path])
            self.uploads[-1] = (request.headers["content-type"], request.content)
            return httpx2.Response(200)
        if request.url.path == "/uploads":
            if isinstance(self.rejection, httpx2.Response):
                return self.rejection
            asked = json.loads(request.content)
            headers = {"content-type": asked["content_type"], "content-length": str(asked["bytes"])}
            self.uploads.append(("", b""))
            number = len(self.uploads)
            link = {"reference": {"$ref": f"/uploads/{number}"}, "url": f"{S3}/{number}", "headers": headers}
            return response(201, link)
        if request.method == "POST":
            self.inputs.append(json.loads(request.content))
            return accepted(f"r{len(self.inputs)}", "0")
        return status("succeeded", request_id=request.url.path.rpartition("/")[2], **self.result)

    def has_file(self, content: bytes, content_type: str, result: Any) -> None:
        """The result is this, with one file."""
        self.files["/file"] = content
        digest = hashlib.sha256(content).hexdigest()
        file = {"url": f"{S3}/file", "bytes": len(content), "sha256": digest, "content_type": content_type}
        self.result = {"result": result, "files": [file]}


@pytest.fixture
def deployment(monkeypatch: pytest.MonkeyPatch) -> Deployment:
    found = Deployment()
    serve(monkeypatch, found)
    return found


def test_files_are_uploaded_and_stand_in_the_input(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "cat.png").write_bytes(b"cat")
    (tmp_path / "text").write_bytes(b"\0" * 700_000)
    files = ["--file", f"image={tmp_path / 'cat.png'}", "--file", f"pages[]={tmp_path / 'text'}"]
    assert main(monkeypatch, "--input", '{"size": 5}', *files) == 0
    assert deployment.uploads == [("image/png", b"cat"), ("application/octet-stream", b"\0" * 700_000)]
    image, page = {"$ref": "/uploads/1"}, {"$ref": "/uploads/2"}
    assert deployment.inputs == [{"size": 5, "image": image, "pages": [page]}]
    assert main(monkeypatch, *files[:2]) == main(monkeypatch, "a text", *files[:2]) == 0
    assert deployment.inputs[1:] == [
        {"image": {"$ref": "/uploads/3"}},
        {"text": "a text", "image": {"$ref": "/uploads/4"}},
    ]


@pytest.mark.parametrize("arguments", [["--file", "image"], ["--file", "=x"], ["--file", "image=none.png"]])
def test_a_wrong_file_is_said_before_anything_is_sent(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch, arguments: list[str]
) -> None:
    assert main(monkeypatch, *arguments) == 2
    assert (deployment.uploads, deployment.inputs) == ([], [])


@pytest.mark.parametrize("others", [[], ["-"], ["--inputs", "x"], ["--resume", "x"]])
def test_one_input_is_needed_for_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, others: list[str]) -> None:
    (tmp_path / "cat.png").write_bytes(b"cat")
    files = ["--file", f"image={tmp_path / 'cat.png'}"] if others else []
    with pytest.raises(SystemExit) as ended:
        main(monkeypatch, *others, *files)
    assert ended.value.code == 2


def test_an_upload_that_is_rejected(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "cat.png").write_bytes(b"")
    deployment.rejection = problem(InvalidUpload)
    assert main(monkeypatch, "--file", f"image={tmp_path / 'cat.png'}") == 2
    assert "rejected: 422" in capsys.readouterr().err
    assert deployment.inputs == []


@pytest.mark.parametrize(
    ("value", "place", "expected"),
    [
        ({}, "a", {"a": 1}),
        ({"a": 0, "b": 2}, "a", {"a": 1, "b": 2}),
        ({"a": {"c": 3}}, "a.b", {"a": {"c": 3, "b": 1}}),
        ({}, "a.b[]", {"a": {"b": [1]}}),
        ({"a": [0]}, "a[]", {"a": [0, 1]}),
    ],
)
def test_places(value: Any, place: str, expected: Any) -> None:
    put(value, place, 1)  # type: ignore[arg-type]
    assert value == expected


@pytest.mark.parametrize(("value", "place"), [([], "a"), ({"a": 5}, "a.b"), ({"a": {}}, "a[]")])
def test_a_place_that_is_taken(deployment: Deployment, monkeypatch: pytest.MonkeyPatch, value: Any, place: str) -> None:
    assert main(monkeypatch, "--input", json.dumps(value), "--file", f"{place}={__file__}") == 2
    assert deployment.inputs == []


def test_files_of_a_result_are_saved(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    deployment.has_file(PNG, "image/png", {"image": {"$ref": "#/files/0"}})
    assert main(monkeypatch, "x", "--save", str(tmp_path / "results")) == 0
    shown = capsys.readouterr()
    assert json.loads(shown.out) == {"image": {"$ref": "#/files/0"}}
    assert f"saved {tmp_path / 'results' / 'r1-0.png'}" in shown.err
    assert (tmp_path / "results" / "r1-0.png").read_bytes() == PNG
    assert main(monkeypatch, "--resume", "r1") == 0
    assert "has 1 files; to save them: --resume r1 --save FOLDER" in capsys.readouterr().err


def test_a_result_that_is_a_file_is_printed(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    deployment.has_file(b'{"words": [1, 2]}', "application/json", {"$ref": "#/files/0"})
    assert main(monkeypatch, "x", "--save", str(tmp_path)) == 0
    assert json.loads(capsys.readouterr().out) == {"words": [1, 2]}
    assert list(tmp_path.iterdir()) == []


def test_files_of_many_results(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    deployment.has_file(PNG, "image/png", {"image": {"$ref": "#/files/0"}})
    assert main(monkeypatch, "-", "--save", str(tmp_path), stdin="a\nb\n") == 0
    paths = [tmp_path / f"r{number}-0.png" for number in (1, 2)]
    assert sorted(path for line in lines(capsys) for path in line["files"]) == [str(path) for path in paths]
    assert [path.read_bytes() for path in paths] == [PNG, PNG]
