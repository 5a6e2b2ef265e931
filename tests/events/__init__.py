"""Golden events: what AWS hands to the functions, shared by all layers of tests."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent


def golden(name: str) -> Any:
    """A fresh copy of an event, such as `golden("http_predict")`."""
    return json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))


def http_events() -> Mapping[str, str]:
    """Route -> the name of an event of it: the first by name, where a route has several."""
    names = sorted((path.stem for path in FOLDER.glob("http_*.json")), reverse=True)
    return {golden(name)["routeKey"]: name for name in names}
