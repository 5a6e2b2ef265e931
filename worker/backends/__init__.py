"""GPU providers behind one interface: the dispatcher submits a request there, looks how it is, and cancels it.

Each kind takes the model's `backend` settings, the backend's secret and how long the invocation may still call:
`KINDS["runpod"](settings, parse_secret(text), deadline.remaining)`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from inference.errors import ConfigurationError
from worker.backends.base import Backend
from worker.backends.beam import Beam
from worker.backends.cog import Cog
from worker.backends.modal import Modal
from worker.backends.replicate import Replicate
from worker.backends.runpod import RunPod
from worker.backends.secret import BackendSecret

KINDS: Mapping[str, Callable[[Mapping[str, Any], BackendSecret, Callable[[], float]], Backend]] = {
    "beam": Beam,
    "cog": Cog,
    "modal": Modal,
    "replicate": Replicate,
    "runpod": RunPod,
}


def make_backend(
    settings: Mapping[str, Any], secret: BackendSecret, remaining: Callable[[], float] = lambda: math.inf
) -> Backend:
    """The backend of a model's settings. Raises ConfigurationError, which names the setting."""
    kind = str(settings.get("kind"))
    if kind not in KINDS:
        raise ConfigurationError(f"kind of a backend must be one of {', '.join(sorted(KINDS))}, not {kind!r}")
    return KINDS[kind](settings, secret, remaining)
