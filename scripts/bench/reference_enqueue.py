"""The reference handler: the reference document's `lambda/enqueue.py`, restated with its calls and their order.

A boto3 SQS client and a DynamoDB resource; record first, then the message; `get_item` for the status.
"""

import json
import os
import time
import uuid
from typing import Any

import boto3

sqs = boto3.client("sqs")
dynamodb = boto3.resource("dynamodb")

QUEUE_URL = os.environ["QUEUE_URL"]
RESULTS_TABLE = os.environ["RESULTS_TABLE"]


def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    method = event.get("requestContext", {}).get("http", {}).get("method")
    path = event.get("rawPath", "")
    if method == "POST" and "/predict" in path:
        return submit(event)
    if method == "GET" and "/status/" in path:
        return status(event.get("pathParameters", {}).get("request_id"))
    return {"statusCode": 404, "body": "Not found"}


def submit(event: dict[str, Any]) -> dict[str, Any]:
    try:
        body = json.loads(event.get("body", "{}"))
    except json.JSONDecodeError:
        return {"statusCode": 400, "body": "Invalid JSON"}
    request_id = str(uuid.uuid4())
    now = int(time.time())
    dynamodb.Table(RESULTS_TABLE).put_item(
        Item={"request_id": request_id, "status": "pending", "submitted_at": now, "ttl": now + 86400}
    )
    sqs.send_message(QueueUrl=QUEUE_URL, MessageBody=json.dumps({"request_id": request_id, "payload": body}))
    answer = {"request_id": request_id, "status": "pending", "poll_url": f"/status/{request_id}"}
    return {"statusCode": 202, "body": json.dumps(answer)}


def status(request_id: str | None) -> dict[str, Any]:
    if not request_id:
        return {"statusCode": 400, "body": "Missing request_id"}
    response = dynamodb.Table(RESULTS_TABLE).get_item(Key={"request_id": request_id})
    if "Item" not in response:
        return {"statusCode": 404, "body": "Request not found"}
    item = response["Item"]
    answer = {"request_id": request_id, **{name: item.get(name) for name in ("status", "result", "error")}}
    return {"statusCode": 200, "body": json.dumps(answer)}
