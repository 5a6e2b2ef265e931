"""The images of an environment's models, in SSM parameters, so that the next deployment from any machine finds them.

One parameter for each worker, /<name prefix>/worker-images/<model or pool>, whose value is the image by digest. SSM
keeps the last hundred values of each: `aws ssm get-parameter-history` has what to go back to.
"""

from collections.abc import Mapping
from typing import Any


def read(client: Any, prefix: str) -> dict[str, str]:
    """Worker name (its model's or its pool's) -> image, of an environment.

    Args:
        client: an SSM client.
        prefix: begins the environment's names, `<project>-<environment>`.
    """
    return parameters_below(client, _path(prefix))


def parameters_below(client: Any, path: str) -> dict[str, str]:
    """The SSM parameters below a path, which ends in a slash: their names without it -> values."""
    pages = client.get_paginator("get_parameters_by_path").paginate(Path=path)
    return {found["Name"].removeprefix(path): found["Value"] for page in pages for found in page["Parameters"]}


def write(client: Any, prefix: str, images: Mapping[str, str]) -> None:
    """Note the images of some workers; those of the others stay."""
    for model, image in images.items():
        client.put_parameter(Name=_path(prefix) + model, Value=image, Type="String", Overwrite=True)


def _path(prefix: str) -> str:
    return f"/{prefix}/worker-images/"
