"""A worker that fails at each step of the request's way, in each way: ten requests, of which one brings the fault.

Whatever happens, the client sees one final outcome of each, the right one, in bounded time.
"""

from __future__ import annotations

import hashlib
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.e2e.conftest import FAULT_POINTS
from tests.e2e.control import Control
from tests.e2e.http_client import Api

BATCH = 10
ATTEMPTS = 3
"""max_attempts of environments/local."""

# The queue's own visibility timeout is 24 s, a lease 8: whoever waits for the one instead of the other is too late.
ONCE_SECONDS = 22
ENTRY_SECONDS = 40
ALWAYS_SECONDS = 60
RECEIVES_SECONDS = 150
"""A message's twelve receives, a lease each."""

KINDS = ("sigkill", "exit", "exception", "timeout", "memory", "hang")


@dataclass(frozen=True)
class Case:
    """One fault and what has to come of it.

    Args:
        always: in every delivery, not only in the first.
        code: `error.code` of the faulty request; None: it succeeds.
        attempts, others: attempts of the faulty request and of the nine beside it.
        all_fail: the nine share its end, since no worker ever gets as far as to see whose fault it is.
    """

    point: str
    kind: str
    always: bool
    code: str | None
    attempts: int
    others: int
    all_fail: bool = False
    entry: str | None = None

    @property
    def name(self) -> str:
        return f"{self.entry or self.point} {self.kind} {'always' if self.always else 'once'}"


def _once(point: str) -> list[Case]:
    attempts = {"before-claim": 1, "after-finish": 1}.get(point, 2)
    # An exception of the model is isolated: the nine are finished in the same invocation.
    isolated = ("exception", "memory", "allocation") if point == "during-predict" else ()
    kinds = (*KINDS, "allocation") if point == "during-predict" else KINDS
    return [Case(point, kind, False, None, attempts, 1 if kind in isolated else attempts) for kind in kinds]


def _always(point: str, code: str, *kinds: str, others: int = 2) -> list[Case]:
    return [Case(point, kind, True, code, ATTEMPTS, others) for kind in kinds]


CASES = {
    # On entry nothing has been done yet: the messages come back when the queue's own visibility timeout ends.
    "before-claim": [
        *_once("before-claim"),
        Case("before-claim", "sigkill", False, None, 1, 1, entry="on_entry"),
        Case("before-claim", "sigkill", True, "undelivered", 0, 0, all_fail=True),
    ],
    "after-claim": [
        *_once("after-claim"),
        *_always("after-claim", "crashed", "sigkill"),
        *_always("after-claim", "timeout", "timeout"),
        *_always("after-claim", "out_of_memory", "memory"),
    ],
    "during-predict": [
        *_once("during-predict"),
        *_always("during-predict", "crashed", "sigkill", "exit"),
        *_always("during-predict", "timeout", "timeout", "hang"),
        *_always("during-predict", "model_error", "exception", others=1),
        *_always("during-predict", "out_of_memory", "memory", others=1),
        *([] if sys.platform == "darwin" else _always("during-predict", "out_of_memory", "hoard")),
    ],
    "before-finish": [
        *_once("before-finish"),
        *_always("before-finish", "crashed", "sigkill"),
        *_always("before-finish", "timeout", "hang"),
    ],
    "after-finish": [
        *_once("after-finish"),
        Case("after-finish", "sigkill", True, None, 1, 1),
    ],
}


def right_answer(text: str) -> dict[str, Any]:
    """What the model says of a text."""
    return {"digest": hashlib.sha256(text.encode()).hexdigest()[:16], "characters": len(text)}


@dataclass
class Point:
    """The model of one fault point: runs its cases, one after the other, and keeps what was wrong with each."""

    name: str
    api: Api
    control: Control
    problems: list[str] = field(default_factory=list)
    report: list[str] = field(default_factory=list)

    def run(self) -> Point:
        for case in CASES[self.name]:
            started = time.monotonic()
            try:
                self._run(case)
            except AssertionError as error:
                self.problems.append(f"{case.name}: {error}")
            self.report.append(f"{case.name:<32} {time.monotonic() - started:6.1f} s")
        return self

    def _run(self, case: Case) -> None:
        texts = [f"{case.name} {number} {time.time_ns()}" for number in range(BATCH)]
        fault: dict[str, Any] = {"point": case.entry or case.point.replace("-", "_"), "kind": case.kind}
        if not case.always:
            fault["times"] = 1
        # In the middle: some of the batch are before it, some behind.
        guilty = BATCH // 2
        inputs: list[dict[str, Any]] = [{"text": text} for text in texts]
        inputs[guilty]["fault"] = fault
        with self.control.paused(self.name):
            ids = [self.api.accepted(value, model=self.name) for value in inputs]
        seconds = (
            RECEIVES_SECONDS
            if case.all_fail
            else ALWAYS_SECONDS
            if case.always
            else ENTRY_SECONDS
            if case.entry
            else ONCE_SECONDS
        )
        outcomes = [self.api.outcome(request_id, seconds) for request_id in ids]
        self._report_kill(case, texts[guilty], outcomes[guilty])
        for number, (text, outcome) in enumerate(zip(texts, outcomes, strict=True)):
            failed = case.code if number == guilty or case.all_fail else None
            attempts = case.attempts if number == guilty else case.others
            self._check(case, f"number {number}", text, outcome, failed, attempts)
        self.control.drained(self.name, RECEIVES_SECONDS)
        assert [self.api.status(request_id).body for request_id in ids] == outcomes, f"{case.name}: changed afterwards"

    def _check(self, case: Case, who: str, text: str, outcome: dict[str, Any], code: str | None, attempts: int) -> None:
        seen = (outcome["status"], (outcome["error"] or {}).get("code"), outcome["attempts"])
        if seen != ("failed" if code else "succeeded", code, attempts):
            self.problems.append(f"{case.name}, {who}: {seen} and not {(code, attempts)}: {outcome['error']}")
        elif code is None and outcome["result"] != right_answer(text):
            self.problems.append(f"{case.name}, {who}: wrong result {outcome['result']}")
        elif code is not None and not outcome["error"]["message"]:
            self.problems.append(f"{case.name}, {who}: no text that a person could act on")

    def _report_kill(self, case: Case, text: str, outcome: dict[str, Any]) -> None:
        if case.kind != "sigkill":
            return
        times = [line["at"] for line in self.control.events(f"worker/{self.name}", "fault_injected", text)]
        final = self.control.record(outcome["request_id"]).finished_at or 0
        if times and final > times[0]:
            since = f"{(final - times[0]) / 1000:.1f} s after the first SIGKILL"
            if len(times) > 1:
                since += f", {(final - times[-1]) / 1000:.1f} s after the last of {len(times)}"
            self.report.append(f"    {case.name}: {outcome['status']} {since}")


@pytest.fixture(scope="module")
def points(api: Api, control: Control) -> dict[str, Point]:
    """All cases have run: the points at the same time, the cases of each one after the other."""
    points = [Point(name, api, control) for name in FAULT_POINTS]
    with ThreadPoolExecutor(len(points)) as pool:
        done = {point.name: point for point in pool.map(Point.run, points)}
    for point in done.values():
        print(f"\n{point.name}\n  " + "\n  ".join(point.report))
    return done


@pytest.mark.parametrize("name", FAULT_POINTS)
def test_every_request_ends_as_it_should(name: str, points: dict[str, Point]) -> None:
    assert points[name].problems == []
