"""Export a model for the worker's runtimes, compare each with the torch module, show sizes and times, and propose one.

    python -m scripts.model_tools.export_model sentiment [--format F]... [--install F|proposal]... [--corpus FILE]
                                              [--cosine X] [--accuracy X] [--models-dir DIR]...

Needs `export.py` in the model folder, which never ships, with two functions:

    module() -> torch.nn.Module                 trained, in eval mode; its arguments are the feeds of `runtime.run`
    held_out(corpus) -> [(input, expected)]     inputs as JSON, each with what its output must contain

It is in the same package as model.py: `from .net import Net` works.

The shapes come from the inputs: axes that differ between batches are dynamic. `--install` puts a format into the model
folder and its manifest; the manifest's `runtime` selects the one that is used. `--install proposal` installs what is
proposed, and sets `runtime`. See `export_proposal.py` for what is proposed.
"""

import argparse
import json
import shutil
import time
import traceback
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from scripts.console import BUILD, CommandError, note, run
from scripts.deployment.environment_config import MODELS
from scripts.model_tools.export_comparison import SIZES, Candidate, Comparison, Measured, accuracy
from scripts.model_tools.export_formats import FORMATS, Feeds, Recorder, Source
from scripts.model_tools.export_proposal import Agreement, fastest, lines
from scripts.packaging.model_files import declare_artifact, find_models

REMEDIES = {
    "onnx": "Keep to operators that ONNX has, or use torchscript",
    "onnx-int8": "Use onnx without INT8",
    "torchscript": "Write the module so that torch.jit can compile it, or use onnx",
    "aotinductor": "It does not support loops over a dynamic length: use onnx or torchscript",
}
"""What to do if a module can't be exported to a format."""

PROPOSAL = "proposal"


@dataclass(frozen=True)
class Exported:
    """The formats that were made, and the agreement that export.py states."""

    measured: Sequence[Measured]
    agreement: Agreement


def install(folder: Path, paths: Mapping[str, Path]) -> None:
    """Copy artifacts (by format) into the model folder, and write their digests and sizes into its manifest."""
    for label, path in paths.items():
        target = folder / path.name
        if path != target:
            shutil.copyfile(path, target)
        declare_artifact(folder, FORMATS[label].runtime, target.name)


def install_proposal(folder: Path, proposed: Measured) -> None:
    """Install one artifact, and let the manifest's `runtime` select it."""
    install(folder, {proposed.label: proposed.path})
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text(encoding="utf-8"))
    runtime = FORMATS[proposed.label].runtime
    if manifest["runtime"] != runtime:
        path.write_text(json.dumps(manifest | {"runtime": runtime}, indent=2) + "\n", encoding="utf-8")


def export(folder: Path, labels: Collection[str], corpus: Path | None, out: Path) -> Exported:
    """Write the formats into `out` and measure each; if one fails, the others are made all the same.

    Raises:
        CommandError: the results of export.py can't be used, or no format could be made.
    """
    candidate = Candidate.read(folder)
    module = candidate.trained()
    comparison = Comparison.of(candidate, module, corpus)
    by_size = {size: feeds_of(candidate, module, comparison.inputs[:size]) for size in SIZES}
    source = Source(module, [*by_size.values(), *(feeds for feeds, _ in comparison.recorder.passes)])
    share = accuracy(comparison.outputs, comparison.expected)
    agreement = Agreement.of(candidate.agreement, share, str(folder / "export.py"))
    note(f"{len(comparison.inputs)} held-out inputs, dynamic axes {source.axes}; accuracy of the module: {share:.4f}")

    out.mkdir(parents=True, exist_ok=True)
    feeds_file = out / "feeds.npz"
    arrays = {f"{size}/{name}": array for size, feeds in by_size.items() for name, array in feeds.items()}
    np.savez(feeds_file, **arrays)  # type: ignore[arg-type]
    measured = []
    for label in labels:
        started = time.monotonic()
        path = out / f"{folder.name}{FORMATS[label].suffix}"
        try:
            FORMATS[label].write(source, path)
            note(f"{label}: exported in {time.monotonic() - started:.0f} s; measuring")
            measured.append(comparison.measure(label, path, feeds_file))
        except Exception as error:  # the exporters raise many types
            log = out / f"{label}.log"
            log.write_text("".join(traceback.format_exception(error)), encoding="utf-8")
            note(f"{label}: failed: {_reason(error)}. {REMEDIES[label]} (traceback: {log})")
    if not measured:
        raise CommandError(f"{folder.name} could be exported to none of {', '.join(labels)}: see above")
    return Exported(measured, agreement)


