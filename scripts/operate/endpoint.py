"""Print the base URL of a deployment.

python -m scripts.operate.endpoint [--env local|dev|prod]
"""

import argparse
import json
from collections.abc import Mapping
from typing import Any

from scripts.console import run
from scripts.deployment import terraform
from scripts.local import emulator


def base_url(environment: str) -> str:
    """The URL before `/predict`, without a slash at the end.

    The emulator serves the API under its own address, since AWS's host name for it does not exist in DNS.

    Raises:
        CommandError: nothing is deployed there.
    """
    return _url(environment, terraform.outputs(environment))


def url_on(local: emulator.Emulator, outputs: Mapping[str, Any]) -> str:
    """The base URL of a deployment with these outputs on an emulator."""
    return f"{local.endpoint}/_aws/execute-api/{outputs['api_id']}"


def _url(environment: str, outputs: Mapping[str, Any]) -> str:
    if environment == terraform.LOCAL:
        return url_on(emulator.current(), outputs)
    return str(outputs["api_url"]).rstrip("/")


def print_next(environment: str) -> None:
    """Print the URL of a deployment, and commands to try."""
    outputs = terraform.outputs(environment)
    url = _url(environment, outputs)
    text = "what a lovely day"
    demo = outputs["default_model"] == "sentiment"
    body = json.dumps({"text": text} if demo else {"...": "as the model's input_schema says"})
    ask = f'TEXT="{text}"' if demo else f"INPUT='{body}'"
    on = "" if environment == terraform.LOCAL else f" ENV={environment}"
    print(f"\nBase URL     {url}")
    print(f"Try it       make predict {ask}{on}")
    print(f"             curl -i {url}/predict -d '{body}'")
    print(f"             curl {url}/status/<request_id>")
    if environment == terraform.LOCAL:
        print("Stop it      make down", flush=True)


def main() -> int:
    """Command line of this module."""
    parser = argparse.ArgumentParser(prog="endpoint", description="Print the base URL of a deployment.")
    parser.add_argument("--env", default=terraform.LOCAL, help="local (default), dev or prod")
    print(base_url(parser.parse_args().env))
    return 0


if __name__ == "__main__":
    run(main)
