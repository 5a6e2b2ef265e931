"""What the dispatcher and the callbacks function are made of, from their settings and the package."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from inference.aws import clients
from inference.aws.deadline import Deadline
from inference.catalog import Validate, packaged_validator
from worker.backends import make_backend
from worker.dispatch.delays import LookDelay
from worker.dispatch.model import BackendModel, Provider
from worker.dispatch.tokens import StoredToken
from worker.model.manifest import Manifest

PAYLOAD_READ_SECONDS = 60
"""For sending the whole of a file, and for each wait for a part of one."""

WORKER = Path(__file__).parents[1]


def backend_models(
    sources: Mapping[str, str], backends: Mapping[str, Mapping[str, Any]], deadline: Deadline, folder: Path = WORKER
) -> dict[str, BackendModel]:
    """The models with a backend, by name. Their settings are checked here, their secrets when they are first used.

    Args:
        sources: model name -> its folder under `models`.
        backends: model name -> its `backend` settings, as the stack gives them.
        deadline: of the calls to the provider.

    Raises:
        ManifestError, ConfigurationError: a manifest or a setting is wrong.
    """
    return {
        name: _model(name, folder / "models" / source, backends[name], deadline) for name, source in sources.items()
    }


def _model(name: str, folder: Path, settings: Mapping[str, Any], deadline: Deadline) -> BackendModel:
    manifest = Manifest.read(folder / "manifest.json")
    make_backend(settings, {"token": "of no request", "webhook_secret": ""})  # fails the start, not a request
    token = StoredToken(settings["token_secret_arn"], clients.client)
    return BackendModel(
        name=name,
        version=manifest.version,
        input_files=manifest.input_files,
        output_files=manifest.output_files,
        validate=_validator(folder.name),
        provider=Provider(lambda secret: make_backend(settings, secret, deadline.remaining), token),
        delay=LookDelay(settings["poll_seconds"]["min"], settings["poll_seconds"]["max"]),
        callbacks=settings["callbacks"],
    )


def _validator(source: str) -> Validate:
    return lambda value: packaged_validator(source)(value)  # imported with the model's first request
