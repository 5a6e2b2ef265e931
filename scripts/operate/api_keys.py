"""API keys of a deployment whose authorizer is API_KEY: make, list or revoke them.

    python -m scripts.operate.api_keys make NAME [--days N]
    python -m scripts.operate.api_keys list [--json]
    python -m scripts.operate.api_keys revoke NAME [--id ID]

A key is printed once, on stdout, and not kept: the table has its hash. The caller of a request is the key's name, so
that all keys of a name share their requests. A name has at most two keys that are accepted: to replace one, make the
second, give it to the client, then revoke the first.
"""

import argparse
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any

from inference.api_keys import ApiKey, digest_of, is_name, new_key, new_key_id
from inference.errors import Unavailable
from inference.store.key_table import KeyTable
from inference.telemetry import now_ms
from scripts.aws_errors import describe_aws_error
from scripts.console import CommandError, as_json, note, run
from scripts.deployment import aws_session, terraform

OK, FAILED, USAGE, NOT_FOUND = 0, 1, 2, 3
MOST_ACCEPTED = 2
DAY_MS = 86_400_000

_EXIT_CODES = """\
exit codes:
  0  done, or nothing to do
  1  DynamoDB did not answer
  2  usage, nothing is deployed, or its authorizer is another one
  3  there is no such key"""


def make(table: KeyTable, name: str, days: int | None, now: int) -> tuple[str, ApiKey]:
    """A new key, and what is kept of it.

    Args:
        name: whose it is.
        days: how long it is accepted; None: until it is revoked.
        now: epoch milliseconds.

    Raises:
        CommandError: the name can't be one, or has two keys.
        Unavailable: DynamoDB did not answer.
    """
    if not is_name(name):
        raise CommandError(
            f"'{name}' can't be the name of a key: 1 to 64 letters, digits and . _ @ -, the first a letter or digit",
            USAGE,
        )
    accepted = [key.key_id for key in table.all() if key.name == name and not key.rejected_at(now)]
    if len(accepted) >= MOST_ACCEPTED:
        raise CommandError(
            f"{name} has {len(accepted)} keys already: revoke one first (ID={accepted[0]} or {accepted[1]})", USAGE
        )
    text = new_key()
    kept = ApiKey(digest_of(text), new_key_id(), name, now, now + days * DAY_MS if days else None)
    table.create(kept)
    return text, kept


def revoke(table: KeyTable, name: str, key_id: str | None, now: int) -> ApiKey | None:
    """Disable a key; None: it was rejected already, and nothing is done.

    Args:
        name: whose it is.
        key_id: which one; None: the only one of the name that is accepted.
        now: epoch milliseconds.

    Raises:
        CommandError: there is no such key, or several are accepted.
        Unavailable: DynamoDB did not answer.
    """
    found = [key for key in table.all() if key.name == name and key_id in (None, key.key_id)]
    if not found:
        raise CommandError(f"there is no key {key_id or ''} of {name}: `make api-keys` lists them", NOT_FOUND)
    accepted = [key for key in found if not key.rejected_at(now)]
    if len(accepted) > 1:
        ids = ", ".join(key.key_id for key in accepted)
        raise CommandError(f"{name} has {len(accepted)} keys: say which one (ID={ids})", USAGE)
    if not accepted:
        return None
    table.disable(accepted[0].digest, now)
    return accepted[0]


def main() -> int:
    """Command line of this module."""
    args = _parser().parse_args()
    outputs = terraform.outputs(args.env)
    deployed: Mapping[str, Any] | None = outputs.get("api_keys")
    if deployed is None:
        raise CommandError(f'{args.env} has no API keys: its authorizer is not {{ type = "API_KEY" }}', USAGE)
    table = KeyTable(aws_session.client(args.env, "dynamodb", outputs), deployed["table"])
    try:
        return _run(table, args, deployed["cache_seconds"])
    except Unavailable as error:
        raise CommandError(describe_aws_error(error), FAILED) from error


def _run(table: KeyTable, args: argparse.Namespace, cache_seconds: int) -> int:
    now = now_ms()
    if args.command == "list":
        return _list(sorted(table.all(), key=lambda key: (key.name, key.created_at)), now, args.json)
    if args.command == "make":
        text, kept = make(table, args.name, args.days, now)
        until = f"until {_when(kept.expires_at)} UTC" if kept.expires_at else "until it is revoked"
        note(f"key {kept.key_id} of {kept.name}, accepted {until}. It is shown once and not kept: store it now")
        print(text)
        return OK
    revoked = revoke(table, args.name, args.id, now)
    if revoked is None:
        note(f"nothing to do: no key of {args.name} is accepted")
        return OK
    note(f"key {revoked.key_id} of {revoked.name} is revoked: rejected in {cache_seconds} s at the latest")
    return OK


def _list(keys: Sequence[ApiKey], now: int, in_json: bool) -> int:
    if in_json:
        for key in keys:
            print(as_json(_described(key, now)))
        return OK
    from rich.console import Console
    from rich.table import Table

    shown = Table("name", "id", "state", "made (UTC)", "expires", "revoked")
    for key in keys:
        shown.add_row(
            key.name, key.key_id, _state(key, now), *map(_when, (key.created_at, key.expires_at, key.disabled_at))
        )
    Console(width=None if sys.stdout.isatty() else 200, highlight=False).print(shown)
    return OK


def _described(key: ApiKey, now: int) -> Mapping[str, Any]:
    """A key without its hash."""
    fields = {name: value for name, value in key._asdict().items() if name != "digest"}
    return {**fields, "state": _state(key, now)}


def _state(key: ApiKey, now: int) -> str:
    return key.rejected_at(now) or "accepted"


def _when(milliseconds: int | None) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.gmtime(milliseconds / 1000)) if milliseconds is not None else ""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="api_keys",
        description=__doc__,
        epilog=_EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True)
    making = commands.add_parser("make", help="make a key and print it once")
    making.add_argument("name", help="whose it is: the caller of the requests that are sent with it")
    making.add_argument("--days", type=_positive, help="how long it is accepted (default: until it is revoked)")
    listing = commands.add_parser("list", help="list all keys, without the keys themselves")
    listing.add_argument("--json", action="store_true", help="one JSON object a line; times in epoch milliseconds")
    revoking = commands.add_parser("revoke", help="let a key be rejected")
    revoking.add_argument("name", help="whose it is")
    revoking.add_argument("--id", help="which one, if the name has two")
    for command in (making, listing, revoking):
        command.add_argument("--env", default=terraform.LOCAL, help="local (default), dev or prod")
    return parser


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise ValueError(text)
    return value


if __name__ == "__main__":
    run(main)
