"""The event source mapping of a queue: how it scales, collects batches and invokes the worker.

A poller is idle, collects a batch for the batch window, or waits for its invocation. Without a window, and while more
messages wait than fit into a batch, it collects for no time. A message goes to any of the pollers that are not
invoking: with a window each collects its share, as `fill_of` in scripts/cost/demand.py has it.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import simpy

from scripts.cost.deployment import Worker
from scripts.simulate.limits import ASSUMED_KEPT_POLLERS_SECONDS, THROTTLED_PAUSES, Limits


@dataclass(slots=True, eq=False)
class Request:
    """One request, and its message.

    Attributes:
        submitted: when its client first sent it. counted: whether it is in the result.
        shard, caller: the partitions of the indexes that it is written to.
        tries: of its submit. receives: of its message. attempts: by a worker.
    """

    submitted: float
    counted: bool
    shard: int
    caller: int
    tries: int = 0
    receives: int = 0
    attempts: int = 0


@dataclass(slots=True, eq=False)
class Batch:
    """Messages that one poller has received.

    Attributes:
        received: when the first of them was.
        closed: it takes no more. throttles: of its invocation.
        lost: the worker is lost before it ends. unwritten: DynamoDB throttled the worker.
    """

    requests: list[Request]
    received: float
    closed: bool = False
    throttles: int = 0
    lost: bool = False
    unwritten: bool = False


class Mapping:
    """One queue and the pollers that read it.

    Args:
        env: the simulation's clock.
        worker: batch size, batch window and limit.
        limits: of AWS.
        most_receives: of a message; after them it goes to the dead-letter queue.
        hidden_seconds: the queue's visibility timeout.
        invoke: starts the worker: seconds until it ends; None: it is throttled.
        ended: takes a batch whose invocation ended.
        dead: takes a request whose message went to the dead-letter queue.
        pollers: at the start.
        rng: which poller gets a message.
    """

    def __init__(
        self,
        env: simpy.Environment,
        worker: Worker,
        limits: Limits,
        *,
        most_receives: int,
        hidden_seconds: float,
        invoke: Callable[[Batch], float | None],
        ended: Callable[[Batch], None],
        dead: Callable[[Request], None],
        pollers: int | None = None,
        rng: random.Random,
    ) -> None:
        self._env = env
        self._limits = limits
        self._size = worker.batch_size
        self._window = worker.batch_window_seconds
        self._most_receives = most_receives
        self._hidden_seconds = hidden_seconds
        self._invoke_worker, self._ended, self._dead = invoke, ended, dead
        self._rng = rng
        self.cap = min(limits.most_pollers, worker.maximum_concurrency or limits.most_pollers)
        self._pollers = float(min(self.cap, pollers or limits.pollers))
        self._collecting: list[Batch] = []
        self._recent = deque([self.pollers], maxlen=ASSUMED_KEPT_POLLERS_SECONDS)
        self._most_now = 0
        self.waiting: deque[Request] = deque()
        self.in_flight = 0
        self.most_in_flight = 0
        self.invoking = 0
        self.most_invoking = 0
        self.batches = 0
        self.delivered = 0
        self.throttled = 0

    @property
    def pollers(self) -> int:
        """How many batches it may process at a time now."""
        return int(self._pollers)

    def offer(self, request: Request) -> None:
        """A message that became visible."""
        if not self._window:
            self.waiting.append(request)
            self._fill()
            return
        choices = self.pollers - self.invoking
        if choices <= 0 or self.waiting:
            self.waiting.append(request)
            return
        chosen = self._rng.randrange(choices)
        if chosen < len(self._collecting):
            batch = self._collecting[chosen]
            if self._receive(request):
                batch.requests.append(request)
            if len(batch.requests) == self._size:
                self._close(batch)
        elif self._receive(request):
            self._collect([request])

    def scale(self) -> None:
        """Once a second: more pollers while messages wait, fewer when fewer were at work for a while."""
        self._recent.append(self._most_now)
        self._most_now = self.invoking
        if self.waiting or self.invoking >= self.pollers:
            self._pollers = min(self.cap, self._pollers + self._limits.growth)
            self._fill()
        elif self._pollers > (least := min(self.cap, self._limits.pollers)):
            self._pollers = max(least, min(self._pollers, max(self._recent)))

    def show_after(self, request: Request, seconds: float) -> None:
        """A message that was received comes back after so many seconds."""
        self._env.timeout(seconds, request).callbacks.append(self._shown)

    def delete(self) -> None:
        """A message that was received is deleted."""
        self.in_flight -= 1

    def _shown(self, event: Any) -> None:
        self.in_flight -= 1
        self.offer(event.value)

    def _fill(self) -> None:
        """Free pollers take what waits."""
        while self.waiting and self.pollers - self.invoking - len(self._collecting) > 0:
            room = min(self._size, self._limits.in_flight - self.in_flight)
            if room <= 0:
                return
            taken: list[Request] = []
            while self.waiting and len(taken) < room:
                request = self.waiting.popleft()
                if self._receive(request):
                    taken.append(request)
            if taken:
                self._collect(taken)

    def _receive(self, request: Request) -> bool:
        """Whether the message is delivered; one that was received too often is moved instead."""
        if request.receives >= self._most_receives:
            self._dead(request)
            return False
        request.receives += 1
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        return True

    def _collect(self, requests: list[Request]) -> None:
        batch = Batch(requests, self._env.now)
        self._collecting.append(batch)
        if not self._window or len(requests) == self._size:
            self._close(batch)
        else:
            self._env.timeout(self._window, batch).callbacks.append(self._over)

    def _over(self, event: Any) -> None:
        if not event.value.closed:
            self._close(event.value)

    def _close(self, batch: Batch) -> None:
        batch.closed = True
        self._collecting.remove(batch)
        self.invoking += 1
        self._most_now = max(self._most_now, self.invoking)
        self.most_invoking = max(self.most_invoking, self.invoking)
        if self._limits.receive_seconds:
            self._env.timeout(self._limits.receive_seconds, batch).callbacks.append(self._invoke)
        else:
            self._invoke_now(batch)

    def _invoke(self, event: Any) -> None:
        self._invoke_now(event.value)

    def _invoke_now(self, batch: Batch) -> None:
        seconds = self._invoke_worker(batch)
        if seconds is not None:
            self.batches += 1
            self.delivered += len(batch.requests)
            self._env.timeout(seconds, batch).callbacks.append(self._finish)
            return
        self.throttled += 1
        pause = THROTTLED_PAUSES[min(batch.throttles, len(THROTTLED_PAUSES) - 1)]
        batch.throttles += 1
        left = batch.received + self._hidden_seconds - self._env.now
        if pause < left:
            self._env.timeout(pause, batch).callbacks.append(self._invoke)
            return
        self.invoking -= 1
        for request in batch.requests:
            self.show_after(request, max(0.0, left))
        self._fill()

    def _finish(self, event: Any) -> None:
        self.invoking -= 1
        self._ended(event.value)
        self._fill()
