"""Sentence embeddings: a text becomes 384 numbers; near texts have near numbers."""

from pathlib import Path

import numpy as np
from tokenizers import Tokenizer

from worker.model import Model


class Encoder(Model):
    def __init__(self, runtime, manifest):
        super().__init__(runtime, manifest)
        self.tokenizer = Tokenizer.from_file(str(Path(__file__).with_name("tokenizer.json")))
        self.tokenizer.enable_truncation(256)
        self.tokenizer.enable_padding()

    def size(self, item):
        return len(self.tokenizer.encode(item["text"]).ids)

    def predict(self, inputs):
        encoded = self.tokenizer.encode_batch([item["text"] for item in inputs])
        ids = np.array([one.ids for one in encoded], dtype=np.int64)
        mask = np.array([one.attention_mask for one in encoded], dtype=np.int64)
        (vectors,) = self.runtime.run({"input_ids": ids, "attention_mask": mask})
        return [{"embedding": vector} for vector in vectors]
