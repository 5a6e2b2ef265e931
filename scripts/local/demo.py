"""Show a deployment working: send a few texts over HTTP, and show each request's status until its result.

python -m scripts.local.demo [--env local]
"""

import argparse
import threading
import time
from dataclasses import dataclass, field
from datetime import datetime

from rich.console import Console
from rich.live import Live
from rich.table import Table

from async_inference_client import Client, Request
from async_inference_client.errors import InferenceError
from scripts.console import CommandError, run
from scripts.deployment import terraform
from scripts.operate.connection import explain
from scripts.operate.endpoint import base_url, print_next

TIMEOUT_SECONDS = 60.0
PLAIN_WIDTH = 120  # of output that is not a terminal
POLL_SECONDS = 0.15  # faster than the API's Retry-After, to show the statuses in between
TEXTS = (
    "I love this airline, best crew ever",
    "worst delay of my life, never again",
    "Boarding was quick and the seats were comfortable, thanks",
    "They lost my bag and nobody answers the phone",
    "Thank you for the upgrade, you made my day!",
    "Two hours on hold, then the call was dropped",
    "Smooth flight and a friendly captain",
    "Cold food, rude staff, dirty cabin",
)
_STYLES = {"submitting": "dim", "pending": "yellow", "running": "cyan", "succeeded": "green"}


@dataclass
class Row:
    """One text's request. `seen` is what the client saw: status -> seconds after the start of its submit."""

    text: str
    status: str = "submitting"
    seen: dict[str, float] = field(default_factory=dict)
    answer: Request | None = None
    error: str | None = None


def follow(client: Client, row: Row, console: Console) -> None:
    """Submit a text and keep its row up to date until the request is final."""
    started, began = time.monotonic(), time.time()

    def show(status: str, after: float | None = None) -> None:
        if status not in row.seen:
            row.seen[status] = time.monotonic() - started if after is None else after
            if not console.is_terminal:
                console.print(f"{row.seen[status]:6.2f} s  {status:<9}  {row.text}", highlight=False)
        row.status = status

    def answered(answer: Request) -> None:
        if answer.started_at and "running" not in row.seen:
            # It may have started and ended between two polls: the API returns the times.
            after = answer.started_at.timestamp() - began
            show("running", min(max(after, row.seen["pending"]), time.monotonic() - started))
        show(answer.status)

    try:
        request_id = client.submit({"text": row.text}).request_id
        show("pending")
        row.answer = client.wait(request_id, timeout=TIMEOUT_SECONDS, on_status=answered, poll_seconds=POLL_SECONDS)
        if row.status != "succeeded":
            row.error = row.answer.error.message if row.answer.error else row.status
    except InferenceError as failure:
        row.status, row.error = "failed", str(explain(failure))


def render(rows: list[Row]) -> Table:
    """The current table: the API's times for queue and model, the client's for the total."""
    table = Table(box=None, pad_edge=False, header_style="bold", expand=True)
    table.add_column("text", ratio=1, no_wrap=True, overflow="ellipsis")  # gets the rest of the width
    table.add_column("status", min_width=9, no_wrap=True)
    for name in ("pending", "running", "in all"):
        table.add_column(name, justify="right", min_width=8, no_wrap=True)
    table.add_column("result", min_width=16, no_wrap=True)
    for row in rows:
        style = _STYLES.get(row.status, "red")
        answer = row.answer
        times = (
            _between(answer.submitted_at, answer.started_at) if answer else "",
            _between(answer.started_at, answer.finished_at) if answer else "",
            f"{row.seen[row.status]:.2f} s" if row.answer else "",
        )
        table.add_row(row.text, f"[{style}]{row.status}[/]", *times, _result(row))
    return table


def _between(began: datetime | None, ended: datetime | None) -> str:
    return f"{(ended - began).total_seconds():.2f} s" if began and ended else ""


def _result(row: Row) -> str:
    if row.error:
        return f"[red]{row.error}[/]"
    result = row.answer.result if row.answer else None
    if not isinstance(result, dict):
        return ""
    if "confidence" not in result:
        return str(result)
    # `confidence` is the probability of positive; the table shows that of the predicted class.
    positive = result.get("prediction") == "positive"
    return f"{result.get('prediction')} ({result['confidence'] if positive else 1 - result['confidence']:.0%})"


def main() -> int:
    """Command line of this module."""
    parser = argparse.ArgumentParser(prog="demo", description="Send a few texts and show their statuses and results.")
    parser.add_argument("--env", default="local", help="local (default), dev or prod")
    environment = parser.parse_args().env
    outputs = terraform.outputs(environment)
    url = base_url(environment)
    client = Client(url)
    console = Console()
    if not console.is_terminal:
        console = Console(width=PLAIN_WIDTH)
    rows = [Row(text) for text in TEXTS]
    threads = [threading.Thread(target=follow, args=(client, row, console), daemon=True) for row in rows]
    console.print(f"\nPOST {url}/predict, {len(rows)} texts at once\n", highlight=False)
    for thread in threads:
        thread.start()
    if console.is_terminal:
        with Live(render(rows), console=console, refresh_per_second=10) as live:
            while any(thread.is_alive() for thread in threads):
                time.sleep(0.1)
                live.update(render(rows))
            live.update(render(rows))
    else:
        for thread in threads:
            thread.join()
        console.print()
        console.print(render(rows))
    if outputs["default_model"] == "sentiment":
        console.print(
            "\nIn brackets: the model's probability for its prediction. On texts that it was not trained with, it is"
        )
        console.print("right in 89 of 100 cases: worker/models/sentiment/MODEL_CARD.md", highlight=False)
    print_next(environment)
    failed = [row for row in rows if row.error]
    if failed:
        raise CommandError(f"{len(failed)} of {len(rows)} requests did not succeed, the first: {failed[0].error}")
    return 0


if __name__ == "__main__":
    run(main)
