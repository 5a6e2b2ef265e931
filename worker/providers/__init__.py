"""A model folder at a GPU provider: one wrapper for each, around `worker.direct.DirectPrediction`.

    cog_runner.py        Cog's server, and so Replicate
    runpod_handler.py    RunPod's serverless worker
    calls.py             what an app on Modal or Beam does with one call; scripts/packaging/gpu_app.py writes the apps

The same manifest, validators, batching and isolation as in Lambda. Only a wrapper imports its provider's SDK.
"""
