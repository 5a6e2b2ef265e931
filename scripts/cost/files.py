"""What batches from files use: from the calls that the functions make (docs/adr/0016-batches-from-files.md)."""

from __future__ import annotations

import math

from inference.batches.counting import CHUNKS_READ
from inference.batches.creation import LINES_CHECKED
from inference.batches.record import CHUNK
from inference.store.request_queue import MAX_BATCH_ENTRIES
from inference.store.request_table import BATCH_STATEMENTS
from scripts.cost.deployment import Deployment, Function
from scripts.cost.prices import Line
from scripts.cost.requests import (
    BATCH_STATUS_ITEM_CPU_MS,
    FAIR_SENDS,
    GB,
    READ_UNIT_BYTES,
    Call,
    Work,
    billed_ms,
    call_lines,
    function_lines,
    platform_log_bytes,
    units,
)
from scripts.stack_defaults import defaults

BODY_ITEMS = int(defaults("requests")["max_batch_items"])
MOST_LINES = int(defaults("requests")["max_batch_lines"])
"""What one body, and one file, may have by default."""

CHECK_LINE_CPU_MS = 0.02
CREATE_LINE_CPU_MS = 0.13
"""What a line takes in the two passes, on one core: the rules on a table in memory, a thousand lines, medians of seven
runs on a loaded machine on 2026-11-26."""

SUBMIT_CALLS = 4
"""Of a keyed submit: a look at the upload, the batch's record, its message, the confirmation."""

SUBMIT_WRITES = 2
OWN_WRITES = 2
"""Of the batches function, beside those of its steps: the claim, and the stage between the two passes."""

MESSAGE_CALLS = 3
"""Send, receive, delete."""

FUNCTION_GETS = 2
"""Each pass reads the file in parts of 4.5 MB at most; one part is taken to be enough."""

LOG_BYTES = 250


def file_lines(
    deployment: Deployment, work: Work, requests: float, items: int, polls: float, warm: bool = False
) -> list[Line]:
    """What requests use that come in files of so many lines, in place of the calls of single requests: an upload, a
    submit, the batches function, `polls` status queries of each batch, and pages of a hundred items with the results.
    """
    files = requests / items
    steps = pages = math.ceil(items / CHUNK)
    api = deployment.api
    function = deployment.batches or Function("batches", 512, 120, api.architecture)
    checks = math.ceil(items / LINES_CHECKED)
    calls = (
        checks
        + steps * (1 + math.ceil(CHUNK / BATCH_STATEMENTS) + math.ceil(CHUNK / MAX_BATCH_ENTRIES))
        + FUNCTION_GETS
        + OWN_WRITES
        + 1  # the file is deleted
    )
    ms = billed_ms(items * (CHECK_LINE_CPU_MS + CREATE_LINE_CPU_MS), calls, function.memory_mb)
    upload = Call(work.status.cpu_ms, 0, work.submit.log_bytes)  # a link is signed without a call
    submit = Call(work.submit.cpu_ms, SUBMIT_CALLS, work.submit.log_bytes)
    counted = min(items, CHUNKS_READ * CHUNK)

    def query(shown: int) -> tuple[Call, float]:
        """A status query that reads so many items, and its reads."""
        cpu_ms = work.status.cpu_ms + shown * BATCH_STATUS_ITEM_CPU_MS
        call = Call(cpu_ms, work.status.aws_calls + math.ceil(shown / CHUNK), work.status.log_bytes)
        return call, (1 + shown * units(work.record_bytes, READ_UNIT_BYTES)) / 2

    poll, poll_reads = query(counted)
    page, page_reads = query(min(items, CHUNK))
    return [
        *call_lines(work, upload, files, api.architecture, warm),
        *call_lines(work, submit, files, api.architecture, warm),
        *call_lines(work, poll, files * polls, api.architecture, warm),
        *call_lines(work, page, files * pages, api.architecture, warm),
        Line("DynamoDB reads", "dynamodb_strong_reads", files * (polls * poll_reads + pages * page_reads)),
        Line("DynamoDB writes", "dynamodb_writes", files * (SUBMIT_WRITES + OWN_WRITES + checks + steps)),
        *function_lines("batches function", files, ms, function.memory_mb, function.architecture),
        Line("SQS", "sqs_requests", files * MESSAGE_CALLS),
        Line("fair queues", "sqs_fair_requests", files * FAIR_SENDS),
        Line("S3", "s3_puts", files),
        Line("S3", "s3_gets", files * (1 + FUNCTION_GETS)),
        Line("logs", "logs_gb", files * (LOG_BYTES + platform_log_bytes(function.invocation_lines)) / GB),
    ]
