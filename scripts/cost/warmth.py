"""What keeps a function's environments ready, as a plan has it: hours of a schedule, pings, snapshots."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

Json = Mapping[str, Any]

MINUTES_PER_DAY = 1440
MINUTES_PER_WEEK = 7 * MINUTES_PER_DAY
DAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")

ASSUMED_PING_MS = 5
"""What a ping takes beside the time that it holds its environment."""


@dataclass(frozen=True)
class Warmth:
    """What is paid for beside provisioned concurrency.

    Attributes:
        pings_per_month: of the warmer. ping_ms: the billed duration of one.
        snapshot: its environments start from one.
    """

    pings_per_month: float = 0
    ping_ms: float = 0
    snapshot: bool = False


def pinged(inputs: Iterable[str], rounds_per_month: float) -> tuple[float, float]:
    """Pings a month and the billed duration of one, from the inputs of a rule's targets."""
    held = [json.loads(text)["ping"]["hold_ms"] for text in inputs]
    return len(held) * rounds_per_month, max(held, default=0) + ASSUMED_PING_MS


def scheduled(actions: Iterable[Json]) -> float:
    """Provisioned environments on average, from an alias's scheduled actions.

    Schedules by day of the week are counted; others, such as by day of the month, count as always on.
    """
    numbers: dict[int, int] = {}
    for action in actions:
        (target,) = action["scalable_target_action"]
        times = minutes_of_week(action["schedule"])
        if times is None:
            return float(max(int(other["scalable_target_action"][0]["max_capacity"]) for other in actions))
        numbers |= dict.fromkeys(times, int(target["max_capacity"]))
    if not numbers:
        return 0.0
    times = sorted(numbers)
    ends = [*times[1:], times[0] + MINUTES_PER_WEEK]
    return sum(numbers[start] * (end - start) for start, end in zip(times, ends, strict=True)) / MINUTES_PER_WEEK


def minutes_of_week(schedule: str) -> list[int] | None:
    """When a cron() with fixed minutes and hours runs, in minutes since the week began; None for any other."""
    found = re.fullmatch(r"cron\(([\d,]+) ([\d,]+) (\S+) \* (\S+) \*\)", schedule)
    if found is None:
        return None
    minutes, hours, day_of_month, weekdays = found.groups()
    days = range(7) if weekdays in ("?", "*") else _weekdays(weekdays)
    if day_of_month not in ("?", "*") or days is None:
        return None
    return [
        day * MINUTES_PER_DAY + int(hour) * 60 + int(minute)
        for day in days
        for hour in hours.split(",")
        for minute in minutes.split(",")
    ]


def _weekdays(text: str) -> list[int] | None:
    """MON-FRI, 2-6 or SAT,SUN as numbers of days; None if it is something else."""
    found: list[int] = []
    for part in text.split(","):
        ends = [DAYS.index(end) if end in DAYS else int(end) - 1 if end in "1234567" else -1 for end in part.split("-")]
        if min(ends) < 0 or len(ends) > 2:
            return None
        found += [day % 7 for day in range(ends[0], ends[-1] + (7 if ends[-1] < ends[0] else 0) + 1)]
    return found
