"""Payloads in a worker: what the model gets of an input, what becomes of its result's files, and who deletes them."""

from __future__ import annotations

import base64
import hashlib
import io
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from inference import transitions
from inference.references import owner_of, reference_to
from inference.requests import Message, Status, new_request_id
from inference.sources import Source, input_reference
from inference.store.payloads import JSON, MAX_RESULT_BYTES, message_of, request_key, upload_key
from tests.unit.fakes import NOW, Fault
from tests.unit.samples import a_record
from tests.unit.worker_harness import EchoModel, WorkerHarness
from worker import files as worker_files
from worker import payloads as worker_payloads
from worker.model.errors import InputError
from worker.payloads import WorkerPayloads

PNG = b"\x89PNG" + bytes(range(256))
OWNER = owner_of("anonymous")


class FileModel(EchoModel):
    """Says what it got in each place of a file, and returns what it is told."""

    def __init__(self, **input_files: str) -> None:
        super().__init__()
        self.input_files = input_files
        self.got: list[Any] = []
        self.read: Callable[[Any], bytes] = lambda file: file
        self.output: Callable[[Any], Any] = lambda value: {"text": value["text"]}

    def predict(self, inputs: list[Any]) -> Sequence[Any]:
        self.passes.append([value["text"] for value in inputs])
        if any(isinstance(self.reactions.get(value["text"]), ValueError) for value in inputs):
            self.got += [self.read(value["image"]) for value in inputs]
            raise ValueError("bad batch")
        self.got += [self.read(value["image"]) if "image" in value else None for value in inputs]
        return [self.output(value) for value in inputs]


class Harness(WorkerHarness):
    """A worker whose requests have payloads in the bucket."""

    def __init__(self, model: FileModel | None = None) -> None:
        self.file_model = model or FileModel()
        super().__init__(model=self.file_model)

    def upload(self, content: bytes, content_type: str = "image/png", owner: str = OWNER) -> dict[str, str]:
        upload_id = new_request_id()
        self.bucket.put(upload_key(owner, upload_id), content, content_type)
        return reference_to(upload_id)

    def submit(self, value: Any, request_id: str = "a1", uploads: Sequence[dict[str, str]] = (), **changes: Any) -> str:
        ids = " ".join(upload["$ref"].removeprefix("/uploads/") for upload in uploads) or None
        record = a_record(request_id, uploads=ids, **changes)
        self.table.put(record)
        if record.stored_input is not None:
            self.bucket.put(request_key(request_id, record.stored_input), json.dumps(value).encode(), JSON)
        self.queue.put(message_of(record, value).to_body())
        return request_id

    def keys(self, request_id: str = "a1") -> list[str]:
        return [key for key in self.bucket.objects if key.startswith(f"requests/{request_id}/")]


def test_an_input_that_is_an_object() -> None:
    harness = Harness()
    harness.submit({"text": "x" * 300_000}, stored_input="input-1.json")
    assert harness.run() == []
    assert harness.model.passes == [["x" * 300_000]]
    assert harness.statuses() == ["succeeded"]


def test_an_input_in_the_message_costs_no_call_to_s3() -> None:
    harness = Harness()
    harness.submit({"text": "fine"})
    harness.run()
    assert harness.bucket.calls == []


class TestJsonUploads:
    def test_are_put_in_their_places(self) -> None:
        harness = Harness()
        text = harness.upload(b'"fine"', JSON)
        harness.submit({"text": text}, uploads=[text])
        harness.run()
        assert harness.model.passes == [["fine"]]

    def test_may_be_the_whole_input(self) -> None:
        harness = Harness()
        whole = harness.upload(b'{"text": "fine"}', JSON)
        harness.submit(whole, uploads=[whole])
        harness.run()
        assert harness.model.passes == [["fine"]]

    @pytest.mark.parametrize("content", [b"{", b"NaN", b'{"text": ""}', b"5", b"[" * 101 + b"]" * 101])
    def test_are_checked_here(self, content: bytes) -> None:
        harness = Harness()
        whole = harness.upload(content, JSON)
        harness.submit(whole, uploads=[whole])
        assert harness.run() == []
        assert harness.error("a1")["code"] == "invalid_input"

    def test_references_in_them_are_not_followed(self) -> None:
        harness = Harness(FileModel(image="bytes"))
        image = harness.upload(PNG)
        whole = harness.upload(json.dumps({"text": "fine", "image": image}).encode(), JSON)
        harness.submit(whole, uploads=[whole])
        harness.run()
        assert harness.error("a1") == {
            "code": "invalid_input",
            "message": "image: references in an uploaded document are not followed",
            "attempt": 1,
        }

    def test_another_owners_is_not_there(self) -> None:
        harness = Harness()
        theirs = harness.upload(b'"fine"', JSON, owner=owner_of("iam:you"))
        harness.submit({"text": theirs}, uploads=[theirs])
        harness.run()
        assert harness.error("a1")["code"] == "input_unavailable"


