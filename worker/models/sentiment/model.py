"""The demo model: is a short English text positive or negative?

A linear classifier over hashed features. Text becomes a set of feature ids here; the artifact maps ids
[batch, length] (int64, padded with 0) to the probability of `positive` [batch] (float32).
`scripts/model_tools/train_sentiment.py` trains it with the functions below.
"""

from __future__ import annotations

import html
import re
import unicodedata
import zlib
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from worker.model import Model

TABLE_SIZE = 2**17
_IDS = TABLE_SIZE - 1  # from 1 on: 0 is the padding
PADDING = 0

_ADDRESS = re.compile(r"https?://\S+|www\.\S+")
_MENTION = re.compile(r"@\w+")
_TOKEN = re.compile(r"#?\w+(?:'\w+)*|[^\w\s]+")
COMMON_WORD_BYTES = 24  # longer ones are rare, and would fill the memory
_WORD, _PAIR, _PIECE = 1, 2, 3  # crc32's start value keeps the kinds of features apart


class Sentiment(Model):
    """Inputs are `{"text": str, "threshold": float}`, outputs `{"prediction": str, "confidence": float}`."""

    def predict(self, inputs: list[dict[str, Any]]) -> list[dict[str, Any]]:
        (probabilities,) = self.runtime.run({"ids": padded([feature_ids(item["text"]) for item in inputs])})
        return [
            answer(float(probability), item.get("threshold", 0.5))
            for probability, item in zip(probabilities, inputs, strict=True)
        ]


def answer(probability: float, threshold: float) -> dict[str, Any]:
    """`positive` if the probability, as it is shown (4 digits), is above the threshold."""
    confidence = round(probability, 4)
    return {"prediction": "positive" if confidence > threshold else "negative", "confidence": confidence}


def tokens(text: str) -> list[str]:
    """Lower-case words, hashtags and runs of punctuation; addresses become `http`, mentions `@`."""
    text = unicodedata.normalize("NFKC", html.unescape(text)).lower().replace("\u2019", "'")
    return _TOKEN.findall(_MENTION.sub(" @ ", _ADDRESS.sub(" http ", text)))


def feature_ids(text: str) -> np.ndarray:
    """Sorted, distinct ids (int64 [n]) of the text's words, word pairs, and pieces of 3 to 5 bytes of each word.

    Never empty, the same in every process, and defined for every string, lone surrogates included.
    """
    words = [word.encode("utf-8", "surrogatepass") for word in tokens(text)]
    pairs = zip([b"", *words], [*words, b""], strict=True)
    ids_of_pairs = _ids([zlib.crc32(first + b" " + second, _PAIR) for first, second in pairs])
    ids_of_words = [
        _ids_of_common_word(word) if len(word) <= COMMON_WORD_BYTES else _ids_of_word(word) for word in set(words)
    ]
    ids = np.concatenate([ids_of_pairs, *ids_of_words])
    ids.sort()
    is_first = np.empty(len(ids), dtype=bool)
    is_first[0] = True
    np.not_equal(ids[1:], ids[:-1], out=is_first[1:])
    return ids[is_first]  # np.unique does the same, and takes half as long again for so few


def _ids_of_word(word: bytes) -> np.ndarray:
    whole, crc32 = b"<%b>" % word, zlib.crc32
    end = len(whole) + 1
    pieces = [crc32(whole[start : start + length], _PIECE) for length in (3, 4, 5) for start in range(end - length)]
    return _ids([crc32(word, _WORD), *pieces])


def _ids(hashes: list[int]) -> np.ndarray:
    ids = np.array(hashes, dtype=np.int64)
    ids %= _IDS
    ids += 1
    return ids


_ids_of_common_word = lru_cache(maxsize=16384)(_ids_of_word)  # most words of a text were in an earlier one


def padded(rows: Sequence[np.ndarray]) -> np.ndarray:
    """int64 [len(rows), longest row], filled up with PADDING."""
    ids = np.full((len(rows), max(map(len, rows))), PADDING, dtype=np.int64)
    for index, row in enumerate(rows):
        ids[index, : len(row)] = row
    return ids
