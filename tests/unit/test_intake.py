"""Events become requests: one for each model, under one parent."""

from __future__ import annotations

import json
from typing import Any

import pytest

from inference.batches import transitions
from inference.intake.events import read_event
from inference.intake.inputs import with_object
from inference.requests import new_request_id
from inference.sources import Source
from tests.unit.fakes import Fault
from tests.unit.pipeline_harness import BUCKET, MODELS, Pipeline
from tests.unit.samples import DEADLINE, RETENTION, WEBHOOK_URL
from worker import files


class TestAnObject:
    def test_is_the_input_of_each_model(self) -> None:
        pipeline = Pipeline()
        pipeline.upload(content=b"cat")
        pipeline.work()
        assert [model.got for model in pipeline.models.values()] == [[b"cat"]] * 3
        status = pipeline.status()
        assert status["status"] == "succeeded"
        assert status["trigger"] == "uploads"
        assert status["source"]["key"] == "in/cat.png"
        assert list(status["models"]) == list(MODELS)
        (file,) = status["models"]["digits"]["files"]
        assert file["content_type"] == "image/png"
        assert status["models"]["digits"]["result"]["picture"] == {"$ref": "#/files/0"}
        assert [record.attempts for record in pipeline.requests()] == [1, 1, 1]
        assert {record.caller for record in pipeline.requests()} == {"anonymous"}
        assert {record.batch_id for record in pipeline.requests()} == {status["request_id"]}

    def test_its_status_is_open_until_all_requests_are_final(self) -> None:
        pipeline = Pipeline()
        pipeline.upload()
        pipeline.take_in()
        assert pipeline.status()["status"] == "pending"
        del pipeline.models["caption"]  # its message waits for a worker that has the model
        pipeline.predict()
        status = pipeline.status()
        assert (status["status"], status["finished_at"]) == ("running", None)
        assert pipeline.statuses() == {"thumbnail": "succeeded", "digits": "succeeded", "caption": "pending"}

    def test_one_model_that_fails_fails_its_request_alone(self) -> None:
        pipeline = Pipeline()
        pipeline.models["digits"].reactions[b"cat"] = ValueError("no digit")
        pipeline.upload()
        pipeline.work()
        assert pipeline.statuses() == {"thumbnail": "succeeded", "digits": "failed", "caption": "succeeded"}
        status = pipeline.status()
        assert status["status"] == "failed"
        assert status["models"]["digits"]["error"]["code"] == "model_error"
        assert status["finished_at"] is not None

    def test_what_the_trigger_gives_is_a_part_of_one_models_input(self) -> None:
        pipeline = Pipeline(input={"thumbnail": {"size": 64}})
        pipeline.upload()
        pipeline.take_in()
        inputs = [json.loads(held.body)["input"] for held in pipeline.queue.messages.values()]
        assert [value["size"] for value in inputs] == [64, 128, 128]
        assert all(value["image"] == {"$ref": "/source"} for value in inputs)

    def test_a_key_is_taken_as_it_is(self) -> None:
        pipeline = Pipeline()
        key = "in/a+b %20ü.png"
        pipeline.upload(key, b"x")
        pipeline.work()
        assert pipeline.status()["source"]["key"] == key
        assert pipeline.models["digits"].got == [b"x"]

    def test_a_webhook_tells_once_when_all_are_final(self) -> None:
        pipeline = Pipeline(webhook=WEBHOOK_URL)
        event = pipeline.upload()
        pipeline.events.put(event)
        pipeline.work()
        ((url, _, document),) = pipeline.hooks.receiver.got
        assert url == WEBHOOK_URL
        assert document["status"] == "succeeded"
        assert document["request_id"] == pipeline.parent().batch_id
        assert set(document["models"]) == set(MODELS)
        assert document["models"]["digits"]["files"]

    def test_a_folder_of_the_console_is_none(self) -> None:
        pipeline = Pipeline(suffix="")
        pipeline.upload("in/new/", b"")
        pipeline.work()
        assert pipeline.parents() == []
        assert pipeline.log.events("event_dropped")


