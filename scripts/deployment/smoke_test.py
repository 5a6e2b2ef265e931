"""Send one request to a deployment through its real endpoint, and check that it succeeds.

    python -m scripts.deployment.smoke_test [--env ENVIRONMENT] [--model NAME] [--timeout SECONDS]

The input is tests/input.json of the model's folder, else the first of `examples` in its manifest's input_schema.
`make deploy` ends with it. Exit code 1: it did not succeed, and the output says what failed and how to roll back.
"""

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx2

from async_inference_client import Client
from async_inference_client.errors import InferenceError, ResponseError
from scripts.console import CommandError, note, run
from scripts.deployment import aws_session, terraform
from scripts.deployment.environment_config import ConfiguredModel, EnvironmentConfig, read_config
from scripts.operate import endpoint
from scripts.operate.connection import KEY, TOKEN, credential, explain, signer
from scripts.packaging.model_files import read_manifest

TIMEOUT_SECONDS = 180.0
"""A new image's first start takes Lambda up to a minute or two."""


def smoke_test(environment: str, config: EnvironmentConfig, model: str | None, seconds: float) -> int:
    """Run one request of a model; None is the default model. Returns 0 if it succeeded, or if there is no sample input.

    Raises:
        CommandError: it was rejected, or it is not `succeeded` in time; with how to roll back.
    """
    outputs = terraform.outputs(environment)
    name = model or str(outputs["default_model"])
    if name not in config.models:
        raise CommandError(f"{environment} has no model {name}: its models are {', '.join(sorted(config.models))}", 2)
    deployed = config.models[name]
    found = sample_input(deployed.folder)
    if found is None:
        note(
            f"smoke test: skipped: {deployed.folder} has no sample input (tests/input.json, or `examples` in the"
            " manifest's input_schema)"
        )
        return 0
    url = endpoint.base_url(environment)
    note(f"smoke test: POST {url}/predict/{name}")
    try:
        with Client(url, auth=_auth(environment, outputs)) as client:
            answer = client.wait(client.submit(found[0], model=name).request_id, timeout=seconds)
    except InferenceError as failure:
        if isinstance(failure, ResponseError) and failure.status in (401, 403):
            raise CommandError(
                f"smoke test of {environment}: the API does not accept this caller: {failure}. Use credentials with"
                f" execute-api:Invoke, or set {KEY} for an API_KEY authorizer (`make api-key` makes one), {TOKEN} for a"
                f" JWT authorizer; then `make smoke-test ENV={environment}`"
            ) from failure
        raise CommandError(
            f"smoke test of {environment} failed: {explain(failure)}. {_remedy(environment, deployed)}"
        ) from failure
    if answer.status != "succeeded":
        reason = f"{answer.error.code}: {answer.error.message}" if answer.error else "without a reason"
        raise CommandError(
            f"smoke test of {environment} failed: the request {answer.request_id} of {name} {answer.status}:"
            f" {reason}. {_remedy(environment, deployed)}"
        )
    note(f"smoke test: {name} {answer.model_version} succeeded: {json.dumps(answer.result)[:200]}")
    return 0


def sample_input(folder: Path) -> list[Any] | None:
    """A list with the sample input of a model folder; None if it has none.

    Raises:
        CommandError: tests/input.json is not JSON.
    """
    path = folder / "tests" / "input.json"
    if path.is_file():
        try:
            return [json.loads(path.read_text(encoding="utf-8"))]
        except ValueError as error:
            raise CommandError(f"{path} is not JSON: {error}") from error
    examples: list[Any] = read_manifest(folder)["input_schema"].get("examples", [])
    return examples[:1] or None


def _auth(environment: str, outputs: Mapping[str, Any]) -> httpx2.Auth | None:
    """Adds the API key or the token, if one is set, or else a signature, if there are credentials."""
    if environment == terraform.LOCAL:
        return credential()
    return credential() or signer(required=False, region=aws_session.region_of(outputs))


def _remedy(environment: str, model: ConfiguredModel) -> str:
    on = f"ENV={environment}"
    chosen = f"POOL={model.pool}" if model.pool else f"MODEL={model.name}"
    return (
        f"The new version is deployed: `make logs {on}` and `make status {on} MODEL={model.name}` show more,"
        f" `make rollback {on} {chosen}` goes back to the version before (docs/deploy.md, Roll back)"
    )


def main() -> int:
    """Command line of this module."""
    parser = argparse.ArgumentParser(prog="smoke_test", description="Send one request to a deployment and check it.")
    parser.add_argument("--env", default=terraform.LOCAL, help="local (default), dev or prod")
    parser.add_argument("--model", help="name of the model (default: the deployment's default model)")
    parser.add_argument("--timeout", type=float, default=TIMEOUT_SECONDS, help="seconds to wait (default: 180)")
    args = parser.parse_args()
    return smoke_test(args.env, read_config(args.env, images=False), args.model, args.timeout)


if __name__ == "__main__":
    run(main)
