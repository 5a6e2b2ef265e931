"""The deployed API and the description that it gives of itself: the gateway's routes, answers and headers included."""

from __future__ import annotations

from pathlib import Path

from tests.e2e.deployment import Deployment
from tests.integration.schemathesis_run import is_as_described

EXAMPLES = 2
"""tests/integration/test_schemathesis.py has more of them, for the function alone."""


OPTIONS = ("--phases", "examples,fuzzing,stateful", "--exclude-path-regex", "^/(predict|batch)/(?!sentiment$)")
"""The other models are those of tests, which fail on demand."""


def test_the_running_stack_is_as_it_describes_itself(deployment: Deployment, tmp_path: Path) -> None:
    print(is_as_described(deployment.base_url, tmp_path, EXAMPLES, *OPTIONS))
