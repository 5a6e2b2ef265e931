"""Destroy an environment: show first what would be lost, and ask for the environment's name.

    python -m scripts.deployment.destroy --env dev|prod|local

CONFIRM=<environment> replaces the question, for a run without a terminal. `local` is destroyed without a question.
"""

import argparse
import os
import sys
from collections.abc import Mapping
from typing import Any

from scripts.console import CommandError, note, run
from scripts.deployment import aws_session, terraform


def destroy(environment: str) -> int:
    """Destroy an environment after a confirmation. Returns Terraform's exit code.

    Raises:
        CommandError: deletion protection is on, or the name was not confirmed.
    """
    if environment == terraform.LOCAL:
        return terraform.execute("destroy", environment)
    if code := terraform.prepare("destroy", environment):
        return code
    outputs = terraform.outputs(environment)
    note(f"`make destroy ENV={environment}` deletes:\n{_losses(environment, outputs)}")
    terraform.check_protection(environment, outputs)
    confirmed = os.environ.get("CONFIRM")
    _confirm(environment, confirmed)
    return terraform.execute("destroy", environment, ["-auto-approve"] if confirmed else [])


def _losses(environment: str, outputs: Mapping[str, Any]) -> str:
    functions, models = outputs.get("function_names", {}), sorted(outputs.get("queue_urls", {}))
    losses = [
        *_open_requests(environment, outputs, models),
        f"all requests and results in the table {outputs.get('request_table')}",
        f"{2 * len(models)} queues, and the messages in them",
        f"{len(functions)} functions with all their versions, their roles and logs",
        f"the API {outputs.get('api_url')}: a new deployment has another address",
        "the registry with all images of the workers",
    ]
    return "\n".join(f"  - {loss}" for loss in losses)


def _open_requests(environment: str, outputs: Mapping[str, Any], models: list[str]) -> list[str]:
    """A line for each model with open requests."""
    from inference.errors import Unavailable
    from inference.store.request_table import RequestTable
    from scripts.aws_errors import describe_aws_error
    from scripts.deployment import removal

    table = RequestTable(aws_session.client(environment, "dynamodb", outputs), outputs["request_table"])
    try:
        found = removal.count(table, models)
    except Unavailable as error:
        return [f"open requests, which can't be counted ({describe_aws_error(error)})"]
    with_open = [f"{model}: {found.text(model)}, which never end" for model in models if found.counts[model]]
    return with_open or ["no open request"]


def _confirm(environment: str, confirmed: str | None) -> None:
    if confirmed is None:
        if not sys.stdin.isatty():
            raise CommandError(f"nothing was destroyed: without a terminal, confirm with CONFIRM={environment}", code=2)
        note(f"Type the environment's name, {environment}, to destroy it:")
        confirmed = sys.stdin.readline().strip()
    if confirmed != environment:
        raise CommandError(f"nothing was destroyed: {confirmed!r} is not {environment!r}", code=2)


def main() -> int:
    """Command line of this module."""
    parser = argparse.ArgumentParser(prog="destroy", description="Destroy an environment.")
    parser.add_argument("--env", default=terraform.LOCAL, help="local (default), dev or prod")
    return destroy(parser.parse_args().env)


if __name__ == "__main__":
    run(main)
