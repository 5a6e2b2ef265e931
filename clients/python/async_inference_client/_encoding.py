"""What a call sends, as text."""

import json
from typing import Any

from async_inference_client.errors import UnencodableInput


def encoded(value: Any) -> bytes:
    """A value as JSON."""
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise UnencodableInput(f"the input can't be sent as JSON: {error}") from error


def quoted(key: str) -> str:
    """The key as a String of RFC 8941."""
    if not key or not key.isascii() or not key.isprintable():
        raise ValueError(f"an idempotency key has printable ASCII characters only: {key!r}")
    escaped = key.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
