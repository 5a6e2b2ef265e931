"""Inputs that come with a call: validated, predicted in one pass, each with an outcome of its own."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from inference.requests import ErrorCode
from inference.store.payloads import JSON, MAX_RESULT_BYTES
from tests.unit.fakes import Recorder
from tests.unit.model_folders import SENTIMENT, weights_model
from tests.unit.samples import validate_text
from tests.unit.worker_harness import EchoModel
from worker.direct import DirectPrediction, open_model, output_of
from worker.isolation import Failed, Succeeded
from worker.memory import ModelMemory
from worker.model.errors import InputError, NotLoadedError

PNG = b"\x89PNG" + bytes(range(256))
PNG_TEXT = base64.b64encode(PNG).decode()


class FileModel(EchoModel):
    """Returns the image that it got, and says how it got it."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.output_files = {"image": "image/png"}
        self.input_files = {"image": kind}

    def _one(self, value: Any) -> Any:
        image = value.get("image", b"")
        content = image if isinstance(image, bytes) else image.read_bytes() if isinstance(image, Path) else image.read()
        return {**super()._one(value), "image": content or None, "got": type(image).__name__}


def predicted(model: EchoModel, *inputs: Any, **options: Any) -> tuple[list[Any], Recorder]:
    log = Recorder()
    outcomes = DirectPrediction(model, validate_text, log, **options).predict(inputs)
    return [output_of(each) if isinstance(each, Succeeded) else each for each in outcomes], log


def test_inputs_are_predicted_in_one_pass_with_their_defaults() -> None:
    model = EchoModel()
    outputs, _ = predicted(model, {"text": "a"}, {"text": "b", "threshold": 0.9})
    assert outputs == [{"echo": "a", "threshold": 0.5}, {"echo": "b", "threshold": 0.9}]
    assert model.passes == [["a", "b"]]


def test_what_is_wrong_with_one_input_is_its_own_outcome() -> None:
    model = EchoModel()
    model.reactions = {"raises": ValueError("no"), "rejects": InputError("odd")}
    outputs, log = predicted(model, {"text": "a"}, {"text": ""}, {"text": "raises"}, {"text": "rejects"}, {"text": "b"})
    assert [outputs[0]["echo"], outputs[4]["echo"]] == ["a", "b"]
    codes = [outcome.code for outcome in outputs[1:4]]
    assert codes == [ErrorCode.INVALID_INPUT, ErrorCode.MODEL_ERROR, ErrorCode.INVALID_INPUT]
    assert outputs[2] == Failed(ErrorCode.MODEL_ERROR, "ValueError: no", retryable=True)
    assert model.passes[0] == ["a", "raises", "rejects", "b"], "the invalid one does not reach the model"
    assert [line["inputs"] for line in log.events("prediction_failed")] == [4, 2, 1]


def test_no_pass_is_made_where_no_input_is_valid() -> None:
    model = EchoModel()
    outputs, _ = predicted(model, {"text": ""}, 7)
    assert [outcome.code for outcome in outputs] == [ErrorCode.INVALID_INPUT] * 2
    assert model.passes == []
    assert predicted(model)[0] == []


def test_a_model_that_does_not_load_fails_each_input() -> None:
    class Broken(EchoModel):
        def predict(self, inputs: list[Any]) -> Sequence[Any]:
            raise NotLoadedError("no weights")

    outputs, _ = predicted(Broken(), {"text": "a"}, {"text": "b"})
    assert outputs == [Failed(ErrorCode.MODEL_NOT_LOADED, "no weights", retryable=True)] * 2


@pytest.mark.parametrize(("kind", "got"), [("bytes", "bytes"), ("path", "PosixPath"), ("stream", "BytesIO")])
def test_files_come_and_go_as_base64(kind: str, got: str) -> None:
    outputs, _ = predicted(FileModel(kind), {"text": "a", "image": PNG_TEXT}, {"text": "b"})
    assert outputs[0] == {"echo": "a", "threshold": 0.5, "image": PNG_TEXT, "got": got}
    assert outputs[1]["image"] is None


def test_a_file_that_is_no_base64_is_an_invalid_input() -> None:
    outputs, _ = predicted(FileModel("bytes"), {"text": "a", "image": "%"}, {"text": "b", "image": PNG_TEXT})
    assert outputs[0] == Failed(ErrorCode.INVALID_INPUT, "image is not valid base64", retryable=False)
    assert outputs[1]["image"] == PNG_TEXT


def test_references_are_rejected_unless_somebody_reads_them() -> None:
    value = {"text": "a", "image": {"$ref": "https://example.com/a.png"}}
    outputs, _ = predicted(FileModel("bytes"), dict(value))
    assert outputs[0].code is ErrorCode.INVALID_INPUT
    assert "https://example.com/a.png is a reference" in outputs[0].message
    outputs, _ = predicted(FileModel("stream"), dict(value), fetch={"https://example.com/a.png": PNG}.__getitem__)
    assert (outputs[0]["image"], outputs[0]["got"]) == (PNG_TEXT, "BytesIO")


def test_streams_are_read_from_their_beginning_in_each_pass() -> None:
    model = FileModel("stream")
    model.reactions = {"raises": ValueError("no")}
    outputs, _ = predicted(model, {"text": "a", "image": PNG_TEXT}, {"text": "raises"})
    assert outputs[0]["image"] == PNG_TEXT
    assert model.passes == [["a", "raises"], ["a"], ["raises"]]


def test_an_output_too_large_for_a_record_is_whole() -> None:
    class Large(FileModel):
        def _one(self, value: Any) -> Any:
            return {**super()._one(value), "long": "x" * MAX_RESULT_BYTES}

    log = Recorder()
    outcomes = DirectPrediction(Large("bytes"), validate_text, log).predict([{"text": "a", "image": PNG_TEXT}])
    outcome = outcomes[0]
    assert isinstance(outcome, Succeeded)
    assert [file.content_type for file in outcome.files] == ["image/png", JSON]
    output = output_of(outcome)
    assert (len(output["long"]), output["image"]) == (MAX_RESULT_BYTES, PNG_TEXT)


@pytest.mark.parametrize("data", [{"$ref": "#/files/0"}, {"$ref": "#/definitions/a"}, {"$ref": 7}])
def test_what_looks_like_a_file_and_is_the_models_own_data_stays(data: Any) -> None:
    assert output_of(Succeeded(json.dumps(data))) == data
    assert output_of(Succeeded(json.dumps({"a": [data]}))) == {"a": [data]}


def test_a_model_folder_is_opened_by_its_name_and_loaded_when_it_is_used(tmp_path: Path) -> None:
    log = Recorder()
    model = open_model(weights_model(tmp_path / "weights"), log, ModelMemory(2**30, log))
    assert (model.name, model.version, model.is_loaded) == ("weights", "1.0.0", False)
    assert DirectPrediction(model, lambda value: value, log).predict([{}]) == [Succeeded('{"words": 3}')]
    assert model.is_loaded
    assert log.events("model_loaded")[0]["model"] == "weights"


def test_the_shipped_model_is_right_about_a_text() -> None:
    log = Recorder()
    prediction = DirectPrediction(open_model(SENTIMENT, log, ModelMemory(2**30, log)), lambda value: value, log)
    (outcome,) = prediction.predict([{"text": "I love this", "threshold": 0.5}])
    assert output_of(outcome)["prediction"] == "positive"
