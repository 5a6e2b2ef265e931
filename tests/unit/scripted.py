"""Fakes whose answers a property test decides: a table, a model and a timeout, each following a script."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import Any, Self

from botocore.exceptions import ClientError, ReadTimeoutError

from inference.errors import Unavailable
from inference.requests import Status
from inference.store.request_table import WriteResult
from inference.transitions import Update
from tests.unit.fake_table import FakeTable
from tests.unit.fakes import NOW, Clock, Killed
from tests.unit.stripped_table import StrippedTable
from tests.unit.worker_harness import EchoModel
from worker.model.errors import InputError, NotLoadedError, OutputError


class Answer(StrEnum):
    """What the table does with one update."""

    APPLIED = "applied"
    THROTTLED = "throttled"
    NO_ANSWER = "no_answer"
    ANSWER_LOST = "answer_lost"
    BUG = "bug"
    KILLED = "killed"


class ScriptedTable(StrippedTable):
    """The fake table; the script has an answer for each update, and the rest are applied.

    Args:
        stripped: the answers pass through the real adapter, and a batch's rejections bring no record.
    """

    def __init__(self, script: Sequence[Answer], stripped: bool) -> None:
        super().__init__()
        self._script = list(script)
        self._stripped = stripped

    def apply(self, updates: Sequence[Update]) -> list[WriteResult]:
        return (StrippedTable if self._stripped else FakeTable).apply(self, updates)

    def _step(self, operation: str, effect: Callable[[], Any]) -> Any:
        answer = self._script.pop(0) if self._script else Answer.APPLIED
        match answer:
            case Answer.APPLIED:
                return effect()
            case Answer.BUG:
                raise RuntimeError("injected")
            case Answer.KILLED:
                raise Killed
            case Answer.ANSWER_LOST:
                effect()
        if not self._stripped:
            raise Unavailable(f"injected: {answer}")
        if answer is Answer.THROTTLED:
            raise ClientError({"Error": {"Code": "ThrottlingException", "Message": "injected"}}, "UpdateItem")
        raise ReadTimeoutError(endpoint_url="injected")


class Reaction(StrEnum):
    """What happens while the model has an input."""

    ANSWERS = "answers"
    RAISES = "raises"
    OUT_OF_MEMORY = "out_of_memory"
    EXITS = "exits"
    REJECTS = "rejects"
    REJECTS_IN_PLACE = "rejects_in_place"
    BAD_OUTPUT = "bad_output"
    NOT_LOADED = "not_loaded"
    KILLED = "killed"
    HANGS = "hangs"
    HANGS_AND_IS_KILLED = "hangs_and_is_killed"
    LOAD_HANGS = "load_hangs"
    CANCELLED = "cancelled"
    TAKEN_OVER = "taken_over"
    DELETED = "deleted"
    LEASE_ENDS = "lease_ends"


_RAISED: dict[Reaction, BaseException] = {
    Reaction.RAISES: ValueError("injected"),
    Reaction.OUT_OF_MEMORY: MemoryError(),
    Reaction.EXITS: SystemExit(1),
    Reaction.REJECTS: InputError("injected"),
    Reaction.BAD_OUTPUT: OutputError("injected"),
    Reaction.NOT_LOADED: NotLoadedError("injected"),
    Reaction.KILLED: Killed(),
}


class ScriptedModel(EchoModel):
    """A model with a reaction for each text. Texts are ids of requests."""

    def __init__(self, script: dict[str, Reaction], table: FakeTable, clock: Clock) -> None:
        super().__init__()
        self._script = script
        self._table = table
        self._clock = clock
        self._loaded = False

    def load(self) -> None:
        if not self._loaded and Reaction.LOAD_HANGS in self._script.values():
            ScriptedTimeout.time_is_up()
        self._loaded = True

    def _one(self, value: Any) -> Any:
        name = value["text"]
        reaction = self._script.get(name, Reaction.ANSWERS)
        items = self._table.items
        if reaction in _RAISED:
            raise _RAISED[reaction]
        match reaction:
            case Reaction.REJECTS_IN_PLACE:
                return InputError("injected")
            case Reaction.HANGS:
                ScriptedTimeout.time_is_up()
            case Reaction.HANGS_AND_IS_KILLED:
                ScriptedTimeout.time_is_up()
                raise Killed
            case Reaction.CANCELLED if name in items:
                items[name]["status"] = Status.CANCELLED.value
            case Reaction.TAKEN_OVER if name in items:
                items[name] |= {"attempts": 99, "invocation_id": "other"}
            case Reaction.DELETED:
                items.pop(name, None)
            case Reaction.LEASE_ENDS:
                self._clock.now = max(self._clock.now, NOW + 40_000)
        return {"echo": name}


class ScriptedTimeout:
    """Calls the handler when the model says so: in the same thread, in a moment where another could have run."""

    running: ScriptedTimeout | None = None

    def __init__(self, seconds: float, on_timeout: Callable[[], None]) -> None:
        self._on_timeout: Callable[[], None] | None = on_timeout

    def __enter__(self) -> Self:
        ScriptedTimeout.running = self
        return self

    def __exit__(self, *_: object) -> None:
        ScriptedTimeout.running = None

    @classmethod
    def time_is_up(cls) -> None:
        timeout = cls.running
        if timeout is not None and timeout._on_timeout is not None:
            call, timeout._on_timeout = timeout._on_timeout, None
            call()
