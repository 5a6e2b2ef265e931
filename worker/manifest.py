"""manifest.json: what a model folder declares about its model, checked."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from worker.errors import ManifestError
from worker.runtimes import KINDS, PYTHON


@dataclass(frozen=True)
class Artifact:
    """The packaged artifact: a file in the model's folder, its SHA-256 (hex) and its size in bytes."""

    file: str
    sha256: str
    bytes: int


@dataclass(frozen=True)
class Manifest:
    """A checked manifest.json. Schemas are JSON Schema draft-07 objects; times in seconds, memory in MB."""

    name: str
    version: str
    description: str
    runtime: str
    artifact: Artifact | None
    batch_size: int
    batch_window_seconds: int
    memory_mb: int
    timeout_seconds: int
    input_schema: dict[str, Any]
    output_schema: dict[str, Any]

    @classmethod
    def read(cls, path: Path) -> Manifest:
        """Read and check the file. Raises ManifestError."""
        try:
            data = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise ManifestError(f"{path}: no such file; every model folder needs a manifest.json") from None
        except (OSError, ValueError) as error:
            raise ManifestError(f"{path}: cannot be read as JSON: {error}") from error
        return cls.parse(data, where=str(path))

    @classmethod
    def parse(cls, data: object, *, where: str = "manifest") -> Manifest:
        """Check a decoded manifest; `where` opens every error's message. Raises ManifestError."""
        check = _Checker(data, where, {field.name for field in fields(cls)})
        batch_size = check.integer("batch_size", 1, 10_000)
        window = check.integer("batch_window_seconds", 0, 300)
        check.that("batch_window_seconds", batch_size <= 10 or window >= 1, "must be >= 1 if batch_size > 10")
        name = check.text("name", r"[a-z][a-z0-9-]{0,30}")
        check.that("name", not name.endswith("-dlq"), "must not end in '-dlq': that names dead-letter queues")
        runtime = check.text("runtime", ".+")
        check.that("runtime", runtime in KINDS, f"must be one of {', '.join(KINDS)}, not {runtime!r}")
        return cls(
            name=name,
            version=check.text("version", r"[0-9A-Za-z][0-9A-Za-z.+_-]{0,63}"),
            description=check.text("description", r".{1,500}"),
            runtime=runtime,
            artifact=_artifact(check, runtime),
            batch_size=batch_size,
            batch_window_seconds=window,
            memory_mb=check.integer("memory_mb", 128, 10_240),
            timeout_seconds=check.integer("timeout_seconds", 1, 900),
            input_schema=check.schema("input_schema"),
            output_schema=check.schema("output_schema"),
        )


def _artifact(check: _Checker, runtime: str) -> Artifact | None:
    declared = check.data.get("artifact")
    if runtime == PYTHON:
        check.that("artifact", declared is None, "must be absent when runtime is 'python'")
        return None
    inner = _Checker(declared, check.where, {field.name for field in fields(Artifact)}, under="artifact.")
    return Artifact(
        file=inner.text("file", r"(?!\.)[^/\\]+"),
        sha256=inner.text("sha256", r"[0-9a-f]{64}"),
        bytes=inner.integer("bytes", 1, 10 * 2**30),
    )


class _Checker:
    """Takes fields out of a JSON object; each error names the file and the field."""

    def __init__(self, data: object, where: str, names: set[str], *, under: str = "") -> None:
        self.where, self._under = where, under
        if not isinstance(data, dict):
            raise ManifestError(f"{where}: {under.rstrip('.') or 'the manifest'} must be a JSON object")
        self.data: dict[str, Any] = data
        for unknown in sorted(data.keys() - names):
            self.that(unknown, False, f"is not a known field; known are {', '.join(sorted(names))}")

    def that(self, field: str, holds: bool, message: str) -> None:
        if not holds:
            raise ManifestError(f"{self.where}: {self._under}{field} {message}")

    def text(self, field: str, pattern: str) -> str:
        value = self.data.get(field)
        matches = isinstance(value, str) and re.fullmatch(pattern, value) is not None
        self.that(field, matches, f"must be a string that matches {pattern}, not {value!r}")
        return str(value)

    def integer(self, field: str, low: int, high: int) -> int:
        value = self.data.get(field)
        fits = type(value) is int and low <= value <= high
        self.that(field, fits, f"must be an integer from {low} to {high}, not {value!r}")
        return int(self.data[field])

    def schema(self, field: str) -> dict[str, Any]:
        value = self.data.get(field)
        describes = isinstance(value, dict) and value.get("type") == "object"
        self.that(field, describes, "must be a JSON Schema of type 'object'")
        return dict(self.data[field])
