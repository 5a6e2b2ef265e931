"""A recurrent network over sequences of any length, padded to the longest of the batch."""

import numpy as np

from worker.model import Model


class Recurrent(Model):
    def size(self, item):
        return len(item["steps"])

    def predict(self, inputs):
        lengths = np.array([len(item["steps"]) for item in inputs], dtype=np.int64)
        steps = np.zeros((len(inputs), lengths.max()), dtype=np.float32)
        for row, item in zip(steps, inputs, strict=True):
            row[: len(item["steps"])] = item["steps"]
        (scores,) = self.runtime.run({"steps": steps, "lengths": lengths})
        return [{"score": float(score)} for score in scores]
