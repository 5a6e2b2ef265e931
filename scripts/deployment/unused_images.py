"""Deletes the images of a registry that no function can run any more.

ECR does not know which images functions use, so its lifecycle policy expires none that has a tag. `make deploy` deletes
some at its end: those that no version of a worker uses, that the next apply does not take, and that are not new.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from scripts.console import note
from scripts.deployment import aws_session, deployed_images
from scripts.deployment.environment_config import EnvironmentConfig
from scripts.deployment.versions import every_version

KEPT_DAYS = 14
"""Newer images stay: somebody may have pushed one and not applied it yet. The lifecycle policy keeps images without a
tag as long."""

DELETED_AT_ONCE = 100
"""ECR's limit on the images of one BatchDeleteImage."""


@dataclass(frozen=True)
class Clients:
    """Clients of the services that are asked."""

    ecr: Any
    functions: Any
    ssm: Any


def delete_unused_images(config: EnvironmentConfig) -> None:
    """Delete them, and print how many. An error of AWS is printed too: then the images stay, which harms nothing."""
    from botocore.exceptions import BotoCoreError, ClientError

    from scripts.aws_errors import describe_aws_error

    try:
        clients = Clients(*(aws_session.client_in(service, config.region) for service in ("ecr", "lambda", "ssm")))
        deleted = delete(clients, config.prefix, {model.worker for model in config.models.values()}, datetime.now(UTC))
    except (BotoCoreError, ClientError) as error:
        note(f"images that no version uses were not deleted: {describe_aws_error(error)}")
        return
    if deleted:
        note(f"deleted from the registry, since no version of a function uses them: {deleted} images")


def delete(clients: Clients, prefix: str, workers: Iterable[str], now: datetime) -> int:
    """Delete the unused images of an environment. Returns how many were deleted.

    Args:
        prefix: begins the environment's names, `<project>-<environment>`.
        workers: the names of its workers: their models' or pools'.

    Raises:
        ClientError, BotoCoreError: AWS did not say which images there are and which are used: nothing was deleted.
    """
    repository = f"{prefix}-worker"
    # Listed first: an image that gets used meanwhile is found among the used ones.
    old = list(_pushed_before(clients.ecr, repository, now - timedelta(days=KEPT_DAYS)))
    if not old:
        return 0
    names = sorted(workers)
    used = _noted(clients.ssm, prefix, names)
    for name in names:
        used |= set(_of_versions(clients.functions, f"{prefix}-worker-{name}"))
    unused = [digest for digest in old if digest not in used]
    deleted = 0
    for start in range(0, len(unused), DELETED_AT_ONCE):
        digests = unused[start : start + DELETED_AT_ONCE]
        answer = clients.ecr.batch_delete_image(
            repositoryName=repository, imageIds=[{"imageDigest": digest} for digest in digests]
        )
        deleted += len({image["imageDigest"] for image in answer["imageIds"]})
    return deleted


def _pushed_before(client: Any, repository: str, time: datetime) -> Iterator[str]:
    """The digests of old images that have a tag."""
    pages = client.get_paginator("describe_images").paginate(repositoryName=repository, filter={"tagStatus": "TAGGED"})
    for page in pages:
        for image in page["imageDetails"]:
            if image["imagePushedAt"] < time:
                yield image["imageDigest"]


def _noted(client: Any, prefix: str, workers: Iterable[str]) -> set[str]:
    """The digests of the images that the next apply takes."""
    images: Mapping[str, str] = deployed_images.read(client, prefix)
    return {images[name].rpartition("@")[2] for name in workers if name in images}


def _of_versions(client: Any, function: str) -> Iterator[str]:
    """The digests of the images of all versions of a function that exist, $LATEST among them."""
    for version in every_version(client, function):
        if version.get("PackageType") == "Image":
            found = client.get_function(FunctionName=function, Qualifier=version["Version"])
            yield found["Code"]["ImageUri"].rpartition("@")[2]
