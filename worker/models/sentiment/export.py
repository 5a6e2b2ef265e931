"""What `scripts/model_tools/export_model.py` needs to know of this model; never shipped."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from scripts.model_tools.train_sentiment import HELD_OUT, Sentiment, find_corpus, read_corpus


def module() -> torch.nn.Module:
    """The trained module, with the weights of the artifact beside this file."""
    path = Path(__file__).with_name("sentiment.pt")
    weights = torch.jit.load(str(path)).state_dict()  # type: ignore[no-untyped-call]
    return Sentiment(weights["weight"], weights["bias"]).eval()


def held_out(corpus: Path | None) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Inputs that the model was not trained with, each with what its output must contain."""
    examples, _ = read_corpus(find_corpus(corpus))
    return [
        ({"text": example.text[:1000]}, {"prediction": "positive" if example.positive else "negative"})
        for example in examples
        if example.tenth == HELD_OUT
    ]