def _reason(error: Exception) -> str:
    """The first line that is not empty."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    text = lines[0].rstrip(".:") if lines else "without a message"
    return text if isinstance(error, CommandError) else f"{type(error).__name__}: {text}"[:300]


def feeds_of(candidate: Candidate, module: Any, inputs: Sequence[dict[str, Any]]) -> Feeds:
    """What the model class passes to its runtime in one pass."""
    recorder = Recorder(module)
    candidate.kind(recorder, candidate.manifest).predict(list(inputs))
    return recorder.passes[0][0]


def table(measured: Sequence[Measured]) -> Table:
    """The formats compared; times are the minimum of a few starts, to reduce the influence of other load."""
    shown = Table(title="one module in each format, on one thread")
    shown.add_column("format", no_wrap=True, min_width=max(map(len, FORMATS)))
    for name in (
        "size KB",
        "load ms",
        "memory MB",
        *(f"ms for {size}" for size in SIZES),
        "max. difference",
        "min. cosine",
        "other answers",
        "accuracy",
    ):
        shown.add_column(name, justify="right")
    for one in measured:
        shown.add_row(
            one.label,
            f"{one.path.stat().st_size / 1024:,.0f}",
            f"{one.costs['load_ms']:,.0f}",
            f"{one.costs['memory_mb']:.0f}",
            *(f"{one.costs[f'ms_{size}']:.3f}" for size in SIZES),
            f"{one.difference:.1e}",
            f"{one.cosine:.6f}",
            str(one.other_answers),
            f"{one.accuracy:.4f}",
        )
    return shown


def main() -> int:
    """Command line of this module."""
    parser = argparse.ArgumentParser(prog="export_model", description="Export a model for the worker's runtimes.")
    parser.add_argument("source", help="name of the model folder")
    parser.add_argument(
        "--format", action="append", choices=FORMATS, help="only this one (default: what is installed, else all)"
    )
    parser.add_argument(
        "--install", action="append", default=[], choices=[*FORMATS, PROPOSAL], help="into the model folder"
    )
    parser.add_argument("--cosine", type=float, help="the least that a proposal may have (default: export.py's)")
    parser.add_argument("--accuracy", type=float, help="the least that a proposal may have (default: export.py's)")
    parser.add_argument("--corpus", type=Path, help="given to held_out(); default: its own")
    parser.add_argument("--models-dir", type=Path, action="append", default=[], help="holds more model folders")
    parser.add_argument("--out", type=Path, help="folder of the files (default: build/export/<source>)")
    args = parser.parse_args()
    folder = find_models([MODELS, *args.models_dir], [args.source])[args.source]
    wanted = [label for label in args.install if label != PROPOSAL]
    if len(wanted) < len(args.install) and wanted:
        raise CommandError(f"--install {' '.join(args.install)}: the proposal, or formats: choose", 2)
    if len({FORMATS[label].runtime for label in wanted}) < len(wanted):
        raise CommandError(f"--install {' '.join(wanted)}: a manifest has one artifact for each runtime: choose", 2)
    asked = {*(args.format or ()), *wanted} or {*FORMATS}
    labels = [label for label in FORMATS if label in asked]
    exported = export(folder, labels, args.corpus, args.out or BUILD / "export" / args.source)
    Console(width=120).print(table(exported.measured))
    agreement = exported.agreement.changed({"cosine": args.cosine, "accuracy": args.accuracy}, "the command line")
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    print("\n".join(lines(exported.measured, agreement, manifest)), flush=True)
    paths = {one.label: one.path for one in exported.measured}
    if missing := sorted({*(args.format or ()), *wanted} - paths.keys()):
        raise CommandError(f"{', '.join(missing)} failed (see above): nothing was installed")
    if wanted:
        install(folder, {label: paths[label] for label in wanted})
    elif args.install:
        proposed = fastest(exported.measured, agreement)
        if proposed is None:
            raise CommandError("no format keeps to the agreement (see above): nothing was installed")
        install_proposal(folder, proposed)
    return 0


if __name__ == "__main__":
    run(main)
