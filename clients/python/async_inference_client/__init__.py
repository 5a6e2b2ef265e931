"""A client of the asynchronous model inference API.

    from async_inference_client import Client

    with Client("https://abc.execute-api.eu-west-1.amazonaws.com") as client:
        print(client.predict({"text": "I love this airline"}, timeout=60))

`AsyncClient` has the same methods as coroutines. Errors are in `errors`, and webhook verification is in `webhooks`.
"""

from async_inference_client import errors, webhooks
from async_inference_client.async_client import AsyncClient
from async_inference_client.auth import ApiKey, BearerToken, SigV4
from async_inference_client.batch import AsyncBatch, Batch
from async_inference_client.batch_models import BatchItem, BatchStatus
from async_inference_client.client import Client
from async_inference_client.errors import InferenceError
from async_inference_client.models import (
    FINAL,
    Accepted,
    Failure,
    File,
    Outcome,
    Prediction,
    Progress,
    Request,
)

__all__ = [
    "FINAL",
    "Accepted",
    "ApiKey",
    "AsyncBatch",
    "AsyncClient",
    "Batch",
    "BatchItem",
    "BatchStatus",
    "BearerToken",
    "Client",
    "Failure",
    "File",
    "InferenceError",
    "Outcome",
    "Prediction",
    "Progress",
    "Request",
    "SigV4",
    "errors",
    "webhooks",
]
