"""A scripted provider for each test."""

from collections.abc import Iterator

import pytest

from tests.integration.backends.scripted_provider import ScriptedProvider, scripted_provider


@pytest.fixture
def provider() -> Iterator[ScriptedProvider]:
    with scripted_provider() as running:
        yield running
