"""A scripted provider for each test."""

from collections.abc import Iterator

import pytest

from tests.integration.backends.scripted_provider import ScriptedProvider


@pytest.fixture
def provider() -> Iterator[ScriptedProvider]:
    with ScriptedProvider().running() as running:
        yield running