READERS: dict[str, Callable[[Any], bytes]] = {
    "bytes": lambda file: file,
    "path": lambda file: file.read_bytes(),
    "stream": lambda file: file.read(),
}


@pytest.mark.parametrize("kind", READERS)
class TestFiles:
    def harness(self, kind: str) -> Harness:
        model = FileModel(image=kind)
        model.read = READERS[kind]
        return Harness(model)

    @pytest.mark.parametrize("part", [1, 100, 260, 261, 1000])
    def test_the_model_gets_an_upload(self, kind: str, part: int, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(worker_files, "PART_BYTES", part)
        harness = self.harness(kind)
        image = harness.upload(PNG)
        harness.submit({"text": "a", "image": image}, uploads=[image])
        assert harness.run() == []
        assert harness.file_model.got == [PNG]
        assert harness.statuses() == ["succeeded"]

    def test_the_model_gets_base64_in_the_same_way(self, kind: str) -> None:
        harness = self.harness(kind)
        harness.submit({"text": "a", "image": base64.b64encode(PNG).decode()})
        harness.run()
        assert harness.file_model.got == [PNG]
        assert harness.bucket.calls == []

    def test_what_is_not_base64_fails_alone(self, kind: str) -> None:
        harness = self.harness(kind)
        harness.submit({"text": "a", "image": "???"})
        harness.submit({"text": "b", "image": base64.b64encode(PNG).decode()}, "b1")
        harness.run()
        assert harness.error("a1")["message"] == "image is not valid base64"
        assert harness.table.record("b1").status is Status.SUCCEEDED

    def test_a_batch_that_is_split_reads_each_file_from_its_beginning(self, kind: str) -> None:
        harness = self.harness(kind)
        harness.file_model.reactions["bad"] = ValueError("bad")
        harness.file_model.permanent_errors = ("ValueError",)
        for number, text in enumerate(["good", "bad"]):
            image = harness.upload(PNG)
            harness.submit({"text": text, "image": image}, f"{number}1", uploads=[image])
        harness.run()
        assert harness.file_model.got == [PNG] * 4
        assert harness.statuses() == ["succeeded", "failed"]

    def test_a_file_that_was_erased_is_not_tried_again(self, kind: str) -> None:
        harness = self.harness(kind)
        image = harness.upload(PNG)
        harness.submit({"text": "a", "image": image}, uploads=[image])
        harness.bucket.objects.clear()
        assert harness.run() == []
        assert harness.error("a1")["code"] == "input_unavailable"
        assert harness.statuses() == ["failed"]

    def test_s3_does_not_answer_and_the_next_attempt_succeeds(self, kind: str) -> None:
        harness = self.harness(kind)
        image = harness.upload(PNG)
        harness.submit({"text": "a", "image": image}, uploads=[image])
        harness.bucket.faults = [Fault("get")]
        assert harness.run() != []
        assert harness.error("a1")["code"] == "input_unavailable"
        harness.clock.advance(seconds=10)
        assert harness.run() == []
        assert harness.statuses() == ["succeeded"]


def test_paths_are_deleted_and_streams_closed_after_the_pass() -> None:
    got: list[Any] = []
    for kind in ("path", "stream"):
        model = FileModel(image=kind)
        model.read = lambda file: got.append(file) or b""  # type: ignore[func-returns-value]
        harness = Harness(model)
        image = harness.upload(PNG)
        harness.submit({"text": "a", "image": image}, uploads=[image])
        harness.run()
    path, stream = got
    assert not path.exists() and not path.parent.exists()
    assert stream.closed


def test_lines_of_a_stream_are_read_ahead() -> None:
    harness, lines = Harness(), [b"%d\n" % number for number in range(100_000)]
    key = upload_key(OWNER, harness.upload(b"".join(lines))["$ref"].removeprefix("/uploads/"))
    harness.bucket.calls.clear()
    with worker_files.stream(worker_files.ObjectFile(harness.bucket, key), sum(map(len, lines))) as stream:
        assert list(stream) == lines
    assert harness.bucket.calls == ["get"], "589 KB"


def test_a_stream_seeks_and_reads_what_is_asked_for() -> None:
    harness = Harness()
    reference = harness.upload(PNG)
    key = upload_key(OWNER, reference["$ref"].removeprefix("/uploads/"))
    with io.BufferedReader(
        worker_files.ObjectStream(worker_files.ObjectFile(harness.bucket, key), len(PNG)), 16
    ) as stream:
        assert stream.read(4) == PNG[:4]
        assert stream.seek(-3, io.SEEK_END) == len(PNG) - 3
        assert stream.read() == PNG[-3:]
        assert stream.read() == b""
        stream.seek(10)
        assert (stream.tell(), stream.read(1)) == (10, PNG[10:11])


def test_a_file_where_the_model_takes_none() -> None:
    harness = Harness(FileModel(image="bytes"))
    image = harness.upload(PNG)
    harness.submit({"text": "a", "other": image}, uploads=[image])
    harness.run()
    assert "takes none" in harness.error("a1")["message"]


def test_a_file_that_does_not_fit_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_payloads, "MAX_BYTES", 10)
    harness = Harness(FileModel(image="bytes"))
    image = harness.upload(PNG)
    harness.submit({"text": "a", "image": image}, uploads=[image])
    harness.run()
    assert harness.error("a1")["code"] == "invalid_input"
    assert "260 bytes; this model takes at most 10" in harness.error("a1")["message"]


