"""The journal of many inputs: a file with the key and id of each, so that an interrupted run can be resumed.

Before anything is sent, it has a line for each input with its Idempotency-Key; a line with the request's id is added as
soon as it is accepted. A resumed run sends the inputs without an id, with the same keys: nothing is accepted twice.

An input with files gets a line with the references to its uploads before it is sent: a key belongs to one input, so a
resumed run must not upload them again.
"""

import json
import os
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any, Self, TextIO

from scripts.console import BUILD, CommandError


@dataclass
class Item:
    """One input: its index from 0, its key, and the request's id once it is accepted. `has_paths`: what stands at the
    places of files is still to be uploaded."""

    index: int
    payload: Any
    key: str
    request_id: str | None = None
    has_paths: bool = False


class Journal:
    """The file. Lines are JSON objects; an incomplete last line, left by a crash, is ignored.

    Attributes:
        places: where each input has the paths of files.
    """

    def __init__(self, path: Path, model: str | None, items: Sequence[Item], places: Sequence[str] = ()) -> None:
        self.path = path
        self.model = model
        self.items = items
        self.places = places
        self._lock = Lock()

    @classmethod
    def begin(
        cls,
        inputs: Sequence[Any],
        model: str | None,
        url: str,
        path: Path | None = None,
        places: Sequence[str] = (),
    ) -> Self:
        """Write the inputs to a file that only this user can read."""
        path = path or BUILD / "predict" / f"{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        items = [
            Item(index, payload, str(uuid.uuid4()), has_paths=bool(places)) for index, payload in enumerate(inputs)
        ]
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            _write(file, {"url": url, "model": model, "inputs": len(items), "places": list(places)})
            for item in items:
                _write(file, {"index": item.index, "key": item.key, "input": item.payload})
        return cls(path, model, items, places)

    @classmethod
    def read(cls, path: Path, url: str) -> Self:
        """Read the journal of an earlier run, and remove an incomplete last line.

        Raises:
            CommandError: it is not a journal, or of another deployment, or not all inputs are in it, so that nothing
                was
                sent.
        """
        content = path.read_bytes()
        whole = content[: content.rfind(b"\n") + 1]
        try:
            found: list[dict[str, Any]] = [json.loads(text) for text in whole.splitlines()]
            head = found[0]
            sent_to, model, places = head["url"], head["model"], head.get("places", [])
            items = {
                line["index"]: Item(line["index"], line["input"], line["key"], has_paths=bool(places))
                for line in found
                if "key" in line
            }
            for uploaded in (line for line in found if "input" in line and "key" not in line):
                items[uploaded["index"]].payload = uploaded["input"]
                items[uploaded["index"]].has_paths = False
            for sent in (line for line in found if "request_id" in line):
                items[sent["index"]].request_id = sent["request_id"]
            if list(items) != list(range(head["inputs"])):
                raise ValueError("inputs are missing")
        except (IndexError, KeyError, TypeError, ValueError) as error:
            raise CommandError(
                f"{path} is not a journal of predict, or its run ended before it sent anything", 2
            ) from error
        if sent_to != url:
            raise CommandError(f"{path} belongs to {sent_to}, not to {url}: give its --env or --url", 2)
        os.truncate(path, len(whole))  # the next line must not be appended to the incomplete one
        return cls(path, model, list(items.values()), places)

    def uploaded(self, item: Item, payload: Any) -> None:
        """Write an input whose files are uploaded, before it is sent."""
        item.payload, item.has_paths = payload, False
        self._add({"index": item.index, "input": payload})

    def accepted(self, item: Item, request_id: str) -> None:
        """Write a request's id at once."""
        item.request_id = request_id
        self._add({"index": item.index, "request_id": request_id})

    def _add(self, line: Mapping[str, Any]) -> None:
        with self._lock, self.path.open("a", encoding="utf-8") as file:
            _write(file, line)


def _write(file: TextIO, line: Mapping[str, Any]) -> None:
    file.write(json.dumps(line) + "\n")
    file.flush()
