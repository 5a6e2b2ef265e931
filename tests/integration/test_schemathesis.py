"""The description that the API gives of itself, and what it does, compared by schemathesis through real HTTP."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from scripts.console import ROOT
from tests import openapi
from tests.integration.http_server import HttpServer, serving
from tests.integration.system import System
from tests.integration.test_http_fuzz import MANIFEST, Loaded, NoRuntime
from tests.unit.fakes import ReadyModel
from worker.models.sentiment.model import Sentiment

EXAMPLES = 10
"""Of each operation: a number, not a time, so that every machine tests the same."""

NOT_CHECKED = {
    "unsupported_method": "API Gateway answers a method that no route has with 404, not with 405",
    "allow_header_conformance": "so there is no Allow header either",
    "ignored_auth": "API Gateway checks credentials; here is none",
    "object_level_authorization": "it needs two callers; tests/unit/test_service_status.py has them",
    "positive_data_acceptance": "schemathesis_checks.py has it, with what depends on more than the form of a call",
    "negative_data_rejection": "schemathesis_checks.py has it, with unknown query parameters",
}
COMMAND = Path(sys.executable).parent / "st"


class WordCount(ReadyModel):
    """The second model."""

    def predict(self, inputs: list[Any]) -> list[Any]:
        return [{"words": len(item["text"].split())} for item in inputs]


@pytest.fixture
def served(system: System) -> Iterator[tuple[HttpServer, str]]:
    """A deployment whose workers take a request as soon as a call waits for it."""
    system.predictors = {"sentiment": Loaded(MANIFEST, Sentiment(NoRuntime(), MANIFEST)), "wordcount": WordCount()}
    with pytest.MonkeyPatch.context() as patch, serving(system) as (api, url):
        patch.setattr(system.api.service, "_pause", lambda _: [system.run_worker(model) for model in system.models])
        yield api, url
    system.predictors = {}


def test_the_api_is_as_it_describes_itself(served: tuple[HttpServer, str], tmp_path: Path) -> None:
    api, url = served
    command = [
        *(COMMAND, "run", f"{url}/openapi.json", "--seed", "1", "--max-examples", str(EXAMPLES), "--no-color"),
        *("--exclude-checks", ",".join(NOT_CHECKED), "--request-timeout", "60", "--report", "ndjson"),
        *("--report-dir", tmp_path, "--continue-on-failure", "--no-shrink"),
    ]
    run = subprocess.run(
        command,
        cwd=tmp_path,
        env={
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(ROOT),
            "SCHEMATHESIS_HOOKS": "tests.integration.schemathesis_checks",
        },
        capture_output=True,
        encoding="utf-8",
        errors="replace",
    )
    print(run.stdout)
    assert run.returncode == 0, f"{run.stdout}\n{run.stderr}"
    called = Counter(f"{method} {path.split('/')[1]}" for method, path, _ in api.seen)
    assert called.keys() >= {f"{route.split('/')[0]}{route.split('/')[1]}" for route in openapi.ROUTES}
