"""What works in the place of a model that does not load: its requests are told why, and tried again.

Were the process to die instead, nobody would hear the reason: Lambda starts it again for each delivery, and after
the last one, half an hour later, all that is known is that no worker took the message.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from worker.errors import NotLoadedError

BATCH_SIZE = 10


class Unloaded:
    """A model, as the batch loop sees it, that fails every pass with the reason why it does not load."""

    version = "not loaded"
    batch_size = BATCH_SIZE
    permanent_errors = ()

    def __init__(self, name: str, error: BaseException) -> None:
        self._text = f"model {name} does not load: {type(error).__name__}: {error}"

    def predict(self, inputs: list[Any]) -> Sequence[Any]:
        """Raises NotLoadedError."""
        raise NotLoadedError(self._text)
