"""A model as the worker sees it: loaded when the process starts or, if that start ended badly, with the first batch.

    the load at the start          this process                       the next start in the same environment
    ends                           predicts                           loads again
    raises                         tells the requests, loads again    loads again
                                   in the next invocation
    takes longer than Lambda       ended by Lambda, in silence        loads with its first batch: the requests are
    gives, or kills the process                                       claimed by then, and the timeout runs

A file says that a load has begun: it is left behind where the process was killed in the middle. Lambda starts such a
process again in the same environment, and keeps its /tmp.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from inference.telemetry import Stopwatch, Telemetry
from worker.errors import ManifestError, NotLoadedError
from worker.manifest import Manifest
from worker.model import LoadedModel


class LoadableModel:
    """Loads a model once, and predicts.

    Args:
        name: the model's.
        manifest: its manifest.json, which is read even where the model does not load.
        load: loads it.
        begun: the file that is there while it loads.
    """

    def __init__(
        self, name: str, manifest: Path, load: Callable[[], LoadedModel], begun: Path, telemetry: Telemetry
    ) -> None:
        self.loaded: LoadedModel | None = None
        self.version, self.batch_size = "not loaded", 10
        self.permanent_errors: Sequence[str] = ()
        with suppress(ManifestError):  # `load` says what is wrong with it
            read = Manifest.read(manifest)
            self.version, self.batch_size, self.permanent_errors = read.version, read.batch_size, read.permanent_errors
        self._name = name
        self._load = load
        self._begun = begun
        self._telemetry = telemetry
        self._error: NotLoadedError | None = None

    def start(self, *, must: bool) -> None:
        """Load while the process starts, unless that killed the process before. Raises only if it `must` load."""
        if must:
            self.load()
        elif self._begun.exists():
            text = "the process that loaded it at its start was killed: too slow, or out of memory"
            self._telemetry.warning("load_deferred", model=self._name, reason=text)
        else:
            with suppress(NotLoadedError):
                self.load()

    def begin_invocation(self) -> None:
        """What kept the model from loading in the last invocation may be over: S3, or the network."""
        self._error = None

    def load(self) -> None:
        """Load it if it is not, once in an invocation. Raises NotLoadedError."""
        if self.loaded is not None:
            return
        if self._error is not None:
            raise self._error
        watch = Stopwatch()
        try:
            with suppress(OSError):  # a full disk must not keep a model from loading that needs none
                self._begun.touch()
            self.loaded = self._load()
        except (Exception, SystemExit) as error:
            self._telemetry.error("model_not_loaded", error, model=self._name)
            text = f"Model {self._name} does not load: {type(error).__name__}: {error}"
            self._error = NotLoadedError(f"{text}; give it more memory_mb" if isinstance(error, MemoryError) else text)
            raise self._error from error
        finally:
            with suppress(OSError):
                self._begun.unlink(missing_ok=True)
        self._telemetry.info("model_loaded", model=self._name, version=self.version, duration_ms=watch.ms)

    def predict(self, inputs: list[Any]) -> Sequence[Any]:
        """See `LoadedModel.predict`. Raises NotLoadedError, too."""
        self.load()
        assert self.loaded is not None
        return self.loaded.predict(inputs)
