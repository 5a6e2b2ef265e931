"""Runs schemathesis' command against an API that answers somewhere."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from scripts.console import ROOT

COMMAND = Path(sys.executable).parent / "st"
NOT_CHECKED = {
    "unsupported_method": "API Gateway answers a method that no route has with 404, not with 405",
    "allow_header_conformance": "so there is no Allow header either",
    "ignored_auth": "API Gateway checks credentials; here is none",
    "object_level_authorization": "it needs two callers; tests/unit/test_service_status.py has them",
    "positive_data_acceptance": "schemathesis_checks.py has it, with what depends on more than the form of a call",
    "negative_data_rejection": "schemathesis_checks.py has it, with unknown query parameters",
}


def is_as_described(url: str, folder: Path, examples: int, *options: str) -> str:
    """Compare what the API at `url` does with its own /openapi.json; what schemathesis printed.

    Args:
        url: the API's base URL.
        folder: where reports are written.
        examples: how many of each operation: a number, not a time, so that every machine tests the same.
        options: more of `st run`.

    Raises:
        AssertionError: they differ; the text is schemathesis' report.
    """
    command = [
        *(COMMAND, "run", f"{url}/openapi.json", "--url", url, "--seed", "1", "--max-examples", str(examples)),
        *("--exclude-checks", ",".join(NOT_CHECKED), "--request-timeout", "60", "--report", "ndjson"),
        *("--report-dir", folder, "--continue-on-failure", "--no-shrink", "--no-color", *options),
    ]
    run = subprocess.run(
        command,
        cwd=folder,
        env={
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(ROOT),
            "SCHEMATHESIS_HOOKS": "tests.integration.schemathesis_checks",
        },
        capture_output=True,
        encoding="utf-8",
        errors="replace",
    )
    assert run.returncode == 0, f"{run.stdout}\n{run.stderr}"
    return run.stdout
