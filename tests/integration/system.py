"""A request's processing in one process: the packaged functions with a fake AWS, and what AWS does between them (the
HTTP API's event, the event source mapping, time).
"""

from __future__ import annotations

import base64
import importlib.util
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from inference import telemetry
from inference.aws import clients
from inference.catalog import packaged_validator
from inference.run_times import RunTimes
from inference.store.key_table import KeyTable
from inference.store.request_queue import RequestQueue
from inference.store.request_table import RequestTable
from inference.telemetry import Telemetry
from scripts.stack_defaults import CODE_DIGEST, PAYLOAD_BUCKET, api_environment, batches_environment
from tests import openapi
from tests.events import golden
from tests.integration.terraform_definition import (
    create_dead_letter_queue,
    create_key_table,
    create_queue,
    create_table,
)
from tests.unit.fakes import ReadyModel
from worker.batch import Worker
from worker.invocation import Invocation, RetryDelay
from worker.payloads import WorkerPayloads
from worker.prediction import Prediction
from worker.predictor import Predictor

PREFIX = "test-it"
TABLE = f"{PREFIX}-requests"
KEY_TABLE = f"{PREFIX}-api-keys"
MODELS = {"sentiment": "sentiment", "wordcount": "wordcount"}
WORKER_TIMEOUT_SECONDS = 30
BATCHES_TIMEOUT_SECONDS = 120
GRACE_SECONDS = 900


class ShiftedClock:
    """The real time, which the fake AWS uses too, plus a shift, to skip waiting times."""

    def __init__(self) -> None:
        self.shift_ms = 0

    def __call__(self) -> int:
        return time.time_ns() // 1_000_000 + self.shift_ms

    def advance(self, seconds: float) -> None:
        self.shift_ms += int(seconds * 1000)


class Context:
    """What Lambda tells a function about its invocation."""

    def __init__(self, number: int) -> None:
        self.aws_request_id = f"invocation-{number}"

    def get_remaining_time_in_millis(self) -> int:
        """Of a worker; more than the api function has."""
        return WORKER_TIMEOUT_SECONDS * 1000


class BatchesContext(Context):
    """Of the batches function. `steps`: for so many it has time."""

    def __init__(self, steps: int = 10**9) -> None:
        super().__init__(0)
        self._steps = steps + 1  # the lease asks first

    def get_remaining_time_in_millis(self) -> int:
        self._steps -= 1
        return BATCHES_TIMEOUT_SECONDS * 1000 if self._steps >= 0 else 1000


class Sentiment(ReadyModel):
    """The demo model's contract without its runtime: an answer whose floats must survive."""

    def __init__(self) -> None:
        self.passes: list[list[Any]] = []

    def predict(self, inputs: list[Any]) -> Sequence[Any]:
        self.passes.append(inputs)
        return [sentiment_of(value) for value in inputs]


def sentiment_of(value: Mapping[str, Any]) -> dict[str, Any]:
    confidence = 0.1 + 0.2 if "worst" in value["text"] else 0.9999
    return {"prediction": "positive" if confidence > value["threshold"] else "negative", "confidence": confidence}


