"""How full each resource is, which one is full first, and what to change then."""

from __future__ import annotations

from dataclasses import dataclass

from scripts.simulate.windows import Day

REMEDIES = {
    "throttling": "raise `throttling`, rate and burst, in the environment; or submit in batches (POST /batch)",
    "API Gateway's quota": "ask for more: API Gateway, *Throttle rate* of the region; or submit in batches",
    "account's concurrency": "ask for more: AWS Lambda, *Concurrent executions*",
    "maximum_concurrency": "raise the model's `maximum_concurrency`, at most 1,000; or its `batch_size`",
    "messages in flight": "shorten the worker's `timeout_seconds`, or split the model's requests to several models",
    "table": "set the warm throughput of the table and its indexes before the traffic comes",
    "table's quota": "ask for more: DynamoDB, *Table-level write throughput limit*",
    "index of open requests": "submit less at a time: each of its 16 partitions takes 1,000 writes a second",
    "index of callers": "`requests = { list_by_caller = false }`, or submit as several callers",
}
"""Resource of `Run.asked` -> what to do when it is full."""


@dataclass(frozen=True)
class Use:
    """Of one resource.

    Attributes:
        asked: of it at most, over ten seconds: per second, or at a time. has: as much it allows.
    """

    name: str
    asked: float
    has: float

    @property
    def share(self) -> float:
        """How full it is; above 1 more was asked than it has."""
        return self.asked / self.has

    @property
    def remedy(self) -> str:
        """What to do."""
        return REMEDIES[self.name]


def uses(day: Day) -> list[Use]:
    """All of them, the fullest first."""
    found = [Use(name, asked, has) for name, (asked, has) in day.asked.items()]
    return sorted(found, key=lambda use: -use.share)
