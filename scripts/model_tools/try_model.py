"""Load a model and predict in this process, as a worker would, with nothing deployed.

    python -m scripts.model_tools.try_model MODEL [--input JSON|@FILE]

FILE has one input as JSON, or one on each line: those are one batch. Files in an input are base64. The results go to
stdout, one JSON object a line; files of results, times and memory to stderr. The input goes through the packaged
validator, the output through the worker's own checks.
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from scripts.console import CommandError, note, run
from scripts.model_tools.model_process import model_folder
from scripts.packaging.libraries import libraries_of
from scripts.packaging.model_files import read_manifest, write_validators
from scripts.packaging.model_import import describe_error
from scripts.stack_defaults import defaults

BODY_BYTES: int = defaults("requests")["max_body_bytes"]
"""The API's default limit."""

INIT_SECONDS = 10
"""Lambda's limit for INIT: a longer load is repeated in the first invocation, within the function's timeout."""


def read_inputs(text: str | None, manifest: dict[str, Any]) -> list[Any]:
    """The inputs that the command line names: JSON, or @FILE. Raises CommandError."""
    required = ", ".join(manifest["input_schema"].get("required", ())) or "nothing"
    if not text:
        raise CommandError(
            f"""no input: give INPUT='{{"key": ...}}' or INPUT=@file; the model requires {required}""", code=2
        )
    content = text
    if text.startswith("@"):
        try:
            content = Path(text[1:]).read_text(encoding="utf-8")
        except UnicodeDecodeError as error:
            raise CommandError(f"{text[1:]} is not UTF-8: {error}", code=2) from error
    try:
        return [json.loads(content)]
    except ValueError as error:
        whole = error
    try:
        lines = [json.loads(line) for line in content.splitlines() if line.strip()]
    except ValueError:
        lines = []
    if len(lines) < 2:
        raise CommandError(f"the input is not JSON: {whole}: {content[:80]!r}; the model requires {required}", code=2)
    return lines


def try_model(folder: Path, text: str | None) -> int:
    """Validate, load, predict twice, and print the results. Returns 1 if a request with an input would fail.

    Raises:
        CommandError: the folder is invalid, or the model can't be loaded; with the place.
    """
    manifest = read_manifest(folder)
    inputs = read_inputs(text, manifest)
    libraries = libraries_of(folder)
    with tempfile.TemporaryDirectory() as work:
        write_validators(Path(work), folder)
        # Before the import of any library of which the model may pin another version.
        sys.path[:0] = [work, *([str(libraries)] if libraries else [])]
        return _try(folder, inputs)


def _try(folder: Path, inputs: list[Any]) -> int:
    from inference.catalog import packaged_validator
    from inference.errors import InvalidInput
    from worker.files import OpenFiles
    from worker.input_files import with_files
    from worker.isolation import Failed, predict_isolated
    from worker.model import load
    from worker.model.errors import ModelError
    from worker.model.loaded import threads_for
    from worker.model.progress import reporting

    validate = packaged_validator(folder.name)
    valid = []
    for number, item in enumerate(inputs):
        place = f"input {number}: " if len(inputs) > 1 else ""
        try:
            valid.append(validate(item))
        except InvalidInput as error:
            raise CommandError(f"{place}the API answers 422: {error}") from error
        size = len(json.dumps(item).encode())
        if size > BODY_BYTES:
            note(f"{place}{size:,} bytes: the API rejects more than {BODY_BYTES:,} (requests.max_body_bytes) with 413")
    started = time.perf_counter()
    try:
        manifest = read_manifest(folder)
        model = load(folder, threads=threads_for(manifest["memory_mb"]))
    except ModelError as error:
        raise CommandError(f"{folder}: {error}") from error
    except (Exception, SystemExit) as error:
        raise CommandError(describe_error(error, folder)) from error
    loaded = time.perf_counter()
    failed: list[BaseException] = []
    with OpenFiles() as opened:
        try:
            files = model.manifest.input_files
            valid = [with_files(item, files, opened, lambda reference, *_: reference) for item in valid]
        except InvalidInput as error:
            raise CommandError(f"the API answers 422: {error}") from error
        predict, output_files = opened.rewinding(model.predict), model.manifest.output_files
        with reporting(lambda fraction, message: note(f"progress: {fraction:.0%} {message}".rstrip())):
            outcomes = predict_isolated(predict, valid, lambda error, _: failed.append(error), (), output_files)
        first = time.perf_counter()
        predict_isolated(predict, valid, lambda *_: None, (), output_files)
        second = time.perf_counter()
    for outcome in outcomes:
        if isinstance(outcome, Failed):
            print(json.dumps({"error": {"code": outcome.code, "message": outcome.message}}))
        else:
            print(outcome.result)
            for number, file in enumerate(outcome.files):
                note(f"files[{number}]: {len(file.content):,} bytes of {file.content_type}, SHA-256 {file.sha256}")
    for reason in failed:
        note(describe_error(reason, folder))
    _show(manifest, len(valid), loaded - started, first - loaded, second - first)
    return int(any(isinstance(outcome, Failed) for outcome in outcomes))


def _show(manifest: dict[str, Any], count: int, load: float, first: float, second: float) -> None:
    unit = 1024 if sys.platform == "darwin" else 1
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit / 1024
    memory, timeout = manifest["memory_mb"], manifest["timeout_seconds"]
    note(
        f"load {load * 1000:.0f} ms, first batch of {count} {first * 1000:.1f} ms, second {second * 1000:.1f} ms, "
        f"peak memory of this process {peak:.0f} MB of {memory} MB (memory_mb)"
    )
    if load > INIT_SECONDS:
        note(f"loading takes more than {INIT_SECONDS} s: Lambda loads it again in the first batch (docs/models.md)")
    if peak > memory:
        note(f"it needs more than memory_mb: raise it in manifest.json, to {int(peak * 1.3) // 64 * 64 + 64} or so")
    if max(first, second) > timeout:
        note(f"a batch takes longer than timeout_seconds ({timeout}): raise it, or lower batch_size")


def main() -> int:
    """Command line of this module."""
    parser = argparse.ArgumentParser(prog="try_model", description="Load a model and predict, with nothing deployed.")
    parser.add_argument("model", help="a folder in worker/models, or the path of one")
    parser.add_argument("--input", help="JSON, or @FILE")
    args = parser.parse_args()
    return try_model(model_folder(args.model), args.input)


if __name__ == "__main__":
    run(main)