class System:
    """api, authorizer, workers, dead_letters and sweeper, with their queues and tables.

    Args:
        package: the folder of the unpacked lambda.zip.
        statements: how many statements go in one BatchExecuteStatement (1: none do).
        models: model name -> source; the first is the default.
    """

    webhooks = "{}"
    """The api function's setting: clients may name webhooks, which `webhook_system.py` sends."""

    def __init__(
        self,
        package: Path,
        monkeypatch: pytest.MonkeyPatch,
        statements: int,
        models: Mapping[str, str] = MODELS,
    ) -> None:
        self.models = models
        self.clock = ShiftedClock()
        self.statements = statements
        self._invocations = 0
        self.dynamodb = clients.client("dynamodb")
        self.sqs = clients.client("sqs")
        self.s3 = clients.client("s3")
        self.s3.create_bucket(Bucket=PAYLOAD_BUCKET)
        create_table(self.dynamodb, TABLE)
        create_key_table(self.dynamodb, KEY_TABLE)
        self.urls: dict[str, str] = {}
        self._create_queues()
        environment = (
            {
                "REQUEST_TABLE": TABLE,
                "KEY_TABLE": KEY_TABLE,
                "MODELS": json.dumps(models),
                "DEFAULT_MODEL": next(iter(models)),
                "QUEUE_URL_PREFIX": self.urls["sentiment"].removesuffix("sentiment"),
                "WORKER_LOG_GROUP_PREFIX": f"/aws/lambda/{PREFIX}-worker-",
                "SWEEP_GRACE_SECONDS": str(GRACE_SECONDS),
                "METRICS_ENVIRONMENT": PREFIX,
                "WEBHOOKS": self.webhooks,
            }
            | api_environment()
            | batches_environment()
            | {"BATCH_QUEUE_URL": self.urls["batches"]}
        )
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(telemetry, "now_ms", self.clock)
        self._package, self._patch = package, monkeypatch
        self.api = load(package / "api.py")
        self.authorizer = load(package / "authorizer.py")
        self.api.batches()._table._batch = statements
        self.dead_letters = load(package / "dead_letters.py")
        self.sweeper = load(package / "sweeper.py")
        self.batches = load(package / "batches.py")
        self.batches.creation._table._batch = statements
        self.payloads = WorkerPayloads(clients.bucket(PAYLOAD_BUCKET))
        self.table = RequestTable(self.dynamodb, TABLE, batch=statements)
        self.keys = KeyTable(self.dynamodb, KEY_TABLE)
        self.model = Sentiment()
        self.predictors: dict[str, Predictor] = {}  # of single models, instead of that one
        self.received: dict[str, str] = {}

    def _create_queues(self) -> None:
        self.urls["dlq"] = create_dead_letter_queue(self.sqs, f"{PREFIX}-dlq")
        for model in self.models:
            self.urls[model] = create_queue(self.sqs, f"{PREFIX}-{model}", WORKER_TIMEOUT_SECONDS, self.urls["dlq"])
        name = f"{PREFIX}-batches"
        self.urls["batches"] = create_queue(self.sqs, name, BATCHES_TIMEOUT_SECONDS, self.urls["dlq"])

    def deploy(self, deployed: Mapping[str, Any]) -> None:
        """The api function again, with what it is told of the deployment."""
        self._patch.setenv("DEPLOYED", json.dumps(deployed))
        self.api = load(self._package / "api.py")
        self.api.batches()._table._batch = self.statements

    # The client's side

    def call(self, event: dict[str, Any]) -> dict[str, Any]:
        """The api function's response, compared with lambda/openapi.json; its body as `json`, too, or as it is if it is
        not JSON, or None."""
        response: dict[str, Any] = self.api.handler(event, self._context())
        is_json = "json" in response["headers"].get("content-type", "json")
        response["json"] = json.loads(response.get("body", "null")) if is_json else response["body"]
        if event["routeKey"] in openapi.ROUTES:
            openapi.check(event["routeKey"], response["statusCode"], response["headers"], response["json"])
        return response

    def predict(
        self, body: Any, *, key: str | None = None, model: str | None = None, raw: bool = False
    ) -> dict[str, Any]:
        event = golden("http_predict")
        event["body"] = body if raw else json.dumps(body)
        if key is not None:
            event["headers"]["idempotency-key"] = key
        if model is not None:
            event |= {"routeKey": "POST /predict/{model}", "pathParameters": {"model": model}}
        return self.call(event)

    def predict_base64(self, body: bytes) -> dict[str, Any]:
        return self.call(golden("http_predict_base64") | {"body": base64.b64encode(body).decode()})

    def status(self, request_id: str) -> dict[str, Any]:
        return self.call(golden("http_status") | {"pathParameters": {"request_id": request_id}})

    def cancel(self, request_id: str) -> dict[str, Any]:
        return self.call(golden("http_cancel") | {"pathParameters": {"request_id": request_id}})

    def requests(self, url: str = "/requests") -> dict[str, Any]:
        """A list of requests, by its path and query."""
        event = golden("http_requests") | {"rawQueryString": urlsplit(url).query}
        return self.call(event | {"queryStringParameters": dict(parse_qsl(urlsplit(url).query))})

    def submit_batch(self, *items: Any, key: str | None = None) -> dict[str, Any]:
        event = golden("http_batch") | {"body": json.dumps({"items": items})}
        if key is not None:
            event["headers"]["idempotency-key"] = key
        return self.call(event)

    def submit_file(self, content: bytes, *, key: str | None = None) -> dict[str, Any]:
        """Upload lines, and submit them as a batch."""
        reference = self.upload(content, "application/jsonl")
        event = golden("http_batch") | {"body": json.dumps({"items": reference})}
        if key is not None:
            event["headers"]["idempotency-key"] = key
        return self.call(event)

    def batch(self, url: str) -> dict[str, Any]:
        """A batch, by its poll_url or next."""
        path, query = urlsplit(url).path, urlsplit(url).query
        event = golden("http_batch_status") | {"pathParameters": {"batch_id": path.rpartition("/")[2]}}
        return self.call(event | {"rawQueryString": query, "queryStringParameters": dict(parse_qsl(query))})

    def cancel_batch(self, batch_id: str) -> dict[str, Any]:
        return self.call(golden("http_batch_cancel") | {"pathParameters": {"batch_id": batch_id}})

    def erase(self, request_id: str) -> dict[str, Any]:
        return self.call(golden("http_erase") | {"pathParameters": {"request_id": request_id}})

    def upload(self, content: bytes, content_type: str) -> dict[str, str]:
        """Get a link, and write what it names. Returns the reference."""
        body = json.dumps({"content_type": content_type, "bytes": len(content)})
        response = self.call(golden("http_upload") | {"body": body})
        assert response["statusCode"] == 201, response
        answer = response["json"]
        key = urlsplit(answer["url"]).path.removeprefix(f"/{PAYLOAD_BUCKET}").lstrip("/")
        self.s3.put_object(Bucket=PAYLOAD_BUCKET, Key=key, Body=content, ContentType=content_type)
        reference: dict[str, str] = answer["reference"]
        return reference

    def objects(self) -> list[str]:
        """The keys in the payload bucket."""
        return [item["Key"] for item in self.s3.list_objects_v2(Bucket=PAYLOAD_BUCKET).get("Contents", ())]

    # AWS's side

    def _context(self) -> Context:
        self._invocations += 1
        return Context(self._invocations)

    def authorize(self, key: str) -> dict[str, Any]:
        """What the authorizer answers API Gateway."""
        answer: dict[str, Any] = self.authorizer.handler({"identitySource": [key]}, self._context())
        return answer

    def worker(self, model: str = "sentiment", predictor: Predictor | None = None) -> Worker:
        telemetry = Telemetry("worker")
        return Worker(
            {
                model: Prediction(
                    predictor or self.predictors.get(model, self.model),
                    packaged_validator(model),
                    telemetry,
                    self.payloads,
                )
            },
            self.table,
            RequestQueue(self.sqs, self.urls[model]),
            RetryDelay(2, 300),
            CODE_DIGEST,
            telemetry,
            self.payloads,
        )

    def receive(self, queue: str) -> list[dict[str, Any]]:
        """The mapping's poll: messages as records of an SQS event."""
        answer = self.sqs.receive_message(
            QueueUrl=self.urls[queue],
            MaxNumberOfMessages=10,
            AttributeNames=["ApproximateReceiveCount", "SentTimestamp"],
        )
        records = []
        for message in answer.get("Messages", ()):
            attributes = message["Attributes"]
            records.append(
                {
                    "messageId": message["MessageId"],
                    "receiptHandle": message["ReceiptHandle"],
                    "body": message["Body"],
                    "attributes": attributes,
                }
            )
            self.received[message["MessageId"]] = message["ReceiptHandle"]
        return records

    def settle(self, queue: str, records: Sequence[Mapping[str, Any]], failed: Sequence[str]) -> None:
        """The mapping's end of an invocation: delete what did not fail."""
        for record in records:
            if record["messageId"] not in failed:
                self.sqs.delete_message(QueueUrl=self.urls[queue], ReceiptHandle=record["receiptHandle"])
                self.received.pop(record["messageId"], None)

    def run_worker(self, model: str = "sentiment") -> list[str]:
        """One invocation of a worker, if there is a message. Returns the message ids that failed."""
        records = self.receive(model)
        if not records:
            return []
        context = self._context()
        invocation = Invocation(context.aws_request_id, context.get_remaining_time_in_millis, self.clock)
        failed = self.worker(model).process(records, invocation)
        self.settle(model, records, failed)
        return failed

    def stop_in_predict(self, records: Sequence[Mapping[str, Any]]) -> None:
        """An invocation that ends in its prediction, as a process does that is killed.

        Raises:
            KeyboardInterrupt: always; nothing in the worker catches it.
        """

        class InterruptedModel(ReadyModel):
            def predict(self, inputs: list[Any]) -> Sequence[Any]:
                raise KeyboardInterrupt

        context = self._context()
        worker = self.worker(predictor=InterruptedModel())
        worker.process(records, Invocation(context.aws_request_id, context.get_remaining_time_in_millis, self.clock))

    def run_dead_letters(self) -> None:
        records = self.receive("dlq")
        if records:
            answer = self.dead_letters.handler({"Records": records}, self._context())
            self.settle("dlq", records, [item["itemIdentifier"] for item in answer["batchItemFailures"]])

    def run_batches(self, context: Context | None = None) -> None:
        """One invocation of the batches function, if there is a message."""
        records = self.receive("batches")
        if records:
            answer = self.batches.handler({"Records": records}, context or BatchesContext())
            self.settle("batches", records, [item["itemIdentifier"] for item in answer["batchItemFailures"]])

    def sweep(self) -> dict[str, int]:
        ended: dict[str, int] = self.sweeper.handler({}, self._context())
        return ended

    def time_passes(self, seconds: float) -> None:
        """Leases end and messages come back."""
        self.clock.advance(seconds)
        for handle in self.received.values():
            for url in self.urls.values():
                try:
                    self.sqs.change_message_visibility(QueueUrl=url, ReceiptHandle=handle, VisibilityTimeout=0)
                except self.sqs.exceptions.ClientError:
                    continue

    def records(self) -> dict[str, Any]:
        """Every record of the table, by id; not the item of the sweep."""
        found = [self.table.get(item["request_id"]["S"]) for item in self._scan() if "status" in item]
        return {record.request_id: record for record in found if record is not None}

    def _scan(self) -> list[dict[str, Any]]:
        items: list[dict[str, Any]] = self.dynamodb.scan(TableName=TABLE, ConsistentRead=True)["Items"]
        return items

    def messages(self, queue: str = "sentiment") -> int:
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        answer = self.sqs.get_queue_attributes(QueueUrl=self.urls[queue], AttributeNames=names)["Attributes"]
        return sum(int(answer[name]) for name in names)

    def clear(self) -> None:
        """As new."""
        self.clock.shift_ms = 0
        self.api.service._run_times = RunTimes()
        self.model = Sentiment()
        self.received.clear()
        for item in self._scan():
            self.dynamodb.delete_item(TableName=TABLE, Key={"request_id": item["request_id"]})
        self._delete_objects()
        for key in self.keys.all():
            self.dynamodb.delete_item(TableName=KEY_TABLE, Key={"key_hash": {"S": key.digest}})
        self._delete_queues()
        self._create_queues()

    def remove(self) -> None:
        """Table, bucket and queues go."""
        self._delete_queues()
        self._delete_objects()
        self.s3.delete_bucket(Bucket=PAYLOAD_BUCKET)
        self.dynamodb.delete_table(TableName=TABLE)
        self.dynamodb.delete_table(TableName=KEY_TABLE)

    def _delete_objects(self) -> None:
        for key in self.objects():
            self.s3.delete_object(Bucket=PAYLOAD_BUCKET, Key=key)

    def _delete_queues(self) -> None:
        for url in self.urls.values():
            self.sqs.delete_queue(QueueUrl=url)


def load(path: Path) -> ModuleType:
    """A function's module from its package, loaded again: it reads its settings when it is loaded."""
    spec = importlib.util.spec_from_file_location(f"packaged_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@contextmanager
def calls_of(system: System) -> Iterator[list[str]]:
    """Notes each call to AWS: "PutItem", "SendMessage"..."""
    made: list[str] = []

    def note(model: Any, **_: Any) -> None:
        made.append(model.name)

    # The api function has clients of its own, which know its deadline. Clients are kept by their arguments as written:
    # an explicit None would make another.
    names = ("dynamodb", "sqs")
    watched = [clients.client(name, *deadline) for name in names for deadline in ((), (system.api.deadline,))]
    watched.append(system.s3)
    for client in watched:
        client.meta.events.register("before-call", note)
    try:
        yield made
    finally:
        for client in watched:
            client.meta.events.unregister("before-call", note)
