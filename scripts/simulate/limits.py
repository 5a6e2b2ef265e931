"""What AWS limits, and how fast it scales: the quotas of a usual account. What is named ASSUMED_ is not documented."""

from __future__ import annotations

from dataclasses import dataclass

from scripts.cost.capacity import DEFAULT_QUOTA
from scripts.cost.demand import POLLERS
from scripts.cost.requests import ASSUMED_CALL_MS

ASSUMED_PLACEMENT_SECONDS = 0.2
"""From an invocation without a free environment to the start of its INIT: Lambda's own work, which it does not bill."""

ASSUMED_KEPT_POLLERS_SECONDS = 300
"""A mapping keeps as many pollers as ran at a time in so many seconds; AWS says only that it scales back."""

THROTTLED_PAUSES = (1.0, 2.0, 4.0, 8.0, 16.0)
"""Between a mapping's tries to invoke a function that is throttled (assumed; the last one repeats)."""


@dataclass(frozen=True)
class Limits:
    """Of one account in one region, and of one queue and table.

    Attributes:
        gateway_rate, gateway_burst: calls of all HTTP APIs together, per second and at once.
        concurrency: executions of all functions at a time.
        new_environments: of one function, per second; ten seconds' worth at once.
        pollers: with which a mapping begins. growth: by how many more per second while messages wait. most_pollers: of
            one mapping.
        receive_seconds: from a message's arrival to the invocation.
        in_flight: messages of a queue that were received and not deleted.
        partition_writes: write units per second of one partition, so of one value of an index's partition key whose
            entries are sorted by time: splitting does not help where all writes go to the newest end.
        burst_seconds: of unused units that a partition may use later.
        table_writes: units per second of a new table. After that twice the peak of more than half an hour ago.
        most_table_writes: the account's quota for one table.
        keep_seconds: how long an idle environment is kept.
        placement_seconds: see ASSUMED_PLACEMENT_SECONDS.
    """

    gateway_rate: float = 10_000
    gateway_burst: float = 5_000
    concurrency: int = DEFAULT_QUOTA
    new_environments: float = 100
    pollers: int = POLLERS
    growth: float = 300 / 60
    most_pollers: int = 1250
    receive_seconds: float = ASSUMED_CALL_MS / 1000
    in_flight: int = 120_000
    partition_writes: float = 1_000
    burst_seconds: float = 300
    table_writes: float = 4_000
    most_table_writes: float = 40_000
    keep_seconds: float = 300
    placement_seconds: float = ASSUMED_PLACEMENT_SECONDS
