"""Golden events: what AWS hands to the functions, shared by all layers of tests."""

import json
from pathlib import Path
from typing import Any


def golden(name: str) -> Any:
    """A fresh copy of an event, such as `golden("http_predict")`."""
    return json.loads((Path(__file__).parent / f"{name}.json").read_text())
