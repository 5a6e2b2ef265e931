"""Protects open requests when models are removed: before Terraform deletes a queue, they are reported or ended.

When a model is removed or renamed, its queue is deleted with its messages; when it moves into a pool or out of it, it
gets another queue. The queue of a pool stays while the pool has other models. Without REMOVE=<model>, an apply
that would do this to a model with open requests is stopped here. With it, requests whose messages still wait become
`failed` (model_removed) with their inputs kept, so that they can be replayed when the model is deployed again.
"""

import json
import os
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from inference import transitions
from inference.requests import FINAL, Message
from inference.store.request_table import Applied, ConditionFailed, RequestTable
from inference.sweep import model_removed
from inference.telemetry import now_ms
from scripts.console import CommandError, note
from scripts.deployment import aws_session, terraform

MOST_COUNTED = 10_000
"""Number of open requests that are read. If there are more, the text has `at least`."""

RECEIVE_SECONDS = 2
POLL_SECONDS = 1.0


@dataclass(frozen=True)
class OpenRequests:
    """The open requests of the models that are going to be removed."""

    counts: Mapping[str, Counter[str]]
    complete: bool

    def text(self, model: str) -> str:
        """The number as text: `14 open requests (12 pending, 2 running)`."""
        counts = self.counts[model]
        parts = ", ".join(f"{count} {status}" for status, count in sorted(counts.items()))
        return f"{'' if self.complete else 'at least '}{counts.total()} open requests ({parts})"


def check(environment: str, command: str, queues: Mapping[str, str]) -> None:
    """Before plan and apply: say what is open on models that would be removed; before an apply, reject, or end it.

    Args:
        environment: local, dev or prod.
        command: plan or apply.
        queues: the models that the environment names, and the names of their queues.

    Raises:
        CommandError: an apply would remove a model that has open requests, and REMOVE does not name it.
    """
    try:
        outputs = terraform.outputs(environment)
    except CommandError:
        return  # nothing is deployed yet
    urls: Mapping[str, str] = outputs.get("queue_urls", {})
    removed = sorted(model for model, url in urls.items() if queues.get(model) != _queue_name(url))
    if not removed:
        return
    table = RequestTable(aws_session.client(environment, "dynamodb", outputs), outputs["request_table"])
    found = count(table, removed)
    held = [model for model in removed if found.counts[model]]
    for model in removed:
        what = "get another queue" if model in queues else "be removed"
        note(f"{environment}: {model} will {what}, with {found.text(model)}")
    if command != "apply" or not held:
        return
    named = (os.environ.get("REMOVE") or "").replace(",", " ").split()
    if missing := [model for model in held if model not in named]:
        raise CommandError(
            f"{', '.join(missing)} would be removed from its queue with open requests, whose messages would be lost:"
            f" wait until they are final, or end them with REMOVE={','.join(held)} (they fail as model_removed; what"
            " still waits keeps its input for a replay)"
        )
    sqs = aws_session.client(environment, "sqs", outputs)
    for model in held:
        if _queue_name(urls[model]) in queues.values():
            note(f"{model}: its pool's queue stays; dead_letters ends its requests within minutes, their inputs kept")
            continue
        ended = drain(table, sqs, urls[model], lambda: bool(count(table, [model]).counts[model]))  # noqa: B023
        note(f"{model}: {ended} requests ended as model_removed, their inputs kept")


def _queue_name(url: str) -> str:
    return url.rpartition("/")[2]


def count(table: RequestTable, models: Sequence[str]) -> OpenRequests:
    """The open requests of some models."""
    counts: dict[str, Counter[str]] = {model: Counter() for model in models}
    records, complete = table.open_records(now_ms() + 60_000, MOST_COUNTED)
    for record in records:
        if record.model in counts:
            counts[record.model][record.status] += 1
    return OpenRequests(counts, complete)


def drain(
    table: RequestTable,
    sqs: Any,
    url: str,
    any_open: Callable[[], bool],
    seconds: float = 120,
    clock: Callable[[], int] = now_ms,
) -> int:
    """End the requests whose messages wait on a queue, until none is open: running ones may end by themselves.

    Returns how many were ended. Requests that still run after `seconds` are left to the sweeper.
    """
    ended, deadline = 0, time.monotonic() + seconds
    while True:
        answer = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=RECEIVE_SECONDS)
        for received in answer.get("Messages", ()):
            try:
                message = Message.from_body(received["Body"])
            except (ValueError, RecursionError):
                continue  # not a request's message; deleted with the queue
            failure, kept = model_removed(message.model), json.dumps(message.input)
            update = transitions.fail_unleased(message.request_id, failure, clock(), kept)
            match table.apply([update])[0]:
                case Applied():
                    ended += 1
                case ConditionFailed(record=record) if record is None or record.status in FINAL:
                    pass
                case _:
                    continue  # running: the message stays, in case the attempt fails
            sqs.delete_message(QueueUrl=url, ReceiptHandle=received["ReceiptHandle"])
        if not answer.get("Messages"):
            if not any_open() or time.monotonic() > deadline:
                return ended
            time.sleep(POLL_SECONDS)
