"""What a change of the models does to requests that are open: said, and rejected, before Terraform removes a queue.

A model that an environment names no longer loses its queue, and its messages with it; a renamed one too. Without
REMOVE=<model>, an apply that would take a model with open requests away ends here. With it, the requests whose messages
still wait end as `failed` (model_removed) with their inputs kept, so that they can be replayed once the model is back.
"""

import json
import os
import sys
import time
from collections import Counter
from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from scripts import aws_session, terraform
from scripts.console import ROOT, CommandError, note

sys.path.insert(1, str(ROOT / "lambda"))
from inference import transitions
from inference.request_table import Applied, ConditionFailed, RequestTable
from inference.requests import FINAL, Message
from inference.sweep import model_removed
from inference.telemetry import now_ms

MOST_COUNTED = 10_000
"""Open requests that are looked at. Where there are more, the count says `at least`."""

RECEIVE_SECONDS = 2
POLL_SECONDS = 1.0


@dataclass(frozen=True)
class OpenRequests:
    """The open requests of the models that are going to be removed."""

    counts: Mapping[str, Counter[str]]
    complete: bool

    def text(self, model: str) -> str:
        """How many, for a sentence: `14 open requests (12 pending, 2 running)`."""
        counts = self.counts[model]
        parts = ", ".join(f"{count} {status}" for status, count in sorted(counts.items()))
        return f"{'' if self.complete else 'at least '}{counts.total()} open requests ({parts})"


def check(environment: str, command: str, configured: Container[str]) -> None:
    """Before plan and apply: say what is open on models that would be removed; before an apply, reject, or end it.

    Args:
        environment: local, dev or prod.
        command: plan or apply.
        configured: the models that the environment names.

    Raises:
        CommandError: an apply would remove a model that has open requests, and REMOVE does not name it.
    """
    try:
        outputs = terraform.outputs(environment)
    except CommandError:
        return  # nothing is deployed yet
    urls: Mapping[str, str] = outputs.get("queue_urls", {})
    removed = sorted(model for model in urls if model not in configured)
    if not removed:
        return
    table = RequestTable(aws_session.client(environment, "dynamodb", outputs), outputs["request_table"])
    found = count(table, removed)
    held = [model for model in removed if found.counts[model]]
    for model in removed:
        note(f"{environment}: {model} is going to be removed, with {found.text(model)}")
    if command != "apply" or not held:
        return
    named = (os.environ.get("REMOVE") or "").replace(",", " ").split()
    if missing := [model for model in held if model not in named]:
        raise CommandError(
            f"{', '.join(missing)} would be removed with open requests, whose messages are deleted with the queue: wait"
            f" until they are final, or end them with REMOVE={','.join(held)} (they fail as model_removed; what still"
            " waits keeps its input for a replay)"
        )
    sqs = aws_session.client(environment, "sqs", outputs)
    for model in held:
        ended = drain(table, sqs, urls[model], lambda: bool(count(table, [model]).counts[model]))  # noqa: B023
        note(f"{model}: {ended} requests ended as model_removed, their inputs kept")


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
    """End the requests whose messages wait on a queue, until none is open: those at work may end by themselves.

    Returns how many were ended. What is still at work after `seconds` is left to the sweeper.
    """
    ended, deadline = 0, time.monotonic() + seconds
    while True:
        answer = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=RECEIVE_SECONDS)
        for received in answer.get("Messages", ()):
            try:
                message = Message.from_body(received["Body"])
            except (ValueError, RecursionError):
                continue  # it is nobody's request, and goes with the queue
            failure, kept = model_removed(message.model), json.dumps(message.input)
            update = transitions.fail_unleased(message.request_id, failure, clock(), kept)
            match table.apply([update])[0]:
                case Applied():
                    ended += 1
                case ConditionFailed(record=record) if record is None or record.status in FINAL:
                    pass
                case _:
                    continue  # at work: its message stays, should the attempt fail
            sqs.delete_message(QueueUrl=url, ReceiptHandle=received["ReceiptHandle"])
        if not answer.get("Messages"):
            if not any_open() or time.monotonic() > deadline:
                return ended
            time.sleep(POLL_SECONDS)
