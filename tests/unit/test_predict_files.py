"""`make predict` with files: what is uploaded, where its reference stands, and what is saved."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any

import httpx2
import pytest

from inference.errors import InvalidUpload
from scripts.operate import predict_journal
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
def deployment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Deployment:
    monkeypatch.setattr(predict_journal, "BUILD", tmp_path / "build")  # of each test alone: names have seconds only
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


@pytest.mark.parametrize("others", [[], ["-"], ["--resume", "x"]])
def test_one_input_is_needed_for_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, others: list[str]) -> None:
    (tmp_path / "cat.png").write_bytes(b"cat")
    files = ["--file", f"image={tmp_path / 'cat.png'}"] if others else []
    with pytest.raises(SystemExit) as ended:
        main(monkeypatch, *others, *files)
    assert ended.value.code == 2


def many(folder: Path, *values: Any) -> list[str]:
    """The arguments for these inputs."""
    inputs = folder / "inputs.jsonl"
    inputs.write_text("".join(json.dumps(value) + "\n" for value in values), encoding="utf-8")
    return ["--inputs", str(inputs)]


def test_each_line_has_its_own_files(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    paths = [str(tmp_path / name) for name in ("a.png", "b.txt")]
    for path in paths:
        Path(path).write_bytes(Path(path).name.encode())
    reference = {"$ref": "/uploads/x"}
    values = [
        {"doc": {"image": paths[0]}, "pages": [paths[1], paths[0]]},
        {"doc": {"image": reference}, "pages": []},
        {"text": paths[0]},
    ]
    places = ["--file", "doc.image", "--file", "pages[]"]
    assert main(monkeypatch, *many(tmp_path, *values), *places) == 0
    assert sorted(deployment.uploads) == [("image/png", b"a.png"), ("image/png", b"a.png"), ("text/plain", b"b.txt")]
    assert len(lines(capsys)) == 3
    sent = {json.dumps(value) for value in deployment.inputs}
    assert {json.dumps(value) for value in values[1:]} <= sent, "a reference stays, and so does what is at no place"
    (with_files,) = [value for value in deployment.inputs if value.get("pages")]
    assert with_files == {
        "doc": {"image": {"$ref": "/uploads/1"}},
        "pages": [{"$ref": "/uploads/2"}, {"$ref": "/uploads/3"}],
    }


def test_a_resumed_run_sends_the_same_input_without_another_upload(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The first submit may have been accepted, and its key belongs to that input."""
    path = tmp_path / "cat.png"
    path.write_bytes(b"cat")
    arguments = [*many(tmp_path, {"image": str(path)}), "--file", "image"]

    def loses_its_answers(request: httpx2.Request) -> httpx2.Response:
        answer = deployment(request)
        if request.url.path == "/predict":
            raise httpx2.ReadError("reset")
        return answer

    serve(monkeypatch, loses_its_answers)
    assert main(monkeypatch, *arguments) == 2
    assert {json.dumps(value) for value in deployment.inputs} == {'{"image": {"$ref": "/uploads/1"}}'}
    deployment.inputs.clear()
    (name,) = set(re.findall(r"--resume (\S+\.jsonl)", capsys.readouterr().err))
    path.unlink()
    serve(monkeypatch, deployment)
    assert main(monkeypatch, "--resume", name) == 0
    assert deployment.inputs == [{"image": {"$ref": "/uploads/1"}}]
    assert len(deployment.uploads) == 1


@pytest.mark.parametrize("place", ["image=cat.png", "[]", ""])
def test_many_inputs_take_a_place_alone(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, place: str
) -> None:
    assert main(monkeypatch, *many(tmp_path, {"image": "x"}), "--file", place) == 2
    assert deployment.inputs == []


def test_a_line_whose_file_is_missing_stops_all_before_anything_is_sent(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = many(tmp_path, {"image": __file__}, {"image": "none.png"})
    assert main(monkeypatch, *arguments, "--file", "image") == 2
    assert "line 2 of " in capsys.readouterr().err
    assert (deployment.uploads, deployment.inputs) == ([], [])


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
