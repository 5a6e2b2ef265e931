"""Files of `predict`: uploads that stand in an input, and the files of a result."""

from __future__ import annotations

import mimetypes
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from async_inference_client import AsyncClient, Request
from scripts.console import CommandError, argument_text
from scripts.operate.connection import USAGE

EACH = "[]"
"""After a place: the file is added to the list there."""


def parse(argument: str) -> tuple[str, Path]:
    """PLACE=PATH.

    Raises:
        CommandError: it is not that, or there is no such file.
    """
    place, separator, path = argument_text(argument).partition("=")
    if not (place.removesuffix(EACH) and separator and path):
        raise CommandError(f"--file {argument}: write PLACE=PATH, such as image=cat.png or pages[]=page-1.png", USAGE)
    if not Path(path).is_file():
        raise CommandError(f"--file {argument}: there is no file {path}", USAGE)
    return place, Path(path)


def media_type(path: Path) -> str:
    """By the file's name."""
    return mimetypes.guess_type(path.name)[0] or "application/octet-stream"


async def with_uploads(client: AsyncClient, value: Any, files: Sequence[tuple[str, Path]]) -> Any:
    """The input with references to uploads of these files. Raises as `AsyncClient.upload`."""
    for place, path in files:
        put(value, place, await client.upload(path, media_type(path)))
    return value


def put(value: Any, place: str, reference: dict[str, str]) -> None:
    """Put a reference in an input at `member`, `member.member` or `member[]`. Objects and lists on the way are added.

    Raises:
        CommandError: something else is on the way.
    """
    *outer, last = place.split(".")
    for name in outer:
        value = _object(value, place).setdefault(name, {})
    if last.endswith(EACH):
        listed = _object(value, place).setdefault(last.removesuffix(EACH), [])
        if not isinstance(listed, list):
            raise CommandError(f"--file {place}: the input has no list there", USAGE)
        listed.append(reference)
    else:
        _object(value, place)[last] = reference


def _object(value: Any, place: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise CommandError(f"--file {place}: the input has no object there", USAGE)
    return value


async def save(client: AsyncClient, request: Request, folder: Path) -> list[Path]:
    """Download the files of a result to `<request id>-<number>.<type>` in a folder. Raises as `AsyncClient.save`."""
    folder.mkdir(parents=True, exist_ok=True)
    return [
        await client.save(
            file, folder / f"{request.request_id}-{number}{mimetypes.guess_extension(file.content_type) or ''}"
        )
        for number, file in enumerate(request.files)
        if file is not request.whole_result
    ]
