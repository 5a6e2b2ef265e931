"""What requests use, item by item, from measured durations and counted calls.

    duration   CPU on one core of the bench is taken for CPU on one vCPU of Lambda. A function has memory / 1,769 MB of
               a vCPU, so below that it takes longer in proportion; above it a single thread gains nothing.
    waiting    the bench's fake answers at once; AWS does not. Every call gets ASSUMED_CALL_MS on top, and Lambda
               bills it.
    writes     one per KB of the record, and one for the entry in the index `open`, which stays until TTL deletes it.
    sweep      reads each record once, when it is nearly always final.

Assumptions are named ASSUMED_.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from inference.service import FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS
from inference.store.request_queue import MAX_BATCH_ENTRIES
from inference.store.request_table import BATCH_STATEMENTS
from scripts.cost.prices import Line
from worker.files import PART_BYTES

MEMORY_MB_PER_VCPU = 1769
MILLION = 1_000_000
WRITE_UNIT_BYTES = 1024
READ_UNIT_BYTES = 4096
GB = 1024**3

INDEX_WRITES = 1
"""The entry appears with the record. What TTL deletes is free."""

INDEX_ENTRY_BYTES = 180
"""Of such an entry: 100 bytes that DynamoDB adds; id, shard and time, with their names."""

ASSUMED_PASS_MS = 40.0
PASS_RECORDS = 100
PASS_MEMORY_MB = 256
"""A sweep passes so many records in so long: a read of the index's page, one of the records."""

ASSUMED_HANDOVER_MS = 50.0
"""From SQS's taking of a message to the start of a warm worker, whose mapping waits for it with a long poll."""

LIST_WRITES = 1
"""The entry in the index of callers, where there is one. Nothing in it changes, and what TTL deletes is free."""

LIST_ENTRY_BYTES = 330
"""Of such an entry: 100 bytes that DynamoDB adds; id, time, the model's name, and a role's ARN as the caller."""

UPLOAD_PUTS = 1
UPLOAD_GETS = 3
"""The API's check that it is there; the worker's look at its type, and at its size. The parts are more."""

FAIR_SENDS = 1
"""Requests to SQS with a message group id, each with a surcharge."""

RECORD_WRITES = 3
"""Submit, claim, finish."""

BATCH_OWN_CALLS = 2
"""Of a keyed batch: its record, and the confirmation; each a write."""

BATCH_SUBMIT_ITEM_CPU_MS = 0.15
BATCH_STATUS_ITEM_CPU_MS = 0.18
"""What each more item of a batch takes, on one core: the rules on a table in memory, a hundred items against one,
medians of thirty runs on a loaded machine on 2026-11-26."""

ASSUMED_CALL_MS = 5.0
"""One call to DynamoDB or SQS in the same region."""

ASSUMED_POLLS = 2.0
"""Status queries per request, eventually consistent."""

ASSUMED_PLATFORM_LOG_BYTES = 350
"""START, END and REPORT, which Lambda logs for every invocation of a function with `invocation_lines`."""

ASSUMED_TIMESTAMP_BYTES = 40
"""What Lambda adds to each line of a function without: its documentation says so of lines that have no timestamp."""

ASSUMED_ACCESS_LOG_BYTES = 320
"""The HTTP API's access log has a line for every call: terraform/modules/http_api, filled in (see the test)."""

ASSUMED_DELETE_BATCH = 10
"""The event source mapping receives and deletes at most ten messages in one call."""


@dataclass(frozen=True)
class Call:
    """One invocation of the api function: CPU on one core, AWS calls, bytes that it logs itself."""

    cpu_ms: float
    aws_calls: float
    log_bytes: float


