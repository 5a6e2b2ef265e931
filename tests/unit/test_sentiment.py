"""The demo model: its features are the same everywhere, its answers are those of its artifact."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from worker.model import load
from worker.model.loaded import LoadedModel
from worker.models.sentiment.model import PADDING, TABLE_SIZE, answer, feature_ids, padded, tokens

ROOT = Path(__file__).resolve().parents[2]
SENTIMENT = ROOT / "worker" / "models" / "sentiment"

TEXTS = [
    "I love this airline, best crew ever",
    "worst delay of my life, never again",
    "fine",
    "\ud800 lone surrogate",
    "😀 " * 400,
    " ",
]


@pytest.fixture(scope="module")
def model() -> LoadedModel:
    return load(SENTIMENT, threads=1)


def predict(model: LoadedModel, *items: dict[str, Any]) -> list[dict[str, Any]]:
    return [dict(output) for output in model.predict(list(items)) if isinstance(output, dict)]


@pytest.mark.parametrize(
    ("text", "prediction"),
    [
        ("I love this airline, best crew ever", "positive"),
        ("worst delay of my life, never again", "negative"),
        ("Thank you so much, you made my day!", "positive"),
        ("@airline my bag is lost and nobody answers the phone", "negative"),
    ],
)
def test_golden_texts(model: LoadedModel, text: str, prediction: str) -> None:
    assert predict(model, {"text": text, "threshold": 0.5})[0]["prediction"] == prediction


def test_a_batch_gives_what_singles_give(model: LoadedModel) -> None:
    rows = [feature_ids(text) for text in TEXTS]
    (batch,) = model.model.runtime.run({"ids": padded(rows)})
    singles = [model.model.runtime.run({"ids": padded([row])})[0][0] for row in rows]
    np.testing.assert_allclose(batch, singles, atol=1e-6)


def test_the_threshold_decides(model: LoadedModel) -> None:
    text = TEXTS[0]
    (first,) = predict(model, {"text": text})
    confidence = first["confidence"]
    low, same, high = predict(
        model,
        {"text": text, "threshold": 0},
        {"text": text, "threshold": confidence},
        {"text": text, "threshold": 1},
    )
    assert [output["prediction"] for output in (low, same, high)] == ["positive", "negative", "negative"]
    assert low["confidence"] == same["confidence"] == high["confidence"] == confidence


def test_the_shown_confidence_explains_the_prediction() -> None:
    assert answer(0.50004, 0.5) == {"prediction": "negative", "confidence": 0.5}
    assert answer(0.50006, 0.5) == {"prediction": "positive", "confidence": 0.5001}


def test_features_are_the_same_in_every_process() -> None:
    code = (
        "import json; from worker.models.sentiment.model import feature_ids; "
        f"print(json.dumps([feature_ids(text).tolist() for text in {TEXTS!r}]))"
    )
    env = os.environ | {"PYTHONHASHSEED": "4711"}
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=env, capture_output=True, check=True)
    assert json.loads(done.stdout) == [feature_ids(text).tolist() for text in TEXTS]


def test_features_are_those_the_artifact_was_trained_with() -> None:
    assert feature_ids("Best!").tolist() == [
        *(8413, 12937, 17537, 25026, 29274, 39648, 42407, 42854, 49852, 64331, 72707, 80254, 82940),
        *(106926, 113540),
    ]


def test_tokens_hide_who_and_where() -> None:
    assert tokens("@a_b: see https://t.co/x isn\u2019t &amp; #Fail!! CAFÉ") == [
        *("@", ":", "see", "http", "isn't", "&", "#fail", "!!", "café"),
    ]


@settings(max_examples=200, deadline=None)
@given(st.text(st.characters(exclude_categories=()), min_size=1, max_size=1000))
def test_every_text_has_features(text: str) -> None:
    ids = feature_ids(text).tolist()
    assert ids == sorted(set(ids))
    assert ids
    assert ids[0] > PADDING
    assert ids[-1] < TABLE_SIZE


def test_the_card_is_of_this_artifact_and_keeps_the_promised_accuracy(model: LoadedModel) -> None:
    card = (SENTIMENT / "MODEL_CARD.md").read_text()
    assert model.manifest.artifact is not None
    assert model.manifest.artifact.sha256 in card
    assert float(card.partition("**Accuracy ")[2].split()[0].rstrip("*")) >= 0.87
