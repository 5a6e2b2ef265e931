"""Failed requests whose input was kept: list, show, replay or purge them.

    python -m scripts.operate.dead_letters list [--model NAME] [--json]
    python -m scripts.operate.dead_letters show ID...
    python -m scripts.operate.dead_letters replay ID... | --all [--model NAME]
    python -m scripts.operate.dead_letters purge ID... | --all [--model NAME]

A replay keeps the request's id, so that its client still gets the result. It has new attempts and a new deadline, as a
new request of this deployment has. All commands can be repeated: what is done already is reported and not changed.
After an interrupted replay, replay the id again: its message is sent once more, and an additional message changes
nothing.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from inference import transitions
from inference.aws.boto3_bucket import Boto3Bucket
from inference.errors import Unavailable
from inference.requests import Record, Status, message_group
from inference.store.payloads import message_of, objects_of
from inference.store.request_queue import RequestQueue
from inference.store.request_table import Applied, ConditionFailed, RequestTable
from inference.telemetry import now_ms
from scripts.aws_errors import describe_aws_error
from scripts.console import CommandError, as_json, note, run
from scripts.deployment import aws_session, terraform

OK, FAILED, USAGE, NOT_FOUND = 0, 1, 2, 3

_EXIT_CODES = """\
exit codes:
  0  done, or nothing to do
  1  at least one request could not be processed now: run the command again
  2  usage, or nothing is deployed
  3  at least one id is unknown"""


@dataclass(frozen=True)
class ReplayLimits:
    """Limits of a replayed request. Times in seconds."""

    attempts: int
    deadline: int
    retention: int


@dataclass(frozen=True)
class Result:
    """The result for one id: an exit code and a message."""

    request_id: str
    code: int
    text: str


class DeadLetters:
    """Lists, replays and purges failed requests.

    Args:
        table: where the records are.
        queues: model name -> its queue; a KeyError for a model that is not deployed any more.
        replay_limits: of a replay.
        bucket: the payload bucket.
    """

    def __init__(
        self,
        table: RequestTable,
        queues: Callable[[str], RequestQueue],
        replay_limits: ReplayLimits,
        bucket: Boto3Bucket,
    ) -> None:
        self._table = table
        self._queues = queues
        self._replay_limits = replay_limits
        self._bucket = bucket

    def all(self, model: str | None = None) -> Iterator[Record]:
        """The failed requests that can be replayed, of one model or of all."""
        return (record for record in self._table.failed_with_input() if model in (None, record.model))

    def find(self, request_id: str) -> Record | None:
        """Any request."""
        return self._table.get(request_id, consistent=True)

    def replay(self, request_id: str, now: int) -> Result:
        """Make a failed request pending again and send its message.

        Two writes, the record first. A crash between them leaves a pending record without a message; replaying it again
        sends the message. Workers drop duplicates.
        """
        record = self.find(request_id)
        if record is None:
            return Result(request_id, NOT_FOUND, "unknown")
        if record.status is Status.FAILED and record.input is None:
            return Result(request_id, OK, "nothing to do: failed, and its input was not kept")
        if record.status is not Status.FAILED:
            return self._finish_replay(record, now)
        try:
            self._queues(record.model)
        except KeyError:
            return Result(request_id, FAILED, f"the model {record.model} is not deployed")
        try:
            # The bucket's lifecycle counts from an object's last write; a replay begins the request's time anew.
            if not all(self._bucket.renew(key) for key in objects_of(record)):
                return Result(request_id, FAILED, "its input is not in the payload bucket any more")
        except Unavailable as unavailable:
            return Result(request_id, FAILED, str(unavailable))
        expires_at = now + self._replay_limits.deadline * 1000
        delete_at = expires_at // 1000 + self._replay_limits.retention
        update = transitions.replay(
            record, now, expires_at=expires_at, delete_at=delete_at, attempts=self._replay_limits.attempts
        )
        match self._table.apply([update])[0]:
            case Applied(record=pending) if pending is not None:
                return self._send(pending, "replayed")
            case Unavailable() as error:
                return Result(request_id, FAILED, str(error))
        return Result(request_id, OK, "nothing to do: it was replayed by another command just now")

    def _finish_replay(self, record: Record, now: int) -> Result:
        """Replay a request that is not failed: it was replayed already, but its message may not have been sent."""
        untouched = record.started_at is None or record.started_at < (record.replayed_at or 0)
        if (
            record.status is Status.PENDING
            and record.replayed_at is not None
            and untouched
            and record.input is not None
        ):
            return self._send(record, "replayed before and not started; its message was sent again")
        return Result(record.request_id, OK, f"nothing to do: {record.status_at(now)}")

    def _send(self, record: Record, text: str) -> Result:
        try:
            message = message_of(record, json.loads(record.input or "null"))
            self._queues(record.model).send(message, message_group(record.model, record.caller))
        except (Unavailable, KeyError) as error:
            return Result(record.request_id, FAILED, f"pending, but its message was not sent; replay it again: {error}")
        return Result(record.request_id, OK, text)

    def purge(self, request_id: str) -> Result:
        """Delete the kept input of a failed request, and its objects: it stays failed, and can't be replayed."""
        match self._table.apply([transitions.forget_input(request_id)])[0]:
            case Applied(record=purged) if purged is not None:
                try:
                    for key in objects_of(purged):
                        self._bucket.delete(key)
                except Unavailable as unavailable:
                    return Result(request_id, FAILED, str(unavailable))
            case ConditionFailed(record=None):
                return Result(request_id, NOT_FOUND, "unknown")
            case ConditionFailed(record=record) if record is not None:
                return Result(request_id, OK, f"nothing to do: {record.status}")
            case Unavailable() as error:
                return Result(request_id, FAILED, str(error))
        return Result(request_id, OK, "purged")