@dataclass(frozen=True)
class Work:
    """What one system does for one request.

    Attributes:
        batch: requests in one invocation of the worker, on average.
        worker_cpu_ms: per request, on one core. `worker_calls`: AWS calls per request.
        worker_sqs_calls: those of them that go to SQS.
        worker_log_bytes: per request.
        submit, status: the api function's two kinds of invocation; a request takes one and some.
        api_memory_mb: of the api function.
        api_invocation_lines: the api function has them.
        access_log_bytes: per call of the HTTP API; 0 without an access log.
        writes: DynamoDB write units per request, those of the index included.
        record_bytes: of a finished record.
        swept: a sweep reads each record.
    """

    batch: float
    worker_cpu_ms: float
    worker_calls: float
    worker_sqs_calls: float
    worker_log_bytes: float
    submit: Call
    status: Call
    api_memory_mb: int
    api_invocation_lines: bool
    access_log_bytes: float
    writes: float
    record_bytes: float
    swept: bool = True

    def worker_ms(self, memory_mb: int) -> float:
        """Billed duration of one invocation of the worker, in ms."""
        return billed_ms(self.worker_cpu_ms * self.batch, self.worker_calls * self.batch, memory_mb)


def billed_ms(cpu_ms: float, calls: float, memory_mb: float) -> float:
    """Billed duration of one invocation in ms: CPU at this memory size's share of a vCPU, waiting, rounded up."""
    share = min(1.0, memory_mb / MEMORY_MB_PER_VCPU)
    return max(1.0, math.ceil(round(cpu_ms / share + calls * ASSUMED_CALL_MS, 6)))


def platform_log_bytes(invocation_lines: bool, own_lines: float = 1) -> float:
    """What Lambda itself logs of an invocation whose function writes so many lines."""
    return ASSUMED_PLATFORM_LOG_BYTES if invocation_lines else own_lines * ASSUMED_TIMESTAMP_BYTES


def units(size: float, unit: int) -> int:
    """DynamoDB's units: every started one counts."""
    return max(1, math.ceil(size / unit))


def function_lines(
    component: str, invocations: float, ms: float, memory_mb: float, architecture: str = "x86_64", warm: bool = False
) -> list[Line]:
    """So many invocations of `ms` each; `warm` is on provisioned concurrency."""
    seconds = "provisioned_running_gb_seconds" if warm else "lambda_gb_seconds"
    return [
        Line(component, f"{seconds}_{architecture}", invocations * ms / 1000 * memory_mb / 1024),
        Line(component, "lambda_invocations", invocations),
    ]


def worker_lines(
    work: Work,
    requests: float,
    memory_mb: int,
    ms: float,
    architecture: str = "x86_64",
    warm: bool = False,
    items: int = 1,
) -> list[Line]:
    """What so many requests use from their messages on; `ms` is the billed duration of an invocation, `items` how many
    are submitted together."""
    sends = requests / min(items, MAX_BATCH_ENTRIES)
    moves = 2 * requests / min(work.batch, ASSUMED_DELETE_BATCH)  # the mapping's receives and deletes
    log_bytes = requests * (work.worker_log_bytes + ASSUMED_PLATFORM_LOG_BYTES / work.batch)
    return [
        *function_lines("worker", requests / work.batch, ms, memory_mb, architecture, warm),
        Line("SQS", "sqs_requests", sends + moves + requests * work.worker_sqs_calls),
        Line("DynamoDB writes", "dynamodb_writes", requests * work.writes),
        Line("logs", "logs_gb", log_bytes / GB),
        *(pass_lines(requests, work.record_bytes) if work.swept else ()),
    ]


def pass_lines(requests: float, record_bytes: float) -> list[Line]:
    """What the sweep uses for so many requests: each is passed once, by reads that are eventually consistent."""
    reads = requests * (units(record_bytes, READ_UNIT_BYTES) + INDEX_ENTRY_BYTES / READ_UNIT_BYTES) / 2
    invocation = function_lines("sweeper", requests / PASS_RECORDS, ASSUMED_PASS_MS, PASS_MEMORY_MB)
    return [Line("sweeper", "dynamodb_strong_reads", reads), invocation[0]]


def call_lines(work: Work, call: Call, times: float, architecture: str = "x86_64", warm: bool = False) -> list[Line]:
    """What so many calls of the API use, without what a status query reads."""
    ms = billed_ms(call.cpu_ms, call.aws_calls, work.api_memory_mb)
    platform = platform_log_bytes(work.api_invocation_lines, own_lines=1 if call.log_bytes else 0)
    log_bytes = times * (call.log_bytes + platform + work.access_log_bytes)
    return [
        *function_lines("api function", times, ms, work.api_memory_mb, architecture, warm),
        Line("HTTP API", "http_api_calls", times),
        Line("logs", "logs_gb", log_bytes / GB),
    ]