class TestOneModelsInput:
    @pytest.mark.parametrize(
        ("changes", "content", "memory", "text"),
        [
            ({"input": {"digits": {"sise": 1}}}, b"cat", 512, "not valid"),
            ({"input": {"digits": {"size": {"$ref": "/source"}}}}, b"cat", 512, "is no upload"),
            ({}, b"c" * 300_000, 1, "takes at most 262,144, a quarter of its memory"),
        ],
        ids=["schema", "reference", "too large"],
    )
    def test_that_is_not_suitable_fails_alone(self, changes: Any, content: bytes, memory: int, text: str) -> None:
        pipeline = Pipeline(**changes)
        pipeline.memory_mb["digits"] = memory
        pipeline.upload(content=content)
        pipeline.work()
        assert pipeline.statuses() == {"thumbnail": "succeeded", "digits": "failed", "caption": "succeeded"}
        error = pipeline.status()["models"]["digits"]["error"]
        assert error["code"] == "invalid_input"
        assert text in error["message"]
        assert pipeline.document("digits")["error"] == error

    def test_an_empty_object_fails_all(self) -> None:
        pipeline = Pipeline()
        pipeline.upload(content=b"")
        pipeline.work()
        assert set(pipeline.statuses().values()) == {"failed"}

    def test_a_model_that_was_removed(self) -> None:
        pipeline = Pipeline()
        del pipeline.models["caption"]
        pipeline.upload()
        pipeline.work()
        assert pipeline.statuses()["caption"] == "failed"

    @pytest.mark.parametrize("place", ["pages[]", "document.image"])
    def test_a_place_may_be_deep(self, place: str) -> None:
        expected = {
            "pages[]": {"pages": [{"$ref": "/source"}]},
            "document.image": {"document": {"image": {"$ref": "/source"}}},
        }
        assert with_object({}, place) == expected[place]


class TestAnEventThatIsNoneOfATrigger:
    def events(self, pipeline: Pipeline) -> dict[str, str]:
        created = json.loads(pipeline.event("in/cat.png", b"cat"))
        without = {**created, "detail": {**created["detail"], "object": {"key": "in/cat.png"}}}
        return {
            "no JSON": "x",
            "a list": "[]",
            "deleted": json.dumps({**created, "detail-type": "Object Deleted"}),
            "without a size": json.dumps(without),
            "foreign bucket": pipeline.event("in/cat.png", b"cat", bucket="other"),
            "other prefix": pipeline.event("out/cat.png", b"cat"),
            "other suffix": pipeline.event("in/cat.jpg", b"cat"),
            "no time": json.dumps({**created, "time": "yesterday"}),
        }

    @pytest.mark.parametrize(
        "name",
        ["no JSON", "a list", "deleted", "without a size", "foreign bucket", "other prefix", "other suffix", "no time"],
    )
    def test_is_a_dead_letter_with_a_log_event_and_stops_no_other(self, name: str) -> None:
        pipeline = Pipeline()
        pipeline.events.put(self.events(pipeline)[name])
        pipeline.upload()
        pipeline.work()
        assert len(pipeline.dead_letters.messages) == 1
        assert len(pipeline.parents()) == 1
        lines = pipeline.log.events("message_unreadable") + pipeline.log.events("event_refused")
        assert len(lines) == 12, "as often as the queue allows, and never again"
        assert all(line["level"] == "ERROR" for line in lines)

    def test_that_is_older_than_the_retention_makes_nothing(self) -> None:
        """Its parent may have been made, and deleted."""
        pipeline = Pipeline()
        event = pipeline.upload()
        pipeline.work()
        pipeline.clock.advance(seconds=DEADLINE + RETENTION + 1)
        pipeline.batch_table.items.clear()
        pipeline.table.items.clear()
        pipeline.events.put(event)
        pipeline.work()
        assert pipeline.parents() == []
        assert len(pipeline.dead_letters.messages) == 1

    def test_that_comes_days_late_gets_the_whole_deadline(self) -> None:
        pipeline = Pipeline()
        event = pipeline.put("in/cat.png", b"cat")
        pipeline.clock.advance(seconds=3 * 86_400)
        pipeline.events.put(event)
        pipeline.work()
        assert pipeline.parent().expires_at > pipeline.clock() + (DEADLINE - 3_600) * 1000
        assert pipeline.status()["status"] == "succeeded"


