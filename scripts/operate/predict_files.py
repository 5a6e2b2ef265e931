"""Files of `predict`: uploads that stand in an input, and the files of a result."""

from __future__ import annotations

import mimetypes
from collections.abc import Iterator, MutableMapping, MutableSequence, Sequence
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


def parse_place(argument: str) -> str:
    """The PLACE of many inputs, each of which has its own path there.

    Raises:
        CommandError: it is not one.
    """
    place = argument_text(argument)
    if "=" in place or not place.removesuffix(EACH):
        text = f"--file {argument}: with --inputs write the PLACE alone, such as image; each line has its path there"
        raise CommandError(text, USAGE)
    return place


def media_type(path: Path) -> str:
    """By the file's name."""
    return mimetypes.guess_type(path.name)[0] or "application/octet-stream"


async def with_uploads(client: AsyncClient, value: Any, files: Sequence[tuple[str, Path]]) -> Any:
    """The input with references to uploads of these files. Raises as `AsyncClient.upload`."""
    for place, path in files:
        put(value, place, await client.upload(path, media_type(path)))
    return value


async def with_paths_uploaded(client: AsyncClient, value: Any, places: Sequence[str]) -> Any:
    """The input with a reference to an upload in the place of each path. Raises as `AsyncClient.upload`."""
    for place in places:
        for holder, key in _paths(value, place):
            path = Path(holder[key])
            holder[key] = await client.upload(path, media_type(path))
    return value


def check_paths(value: Any, places: Sequence[str], line: str) -> None:
    """Check that there is a file for each path of an input.

    Raises:
        CommandError: there is none; `line` says in which input.
    """
    for place in places:
        for holder, key in _paths(value, place):
            if not Path(holder[key]).is_file():
                text = f"{line} has no file at '{place}', so nothing was sent: {holder[key]}"
                raise CommandError(text, USAGE)


def _paths(value: Any, place: str) -> Iterator[tuple[Any, Any]]:
    """The texts at a place of an input, as what has them and by which key: one at `member` or `member.member`, or each
    of the list at `member[]`. Anything else there, such as a reference, is left alone."""
    *outer, last = place.removesuffix(EACH).split(".")
    for name in outer:
        value = value.get(name) if isinstance(value, dict) else None
    holder: MutableMapping[str, Any] | MutableSequence[Any] | None = value if isinstance(value, dict) else None
    keys: Sequence[Any] = (last,) if holder is not None and last in holder else ()
    if place.endswith(EACH):
        listed = value.get(last) if isinstance(value, dict) else None
        holder, keys = (listed, range(len(listed))) if isinstance(listed, list) else (None, ())
    for key in keys:
        assert holder is not None
        if isinstance(holder[key], str):
            yield holder, key


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
