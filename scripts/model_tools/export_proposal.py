"""Which of a model's exported formats to use: the fastest of those that agree with the module.

An export.py may say what agrees, `AGREEMENT = {"cosine": 0.97, "accuracy": 0.9}`, and the command line may say
otherwise; what neither says is as strict as rounding allows.
"""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from scripts.console import CommandError
from scripts.model_tools.export_comparison import SIZES, Measured
from scripts.model_tools.export_formats import FORMATS

COSINE = 0.9999
"""Of formats that compute in float32, with operations in another order."""

ACCURACY_LOSS = 0.001
"""One input in a thousand may be so near to a limit that rounding decides."""

REQUESTS_PER_START = 1_000
"""A process loads the artifact once for about so many requests: a format that loads slowly has to make up for it."""

MARGIN = 1.05
"""What is faster by less than the noise of a measurement is not faster: the format that is named first is proposed."""

NAMES = {"x86_64": "x86-64", "amd64": "x86-64", "aarch64": "arm64", "arm64": "arm64"}
"""What `platform.machine` says, and how Lambda's architectures are called here."""

ARCHITECTURES = ("x86-64", "arm64")


@dataclass(frozen=True)
class Agreement:
    """What an artifact must keep to: the least cosine of its outputs with the module's, and the least accuracy."""

    cosine: float
    accuracy: float

    @classmethod
    def of(cls, stated: object, module_accuracy: float, where: str) -> Agreement:
        """The agreement that an export.py states, which may be none.

        Raises:
            CommandError: it is no dict of the two numbers, each from 0 to 1.
        """
        found = cls(COSINE, module_accuracy - ACCURACY_LOSS)
        if stated is None:
            return found
        if not isinstance(stated, dict) or not stated.keys() <= {"cosine", "accuracy"}:
            raise CommandError(f"{where}: AGREEMENT must be a dict with cosine, accuracy or both, not {stated!r}")
        return found.changed(stated, where)

    def changed(self, stated: Mapping[str, Any], where: str) -> Agreement:
        """With other numbers, by name; None leaves one as it is. Raises CommandError."""
        given = {name: value for name, value in stated.items() if value is not None}
        for name, value in given.items():
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
                raise CommandError(f"{where}: {name} must be a number from 0 to 1, not {value!r}")
        return replace(self, **given)

    def holds_for(self, measured: Measured) -> bool:
        return measured.cosine >= self.cosine and measured.accuracy >= self.accuracy

    def __str__(self) -> str:
        return f"cosine >= {self.cosine:.7g}, accuracy >= {self.accuracy:.4f}"


def request_ms(measured: Measured) -> float:
    """Milliseconds of one request: its part of a full pass, and of a start."""
    most = max(SIZES)
    return measured.costs[f"ms_{most}"] / most + measured.costs["load_ms"] / REQUESTS_PER_START


def fastest(measured: Sequence[Measured], agreement: Agreement) -> Measured | None:
    """The fastest that agrees; None if none does. The order decides between those that are about as fast."""
    agreeing = [one for one in measured if agreement.holds_for(one)]
    if not agreeing:
        return None
    least = min(map(request_ms, agreeing))
    return next(one for one in agreeing if request_ms(one) <= least * MARGIN)


def lines(
    measured: Sequence[Measured], agreement: Agreement, manifest: Mapping[str, Any], machine: str | None = None
) -> list[str]:
    """What to print: the proposal for this machine's architecture, that for the other one, and the manifest's lines.

    Args:
        measured: all formats that were exported.
        manifest: the model's, as it is.
        machine: as `platform.machine` names it; None: this one.
    """
    machine = machine or platform.machine()
    here = NAMES.get(machine.lower(), machine)
    chosen = fastest(measured, agreement)
    if chosen is None:
        nearest = max(measured, key=lambda one: (one.cosine, one.accuracy))
        seen = f"{nearest.label} comes nearest: cosine {nearest.cosine:.7g}, accuracy {nearest.accuracy:.4f}"
        return [f"proposal: none of {_names(measured)} keeps to {agreement}; {seen}"]
    found = [f"proposal: {chosen.label} for {here}, {_figures(chosen)}; {_reason(chosen, measured, agreement)}"]
    for other in ARCHITECTURES:
        if other != here:
            found.append(
                f"proposal for {other}, not measured on this {here} machine: {_elsewhere(measured, agreement)}"
            )
    return [*found, "manifest.json would have (INSTALL=proposal writes it):", *_manifest_lines(chosen, manifest)]


def _figures(measured: Measured) -> str:
    return f"{request_ms(measured):.3f} ms a request, cosine {measured.cosine:.7g}, accuracy {measured.accuracy:.4f}"


def _reason(chosen: Measured, measured: Sequence[Measured], agreement: Agreement) -> str:
    slower = [one for one in measured if one is not chosen and agreement.holds_for(one)]
    rejected = [one for one in measured if not agreement.holds_for(one)]
    parts = [f"the fastest with {agreement}"]
    if slower:
        parts.append("; ".join(f"{one.label} {request_ms(one):.3f} ms" for one in slower))
    parts += [f"{one.label} has cosine {one.cosine:.7g}, accuracy {one.accuracy:.4f}" for one in rejected]
    return "; ".join(parts)


def _elsewhere(measured: Sequence[Measured], agreement: Agreement) -> str:
    """The proposal for CPUs of the other architecture: the same files, where they run there."""
    portable = [one for one in measured if FORMATS[one.label].is_portable]
    chosen = fastest(portable, agreement)
    if chosen is None:
        return "none, as no format that runs there agrees"
    text = f"{chosen.label}, the fastest here of those whose file runs there too"
    if chosen.label == "onnx-int8":
        text += "; it has a scale for each channel and 7 bits, which no CPU overflows"
    return text


def _manifest_lines(chosen: Measured, manifest: Mapping[str, Any]) -> list[str]:
    runtime = FORMATS[chosen.label].runtime
    content = chosen.path.read_bytes()
    declared = {"file": chosen.path.name, "sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
    lines = [f'  "runtime": "{runtime}",', f'  "artifacts": {{"{runtime}": {json.dumps(declared)}}}']
    others = sorted(manifest.get("artifacts", {}).keys() - {runtime})
    return [*lines, f"  (beside those for {', '.join(others)})"] if others else lines


def _names(measured: Sequence[Measured]) -> str:
    return ", ".join(one.label for one in measured)
