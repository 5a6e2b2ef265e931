"""Operations that stop before each of their steps, and parts of the system that let a schedule decide for them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from hypothesis import currently_in_test_context, note

from tests.unit.fake_queue import FakeQueue
from tests.unit.fakes import Killed, ReadyModel
from worker.model.errors import InputError

TIMEOUT_MS = 30_000
COUNTS_LAG_MS = 60_000


class Actor(threading.Thread):
    """An operation that stops before each of its steps until it is told to go on."""

    def __init__(self, name: str, operation: Callable[[], None], started_at: int, limit_ms: int = TIMEOUT_MS) -> None:
        super().__init__(name=name, daemon=True)
        self._operation = operation
        self._go = threading.Semaphore(0)
        self._stopped = threading.Semaphore(0)
        self._killed = False
        self.started_at = started_at
        self.limit_ms = limit_ms
        self.fault: str | None = None
        self.at = ""
        self.on_timeout: Callable[[], None] | None = None
        self.error: BaseException | None = None
        self.done = False
        self.start()
        self._stopped.acquire()

    def run(self) -> None:
        try:
            self.pause("start")
            self._operation()
        except Killed:
            pass
        except BaseException as error:
            self.error = error
        self.done = True
        self._stopped.release()

    def pause(self, at: str) -> None:
        self.at = at
        self._stopped.release()
        self._go.acquire()
        if self._killed:
            raise Killed

    def step(self, fault: str | None = None) -> None:
        self.fault = fault
        stopped_at = self.at
        self._go.release()
        self._stopped.acquire()
        self._note(f"{stopped_at}{', ' + fault if fault else ''} -> {'ended' if self.done else self.at}")

    def _note(self, what: str) -> None:
        """Hypothesis prints it with the example that failed, above the step in which it happened."""
        if currently_in_test_context() and not self._killed:
            note(f"#   {self.name}: {what}")

    def kill(self) -> None:
        if not self.done:
            self._note(f"killed before {self.at}")
        self._killed = True
        while not self.done:
            self.step()
        self.join()


def go_on(actor: Actor, until: str) -> None:
    """Let it go on until it is about to make a step of this name; `finish` is the step after the prediction."""
    while not actor.done and actor.at != ("predict" if until == "finish" else until):
        actor.step()
    if until == "finish" and not actor.done:
        actor.step()


class ScheduledTimeout:
    """Ends when the schedule says so, beside the hung prediction."""

    def __init__(self, seconds: float, on_timeout: Callable[[], None]) -> None:
        self._on_timeout = on_timeout

    def __enter__(self) -> ScheduledTimeout:
        actor = threading.current_thread()
        if isinstance(actor, Actor):
            actor.on_timeout = self._on_timeout
        return self

    def __exit__(self, *_: object) -> None:
        actor = threading.current_thread()
        if isinstance(actor, Actor):
            actor.on_timeout = None


class LaggingQueue(FakeQueue):
    """A queue whose counts may be a minute old, as SQS's are: for a while, a message that is just moved to the
    dead-letter queue is in neither."""

    filled_at = 0

    def put(self, body: str) -> None:
        if not self.messages:
            self.filled_at = self._clock()
        super().put(body)

    def is_empty(self) -> bool:
        return super().is_empty() or self._clock() - self.filled_at < COUNTS_LAG_MS


class EchoModel(ReadyModel):
    batch_size = 2

    def predict(self, inputs: list[Any]) -> list[Any]:
        actor = threading.current_thread()
        if isinstance(actor, Actor):
            actor.pause("predict")
            if actor.fault:
                raise ValueError("injected: the model fails")
        if any(value["text"] == "boom" for value in inputs):
            raise MemoryError
        return [InputError("odd") if value["text"] == "odd" else {"echo": value["text"]} for value in inputs]
