"""The stack's defaults, terraform/stack/defaults.json: the settings that an environment does not set."""

import json
from copy import deepcopy
from functools import cache
from typing import Any

from scripts.console import ROOT

CODE_DIGEST = "sha256:" + 64 * "0"
"""A worker's where no package is deployed: in tests and benchmarks."""

PAYLOAD_BUCKET = "inference-payloads"
"""The name of the payload bucket there."""
DEPLOYED = {
    "authorizer": "NONE",
    "without": [],
    "open_paths": [],
    "memory_mb": {},
    "architecture": "x86_64",
    "sync": [],
}
"""What the api function's description of itself says of a deployment, in tests and benchmarks."""

_FILE = ROOT / "terraform" / "stack" / "defaults.json"


def defaults(name: str) -> dict[str, Any]:
    """The defaults of one of the stack's settings objects, such as `requests`."""
    found: dict[str, Any] = deepcopy(_all()[name])
    return found


@cache
def _all() -> Any:
    return json.loads(_FILE.read_text(encoding="utf-8"))


def api_environment() -> dict[str, str]:
    """The api function's environment variables that Terraform makes from the defaults, and PAYLOAD_BUCKET."""
    requests = defaults("requests")
    return {
        "LOG_LEVEL": "INFO",
        "POOLS": "{}",
        "MAX_BODY_BYTES": str(requests["max_body_bytes"]),
        "MAX_BODY_DEPTH": str(requests["max_body_depth"]),
        "MAX_ATTEMPTS": str(requests["max_attempts"]),
        "REQUEST_DEADLINE_SECONDS": str(requests["deadline_seconds"]),
        "RETENTION_SECONDS": str(requests["retention_seconds"]),
        "MAX_WAIT_SECONDS": str(defaults("api")["max_wait_seconds"]),
        "CALLER_IDENTITY": defaults("authorizer")["caller"],
        "PAYLOAD_BUCKET": PAYLOAD_BUCKET,
        "LINK_SECONDS": str(requests["link_seconds"]),
        "MAX_UPLOAD_BYTES": str(requests["max_upload_bytes"]),
        "MAX_BATCH_ITEMS": str(requests["max_batch_items"]),
        "BATCH_QUEUE_URL": "https://sqs.us-east-1.amazonaws.com/000000000000/inference-batches",
        "DEPLOYED": json.dumps(DEPLOYED),
    }


def batches_environment() -> dict[str, str]:
    """The batches function's environment variables that Terraform makes from the defaults, without those that the api
    function has too."""
    return {"MAX_BATCH_LINES": str(defaults("requests")["max_batch_lines"])}


def worker_environment() -> dict[str, str]:
    """A worker's environment variables that Terraform makes from the defaults, CODE_DIGEST and PAYLOAD_BUCKET."""
    requests = defaults("requests")
    return {
        "CODE_DIGEST": CODE_DIGEST,
        "PAYLOAD_BUCKET": PAYLOAD_BUCKET,
        "LOG_LEVEL": "INFO",
        "RETRY_BASE_SECONDS": str(requests["retry_base_seconds"]),
        "RETRY_MAX_SECONDS": str(requests["retry_max_seconds"]),
    }
