"""Loading a model. A worker of one model loads it when the process starts or, if an earlier start was killed while
loading, with the first batch. A pool's worker loads each model with its first batch.

    the load at the start          this process                       the next start in the same environment
    succeeds                       predicts                           loads again
    raises                         fails its requests, loads again    loads again
                                   in the next invocation
    takes longer than Lambda's     is stopped by Lambda, without      loads with its first batch: the requests are
    limit, or kills the process    a log line                         claimed then, and the timeout handler runs

A marker file exists while a load runs; it remains if the process is killed during the load. Lambda starts such a
process again in the same environment, and keeps its /tmp.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from inference.telemetry import Stopwatch, Telemetry
from worker.memory import ModelMemory
from worker.model.errors import ManifestError, NotLoadedError
from worker.model.loaded import LoadedModel
from worker.model.manifest import Manifest


class LoadableModel:
    """Loads a model once, and predicts.

    Args:
        name: the model's.
        manifest: its manifest.json, which is read even where the model does not load.
        load: loads it.
        marker: the file that exists while it loads.
        memory: decides which models stay loaded.
    """

    def __init__(
        self,
        name: str,
        manifest: Path,
        load: Callable[[], LoadedModel],
        marker: Path,
        telemetry: Telemetry,
        memory: ModelMemory,
    ) -> None:
        self.name = name
        self.loaded: LoadedModel | None = None
        self.version, self.batch_size, self.artifact_bytes = "not loaded", 10, 0
        self.permanent_errors: Sequence[str] = ()
        self.input_files: Mapping[str, str] = {}
        self.output_files: Mapping[str, str] = {}
        with suppress(ManifestError):  # `load` says what is wrong with it
            read = Manifest.read(manifest)
            self.version, self.batch_size, self.permanent_errors = read.version, read.batch_size, read.permanent_errors
            self.input_files, self.output_files = read.input_files, read.output_files
            self.artifact_bytes = read.artifact.bytes if read.artifact else 0
        self._memory = memory
        self._load = load
        self._marker = marker
        self._telemetry = telemetry
        self._error: NotLoadedError | None = None

    def start(self, *, required: bool) -> None:
        """Load while the process starts, unless that killed the process before. Raises only if it is `required` to
        now."""
        if required:
            self.load()
        elif self._marker.exists():
            text = "the last start was killed while it loaded the model: too slow, or out of memory"
            self._telemetry.warning("load_deferred", model=self.name, reason=text)
        else:
            with suppress(NotLoadedError):
                self.load()

    def begin_invocation(self) -> None:
        """Allow another try to load: the cause of the last failure (S3, the network) may have gone."""
        self._error = None

    @property
    def is_loaded(self) -> bool:
        return self.loaded is not None

    def drop(self) -> None:
        """Free the model's memory; the next `load` loads it again. What its modules keep in variables stays."""
        self.loaded = None

    def load(self) -> None:
        """Load the model if it is not loaded; one try in an invocation. Raises NotLoadedError."""
        if self.loaded is not None:
            self._memory.use(self)
            return
        if self._error is not None:
            raise self._error
        watch = Stopwatch()
        try:
            with suppress(OSError):  # a model that needs no disk must load although the disk is full
                self._marker.touch()
            with self._memory.loading(self):
                self.loaded = self._load()
        except (Exception, SystemExit) as error:
            self._telemetry.error("model_not_loaded", error, model=self.name)
            text = f"The model {self.name} could not be loaded: {type(error).__name__}: {error}"
            self._error = NotLoadedError(f"{text}; raise memory_mb" if isinstance(error, MemoryError) else text)
            raise self._error from error
        finally:
            with suppress(OSError):
                self._marker.unlink(missing_ok=True)
        self._telemetry.info("model_loaded", model=self.name, version=self.version, duration_ms=watch.ms)
        self._telemetry.measure(self.name, "LoadTime", watch.ms)

    def predict(self, inputs: list[Any]) -> Sequence[Any]:
        """See `LoadedModel.predict`. Raises NotLoadedError, too."""
        self.load()
        assert self.loaded is not None
        return self.loaded.predict(inputs)
