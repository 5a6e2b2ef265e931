"""The model folders that unit tests load: the demo's, and the smallest that is a plain Python model."""

import json
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
WORDCOUNT = ROOT / "tests" / "e2e" / "models" / "wordcount"
SENTIMENT = ROOT / "worker" / "models" / "sentiment"


def plain_manifest() -> dict[str, Any]:
    """A right manifest of a plain Python model."""
    manifest: dict[str, Any] = json.loads((WORDCOUNT / "manifest.json").read_text())
    return manifest
