"""Sentence embeddings: a text becomes 384 numbers; near texts have near numbers."""

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from tokenizers import Tokenizer

from worker.model import Manifest, Model
from worker.model.runtimes import Runtime

LONGEST = 256  # tokens, as the weights' authors use it
DIGITS = 6  # of each number: more of them cost write units, and are below the weights' own precision


class Encoder(Model):
    """Inputs are `{"text": str}`, outputs `{"embedding": [384 numbers]}`, a vector of length 1."""

    def __init__(self, runtime: Runtime, manifest: Manifest) -> None:
        super().__init__(runtime, manifest)
        tokenizer = Tokenizer.from_file(str(Path(__file__).with_name("tokenizer.json")))
        tokenizer.no_padding()
        tokenizer.enable_truncation(LONGEST)
        # `size` and `predict` ask for the same texts.
        self.tokens = lru_cache(maxsize=64)(lambda text: tokenizer.encode(text).ids)

    def size(self, item: dict[str, Any]) -> int | None:
        """The number of tokens: the row's length in the batch."""
        return len(self.tokens(item["text"]))

    def predict(self, inputs: list[dict[str, Any]]) -> list[dict[str, Any]]:
        (vectors,) = self.runtime.run(feeds([self.tokens(item["text"]) for item in inputs]))
        return [{"embedding": vector} for vector in np.round(vectors.astype(np.float64), DIGITS).tolist()]


def feeds(rows: Sequence[Sequence[int]]) -> dict[str, np.ndarray]:
    """int64 [len(rows), longest row] each: the ids, filled up with 0, and 1 where there is one."""
    ids = np.zeros((len(rows), max(map(len, rows))), dtype=np.int64)
    mask = np.zeros_like(ids)
    for index, row in enumerate(rows):
        ids[index, : len(row)] = row
        mask[index, : len(row)] = 1
    return {"input_ids": ids, "attention_mask": mask}
