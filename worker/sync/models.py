"""The models of a process, by the folders in its package, and their description."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from inference.catalog import packaged_model, packaged_validator
from inference.telemetry import Telemetry
from worker.direct import DirectPrediction, open_model
from worker.loading import LoadableModel
from worker.memory import ModelMemory
from worker.model.artifact import S3Client

PACKAGE = Path(__file__).resolve().parents[2]
FOLDERS = PACKAGE / "worker" / "models"


def open_models(
    sources: Mapping[str, str],
    artifacts: Mapping[str, str],
    telemetry: Telemetry,
    memory: ModelMemory,
    threads: int | None = None,
    s3_client: Callable[[], S3Client] | None = None,
    folders: Path = FOLDERS,
) -> dict[str, LoadableModel]:
    """The models by name, not loaded yet.

    Args:
        sources: model name -> source.
        artifacts: model name -> the artifact in S3 that replaces the packaged one.
        folders: where the models' folders are.
    """
    return {
        name: open_model(
            folders / source,
            telemetry,
            memory,
            name=name,
            artifact=artifacts.get(name),
            threads=threads,
            s3_client=s3_client,
        )
        for name, source in sources.items()
    }


def predictions_of(
    models: Mapping[str, LoadableModel], sources: Mapping[str, str], telemetry: Telemetry
) -> dict[str, DirectPrediction]:
    """What predicts with each model, checked by the validators in the package."""

    def prediction(name: str) -> DirectPrediction:
        # Imported with the model's first input: of a pool's models many may never be asked for.
        return DirectPrediction(models[name], lambda value: packaged_validator(sources[name])(value), telemetry)

    return {name: prediction(name) for name in models}


def description_of(sources: Mapping[str, str], limits: Mapping[str, int], folders: Path = FOLDERS) -> str:
    """The OpenAPI description of an app with these models, as JSON."""
    from inference.http.sync_openapi import describe_app  # imported only when needed

    models: list[Mapping[str, Any]] = []
    for name, source in sorted(sources.items()):
        manifest = json.loads((folders / source / "manifest.json").read_text(encoding="utf-8"))
        models.append({"name": name, **packaged_model(manifest)._asdict()})
    return describe_app(PACKAGE, models, limits)
