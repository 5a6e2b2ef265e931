"""What a test may do to a deployment behind the API's back: hold deliveries, look into queues, table and logs."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from typing import Any

from inference.requests import Message, Record
from inference.store.request_queue import RequestQueue
from inference.store.request_table import RequestTable
from inference.telemetry import now_ms
from tests.e2e.deployment import Deployment
from tests.e2e.waiting import eventually


class Control:
    """Root clients of one deployment, made once: making them is slow and not thread-safe."""

    def __init__(self, deployment: Deployment) -> None:
        self._deployment = deployment
        self._functions = deployment.client("lambda")
        self._logs = deployment.client("logs")
        self.sqs = deployment.client("sqs")
        self.dynamodb = deployment.client("dynamodb")
        self.table_name: str = deployment.output("request_table")
        self.table = RequestTable(self.dynamodb, self.table_name)

    @contextlib.contextmanager
    def paused(self, model: str) -> Iterator[None]:
        """Deliver no message of a model while the block runs; what was sent meanwhile then comes as one batch."""
        uuid = self.pause(model)
        try:
            yield
        finally:
            self._functions.update_event_source_mapping(UUID=uuid, Enabled=True)

    def pause(self, model: str) -> str:
        """Deliver no message of a model any more. Returns the id of its mapping."""
        arn = f":{self.queue_url(model).rpartition('/')[2]}"
        mappings = self._functions.list_event_source_mappings()["EventSourceMappings"]
        uuid: str = next(mapping["UUID"] for mapping in mappings if mapping["EventSourceArn"].endswith(arn))
        self._functions.update_event_source_mapping(UUID=uuid, Enabled=False)
        return uuid

    def queue_url(self, model: str) -> str:
        url: str = self._deployment.output("queue_urls")[model]
        return url

    def queues_empty(self, model: str) -> bool:
        """Whether neither the model's queue nor its dead-letter queue has a message, in sight or in flight."""
        urls = (self.queue_url(model), self._deployment.output("dead_letter_queue_url"))
        return all(RequestQueue(self.sqs, url).is_empty() for url in urls)

    def drained(self, model: str, seconds: float = 120) -> None:
        """Wait until all messages of a model are gone."""
        eventually(f"the queues of {model} are empty", seconds, lambda: self.queues_empty(model))

    def record(self, request_id: str) -> Record:
        """A request as it stands in the table."""
        record = self.table.get(request_id, consistent=True)
        assert record is not None, f"no record of {request_id}"
        return record

    def open_ids(self) -> set[str]:
        """The requests that are not final, as an operator sees them."""
        records, complete = self.table.open_records(now_ms() + 60_000, 100_000)
        assert complete
        return {record.request_id for record in records}

    def message(self, request_id: str, value: Any) -> str:
        """The body of a copy of a request's message; `value` is its input."""
        record = self.record(request_id)
        times = (record.submitted_at, record.expires_at)
        return Message(request_id, record.model, value, *times, record.attempt_limit).to_body()

    def send(self, model: str, body: str) -> None:
        """Put a message on a model's queue."""
        self.sqs.send_message(QueueUrl=self.queue_url(model), MessageBody=body)

    def invoke(self, role: str) -> dict[str, Any]:
        """Invoke a function's live version and return its answer."""
        name = self._deployment.output("function_names")[role]
        answer = self._functions.invoke(FunctionName=name, Qualifier="live", Payload=b"{}")
        payload: dict[str, Any] = json.loads(answer["Payload"].read())
        assert "FunctionError" not in answer, payload
        return payload

    def texts(self, role: str, text: str) -> list[str]:
        """The lines of a function's log that have a text in them, in their order."""
        group = f"/aws/lambda/{self._deployment.output('function_names')[role]}"
        pages = self._logs.get_paginator("filter_log_events").paginate(logGroupName=group, filterPattern=f'"{text}"')
        return [found["message"] for page in pages for found in page["events"]]

    def lines(self, role: str, text: str) -> list[dict[str, Any]]:
        """A function's telemetry lines that have a text in them, in their order."""
        return [json.loads(line) for line in self.texts(role, text) if line.startswith('{"')]

    def events(self, role: str, event: str, text: str) -> list[dict[str, Any]]:
        """A function's telemetry lines of one event that have a text in them, in their order."""
        return [line for line in self.lines(role, text) if line["event"] == event]
