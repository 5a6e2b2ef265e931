"""Print the functions' log lines of a deployment in the order of their times.

python -m scripts.operate.logs [--env local|dev|prod] [--minutes 15] [--follow]
"""

import argparse
import time
from collections.abc import Iterator
from typing import Any

from scripts.console import run
from scripts.deployment import aws_session, terraform

FOLLOW_SECONDS = 2.0


def main() -> int:
    """Command line of this module."""
    parser = argparse.ArgumentParser(prog="logs", description="Print the functions' log lines.")
    parser.add_argument("--env", default=terraform.LOCAL, help="local (default), dev or prod")
    parser.add_argument("--minutes", type=float, default=15.0, help="how far back (default: 15)")
    parser.add_argument("--follow", action="store_true", help="go on until interrupted")
    args = parser.parse_args()
    outputs = terraform.outputs(args.env)
    functions: dict[str, str] = outputs["function_names"]
    client = aws_session.client(args.env, "logs", outputs)
    since = int((time.time() - args.minutes * 60) * 1000)
    seen: set[tuple[str, int, str]] = set()
    while True:
        events = [event for name in functions.items() for event in _events(client, *name, since)]
        for event in sorted(events, key=lambda event: event["timestamp"]):
            key = (event["function"], event["timestamp"], event["message"])
            if key not in seen:
                seen.add(key)
                clock = time.strftime("%H:%M:%S", time.localtime(event["timestamp"] / 1000))
                print(f"{clock} {event['function']:<18} {event['message'].rstrip()}", flush=True)
        if not args.follow:
            return 0
        time.sleep(FOLLOW_SECONDS)


def _events(client: Any, role: str, function: str, since: int) -> Iterator[dict[str, Any]]:
    pages = client.get_paginator("filter_log_events")
    for page in pages.paginate(logGroupName=f"/aws/lambda/{function}", startTime=since):
        for event in page["events"]:
            yield {**event, "function": role}


if __name__ == "__main__":
    run(main)
