"""manifest.json: what a model folder declares about its model, checked."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from worker.model import places
from worker.model.errors import ManifestError
from worker.model.runtimes import KINDS, PYTHON

FILE_KINDS = ("bytes", "path", "stream")
BACKEND_KEYS = frozenset({"kind", "url", "api_url", "endpoint", "gpu", "run_seconds", "start_seconds", "poll_seconds"})
"""Of the stack's `backend`, those that say nothing of an account: its token and keys are the environment's."""

MEDIA_TYPE = r"[a-z0-9!#$&^_.+-]+/[a-z0-9!#$&^_.+-]+"


@dataclass(frozen=True)
class Artifact:
    """A file in the model's folder, its SHA-256 (hex) and its size in bytes."""

    file: str
    sha256: str
    bytes: int


@dataclass(frozen=True)
class Manifest:
    """A checked manifest.json. Schemas are JSON Schema draft-07 objects; times in seconds, memory in MB.

    `artifacts` has one entry for each runtime the model was exported for. `runtime` selects one, and only that artifact
    is packaged; `python` needs none.
    `permanent_errors` names exception types, with or without their module: a request that raises one is not retried.
    `input_files`: place of a file in the input -> how the model gets it (`bytes`, `path`, `stream`).
    `output_files`: place of a file in the output -> its media type. Places are those of `worker.model.places`.
    `backend`: settings of the GPU provider that the model runs at, where an environment says that it does; no token.
    """

    name: str
    version: str
    description: str
    runtime: str
    artifacts: Mapping[str, Artifact]
    batch_size: int
    batch_window_seconds: int
    memory_mb: int
    timeout_seconds: int
    input_schema: dict[str, Any]
    output_schema: dict[str, Any]
    permanent_errors: tuple[str, ...] = ()
    input_files: Mapping[str, str] = field(default_factory=dict)
    output_files: Mapping[str, str] = field(default_factory=dict)
    backend: Mapping[str, Any] = field(default_factory=dict)

    @property
    def artifact(self) -> Artifact | None:
        """The artifact of the chosen runtime; None for plain Python without one."""
        return self.artifacts.get(self.runtime)

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
        """Check a decoded manifest. Raises ManifestError, whose message `where` opens and which has every problem."""
        problems: list[str] = []
        check = _Checker(data, "", {field.name for field in fields(cls)}, problems)
        name = check.text("name", r"[a-z][a-z0-9-]{0,30}")
        check.that("name", not name.endswith("-dlq"), "must not end in '-dlq': that names dead-letter queues")
        batch_size = check.integer("batch_size", 1, 10_000)
        window = check.integer("batch_window_seconds", 0, 300)
        short = batch_size > 10 and window == 0
        check.that("batch_window_seconds", not short, "must be >= 1 if batch_size > 10")
        runtime = check.text("runtime", ".+")
        known = runtime in KINDS
        check.that("runtime", known or not runtime, f"must be one of {', '.join(KINDS)}, not {runtime!r}")
        manifest = cls(
            name=name,
            version=check.text("version", r"[0-9A-Za-z][0-9A-Za-z.+_-]{0,63}"),
            description=check.text("description", r".{1,500}"),
            runtime=runtime,
            artifacts=_artifacts(check, runtime) if known else {},
            batch_size=batch_size,
            batch_window_seconds=window,
            memory_mb=check.integer("memory_mb", 128, 10_240),
            timeout_seconds=check.integer("timeout_seconds", 3, 900),
            input_schema=check.schema("input_schema"),
            output_schema=check.schema("output_schema"),
            permanent_errors=check.class_names("permanent_errors"),
            input_files=check.files("input_files", "|".join(FILE_KINDS)),
            output_files=check.files("output_files", MEDIA_TYPE),
            backend=check.backend("backend"),
        )
        for place in manifest.input_files:
            _check_place(check, "input_files", place, manifest.input_schema, needed=True)
        for place in manifest.output_files:
            _check_place(check, "output_files", place, manifest.output_schema, needed=False)
        if problems:
            raise ManifestError(f"{where}: {'; '.join(problems)}")
        return manifest


def _check_place(check: _Checker, name: str, place: str, schema: dict[str, Any], *, needed: bool) -> None:
    """A file is base64 in JSON: its schema says so, which tells clients and the client library that it is one."""
    found = places.schema_at(schema, places.parse(place))
    if found is None and not needed:
        return
    declared = found is not None and found.get("type") == "string" and found.get("contentEncoding") == "base64"
    wanted = '{"type": "string", "contentEncoding": "base64"}'
    check.that(f"{name}.{place}", declared, f"must have the schema {wanted}, with properties and items that lead to it")


