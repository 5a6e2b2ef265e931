"""Results in S3: what is written of an outcome, and what is left alone."""

from __future__ import annotations

import json

import pytest

from inference import transitions
from inference.intake.results import MAX_TRIES, Writer, _is_later
from inference.intake.triggers import triggers_of
from inference.store.results_place import Written
from tests.unit.fakes import Fault
from tests.unit.pipeline_harness import MODELS, RESULTS_BUCKET, Pipeline


def worked(**changes: object) -> Pipeline:
    """A pipeline whose requests have succeeded, and whose results are not written yet."""
    pipeline = Pipeline(**changes)
    pipeline.upload()
    pipeline.take_in()
    pipeline.predict()
    return pipeline


def reasons(pipeline: Pipeline) -> set[str]:
    return {line["reason"] for line in pipeline.log.events("results_skipped")}


def test_a_document_names_its_files_and_its_event() -> None:
    pipeline = worked()
    pipeline.write_results()
    document = pipeline.document("digits")
    assert document["status"] == "succeeded"
    assert document["parent_id"] == pipeline.parent().batch_id
    assert document["source"]["key"] == "in/cat.png"
    assert document["result"]["picture"] == {"$ref": "#/files/0"}
    (file,) = document["files"]
    assert file["key"] == f"out/in/cat.png/digits-0.{file['sha256'][:12]}.png"
    assert pipeline.place.objects[RESULTS_BUCKET, file["key"]][0] == b"tac"
    assert "url" not in file, "a link would end"


def test_a_failed_request_is_written_too_and_again_after_its_replay() -> None:
    pipeline = Pipeline()
    pipeline.models["digits"].reactions[b"cat"] = ValueError("no digit")
    pipeline.upload()
    pipeline.work()
    assert pipeline.document("digits")["error"]["code"] == "model_error"
    pipeline.models["digits"].reactions.clear()
    (failed,) = [record for record in pipeline.requests() if record.status == "failed"]
    assert failed.source is not None, "a replay needs it"
    now = pipeline.clock()
    update = transitions.replay(failed, now, expires_at=now + 10**7, delete_at=now // 1000 + 10**5, attempts=5)
    pipeline.table.apply([update])
    assert pipeline.write_results() == []
    assert pipeline.document("digits")["status"] == "failed", "it is not final now"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda pipeline: pipeline.table.items.clear(), "it was erased, or is replayed"),
        (lambda pipeline: pipeline.triggers.clear(), "its trigger is gone, or writes no results any more"),
        (
            lambda pipeline: pipeline.triggers.update(uploads=pipeline.trigger._replace(results=None)),
            "its trigger is gone, or writes no results any more",
        ),
        (lambda pipeline: pipeline.bucket.objects.clear(), "its files were erased"),
    ],
    ids=["erased", "trigger", "results", "files"],
)
def test_what_is_gone_is_skipped(change: object, reason: str) -> None:
    pipeline = worked()
    change(pipeline)  # type: ignore[operator]
    assert pipeline.write_results() == []
    assert pipeline.place.objects == {}
    assert reasons(pipeline) == {reason}


def test_an_earlier_object_of_the_key_replaces_no_later_one() -> None:
    pipeline = Pipeline()
    pipeline.upload(content=b"first", version_id="1")
    pipeline.upload(content=b"second", version_id="2")
    pipeline.take_in()
    pipeline.predict()
    records = pipeline.results_stream()
    for stream in (records, list(reversed(records)), records):
        assert Writer(pipeline.triggers, pipeline.table, pipeline.place, pipeline.log).handle(stream) == []
    second = pipeline.parents()[1]
    assert {pipeline.document(model)["parent_id"] for model in MODELS} == {second.batch_id}
    assert "a later object of this key has its results there" in reasons(pipeline)


def test_sequencers_of_different_lengths() -> None:
    assert _is_later("0B", "0A1")
    assert _is_later("0a2", "0A1")
    assert not _is_later("0A10", "0A1")
    assert not _is_later("", "00")


def test_a_key_that_is_too_long_is_refused_and_holds_up_nothing() -> None:
    pipeline = Pipeline()
    pipeline.upload(f"in/{'x' * 1_010}.png")
    pipeline.upload("in/short.png")
    pipeline.work()
    assert len(pipeline.log.events("results_refused")) == 3
    assert pipeline.document("digits", "in/short.png")["status"] == "succeeded"


@pytest.mark.parametrize("operation", ["head", "copy", "write"])
def test_while_s3_does_not_answer_the_stream_waits(operation: str) -> None:
    pipeline = worked()
    pipeline.place.faults.append(Fault(operation, times=1, skip=1))
    (failed,) = pipeline.write_results()
    assert failed == pipeline.results_stream()[0]["dynamodb"]["SequenceNumber"]
    assert pipeline.write_results() == []
    assert {pipeline.document(model)["status"] for model in MODELS} == {"succeeded"}


def test_a_document_that_others_write_all_the_time_is_tried_again_later() -> None:
    pipeline = worked()
    pipeline.place.written = lambda bucket, key: Written("another", "0")  # type: ignore[method-assign]
    assert pipeline.write_results()
    assert len(pipeline.place.calls) == 0
    (line,) = pipeline.log.events("results_not_written")
    assert f"{MAX_TRIES} times" in line["error"]


@pytest.mark.parametrize("text", ["[]", '{"a": 1}', '{"a": {"models": []}}', '{"a": {"models": [], "x": 1}}', "x"])
def test_what_are_no_triggers(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        triggers_of(text)


def test_triggers_as_terraform_writes_them() -> None:
    place = {"bucket": "b", "prefix": "in/", "suffix": "", "models": ["m"], "caller": "anonymous", "input": {}}
    found = triggers_of(json.dumps({"a": place, "c": {**place, "results": {"bucket": "r", "prefix": "out/"}}}))
    assert found["a"].results is None
    assert found["c"].results is not None
    assert found["c"].results.prefix == "out/"
