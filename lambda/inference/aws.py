"""The one place that makes AWS clients.

Clients only, no boto3 resources (their models cost start time), each made once per process by a composition root.
The endpoint comes from the environment alone (`AWS_ENDPOINT_URL`), which every SDK understands.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

CONNECT_TIMEOUT_SECONDS = 1
READ_TIMEOUT_SECONDS = 3
ATTEMPTS = 3


@lru_cache
def client(service: str) -> Any:
    """A client of a service.

    Its timeouts are short and its tries few, because a client waits for the api function and a lease runs in a
    worker: three tries of at most four seconds are over before either function times out.
    """
    import boto3
    from botocore.config import Config

    return boto3.client(
        service,
        config=Config(
            connect_timeout=CONNECT_TIMEOUT_SECONDS,
            read_timeout=READ_TIMEOUT_SECONDS,
            retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
        ),
    )
