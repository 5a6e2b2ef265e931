"""The queue-driven worker: takes batches of requests, runs one model, writes the outcomes."""

import os

# ONNX Runtime 1.32 sends telemetry to its maker, and reads this when it is imported, also where a model imports it.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