class TestTheSameObject:
    def test_twice_is_one_parent(self) -> None:
        pipeline = Pipeline()
        event = pipeline.upload()
        pipeline.events.put(event)
        pipeline.work()
        pipeline.events.put(event)
        pipeline.work()
        assert len(pipeline.parents()) == 1
        assert len(pipeline.requests()) == 3
        assert [len(model.got) for model in pipeline.models.values()] == [1, 1, 1]
        assert len(pipeline.log.events("event_repeated")) == 2

    def test_written_again_is_another_parent(self) -> None:
        pipeline = Pipeline()
        pipeline.upload(content=b"cat")
        pipeline.work()
        pipeline.upload(content=b"cat")
        pipeline.work()
        assert len(pipeline.parents()) == 2

    def test_of_two_triggers_is_two_parents(self) -> None:
        pipeline = Pipeline()
        pipeline.triggers["more"] = pipeline.trigger._replace(name="more", models=("digits",), suffix="", results=None)
        event = pipeline.upload()
        pipeline.events.put(event)  # each of the two rules sends it
        pipeline.work()
        assert sorted(parent.trigger or "" for parent in pipeline.parents()) == ["more", "uploads"]
        assert len(pipeline.requests()) == 4

    def test_overwritten_before_it_was_read_never_becomes_another_input(self) -> None:
        pipeline = Pipeline()
        pipeline.upload(content=b"first")
        pipeline.take_in()
        pipeline.upload(content=b"second")
        pipeline.work()
        first, second = pipeline.parents()
        status = pipeline.status(first)
        assert {each["status"] for each in status["models"].values()} == {"failed"}
        error = status["models"]["digits"]["error"]
        assert error["code"] == "input_unavailable"
        assert "overwritten" in error["message"]
        assert pipeline.status(second)["status"] == "succeeded"
        assert [model.got for model in pipeline.models.values()] == [[b"second"]] * 3
        assert [record.attempts for record in pipeline.requests()] == [1] * 6, "no attempt more: it can't succeed"

    def test_overwritten_in_a_bucket_with_versions_is_read_as_it_was(self) -> None:
        pipeline = Pipeline()
        pipeline.upload(content=b"first", version_id="v1")
        pipeline.take_in()
        pipeline.upload(content=b"second", version_id="v2")
        pipeline.work()
        assert sorted(pipeline.models["digits"].got) == [b"first", b"second"]
        assert {pipeline.status(parent)["status"] for parent in pipeline.parents()} == {"succeeded"}

    def test_deleted_before_it_was_read(self) -> None:
        pipeline = Pipeline()
        pipeline.upload()
        pipeline.take_in()
        pipeline.source.objects.clear()
        pipeline.work()
        error = pipeline.status()["models"]["digits"]["error"]
        assert error["code"] == "input_unavailable"
        assert "was deleted" in error["message"]

    @pytest.mark.parametrize("kind", ["bytes", "path", "stream"])
    def test_that_changes_while_it_is_read_is_not_mixed(self, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(files, "PART_BYTES", 4)
        monkeypatch.setattr(files, "STREAM_BYTES", 4)
        pipeline = Pipeline(models=("digits",))
        model = pipeline.models["digits"]
        model.input_files = {"image": kind}
        read = {"bytes": lambda file: file, "path": lambda file: file.read_bytes(), "stream": lambda file: file.read()}
        original = model.predict
        model.predict = lambda inputs: original([{**value, "image": read[kind](value["image"])} for value in inputs])  # type: ignore[method-assign]
        pipeline.upload(content=b"first and long")
        pipeline.take_in()
        reads = 0

        def overwrite(operation: str) -> None:
            nonlocal reads
            reads += operation == "get"
            if reads == (2 if kind == "stream" else 3):  # the first one asks for the size
                pipeline.put("in/cat.png", b"second and long")

        pipeline.source.before = overwrite
        pipeline.work()
        assert model.got == []
        assert pipeline.status()["models"]["digits"]["error"]["code"] == "input_unavailable"


class TestWhileAwsDoesNotAnswer:
    @pytest.mark.parametrize("operation", ["create_batch", "create_many", "send_many", "apply_batch"])
    @pytest.mark.parametrize("done", [False, True], ids=["not done", "answer lost"])
    def test_the_event_comes_back_and_makes_each_request_once(self, operation: str, done: bool) -> None:
        pipeline = Pipeline()
        target = {"create_many": pipeline.table, "send_many": pipeline.queue}.get(operation, pipeline.batch_table)
        target.faults.append(Fault(operation, done, times=3))
        pipeline.upload()
        pipeline.work()
        assert pipeline.statuses() == dict.fromkeys(MODELS, "succeeded")
        assert [record.attempts for record in pipeline.requests()] == [1, 1, 1]
        waits = [line["seconds"] for line in pipeline.log.events("event_postponed")]
        assert waits[:3] == [30, 60, 120][: len(waits)]
        assert waits
        assert len(pipeline.parents()) == 1


def test_a_cancel_in_the_middle_of_the_intake_leaves_nothing_open() -> None:
    pipeline = Pipeline()
    pipeline.upload()

    def cancel(operation: str) -> None:
        if operation == "send_many":
            pipeline.queue.before = lambda _: None
            pipeline.batch_table.apply(transitions.cancel(pipeline.parent(), pipeline.clock()))

    pipeline.queue.before = cancel
    pipeline.take_in()
    assert set(pipeline.statuses().values()) == {"cancelled"}
    assert pipeline.status()["status"] == "cancelled"


@pytest.mark.parametrize(("version", "read"), [(None, None), ("null", None), ("", None), ("3Lg", "3Lg")])
def test_the_version_of_an_event(version: str | None, read: str | None) -> None:
    event = read_event(Pipeline().event("in/cat.png", b"cat", version))
    assert event.source.version_id == read
    assert Source.from_json(event.source.to_json()) == event.source
    assert event.source.bucket == BUCKET


def test_what_is_no_source_is_rejected() -> None:
    with pytest.raises(ValueError, match="not a source"):
        Source.from_json(json.dumps({"bucket": new_request_id()}))
