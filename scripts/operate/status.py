"""The status of a deployment: queues, open requests, failures and dead letters of each model.

    python -m scripts.operate.status [--model NAME] [--list] [--json]

The queues' counts are SQS's approximate ones. `failed` scans the request table, up to 100 pages of 1 MB: at most 12,800
read units, less than a cent, a few seconds. An incomplete count ends in `+`.
"""

import argparse
import json
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field

from inference.errors import Unavailable
from inference.requests import Record
from inference.store.request_queue import RequestQueue
from inference.store.request_table import RequestTable
from inference.telemetry import now_ms
from scripts.aws_errors import describe_aws_error
from scripts.console import CommandError, as_json, run
from scripts.deployment import aws_session, terraform

MOST_OPEN = 10_000
MOST_PAGES = 100
CLOCK_SKEW_MS = 60_000
HOUR_MS = 3_600_000


@dataclass
class ModelStatus:
    """Where one model stands. `waiting` and `in_flight` are None for a model that was removed, and for one of a pool:
    its messages are in the pool's queue."""

    deployed: bool = False
    pool: str | None = None
    waiting: int | None = None
    in_flight: int | None = None
    pending: int = 0
    running: int = 0
    oldest_open_seconds: int | None = None
    failed_last_hour: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True)
class OpenRequest:
    """A request that is not final. Past its deadline it waits for the sweeper."""

    request_id: str
    model: str
    status: str
    age_seconds: int
    attempts: int
    attempt_limit: int
    seconds_to_deadline: int


@dataclass(frozen=True)
class QueueStatus:
    """The messages of a queue, by SQS's approximate counts."""

    waiting: int
    in_flight: int


@dataclass(frozen=True)
class Overview:
    """Everything that was seen, by model; the queues of pools; and whether that is all. `webhook_dead_letters`: None
    where the deployment has no webhooks."""

    models: Mapping[str, ModelStatus]
    pools: Mapping[str, QueueStatus]
    dead_letters: int
    webhook_dead_letters: int | None
    requests: Sequence[OpenRequest]
    all_open_seen: bool
    all_failed_seen: bool


def look(
    table: RequestTable,
    queues: Mapping[str, RequestQueue],
    pools: Mapping[str, Sequence[str]],
    dead_letters: RequestQueue,
    webhook_dead_letters: RequestQueue | None,
    model: str | None,
    now: int,
) -> Overview:
    """Read the status of a deployment, or of one of its models.

    Args:
        queues: model name -> its request queue.
        pools: pool name -> the names of its models, which have one queue.
        dead_letters: the dead-letter queue.
        webhook_dead_letters: that of webhooks, where the deployment has some.
        now: epoch milliseconds.

    Raises:
        Unavailable: AWS did not answer.
    """
    wanted = [name for name in queues if model in (None, name)]
    pool_of = {name: pool for pool, names in pools.items() for name in names}
    models = {
        name: ModelStatus(True, pool_of[name]) if name in pool_of else _of(queues[name]) for name in sorted(wanted)
    }
    shared = {
        pool: QueueStatus(*queues[names[0]].counts())
        for pool, names in pools.items()
        if model is None or model in names
    }
    found, all_open = table.open_records(now + CLOCK_SKEW_MS, MOST_OPEN)
    records = sorted((record for record in found if model in (None, record.model)), key=lambda r: r.submitted_at)
    requests = [_open_request(record, now) for record in records]
    for request in requests:
        status = models.setdefault(request.model, ModelStatus())
        setattr(status, request.status, getattr(status, request.status) + 1)
        status.oldest_open_seconds = max(request.age_seconds, status.oldest_open_seconds or 0)
    failed, all_failed = table.failed_since(now - HOUR_MS, MOST_PAGES)
    for record in failed:
        if model in (None, record.model):
            code = json.loads(record.error or "{}").get("code", "unknown")
            models.setdefault(record.model, ModelStatus()).failed_last_hour[code] += 1
    given_up = sum(webhook_dead_letters.counts()) if webhook_dead_letters else None
    return Overview(models, shared, sum(dead_letters.counts()), given_up, requests, all_open, all_failed)


def _of(queue: RequestQueue) -> ModelStatus:
    return ModelStatus(True, None, *queue.counts())