def test_a_failed_request_keeps_where_its_input_is() -> None:
    harness = Harness()
    harness.model.reactions["x"] = None
    harness.file_model.output = lambda value: 1 / 0
    harness.file_model.permanent_errors = ("ZeroDivisionError",)
    harness.submit({"text": "x"}, stored_input="input-1.json")
    harness.run()
    record = harness.table.record("a1")
    assert (record.status, record.input, record.stored_input) == (Status.FAILED, "null", "input-1.json")
    assert harness.keys() == ["requests/a1/input-1.json"]


# Results


def with_output(output: Any, **declared: str) -> Harness:
    model = FileModel()
    model.output_files = declared
    model.output = lambda value: output() if callable(output) else output
    harness = Harness(model)
    harness.submit({"text": "a"})
    return harness


def files_of(harness: Harness) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(str(harness.table.record("a1").files))
    return found


class TestResults:
    def test_a_declared_file(self) -> None:
        harness = with_output(lambda: {"caption": "cat", "image": PNG}, image="image/png")
        harness.run()
        record = harness.table.record("a1")
        assert json.loads(str(record.result)) == {"caption": "cat", "image": {"$ref": "#/files/0"}}
        sha256 = hashlib.sha256(PNG).hexdigest()
        assert files_of(harness) == [
            {"name": "attempt-1/0", "bytes": len(PNG), "sha256": sha256, "content_type": "image/png"}
        ]
        held = harness.bucket.objects["requests/a1/attempt-1/0"]
        assert (held.content, held.content_type) == (PNG, "image/png")

    def test_a_path_is_read_and_deleted(self, tmp_path: Path) -> None:
        path = tmp_path / "made.png"
        path.write_bytes(PNG)
        harness = with_output(lambda: {"image": path}, image="image/png")
        harness.run()
        assert harness.bucket.objects["requests/a1/attempt-1/0"].content == PNG
        assert not path.exists()

    def test_each_item_of_a_list_and_one_that_is_not_there(self) -> None:
        harness = with_output(
            lambda: {"pages": [b"1", b"2"], "image": None}, **{"pages[]": "text/plain", "image": "a/b"}
        )
        harness.run()
        result = json.loads(str(harness.table.record("a1").result))
        assert result == {"pages": [{"$ref": "#/files/0"}, {"$ref": "#/files/1"}], "image": None}

    @pytest.mark.parametrize("wrong", ["text", 5, Path("/no/such/file")])
    def test_something_else_in_its_place(self, wrong: Any) -> None:
        harness = with_output(lambda: {"image": wrong}, image="image/png")
        harness.run()
        assert harness.error("a1")["code"] == "invalid_output"
        assert harness.keys() == []

    @pytest.mark.parametrize(("extra", "files"), [(0, 0), (1, 1)])
    def test_one_that_does_not_fit_in_the_record(self, extra: int, files: int) -> None:
        text = "x" * (MAX_RESULT_BYTES - len('{"text": ""}') + extra)
        harness = with_output({"text": text})
        harness.run()
        record = harness.table.record("a1")
        assert len(json.loads(record.files or "[]")) == files
        if files:
            assert record.result == '{"$ref": "#/files/0"}'
            assert json.loads(harness.bucket.objects["requests/a1/attempt-1/0"].content) == {"text": text}
            assert files_of(harness)[0]["content_type"] == JSON

    def test_files_first_then_the_outcome(self) -> None:
        harness = with_output(lambda: {"image": PNG}, image="image/png")
        order: list[str] = []
        harness.table.before = harness.bucket.before = order.append
        harness.run()
        assert order == ["apply", "put", "apply"]

    def test_s3_does_not_take_them_and_the_next_attempt_succeeds(self) -> None:
        harness = with_output(lambda: {"image": PNG}, image="image/png")
        harness.bucket.faults = [Fault("put")]
        assert harness.run() != []
        assert harness.error("a1")["code"] == "result_not_stored"
        harness.clock.advance(seconds=10)
        assert harness.run() == []
        assert files_of(harness)[0]["name"] == "attempt-2/0"

    def test_cancelled_meanwhile_its_files_are_deleted(self) -> None:
        harness = with_output(lambda: {"image": PNG}, image="image/png")
        harness.bucket.after = lambda operation: harness.table.apply([transitions.cancel("a1", NOW)]) and None
        harness.run()
        assert (harness.statuses(), harness.keys()) == (["cancelled"], [])

    def test_erased_meanwhile_its_files_are_deleted(self) -> None:
        harness = with_output(lambda: {"image": PNG}, image="image/png")
        harness.bucket.after = lambda operation: harness.table.items.clear()
        assert harness.run() == []
        assert harness.keys() == []

    def test_the_answer_of_the_write_is_lost_and_the_files_stay(self) -> None:
        harness = with_output(lambda: {"image": PNG}, image="image/png")
        harness.table.faults = [Fault("apply", done=True, skip=1)]
        harness.run()
        assert (harness.statuses(), harness.keys()) == (["succeeded"], ["requests/a1/attempt-1/0"])

    def test_a_retry_of_the_write_that_finds_itself_applied_deletes_nothing(self) -> None:
        """boto3 and the lean client repeat a write whose answer was lost: the second one is rejected."""
        harness = with_output(lambda: {"image": PNG}, image="image/png")
        apply = harness.table.apply

        def twice(updates: Any) -> Any:
            first = apply(updates)
            return apply(updates) if updates[0].transition is transitions.SUCCEED_WITH_FILES else first

        harness.table.apply = twice  # type: ignore[method-assign]
        harness.run()
        assert (harness.statuses(), harness.keys()) == (["succeeded"], ["requests/a1/attempt-1/0"])

    def test_an_input_error_has_no_file(self) -> None:
        harness = with_output(lambda: InputError("no face in it"), image="image/png")
        harness.run()
        assert harness.error("a1")["message"] == "no face in it"
        assert harness.keys() == []