def status_lines(work: Work, times: float, architecture: str = "x86_64", warm: bool = False) -> list[Line]:
    """What so many status queries use."""
    reads = times * units(work.record_bytes, READ_UNIT_BYTES) / 2
    return [
        *call_lines(work, work.status, times, architecture, warm),
        Line("DynamoDB reads", "dynamodb_strong_reads", reads),
    ]


def batch_lines(
    work: Work, requests: float, items: int, polls: float, architecture: str = "x86_64", warm: bool = False
) -> list[Line]:
    """What the API uses for requests in batches of so many items: their submits, and `polls` status queries of each
    batch, which have all results. In place of the calls of single requests."""
    batches = requests / items
    submit = Call(
        work.submit.cpu_ms + (items - 1) * BATCH_SUBMIT_ITEM_CPU_MS,
        BATCH_OWN_CALLS + math.ceil(items / BATCH_STATEMENTS) + math.ceil(items / MAX_BATCH_ENTRIES),
        work.submit.log_bytes,
    )
    status = Call(
        work.status.cpu_ms + (items - 1) * BATCH_STATUS_ITEM_CPU_MS, work.status.aws_calls + 1, work.status.log_bytes
    )
    reads = (1 + items * units(work.record_bytes, READ_UNIT_BYTES)) / 2
    return [
        *call_lines(work, submit, batches, architecture, warm),
        *call_lines(work, status, batches * polls, architecture, warm),
        Line("DynamoDB reads", "dynamodb_strong_reads", batches * polls * reads),
        Line("DynamoDB writes", "dynamodb_writes", batches * BATCH_OWN_CALLS),
    ]


def wait_lines(seconds: float, times: float, memory_mb: int, architecture: str = "x86_64") -> list[Line]:
    """What so many calls use by waiting so many seconds each (Prefer: wait), in addition to what they do."""
    reads = times * wait_reads(seconds) * 0.5
    return [
        *function_lines("waiting calls", times, seconds * 1000, memory_mb, architecture)[:1],
        Line("waiting calls", "dynamodb_strong_reads", reads),
    ]


def wait_reads(seconds: float) -> int:
    """How often a call reads its record while it waits so long."""
    return next(read for read, waited in enumerate(_reads_at(), 1) if waited >= seconds) if seconds > 0 else 0


def _reads_at() -> Iterator[float]:
    """The seconds of a wait after which it reads its record: see `Service.wait`."""
    waited = 0.0
    while True:
        waited += min(max(waited / 10, FIRST_PAUSE_SECONDS), LONGEST_PAUSE_SECONDS)
        yield waited


def request_lines(work: Work, memory_mb: int, *, requests: float = MILLION, polls: float = ASSUMED_POLLS) -> list[Line]:
    """What so many requests use, from the submit to the last status query."""
    return [
        *worker_lines(work, requests, memory_mb, work.worker_ms(memory_mb)),
        *call_lines(work, work.submit, requests),
        *status_lines(work, requests * polls),
    ]


def waited_seconds(work: Work, memory_mb: int) -> float:
    """From a submit that waits to the read that finds its outcome, with a warm worker."""
    over = (ASSUMED_HANDOVER_MS + work.worker_ms(memory_mb)) / 1000
    return next(waited for waited in _reads_at() if waited >= over)


def waiting_request_lines(work: Work, memory_mb: int, *, requests: float = MILLION) -> list[Line]:
    """What so many requests use whose submit waits for the outcome, so that no status query is needed."""
    return [
        *worker_lines(work, requests, memory_mb, work.worker_ms(memory_mb)),
        *call_lines(work, work.submit, requests),
        *wait_lines(waited_seconds(work, memory_mb), requests, work.api_memory_mb),
    ]


def large_lines(requests: float, size: float) -> list[Line]:
    """What inputs of `size` bytes use of S3 when each is an upload of its own, which the worker reads in parts."""
    gets = UPLOAD_GETS + math.ceil(size / PART_BYTES)
    return [Line("S3", "s3_puts", requests * UPLOAD_PUTS), Line("S3", "s3_gets", requests * gets)]