def _open_request(record: Record, now: int) -> OpenRequest:
    return OpenRequest(
        record.request_id,
        record.model,
        record.status.value,
        max(0, now - record.submitted_at) // 1000,
        record.attempts,
        record.attempt_limit,
        (record.expires_at - now) // 1000,
    )


def show(overview: Overview, with_list: bool) -> None:
    """Print tables."""
    from rich.console import Console
    from rich.table import Table

    console = Console(width=None if sys.stdout.isatty() else 200, highlight=False)
    more_open = "" if overview.all_open_seen else "+"
    more_failed = "" if overview.all_failed_seen else "+"
    table = Table("model", "waiting", "in flight", "pending", "running", "oldest open", "failed (1 h)")
    for name, status in overview.models.items():
        table.add_row(
            name if status.deployed else f"{name} (not deployed)",
            *(_count(count, status.pool) for count in (status.waiting, status.in_flight)),
            *(f"{count}{more_open}" for count in (status.pending, status.running)),
            "-" if status.oldest_open_seconds is None else _duration(status.oldest_open_seconds) + more_open,
            _failures(status.failed_last_hour, more_failed),
        )
    for name, queue in overview.pools.items():
        table.add_row(f"pool {name}", str(queue.waiting), str(queue.in_flight), "", "", "", "")
    console.print(table)
    console.print(f"messages in the dead-letter queue: {overview.dead_letters}")
    if overview.webhook_dead_letters is not None:
        console.print(f"webhooks that were given up: {overview.webhook_dead_letters}")
    if not with_list:
        return
    if not overview.requests:
        console.print("no open request")
        return
    table = Table("open request", "model", "status", "age", "attempts", "deadline")
    for request in overview.requests:
        left = request.seconds_to_deadline
        table.add_row(
            request.request_id,
            request.model,
            request.status,
            _duration(request.age_seconds),
            f"{request.attempts} of {request.attempt_limit}",
            f"in {_duration(left)}" if left > 0 else "passed: ends with the next sweep",
        )
    console.print(table)


def _count(count: int | None, pool: str | None) -> str:
    if pool is not None:
        return f"in {pool}"
    return "-" if count is None else str(count)


def _failures(codes: Counter[str], more: str) -> str:
    parts = ", ".join(f"{code} {count}" for code, count in codes.most_common())
    return f"{codes.total()}{more}" + (f" ({parts})" if parts else "")


def _duration(seconds: int) -> str:
    """As `45 s`, `12 min`, `3 h 20 min` or `2 d 4 h`."""
    minutes, hours, days = seconds // 60, seconds // 3600, seconds // 86400
    if seconds < 120:
        return f"{seconds} s"
    if hours < 1:
        return f"{minutes} min"
    return f"{hours} h {minutes % 60} min" if days < 1 else f"{days} d {hours % 24} h"


def main() -> int:
    """Command line of this module."""
    parser = argparse.ArgumentParser(
        prog="status", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--env", default=terraform.LOCAL, help="local (default), dev or prod")
    parser.add_argument("--model", help="of this model only, with the list")
    parser.add_argument("--list", action="store_true", help="list the open requests too, the oldest first")
    parser.add_argument("--json", action="store_true", help="one JSON object, with the list")
    args = parser.parse_args()
    outputs = terraform.outputs(args.env)
    sqs = aws_session.client(args.env, "sqs", outputs)
    queues = {name: RequestQueue(sqs, url) for name, url in outputs["queue_urls"].items()}
    dead_letters = RequestQueue(sqs, outputs["dead_letter_queue_url"])
    given_up = outputs["webhook_dead_letter_queue_url"]
    table = RequestTable(aws_session.client(args.env, "dynamodb", outputs), outputs["request_table"])
    try:
        webhooks = RequestQueue(sqs, given_up) if given_up else None
        overview = look(table, queues, outputs["pools"], dead_letters, webhooks, args.model, now_ms())
    except Unavailable as error:
        raise CommandError(describe_aws_error(error)) from error
    if args.model is not None and args.model not in overview.models:
        known = ", ".join(sorted(queues))
        raise CommandError(f"{args.env} has no model {args.model}, and no requests for it: its models are {known}", 2)
    if args.json:
        print(as_json(asdict(overview)))
    else:
        show(overview, args.list or args.model is not None)
    return 0


if __name__ == "__main__":
    run(main)
