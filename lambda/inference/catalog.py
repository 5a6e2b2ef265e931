"""The models of this deployment, known from the package and the environment: no call at run time.

The zip has of each model folder its manifest, as JSON in `manifests`, and in `validators` the module that was generated
from its input schema. The environment maps model names to folders.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from inference.errors import ConfigurationError, InvalidInput, UnknownModel

Validate = Callable[[Any], Any]
"""Takes an input, returns it with the schema's defaults filled in.

Raises:
    InvalidInput: the input violates the schema.
"""


class CatalogEntry(NamedTuple):
    """A deployed model: its name in the path, its version, and the validator of its inputs."""

    name: str
    version: str
    validate: Validate


class PackagedModel(NamedTuple):
    """What a package knows of a model folder, from its manifest. Schemas are JSON Schema; `example` is an input that
    satisfies the schema, or None if the manifest has none; `memory_mb` is what its worker has by default;
    `input_files`: place of a file in the input -> how the model gets it."""

    version: str
    description: str
    input_schema: Mapping[str, Any]
    output_schema: Mapping[str, Any]
    example: Any
    memory_mb: int
    input_files: Mapping[str, str]


class Catalog:
    """The deployed models.

    Args:
        models: model name -> source folder.
        default: the model of a request that names none.
        packaged: source folder -> what the package knows of it.
        validator: source folder -> its validator; imports the module when it is first needed.
    """

    def __init__(
        self,
        models: Mapping[str, str],
        default: str,
        packaged: Mapping[str, PackagedModel],
        validator: Callable[[str], Validate],
    ) -> None:
        unpackaged = sorted({source for source in models.values() if source not in packaged})
        if unpackaged:
            raise ConfigurationError(
                f"The package has no manifest of {', '.join(unpackaged)}: run `make package` again"
            )
        if default not in models:
            raise ConfigurationError(f"DEFAULT_MODEL is '{default}', which is not in MODELS")
        self._models = models
        self._default = default
        self._packaged = packaged
        self._validator = validator

    def entry(self, name: str | None) -> CatalogEntry:
        """The model of that name, or the default one for None.

        Raises:
            UnknownModel: there is none.
        """
        name = name or self._default
        source = self._source(name)
        return CatalogEntry(name, self._packaged[source].version, self._validator(source))

    def packaged(self, name: str) -> PackagedModel:
        """What the package knows of the model of that name.

        Raises:
            UnknownModel: there is none.
        """
        return self._packaged[self._source(name)]

    @property
    def default(self) -> str:
        """The name of the default model."""
        return self._default

    @property
    def names(self) -> Sequence[str]:
        """The names of all models, in their order."""
        return sorted(self._models)

    def _source(self, name: str) -> str:
        source = self._models.get(name)
        if source is None:
            raise UnknownModel(f"There is no model '{name[:64]}'. Deployed are: {', '.join(self.names)}.")
        return source


class PackagedModels(Mapping[str, PackagedModel]):
    """Source folder -> what the package knows of it.

    A manifest is read when it is first needed: a function that knows two hundred models starts as soon as one of one.

    Args:
        folder: of the manifests, `<source folder>.json` each.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        sources = sorted(path.stem for path in folder.iterdir())
        self._models: dict[str, PackagedModel | None] = dict.fromkeys(sources)

    def __getitem__(self, source: str) -> PackagedModel:
        model = self._models[source]
        if model is None:
            manifest = json.loads((self._folder / f"{source}.json").read_bytes())
            model = self._models[source] = packaged_model(manifest)
        return model

    def __contains__(self, source: object) -> bool:
        return source in self._models

    def __iter__(self) -> Iterator[str]:
        return iter(self._models)

    def __len__(self) -> int:
        return len(self._models)


def packaged_model(manifest: Mapping[str, Any]) -> PackagedModel:
    """What a checked manifest says of a model."""
    schema = manifest["input_schema"]
    examples = schema.get("examples") or [None]
    return PackagedModel(
        manifest["version"],
        manifest["description"],
        schema,
        manifest["output_schema"],
        examples[0],
        manifest["memory_mb"],
        manifest.get("input_files", {}),
    )


@lru_cache
def packaged_validator(source: str) -> Validate:
    """The validator that was generated from a folder's input schema when it was packaged."""
    module = importlib.import_module(f"validators.{source.replace('-', '_')}")
    generated: Validate = module.validate

    def validate(value: Any) -> Any:
        try:
            generated(value)  # adds the defaults in place; its return value may be a decoded `contentEncoding`
        except module.Violation as violation:
            raise InvalidInput(violation.message) from violation
        except OverflowError as error:  # `multipleOf` with a number beyond what a float can hold
            raise InvalidInput("it contains a number that is too large to check") from error
        return value

    return validate
