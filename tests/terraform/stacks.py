"""Settings of the stacks that several tests plan."""

from typing import Any

from inference.settings import (
    ApiSettings,
    AuthorizerSettings,
    BatchesSettings,
    DeadLettersSettings,
    DelivererSettings,
    RelaySettings,
    Settings,
    SweeperSettings,
)
from tests import openapi
from tests.terraform.plans import ACCOUNT, REGION

MODELS = ("sentiment", "tiny")

ROUTES = openapi.ROUTES - {"POST /requests/{request_id}/webhook", "POST /batches/{batch_id}/webhook"}
"""Of an environment without webhooks."""

KEY, ARTIFACT_KEY = (f"arn:aws:kms:{REGION}:{ACCOUNT}:key/{name}" for name in ("stack", "artifacts"))
API_KEYS: dict[str, Any] = {"authorizer": {"type": "API_KEY"}}
JWT: dict[str, Any] = {"authorizer": {"type": "JWT", "issuer": "https://issuer.example", "audience": ["inference"]}}
ENCRYPTED: dict[str, Any] = {
    "kms_key_arn": KEY,
    "each": {"artifact": "s3://models/all/1.onnx", "read_kms_key_arns": [ARTIFACT_KEY]},
    "monitoring": {"alarms": True, "access_log": True},
    **API_KEYS,
}

SECRETS = [
    f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:hooks-AbCdEf",
    f"arn:aws:ssm:{REGION}:{ACCOUNT}:parameter/hooks/secret",
]

OBJECTS = f"inference-dev-objects-{ACCOUNT}-{REGION}"
CALLER = f"iam:arn:aws:sts::{ACCOUNT}:assumed-role/app"
TRIGGERS: dict[str, Any] = {
    "uploads": {"prefix": "in/", "models": ["tiny"], "place": "image", "caller": CALLER, "results": {"prefix": "out/"}},
    "scans": {"bucket": "scans", "suffix": ".png", "models": ["tiny"], "place": "image", "caller": CALLER},
}
SOURCES = {"tiny": [f"{OBJECTS}/in/", "scans/"]}

TOKENS = {
    "sentiment": f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:runpod-AbCdEf",
    "tiny": f"arn:aws:ssm:{REGION}:{ACCOUNT}:parameter/cog/token",
}

SETTINGS: dict[str, type[Settings]] = {
    "api": ApiSettings,
    "batches": BatchesSettings,
    "dead-letters": DeadLettersSettings,
    "authorizer": AuthorizerSettings,
    "deliverer": DelivererSettings,
    "relay": RelaySettings,
    "sweeper": SweeperSettings,
}
"""What a function reads from its environment, by its role; a worker reads WorkerSettings."""


def backends(inputs: str, **more: Any) -> Any:
    """`models` of two GPU providers."""
    given = {
        "sentiment": {"kind": "runpod", "endpoint": "abc123", "token_secret_arn": TOKENS["sentiment"]},
        "tiny": {"kind": "cog", "url": "https://gpu.example.com", "token_secret_arn": TOKENS["tiny"]},
    }
    return {name: {"models_dir": inputs, "backend": given[name] | more} for name in given}
