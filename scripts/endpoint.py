"""Print the base URL of a deployment that answers on this machine.

python -m scripts.endpoint [--env local|dev|prod]
"""

import argparse
import sys
from pathlib import Path

if not __package__:  # started as a file: make the repository importable
    sys.path[0] = str(Path(__file__).resolve().parent.parent)
from scripts import emulator, terraform
from scripts.console import run


def base_url(environment: str) -> str:
    """Where `/predict` is below, without a slash at the end.

    The emulator serves an API under its own address: the name that AWS would give it is in no DNS.

    Raises:
        Failure: nothing is deployed there.
    """
    outputs = terraform.outputs(environment)
    if environment == terraform.LOCAL:
        return f"{emulator.current().endpoint}/_aws/execute-api/{outputs['api_id']}"
    return str(outputs["api_url"]).rstrip("/")


def main() -> int:
    """Command line of this module."""
    parser = argparse.ArgumentParser(prog="endpoint", description="Print the base URL of a deployment.")
    parser.add_argument("--env", default=terraform.LOCAL, help="local (default), dev or prod")
    print(base_url(parser.parse_args().env))
    return 0


if __name__ == "__main__":
    run(main)
