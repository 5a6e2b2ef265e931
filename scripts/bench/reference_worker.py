"""The reference worker: what the reference document would give, completed where it leaves off.

Taken from it: batch size 1, a boto3 resource, one `put_item` per request, `torch.jit.load` and a single forward pass
under `no_grad`, default settings everywhere. Completed: the document feeds random numbers to its model; this one uses
the very features of the measured model (`reference_sentiment`, `reference_encoder`), as many as the text has: a batch
of one needs no padding. It answers as the real worker does.
"""

# mypy: disable-error-code="no-untyped-call"

import importlib
import json
import os
from typing import Any

import boto3
import torch

table = boto3.resource("dynamodb").Table(os.environ["RESULTS_TABLE"])
model = torch.jit.load(os.environ["MODEL_PATH"])
model.eval()
measured = importlib.import_module(os.environ["REFERENCE_MODEL"])


def predict(**payload: Any) -> dict[str, Any]:
    answer: dict[str, Any] = measured.predict(model, **payload)
    return answer


def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    for record in event["Records"]:
        message = json.loads(record["body"])
        result = predict(**message["payload"])
        table.put_item(
            Item={
                "request_id": message["request_id"],
                "status": "completed",
                "result": json.dumps(result),  # as text: boto3 rejects floats
            }
        )
    return {"statusCode": 200}
