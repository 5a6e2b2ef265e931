"""The queue-driven worker: takes batches of requests, runs one model, writes the outcomes."""

import os

# ONNX Runtime 1.32 sends telemetry to Microsoft. It reads this variable when it is imported, also by a model.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
