"""The description that the API gives of itself, and what it does, compared by schemathesis through real HTTP."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests import openapi
from tests.integration.http_server import HttpServer, serving
from tests.integration.schemathesis_run import is_as_described
from tests.integration.system import System
from tests.integration.test_http_fuzz import MANIFEST, Loaded, NoRuntime
from tests.unit.fakes import ReadyModel
from worker.models.sentiment.model import Sentiment

EXAMPLES = 10


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
    print(is_as_described(url, tmp_path, EXAMPLES))
    called = Counter(f"{method} {path.split('/')[1]}" for method, path, _ in api.seen)
    assert called.keys() >= {f"{route.split('/')[0]}{route.split('/')[1]}" for route in openapi.ROUTES}
