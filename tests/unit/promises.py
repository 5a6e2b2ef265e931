"""The promises, checked: on each transition in the table's log, and on what a client can see of an accepted request."""

from __future__ import annotations

import json
from collections import Counter

from inference.requests import FINAL, Record, Status
from inference.transitions import UNFOLLOW, Update
from tests.unit.fake_table import FakeTable
from tests.unit.fakes import Clock
from tests.unit.samples import DEADLINE, RETENTION

STATUSES_TAKEN: Counter[tuple[Status, Status]] = Counter()
"""How often a transition led from one status to another, over all that was checked in this process."""


class Promises:
    """What was promised to whom; `check` is called after each step, and `accept` before a client has its `202`."""

    def __init__(self, table: FakeTable, clock: Clock) -> None:
        self._table = table
        self._clock = clock
        self._accepted: dict[str, tuple[int, str]] = {}
        self._replayed: set[str] = set()
        self._seen: dict[str, tuple[int, Status]] = {}
        self._checked = 0

    def accept(self, record: Record, text: str) -> None:
        first = self._accepted.setdefault(record.request_id, (record.submitted_at, text))
        if first[0] != record.submitted_at:  # the record before was past its retention
            self._accepted[record.request_id] = (record.submitted_at, text)
        assert self._accepted[record.request_id][1] == text

    def check(self) -> None:
        for update, before, after in self._table.log[self._checked :]:
            self._check_transition(update, before, after)
        self._checked = len(self._table.log)
        for request_id, (submitted_at, text) in self._accepted.items():
            self._check_accepted(request_id, submitted_at, text)

    def _check_transition(self, update: Update, before: Record, after: Record) -> None:
        STATUSES_TAKEN[before.status, after.status] += 1
        if update.transition is UNFOLLOW:  # of the index alone
            assert before.status in FINAL
            assert after == before
            return
        if before.status in FINAL:
            assert (before.status, after.status) == (Status.FAILED, Status.PENDING), "a final status changed"
            self._replayed.add(update.request_id)
            self._seen.pop(update.request_id, None)
        if after.attempts != before.attempts:
            assert after.attempts == before.attempts + 1
            assert after.attempts <= after.attempt_limit
            assert before.lease_until is None or before.lease_until < (after.started_at or 0), "two leases at once"
        if "attempt" in update.values:  # an attempt's outcome: succeeded, failed or released
            assert before.status is Status.RUNNING
            assert update.values["attempt"] == before.attempts, "another attempt's outcome"
            assert (before.lease_until or 0) >= int(update.values["now"]), "written without a lease"
        elif after.status not in (Status.RUNNING, Status.CANCELLED):
            assert before.lease_until is None or before.lease_until < self._clock.now, "ended under an attempt's hands"
        assert after.status is not Status.SUCCEEDED or after.error is None

    def _check_accepted(self, request_id: str, submitted_at: int, text: str) -> None:
        item = self._table.items.get(request_id)
        assert item is not None, "an accepted request is gone"
        record = self._table.record(request_id)
        if record.submitted_at != submitted_at:
            assert (submitted_at // 1000 + DEADLINE + RETENTION) * 1000 <= self._clock.now + 1000
            return
        visible = record.status_at(self._clock.now)
        known = self._seen.get(request_id)
        if known is not None and known[0] == submitted_at:
            assert visible is known[1], f"a client saw {known[1]}, then {visible}"
        if visible in FINAL:
            self._seen[request_id] = (submitted_at, visible)
        if record.status is Status.SUCCEEDED:
            assert json.loads(str(record.result)) == {"echo": text}, "another input's result"
        if record.status is Status.FAILED and request_id not in self._replayed:
            assert json.loads(str(record.error))["code"] != "lost", "an accepted request was called lost"
