"""platforms.json: what each platform can do, with the source and the date of each fact."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

FILE = Path(__file__).with_name("platforms.json")

MEMORY, LONGEST_RUN, INPUT = "memory", "longest_run", "input"
"""Facts with a number, which the rules use."""


@dataclass(frozen=True)
class Source:
    """Where a fact is from: a page's title and address, and when it was read."""

    title: str
    url: str
    date: str


@dataclass(frozen=True)
class Fact:
    """What a platform does in one respect.

    Attributes:
        text: as the tables have it.
        confirmed: a page of the platform says so, or it was tried.
        value: the number in it, in the row's unit, where the rules need one.
    """

    text: str
    source: Source
    confirmed: bool
    value: float | None = None


@dataclass(frozen=True)
class Row:
    """One respect in which the platforms are compared; `of`: platform -> its fact."""

    key: str
    title: str
    unit: str
    of: Mapping[str, Fact]


@dataclass(frozen=True)
class Statement:
    """What the reference document says in a section, and what is so now."""

    where: str
    says: str
    now: str
    source: Source
    confirmed: bool


@dataclass(frozen=True)
class Guide:
    """The file. platforms: key -> name."""

    date: str
    sources: Mapping[str, Source]
    platforms: Mapping[str, str]
    rows: tuple[Row, ...]
    document: tuple[Statement, ...]

    def value(self, row: str, platform: str) -> float | None:
        """The number of a fact; None: it has none.

        Raises:
            StopIteration: there is no such row. KeyError: there is no such platform.
        """
        return next(found for found in self.rows if found.key == row).of[platform].value


@cache
def load(path: Path = FILE) -> Guide:
    """Read the file."""
    raw: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    sources = {key: Source(**source) for key, source in raw["sources"].items()}

    def sourced(fact: Mapping[str, Any]) -> dict[str, Any]:
        return {**fact, "source": sources[fact["source"]]}

    rows = tuple(
        Row(
            row["key"],
            row["title"],
            row.get("unit", ""),
            {platform: Fact(**sourced(fact)) for platform, fact in row["of"].items()},
        )
        for row in raw["facts"]
    )
    document = tuple(Statement(**sourced(statement)) for statement in raw["document"])
    return Guide(raw["date"], sources, raw["platforms"], rows, document)
