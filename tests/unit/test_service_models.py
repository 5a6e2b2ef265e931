"""Models: which there are, and what is told of one."""

from __future__ import annotations

import pytest

from inference.errors import UnknownModel
from tests.unit.api_harness import Api


def test_the_models_in_the_order_of_their_names(api: Api) -> None:
    described = {"version": "1.0.0", "description": "Says it again."}
    assert api.service.models() == [
        {"name": "echo", "default": True, "predict_url": "/predict/echo", **described},
        {"name": "other", "default": False, "predict_url": "/predict/other", **described},
    ]


def test_a_model_with_its_schemas(api: Api) -> None:
    (summary,) = [model for model in api.service.models() if model["name"] == "other"]
    more = {"input_schema": {"type": "object"}, "output_schema": {"type": "object"}, "example": None}
    assert api.service.model("other") == {**summary, **more}
    assert api.table.calls == []


def test_a_model_that_is_not_deployed(api: Api) -> None:
    with pytest.raises(UnknownModel):
        api.service.model("nope")
