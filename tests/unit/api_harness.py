"""The API's rules on fakes: a service with two models, its table and its queues, and two callers."""

from __future__ import annotations

from typing import Any

import pytest

from inference.errors import Refused
from inference.moves import Moves
from inference.request_table import Applied
from inference.requests import Message, Record
from inference.service import Limits, Service
from tests.unit.fake_queue import FakeQueue
from tests.unit.fake_table import FakeTable
from tests.unit.fakes import Clock
from tests.unit.samples import DEADLINE, RETENTION, a_catalog

ME, YOU = "iam:me", "iam:you"
INPUT = {"text": "fine"}


class Api:
    """A service on fakes."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.table = FakeTable()
        self.queues = {name: FakeQueue(self.clock) for name in ("echo", "other")}
        self.moves = Moves(self.clock)
        limits = Limits(attempts=5, deadline=DEADLINE, retention=RETENTION)
        self.service = Service(self.table, self.queues.__getitem__, a_catalog(), limits, self.clock)

    @property
    def queue(self) -> FakeQueue:
        return self.queues["echo"]

    def submit(self, value: Any = None, key: str | None = None, caller: str = ME, model: str | None = None) -> Record:
        return self.service.submit(model, dict(INPUT) if value is None else value, caller, key)

    def refusal(self, *args: Any, **kwargs: Any) -> Refused:
        with pytest.raises(Refused) as refused:
            self.submit(*args, **kwargs)
        return refused.value

    def messages(self, model: str = "echo") -> list[Message]:
        return [Message.from_body(held.body) for held in self.queues[model].messages.values()]

    def claim(self, record: Record) -> None:
        claim = self.moves.claim_first(record.request_id, record.submitted_at, self.clock.now + 33_000)
        assert isinstance(self.table.apply([claim])[0], Applied)
