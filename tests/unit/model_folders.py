"""The model folders that unit tests load: the demo's, and the smallest that is a plain Python model."""

import hashlib
import json
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
WORDCOUNT = ROOT / "tests" / "e2e" / "models" / "wordcount"
SENTIMENT = ROOT / "worker" / "models" / "sentiment"


def weights_model(folder: Path, weights: bytes = b"3 1 2", *, code: str = "") -> Path:
    """A plain Python model that has `weights` for its artifact; `code` replaces its method `load`."""
    entry = {"file": "weights.txt", "sha256": hashlib.sha256(weights).hexdigest(), "bytes": len(weights)}
    changes = {"name": folder.name, "artifacts": {"python": entry}}
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "manifest.json").write_text(json.dumps(plain_manifest() | changes))
    (folder / "weights.txt").write_bytes(weights)
    load = code or "def load(self, path):\n        self.path, self.weights = path, path.read_text().split()"
    (folder / "model.py").write_text(
        "from worker.model import Model\n\n\n"
        f"class Weights(Model):\n    {load}\n\n"
        "    def predict(self, inputs):\n"
        "        return [{'words': len(self.weights)} for _ in inputs]\n"
    )
    return folder


def plain_manifest() -> dict[str, Any]:
    """A right manifest of a plain Python model."""
    manifest: dict[str, Any] = json.loads((WORDCOUNT / "manifest.json").read_text())
    return manifest
