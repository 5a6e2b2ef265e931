"""Say where a model should run, what it costs there, and why.

python -m scripts.choose [--rate PER_DAY --run-ms MS --memory-mb MB] [--gpu NAME] [--latency SECONDS] [...]

In a terminal, without arguments, it asks.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping
from typing import Any

from rich.prompt import Prompt

from scripts.choose import answers, costs, needs
from scripts.console import CommandError, run
from scripts.cost import prices

ASKED = {
    "RATE": ("requests a day, or such as 5/s, 300/min", "10000"),
    "RUN_MS": ("ms that the model runs for a request (make try shows it; with a GPU: on it)", "500"),
    "MEMORY_MB": ("MB of memory that it needs", "2048"),
    "GPU": ("GPU that it needs: none, T4, L4, A10G, L40S, A100, H100 ...", "none"),
    "LATENCY": ("seconds that a caller waits for the answer, or any", "any"),
    "PEAK": ("busiest rate over the mean", "3"),
    "INPUT_MB": ("MB of the largest input", "0"),
}
"""Variable -> its question, and the answer of who just presses enter."""

OPTIONAL = ("LONGEST_S", "MODELS", "IN_AWS", "NAME")


def ask(question: Callable[..., str], known: Mapping[str, float]) -> dict[str, str]:
    """The answers of the one at the terminal; a bad one is asked for again.

    Args:
        question: prompts, as `Prompt.ask`.
        known: GPUs of the price file.
    """
    given: dict[str, str] = {}
    for name, (text, default) in ASKED.items():
        while True:
            given[name] = question(text, default=default)
            try:
                needs.parse({"RATE": "1", "RUN_MS": "1", "MEMORY_MB": "1"} | given, known)
                break
            except CommandError as error:
                print(error, file=sys.stderr)
    return given


def main() -> int:
    """Command line of this module."""
    parser = argparse.ArgumentParser(prog="choose", description="Where a model should run.")
    for name in (*ASKED, *OPTIONAL):
        parser.add_argument(
            f"--{name.lower().replace('_', '-')}", default="", help=ASKED.get(name, ("", ""))[0] or None
        )
    args: dict[str, Any] = vars(parser.parse_args())
    given = {name: args[name.lower()] for name in (*ASKED, *OPTIONAL) if args[name.lower()]}
    known = prices.load().gpu.memory_gb
    if not given and sys.stdin.isatty():
        given = ask(Prompt.ask, known)
    found = costs.of(needs.parse(given, known))
    print("\n".join(answers.lines(found)))
    return 0


if __name__ == "__main__":
    run(main)
