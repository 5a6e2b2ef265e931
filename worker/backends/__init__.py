"""GPU providers behind one interface: the dispatcher submits a request there, looks how it is, and cancels it.

Each kind takes the model's `backend` settings, the members of its secret (`token`, and where the provider signs its
callbacks `webhook_secret`), and how long the invocation may still call.
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

KINDS: Mapping[str, Callable[[Mapping[str, Any], Mapping[str, str], Callable[[], float]], Backend]] = {
    "beam": Beam,
    "cog": Cog,
    "modal": Modal,
    "replicate": Replicate,
    "runpod": RunPod,
}


def make_backend(
    settings: Mapping[str, Any], secret: Mapping[str, str], remaining: Callable[[], float] = lambda: math.inf
) -> Backend:
    """The backend of a model's settings. Raises ConfigurationError, which names the setting."""
    kind = str(settings.get("kind"))
    if kind not in KINDS:
        raise ConfigurationError(f"kind of a backend must be one of {', '.join(sorted(KINDS))}, not {kind!r}")
    return KINDS[kind](settings, secret, remaining)
