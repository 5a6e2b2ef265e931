"""The system of system.py with webhooks: the table's stream with Terraform's filter, relay and deliverer."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import hcl2
import pytest
from hcl2 import SerializationOptions

from inference.aws import clients
from tests.events import golden
from tests.integration.system import PREFIX, TABLE, System, load
from tests.integration.terraform_definition import MODULES, create_dead_letter_queue, create_queue

TEXT = {"text": "what a lovely day"}
SECRET = "whsec_" + base64.b64encode(b"1" * 24).decode()
WEBHOOKS, DEAD_LETTERS = "webhooks", "webhooks-dlq"


def stream_filters() -> list[dict[str, Any]]:
    """The filters of the stream's mapping, from the Terraform module."""
    text = (MODULES / "webhooks" / "main.tf").read_text(encoding="utf-8")
    final = re.search(r"  final = (\[.*\])", text)
    assert final is not None
    listed = text.partition("  stream_patterns = ")[2].partition("\n  ]")[0]
    options = SerializationOptions(with_comments=False, explicit_blocks=False, strip_string_quotes=True)
    code = f"stream_patterns = {listed}\n]\n".replace("local.final", final[1])
    found: list[dict[str, Any]] = hcl2.loads(code, serialization_options=options)["stream_patterns"]
    assert len(found) == 3
    return found


def passes(pattern: Any, value: Any) -> bool:
    """Whether one of Lambda's filters lets a record through: each leaf is a list of allowed values."""
    if isinstance(pattern, Mapping):
        return isinstance(value, Mapping) and all(passes(inner, value.get(name)) for name, inner in pattern.items())
    return any(
        isinstance(value, str) and value.startswith(each["prefix"]) if isinstance(each, Mapping) else value == each
        for each in pattern
    )


class WebhookSystem(System):
    """The system, with webhooks."""

    webhooks = '{"default_url": null, "allow_loopback": true}'

    def __init__(self, package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._patch = monkeypatch
        secret = clients.client("secretsmanager").create_secret(Name="hooks", SecretString=SECRET)["ARN"]
        monkeypatch.setenv("WEBHOOK_SECRET_ARN", secret)
        super().__init__(package, monkeypatch, statements=1)
        self.dynamodb.update_table(
            TableName=TABLE, StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"}
        )
        self.relay = load(package / "relay.py")
        self.deliverer = load(package / "deliverer.py")
        self._streams = clients.client("dynamodbstreams")
        self._seen: set[str] = set()

    def _create_queues(self) -> None:
        super()._create_queues()
        self.urls[DEAD_LETTERS] = create_dead_letter_queue(self.sqs, f"{PREFIX}-{DEAD_LETTERS}")
        self.urls[WEBHOOKS] = create_queue(self.sqs, f"{PREFIX}-{WEBHOOKS}", 30, self.urls[DEAD_LETTERS])
        self._patch.setenv("WEBHOOK_QUEUE_URL", self.urls[WEBHOOKS])
        self._patch.setenv("WEBHOOK_DEAD_LETTER_QUEUE_URL", self.urls[DEAD_LETTERS])

    def clear(self) -> None:
        super().clear()
        self.changes()

    def submit(self, url: str) -> dict[str, Any]:
        event = golden("http_predict") | {"body": json.dumps(TEXT)}
        event["headers"] = event["headers"] | {"webhook-url": url}
        return self.call(event)

    def resend(self, request_id: str) -> dict[str, Any]:
        return self.call(golden("http_resend_webhook") | {"pathParameters": {"request_id": request_id}})

    def submit_batch_to(self, url: str, *items: Any) -> dict[str, Any]:
        event = golden("http_batch") | {"body": json.dumps({"items": items})}
        event["headers"] = event["headers"] | {"webhook-url": url}
        accepted: dict[str, Any] = self.call(event)["json"]
        return accepted

    def submit_file_to(self, url: str, content: bytes) -> dict[str, Any]:
        reference = self.upload(content, "application/jsonl")
        event = golden("http_batch") | {"body": json.dumps({"items": reference})}
        event["headers"] = event["headers"] | {"webhook-url": url}
        accepted: dict[str, Any] = self.call(event)["json"]
        return accepted

    def resend_batch(self, batch_id: str) -> dict[str, Any]:
        return self.call(golden("http_resend_batch_webhook") | {"pathParameters": {"batch_id": batch_id}})

    def changes(self) -> list[dict[str, Any]]:
        """The stream's records that were not read before."""
        arn = self.dynamodb.describe_table(TableName=TABLE)["Table"]["LatestStreamArn"]
        (shard,) = self._streams.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"]
        iterator = self._streams.get_shard_iterator(
            StreamArn=arn, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON"
        )["ShardIterator"]
        records = self._streams.get_records(ShardIterator=iterator, Limit=1000)["Records"]
        new = [record for record in records if record["eventID"] not in self._seen]
        self._seen.update(record["eventID"] for record in new)
        return new

    def run_relay(self) -> int:
        """What the stream's mapping does. Returns how many records its filters let through."""
        filters = stream_filters()
        records = [record for record in self.changes() if any(passes(pattern, record) for pattern in filters)]
        if records:
            assert self.relay.handler({"Records": records}, self._context()) == {"batchItemFailures": []}
        return len(records)

    def run_deliverer(self) -> list[str]:
        records = self.receive(WEBHOOKS)
        if not records:
            return []
        answer = self.deliverer.handler({"Records": records}, self._context())
        failed = [item["itemIdentifier"] for item in answer["batchItemFailures"]]
        self.settle(WEBHOOKS, records, failed)
        return failed
