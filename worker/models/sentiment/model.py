"""The demo model: is a short English text positive or negative?

A linear classifier over hashed features. Text becomes a set of feature ids here; the artifact maps ids
[batch, length] (int64, padded with 0) to the probability of `positive` [batch] (float32).
`scripts/train_sentiment.py` trains it with the very functions below.
"""

from __future__ import annotations

import html
import re
import unicodedata
import zlib
from typing import Any

import numpy as np

from worker.model import Model

TABLE_SIZE = 2**17  # ids are 1 .. TABLE_SIZE - 1
PADDING = 0

_ADDRESS = re.compile(r"https?://\S+|www\.\S+")
_MENTION = re.compile(r"@\w+")
_TOKEN = re.compile(r"#?\w+(?:'\w+)*|[^\w\s]+")
_WORD, _PAIR, _PIECE = 1, 2, 3  # crc32's start value keeps the kinds of features apart


class Sentiment(Model):
    """Inputs are `{"text": str, "threshold": float}`, outputs `{"prediction": str, "confidence": float}`."""

    def predict(self, inputs: list[dict[str, Any]]) -> list[dict[str, Any]]:
        (probabilities,) = self.runtime.run({"ids": padded([feature_ids(item["text"]) for item in inputs])})
        return [
            answer(float(probability), item.get("threshold", 0.5))
            for probability, item in zip(probabilities, inputs, strict=True)
        ]

    def size(self, item: dict[str, Any]) -> int:
        """The number of feature ids: the row's length in the batch."""
        return len(feature_ids(item["text"]))


def answer(probability: float, threshold: float) -> dict[str, Any]:
    """`positive` if the probability, as it is shown (4 digits), is above the threshold."""
    confidence = round(probability, 4)
    return {"prediction": "positive" if confidence > threshold else "negative", "confidence": confidence}


def tokens(text: str) -> list[str]:
    """Lower-case words, hashtags and runs of punctuation; addresses become `http`, mentions `@`."""
    text = unicodedata.normalize("NFKC", html.unescape(text)).lower().replace("\u2019", "'")
    return _TOKEN.findall(_MENTION.sub(" @ ", _ADDRESS.sub(" http ", text)))


def feature_ids(text: str) -> list[int]:
    """Sorted, distinct ids of the text's words, word pairs, and pieces of 3 to 5 bytes of each word.

    Never empty, the same in every process, and defined for every string, lone surrogates included.
    """
    words = [word.encode("utf-8", "surrogatepass") for word in tokens(text)]
    features = {zlib.crc32(word, _WORD) for word in words}
    features.update(zlib.crc32(b"%b %b" % pair, _PAIR) for pair in zip([b"", *words], [*words, b""], strict=True))
    for word in words:
        whole = b"<%b>" % word
        for length in (3, 4, 5):
            for start in range(len(whole) - length + 1):
                features.add(zlib.crc32(whole[start : start + length], _PIECE))
    return sorted({1 + feature % (TABLE_SIZE - 1) for feature in features})


def padded(rows: list[list[int]]) -> np.ndarray:
    """int64 [len(rows), longest row], filled up with PADDING."""
    ids = np.full((len(rows), max(map(len, rows))), PADDING, dtype=np.int64)
    for index, row in enumerate(rows):
        ids[index, : len(row)] = row
    return ids
