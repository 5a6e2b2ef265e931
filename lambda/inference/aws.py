"""The one place that makes AWS clients.

Clients only, no boto3 resources (their models cost start time), each made once per process by a composition root.
The endpoint comes from the environment alone (`AWS_ENDPOINT_URL`), which every SDK understands.
"""

from __future__ import annotations

import os
from functools import lru_cache
from typing import Any

CONNECT_TIMEOUT_SECONDS = 1
READ_TIMEOUT_SECONDS = 3
ATTEMPTS = 3


@lru_cache
def client(service: str) -> Any:
    """boto3's client of a service.

    Its timeouts are short and its tries few, because a client waits for the api function and a lease runs in a
    worker: three tries of at most four seconds are over before the functions' default timeouts.
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


@lru_cache
def lean_client(service: str) -> Any:
    """A client of `dynamodb` or `sqs` for the functions that somebody waits for or pays much for: a few operations at a
    tenth of boto3's CPU, and without importing it. boto3's where the environment asks for more than the lean one can.
    """
    from inference.lean import LeanClient

    lean = LeanClient.from_environment(service, os.environ, CONNECT_TIMEOUT_SECONDS, READ_TIMEOUT_SECONDS, ATTEMPTS)
    return lean or client(service)