def _artifacts(check: _Checker, runtime: str) -> dict[str, Artifact]:
    declared = check.data.get("artifacts")
    if runtime == PYTHON and declared is None:
        return {}
    if not check.has("artifacts"):
        return {}
    outer = _Checker(declared, "artifacts", set(KINDS), check.problems)
    there = ", ".join(outer.data) or "none"
    if isinstance(declared, dict):
        check.that("artifacts", runtime in declared, f"must have one for runtime {runtime!r}; there is {there}")
    return {kind: _artifact(outer.data[kind], f"artifacts.{kind}", check.problems) for kind in outer.known}


def _artifact(declared: object, place: str, problems: list[str]) -> Artifact:
    check = _Checker(declared, place, {field.name for field in fields(Artifact)}, problems)
    return Artifact(
        file=check.text("file", r"(?!\.)[^/\\]+"),
        sha256=check.text("sha256", r"[0-9a-f]{64}"),
        bytes=check.integer("bytes", 1, 10 * 2**30),
    )


class _Checker:
    """Reads fields of a JSON object and collects the problems; returns an empty value for a wrong one."""

    def __init__(self, data: object, place: str, names: set[str], problems: list[str]) -> None:
        self.problems = problems
        self._under = f"{place}." if place else ""
        self.data: dict[str, Any] = data if isinstance(data, dict) else {}
        self.known = [name for name in self.data if name in names]
        self._is_object = isinstance(data, dict)
        if not self._is_object:
            problems.append(f"{place or 'the manifest'} must be a JSON object")
        for unknown in sorted(self.data.keys() - names):
            self.that(unknown, False, f"is not a known field; known are {', '.join(sorted(names))}")

    def that(self, field: str, holds: bool, message: str) -> bool:
        if not holds and self._is_object:  # for a value that is not an object, that is the only problem reported
            self.problems.append(f"{self._under}{field} {message}")
        return holds

    def has(self, field: str) -> bool:
        return self.that(field, field in self.data, "is missing")

    def text(self, field: str, pattern: str) -> str:
        value = self.data.get(field)
        matches = isinstance(value, str) and re.fullmatch(pattern, value) is not None
        right = self.has(field) and self.that(field, matches, f"must be a string that matches {pattern}, not {value!r}")
        return str(value) if right else ""

    def integer(self, field: str, low: int, high: int) -> int:
        value = self.data.get(field)
        fits = type(value) is int and low <= value <= high
        right = self.has(field) and self.that(field, fits, f"must be an integer from {low} to {high}, not {value!r}")
        return int(self.data[field]) if right else low

    def schema(self, field: str) -> dict[str, Any]:
        value = self.data.get(field)
        describes = isinstance(value, dict) and value.get("type") == "object"
        right = self.has(field) and self.that(field, describes, "must be a JSON Schema of type 'object'")
        return dict(self.data[field]) if right else {}

    def files(self, field: str, pattern: str) -> dict[str, str]:
        value = self.data.get(field, {})
        named = isinstance(value, dict) and all(
            re.fullmatch(places.PATTERN, place) and isinstance(kind, str) and re.fullmatch(pattern, kind)
            for place, kind in value.items()
        )
        message = f"must map places such as 'image' or 'pages[]' to a value that matches {pattern}, not {value!r}"
        return dict(value) if self.that(field, named, message) else {}

    def backend(self, field: str) -> dict[str, Any]:
        value = self.data.get(field, {})
        if not self.that(field, isinstance(value, dict), f"must be a JSON object, not {value!r}"):
            return {}
        for key in sorted(value.keys() - BACKEND_KEYS):
            known = (
                f"is not a setting of a backend that belongs to a model; there are {', '.join(sorted(BACKEND_KEYS))}"
            )
            self.that(f"{field}.{key}", False, known)
        return dict(value)

    def class_names(self, field: str) -> tuple[str, ...]:
        value = self.data.get(field, [])
        pattern = r"[^\W\d]\w*(\.[^\W\d]\w*)*"
        named = isinstance(value, list) and all(isinstance(n, str) and re.fullmatch(pattern, n) for n in value)
        message = f"must be a list of exception class names, such as ['PIL.UnidentifiedImageError'], not {value!r}"
        return tuple(value) if self.that(field, named, message) else ()
