"""Little's law: how many functions run at a time, and how many must be allowed for a wait."""

from __future__ import annotations

import math

DEFAULT_QUOTA = 1000
"""Lambda's usual quota of concurrent executions in a region; a new account may have 10."""

LEAST_MAXIMUM_CONCURRENCY = 2
MOST_MAXIMUM_CONCURRENCY = 1000
"""What an event source mapping takes."""


def concurrency(rate: float, seconds: float) -> float:
    """Executions that run at a time, on average: L = lambda x W.

    Args:
        rate: arrivals per second.
        seconds: how long each runs.
    """
    return rate * seconds


def waiting_share(servers: int, load: float, wait_over_service: float) -> float:
    """The share of arrivals that wait longer than a time (Erlang C: Poisson arrivals, exponential durations).

    Args:
        servers: how many may run at a time.
        load: how many would run at a time on average, see `concurrency`.
        wait_over_service: the time, in mean durations.

    Returns:
        From 0 to 1; 1 when there are too few servers for the load.
    """
    if load >= servers:
        return 1.0
    blocked = 1.0  # Erlang B, by its recursion
    for number in range(1, servers + 1):
        blocked = load * blocked / (number + load * blocked)
    utilisation = load / servers
    waits = blocked / (1 - utilisation * (1 - blocked))
    return float(waits * math.exp(-(servers - load) * wait_over_service))


def servers_for(rate: float, seconds: float, wait: float, share: float = 0.05) -> int:
    """The fewest that may run at a time so that at most this share of arrivals waits longer than `wait` seconds.

    Args:
        rate: arrivals per second.
        seconds: how long each runs.
        wait: the wait that is accepted, in seconds.
        share: of the arrivals that may wait longer.

    Returns:
        At least 2. Above 1,000, which no mapping takes, only what the load itself needs.
    """
    load = concurrency(rate, seconds)
    if load > MOST_MAXIMUM_CONCURRENCY:
        return int(load) + 1
    servers = max(LEAST_MAXIMUM_CONCURRENCY, int(load) + 1)
    while waiting_share(servers, load, wait / seconds) > share:
        servers += 1
    return servers
