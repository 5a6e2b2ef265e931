"""Shared by the fakes: a clock that a test sets, telemetry that keeps its lines, and faults.

The fakes are in `fake_table.py` and `fake_queue.py`; sample data is in `samples.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from inference.errors import Unavailable
from inference.telemetry import Telemetry

NOW = 1_800_000_000_000
"""When these tests happen: epoch milliseconds."""


class Clock:
    """A clock that a test sets."""

    def __init__(self, now: int = NOW) -> None:
        self.now = now

    def __call__(self) -> int:
        return self.now

    def advance(self, *, seconds: float = 0, ms: int = 0) -> None:
        self.now += int(seconds * 1000) + ms


class Recorder(Telemetry):
    """Telemetry that keeps its lines, and its metrics: what an invocation wrote, in EMF."""

    def __init__(self) -> None:
        super().__init__("test", "INFO", "p")
        self.lines: list[dict[str, Any]] = []
        self.embedded: list[dict[str, Any]] = []

    def _write(self, level: str, event: str, fields: dict[str, Any]) -> None:
        self.lines.append({"level": level, "event": event, **fields})

    def _print(self, line: dict[str, Any]) -> None:
        self.embedded.append(line)

    def events(self, name: str) -> list[dict[str, Any]]:
        return [line for line in self.lines if line["event"] == name]


@dataclass
class Fault:
    """Makes calls of one operation fail. `done`: the call took effect and only its answer is lost."""

    operation: str
    done: bool = False
    times: int = 1
    skip: int = 0

    def applies_to(self, operation: str) -> bool:
        if operation != self.operation or self.times == 0:
            return False
        if self.skip:
            self.skip -= 1
            return False
        self.times -= 1
        return True


class Faulty:
    """Counts calls and lets them fail as told; `before` and `after` are called around each step's effect."""

    def __init__(self) -> None:
        self.faults: list[Fault] = []
        self.calls: list[str] = []
        self.before: Callable[[str], None] = lambda _: None
        self.after: Callable[[str], None] = lambda _: None

    def _step(self, operation: str, effect: Callable[[], Any]) -> Any:
        self.before(operation)
        fault = next((fault for fault in self.faults if fault.applies_to(operation)), None)
        if fault is not None and not fault.done:
            raise Unavailable(f"injected: {operation}")
        answer = effect()
        self.after(operation)
        if fault is not None:
            raise Unavailable(f"injected: the answer of {operation} was lost")
        return answer


class Killed(BaseException):
    """The process ends here, whoever's it is: no code under test may catch this."""


class ReadyModel:
    """What a worker asks of a model beside predictions."""

    version = "1.0.0"
    batch_size = 10
    permanent_errors: tuple[str, ...] = ()
    input_files: Mapping[str, str] = {}
    output_files: Mapping[str, str] = {}
    is_loaded: bool = True

    def begin_invocation(self) -> None:
        pass

    def load(self) -> None:
        pass