class TestAnObjectOfATrigger:
    SOURCE = Source("photos", "in/cat.png", "etag", 3, "1", "v1")

    def message(self, source: Source) -> Message:
        record = a_record("a1", source=source.to_json())
        return message_of(record, {"text": "cat", "image": input_reference()})

    def test_a_link_names_its_version(self) -> None:
        harness = Harness()
        payloads = WorkerPayloads(harness.bucket, lambda name: harness.bucket)
        message = self.message(self.SOURCE)
        value = payloads.with_links(payloads.resolve(message, {"image": "bytes"}), message, {"image": "bytes"}, 900)
        assert value["image"] == {"$ref": "download:in/cat.png?versionId=v1"}

    def test_without_versions_there_is_no_link(self) -> None:
        payloads = WorkerPayloads(Harness().bucket, lambda name: pytest.fail(name))
        message = self.message(self.SOURCE._replace(version_id=None))
        with pytest.raises(worker_payloads.InputUnavailable, match="bucket without versions"):
            payloads.with_links(payloads.resolve(message, {"image": "bytes"}), message, {"image": "bytes"}, 900)

    def test_its_reference_means_nothing_in_a_document_that_was_uploaded(self) -> None:
        harness = Harness(FileModel(image="bytes"))
        upload = harness.upload(json.dumps({"text": "cat", "image": input_reference()}).encode(), JSON)
        request_id = harness.submit(upload, uploads=[upload])
        harness.run()
        assert harness.error(request_id)["code"] == "invalid_input"
        assert harness.file_model.got == []
