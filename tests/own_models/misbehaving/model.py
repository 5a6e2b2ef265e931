"""Does what models do when they misbehave."""

import os
import sys
import time

import numpy as np

from worker.model import Model


class Misbehaving(Model):
    def predict(self, inputs):
        return [getattr(self, item["do"])() for item in inputs]

    def sleep(self):
        time.sleep(60)

    def exit(self):
        sys.exit(3)

    def die(self):
        os._exit(3)

    def print(self):
        print("x" * 1000 + "\n" * 200, flush=True)
        return {"printed": True}

    def numpy(self):
        return {"float": np.float32(0.5), "int": np.int64(3), "array": np.arange(3)}

    def nan(self):
        return {"deep": [{"value": float("nan")}]}

    def bytes(self):
        return {"image": b"\x00\x01"}

    def large(self):
        return {"text": "x" * 500_000}
