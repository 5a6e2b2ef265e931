"""What the dispatcher loads of the providers: it has no libraries beyond Python's and the repository's own."""

import subprocess
import sys

from scripts.console import ROOT

MODULES = sorted(
    f"worker.backends.{path.stem}" for path in (ROOT / "worker" / "backends").glob("*.py") if path.stem != "__init__"
)


def test_the_backends_import_python_and_the_repository_alone() -> None:
    assert "worker.backends.base" in MODULES
    code = f"import sys\nfor name in {MODULES!r}: __import__(name)\nprint(*sys.modules)"
    run = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONPATH": f"{ROOT / 'lambda'}:{ROOT}", "PATH": ""},
        capture_output=True,
        encoding="utf-8",
        check=True,
    )
    loaded = {name.partition(".")[0] for name in run.stdout.split()}
    assert not loaded & {
        "boto3",
        "botocore",
        "numpy",
        "torch",
        "onnxruntime",
        "httpx",
        "requests",
        "replicate",
        "runpod",
    }
