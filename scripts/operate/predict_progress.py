"""How far a run of many inputs is: bars on a terminal, else a line on stderr now and then."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Protocol

from scripts.console import note

NOTE_SECONDS = 5.0
BAR_SECONDS = 0.2


class Counted(Protocol):
    """What is shown."""

    total: int
    sent: int
    done: int

    def counts(self) -> str:
        """The numbers as text."""


@asynccontextmanager
async def progress(counted: Counted) -> AsyncIterator[None]:
    """Show the numbers as long as the context lasts."""
    showing = asyncio.create_task(_bars(counted) if sys.stderr.isatty() else _notes(counted))
    try:
        yield
    finally:
        showing.cancel()
        await asyncio.wait([showing])


async def _notes(counted: Counted) -> None:
    while True:
        await asyncio.sleep(NOTE_SECONDS)
        note(counted.counts())


async def _bars(counted: Counted) -> None:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    # Lines of results are printed above the bars if both are on the terminal.
    to_terminal = sys.stdout.isatty()
    with Progress(*columns, console=Console(stderr=True), transient=True, redirect_stdout=to_terminal) as shown:
        sent = shown.add_task("sent", total=counted.total)
        done = shown.add_task("done", total=counted.total)
        while True:
            shown.update(sent, completed=counted.sent)
            shown.update(done, completed=counted.done)
            await asyncio.sleep(BAR_SECONDS)