def main() -> int:
    """Command line of this module."""
    args = _parser().parse_args()
    _check(args)
    outputs = terraform.outputs(args.env)
    dead_letters = _connect(args.env, outputs, _replay_limits(args, outputs.get("replay_limits", {})))
    try:
        return _run(dead_letters, args)
    except Unavailable as error:
        raise CommandError(describe_aws_error(error), FAILED) from error


def _check(args: argparse.Namespace) -> None:
    if args.command == "list" and args.ids:
        raise CommandError("list takes no ids: show does", USAGE)
    if args.command == "show" and not args.ids:
        raise CommandError("show: name requests; list has their ids", USAGE)
    if args.command in ("replay", "purge") and bool(args.ids) == args.all:
        raise CommandError(f"{args.command}: name requests, or give --all, not both", USAGE)


def _run(dead_letters: DeadLetters, args: argparse.Namespace) -> int:
    if args.command == "list":
        return _list(sorted(dead_letters.all(args.model), key=lambda record: record.finished_at or 0), args.json)
    if args.command == "show":
        return max([_show(dead_letters.find(request_id), request_id) for request_id in args.ids])
    ids: Sequence[str] = args.ids or [record.request_id for record in dead_letters.all(args.model)]
    code = OK
    for request_id in ids:
        done = dead_letters.replay(request_id, now_ms()) if args.command == "replay" else dead_letters.purge(request_id)
        print(f"{done.request_id}  {done.text}", flush=True)
        code = max(code, done.code)
    if not ids:
        note("no failed request has its input kept: nothing to do")
    return code


def _list(records: Sequence[Record], in_json: bool) -> int:
    if in_json:
        for record in records:
            print(as_json(_described(record)))
        return OK
    from rich.console import Console
    from rich.table import Table

    table = Table("failed at (UTC)", "request", "model", "attempts", "code", "message")
    for record in records:
        error = json.loads(record.error or "{}")
        when = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime((record.finished_at or 0) / 1000))
        table.add_row(
            when, record.request_id, record.model, str(record.attempts), error.get("code"), error.get("message")
        )
    Console(width=None if sys.stdout.isatty() else 200).print(table)
    return OK


def _show(record: Record | None, request_id: str) -> int:
    if record is None:
        note(f"{request_id}  unknown")
        return NOT_FOUND
    print(as_json(_described(record), indent=2))
    return OK


def _described(record: Record) -> Mapping[str, Any]:
    """A record with its JSON texts decoded, without empty fields."""
    fields = {name: value for name, value in record._asdict().items() if value not in (None, False)}
    return fields | {name: json.loads(fields[name]) for name in ("input", "result", "error") if name in fields}


def _replay_limits(args: argparse.Namespace, limits: Mapping[str, int]) -> ReplayLimits:
    """The limits of the command line, else of the deployment."""
    hours = 3600
    return ReplayLimits(
        args.attempts or limits.get("max_attempts", 5),
        args.deadline_hours * hours if args.deadline_hours else limits.get("deadline_seconds", 24 * hours),
        args.retention_hours * hours if args.retention_hours else limits.get("retention_seconds", 168 * hours),
    )


def _connect(environment: str, outputs: Mapping[str, Any], replay_limits: ReplayLimits) -> DeadLetters:
    sqs = aws_session.client(environment, "sqs", outputs)
    urls: dict[str, str] = outputs["queue_urls"]
    return DeadLetters(
        RequestTable(aws_session.client(environment, "dynamodb", outputs), outputs["request_table"]),
        lambda model: RequestQueue(sqs, urls[model]),
        replay_limits,
        Boto3Bucket(aws_session.client(environment, "s3", outputs), outputs["payload_bucket"]),
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="dead_letters",
        description=__doc__,
        epilog=_EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("command", choices=("list", "show", "replay", "purge"))
    parser.add_argument("ids", nargs="*", metavar="ID")
    parser.add_argument("--all", action="store_true", help="replay, purge: every failed request with its input kept")
    parser.add_argument("--model", help="list and --all: of this model only")
    parser.add_argument("--env", default=terraform.LOCAL, help="local (default), dev or prod")
    parser.add_argument("--json", action="store_true", help="list: one JSON object a line")
    parser.add_argument("--attempts", type=_positive, help="replay: attempts from now on (default: the deployment's)")
    parser.add_argument("--deadline-hours", type=_positive, help="replay: the new deadline (default: the deployment's)")
    parser.add_argument("--retention-hours", type=_positive, help="replay: kept after it (default: the deployment's)")
    return parser


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise ValueError(text)
    return value


if __name__ == "__main__":
    run(main)
