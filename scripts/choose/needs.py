"""What is asked of a model, and the checks of what was given."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

from scripts.console import CommandError

SECONDS_PER = {"s": 1, "min": 60, "h": 3600, "d": 86_400}
ASSUMED_LONGEST = 2.0
"""The longest run over the usual one, where it is not given."""

MOST_MEMORY_MB = 1_048_576
MOST_PER_DAY = 1e10


@dataclass(frozen=True)
class Needs:
    """One model, and how it is called.

    Attributes:
        rate: requests a day.
        run_ms: of one request, at `memory_mb` of a function, or on `gpu`.
        memory_mb: that the model needs.
        gpu: the one that it needs, as the price file names it; None: a CPU is enough.
        latency: seconds that a caller waits for the answer; None: any time is good.
        peak: the busiest rate over the mean.
        input_mb: of the largest input.
        longest: seconds of the longest run.
        models: how many models like this one there are, each with this rate.
        in_aws: the data must stay in the AWS account.
        name: the model's.
    """

    rate: float
    run_ms: float
    memory_mb: float
    gpu: str | None
    latency: float | None
    peak: float
    input_mb: float
    longest: float
    models: int = 1
    in_aws: bool = False
    name: str = "mine"

    @property
    def run_seconds(self) -> float:
        return self.run_ms / 1000

    @property
    def at_the_peak(self) -> float:
        """Requests that run at a time at the peak, on average (Little's law)."""
        return self.rate * self.peak / SECONDS_PER["d"] * self.run_seconds


def parse(given: Mapping[str, str], gpus: Mapping[str, float]) -> Needs:
    """What was given, by the names of make's variables.

    Args:
        given: variable -> its text. RATE, RUN_MS and MEMORY_MB are needed, the others have defaults.
        gpus: the price file's GPUs -> memory in GB.

    Raises:
        CommandError: one is missing, is no number or out of range; or no place can do what is asked.
    """
    missing = [name for name in ("RATE", "RUN_MS", "MEMORY_MB") if not given.get(name)]
    if missing:
        raise CommandError(
            f"{', '.join(missing)} not given: make choose RATE=<requests a day> RUN_MS=<ms> MEMORY_MB=<MB>"
            " [GPU=<name>] [LATENCY=<s>] [PEAK=] [INPUT_MB=] [LONGEST_S=] [MODELS=] [IN_AWS=1] [NAME=]",
            code=2,
        )
    run_ms = number(given, "RUN_MS", 0.01, 7 * 86_400_000)
    needs = Needs(
        rate=rate(given["RATE"]),
        run_ms=run_ms,
        memory_mb=number(given, "MEMORY_MB", 1, MOST_MEMORY_MB),
        gpu=gpu(given.get("GPU", ""), gpus),
        latency=_latency(given),
        peak=number(given, "PEAK", 1, 1000, "3"),
        input_mb=number(given, "INPUT_MB", 0, 1e6, "0"),
        longest=number(given, "LONGEST_S", 0.001, 7 * 86_400, f"{run_ms / 1000 * ASSUMED_LONGEST:.6g}"),
        models=round(number(given, "MODELS", 1, 1000, "1")),
        in_aws=given.get("IN_AWS", "0") not in ("", "0", "no"),
        name=_name(given.get("NAME") or "mine"),
    )
    if needs.latency is not None and needs.latency < needs.run_seconds:
        raise CommandError(
            f"LATENCY={needs.latency:g} is less than the {needs.run_seconds:g} s that a request runs (RUN_MS): give a"
            " longer LATENCY, or the RUN_MS of a faster model, more memory or a GPU",
            code=2,
        )
    if needs.longest < needs.run_seconds:
        raise CommandError(
            f"LONGEST_S={needs.longest:g} is less than the usual {needs.run_seconds:g} s (RUN_MS)",
            code=2,
        )
    return needs


def rate(text: str) -> float:
    """Requests a day, from a number (a day), or one with /s, /min, /h or /d.

    Raises:
        CommandError: it is something else, or no rate.
    """
    found = re.fullmatch(r"([\d.,_]+(?:e\d+)?)([kM]?)\s*(?:/\s*(s|min|h|d))?", text.strip())
    try:
        value = float(found[1].replace(",", "").replace("_", "")) if found else math.nan
    except ValueError:
        value = math.nan
    if found:
        value *= {"": 1, "k": 1e3, "M": 1e6}[found[2]] * SECONDS_PER["d"] / SECONDS_PER[found[3] or "d"]
    if not 0 < value <= MOST_PER_DAY:
        raise CommandError(f"RATE={text}: give requests a day, such as 20000, or 5/s, 300/min, 1000/h", code=2)
    return value


def gpu(text: str, gpus: Mapping[str, float]) -> str | None:
    """A GPU's name, in the spelling of the price file; None for none.

    Raises:
        CommandError: the price file has no such GPU.
    """
    if text.strip().lower() in ("", "no", "none", "0"):
        return None
    found = next((name for name in gpus if name.lower() == text.strip().lower()), None)
    if found is None:
        known = ", ".join(f"{name} ({memory:g} GB)" for name, memory in gpus.items())
        raise CommandError(f"GPU={text}: give none, or one of {known}", code=2)
    return found


def number(given: Mapping[str, str], name: str, least: float, most: float, default: str = "") -> float:
    """A number within its range.

    Raises:
        CommandError: it is none.
    """
    text = given.get(name) or default
    try:
        value = float(text.replace(",", "").replace("_", ""))
    except ValueError:
        value = math.nan
    if not least <= value <= most:
        raise CommandError(f"{name}={text}: give a number from {least:g} to {most:,.0f}", code=2)
    return value


def _latency(given: Mapping[str, str]) -> float | None:
    if (given.get("LATENCY") or "any").strip().lower() == "any":
        return None
    return number(given, "LATENCY", 0.001, 7 * 86_400)


def _name(text: str) -> str:
    if not re.fullmatch(r"[a-z][a-z0-9-]{0,30}", text):
        raise CommandError(f"NAME={text}: a model's name has 1 to 31 lower-case letters, digits and hyphens", code=2)
    return text
