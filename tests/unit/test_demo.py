"""What the demo shows of a result."""

from __future__ import annotations

from typing import Any

import pytest

from async_inference_client import Request
from scripts.console import ROOT
from scripts.local.demo import TEXTS, Row, _result
from tests.unit.client_plans import document
from worker.model import load


def shown(result: Any) -> str:
    return _result(Row("a text", answer=Request.from_document(document("succeeded", result=result))))


@pytest.mark.parametrize(
    ("result", "text"),
    [
        ({"prediction": "negative", "confidence": 0.0012}, "negative (100%)"),
        ({"prediction": "negative", "confidence": 0.3743}, "negative (63%)"),
        ({"prediction": "positive", "confidence": 0.9728}, "positive (97%)"),
        ({"score": 1.5}, "{'score': 1.5}"),
    ],
)
def test_the_number_is_the_probability_of_what_was_predicted(result: Any, text: str) -> None:
    assert shown(result) == text


def test_the_model_is_right_about_the_demos_texts_and_as_good_as_the_demo_says() -> None:
    model = load(ROOT / "worker" / "models" / "sentiment", threads=1)
    answers = model.predict([{"text": text, "threshold": 0.5} for text in TEXTS])
    predicted = [answer["prediction"] for answer in answers]  # type: ignore[index]
    assert predicted == ["positive", "negative"] * 4
    card = (ROOT / "worker" / "models" / "sentiment" / "MODEL_CARD.md").read_text(encoding="utf-8")
    assert "Accuracy 0.88" in card
