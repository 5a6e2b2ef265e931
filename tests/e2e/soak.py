"""The soak: many requests, some of them poison, some cancelled, some doubled, while workers are killed at random.

What has to hold all the same: every accepted request ends, rightly, once, and nothing is left over.

The killer never takes a request's last attempt from it: it kills only while every request at work has attempts left.
So whoever fails as `crashed` although nothing is wrong with it is a defect of ours, and counted as wrong.
"""

from __future__ import annotations

import collections
import contextlib
import functools
import random
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from inference.requests import Record
from scripts.local.emulator import Emulator
from tests.e2e.conftest import E2E_MODELS
from tests.e2e.control import Control
from tests.e2e.http_client import FINAL, Api
from tests.e2e.killer import Killer
from tests.e2e.models.faulty.model import REJECTED
from tests.e2e.waiting import eventually
from worker.model import load

MODEL = "soak"
CLIENTS = 4
WORK_MS = 20
POISON = 0.05
CANCELLED = 0.01
DOUBLED = 0.1
MAX_OPEN = 100
"""Requests that are open at a time: the emulator's receive takes longer the longer the queue is."""

SAMPLERS = 3
SAMPLE_SECONDS = 0.02
END_SECONDS = 180

SUCCEEDS, REJECTS, RAISES, KILLS = "succeeds", "rejects", "raises", "kills"
EXPECTED_CODES = {REJECTS: "invalid_input", RAISES: "model_error", KILLS: "crashed"}


@dataclass
class Request:
    """One request of the soak: what it is, and all that was seen of it."""

    kind: str
    value: dict[str, Any]
    cancel: bool
    copies: int
    request_id: str = ""
    cancelled: bool = False
    final: dict[str, Any] | None = None
    changes: list[dict[str, Any]] = field(default_factory=list)


@dataclass
class Summary:
    """What came of it; `lost`, `stuck`, `changed` and `wrong` have to be 0."""

    accepted: int = 0
    succeeded: int = 0
    failed: collections.Counter[str] = field(default_factory=collections.Counter)
    cancelled: int = 0
    expired: int = 0
    lost: int = 0
    stuck: int = 0
    changed: int = 0
    wrong: int = 0
    kills: int = 0
    kills_in_leases: int = 0
    spared: int = 0
    interrupted: int = 0
    duplicates: int = 0
    samples: int = 0
    attempts: collections.Counter[int] = field(default_factory=collections.Counter)
    left_over: int = 0
    seconds: float = 0.0
    problems: list[str] = field(default_factory=list)

    def table(self) -> str:
        """The summary for a person."""
        rows: dict[str, Any] = {"accepted": self.accepted, "succeeded": self.succeeded}
        rows |= {f"failed: {code}": count for code, count in sorted(self.failed.items())}
        names = ("cancelled", "expired", "lost", "stuck", "changed", "wrong")
        rows |= {name: getattr(self, name) for name in names}
        rows |= {
            "workers killed": f"{self.kills} ({self.kills_in_leases} while leases were held), {self.spared} spared",
            "good ones interrupted": self.interrupted,
            "duplicates sent": self.duplicates,
            "attempts": ", ".join(f"{count} x {attempts}" for attempts, count in sorted(self.attempts.items())),
            "statuses sampled": self.samples,
            "left in queues or open": self.left_over,
            "seconds": f"{self.seconds:.0f}",
        }
        return "\n".join(f"  {name:<24} {value}" for name, value in rows.items())


def run_soak(api: Api, control: Control, emulator: Emulator, requests: int = 500, seed: int = 1) -> Summary:
    """Run it. The same seed plans the same requests and the same times between kills."""
    started = time.monotonic()
    summary = Summary()
    planned = _plan(requests, random.Random(seed))
    model = load(E2E_MODELS / "faulty", threads=1)
    killer = Killer(
        control, emulator, MODEL, random.Random(seed + 1), lambda: {r.request_id for r in planned if r.kind == KILLS}
    )
    sampler = Sampler(api, planned, summary)
    samplers = [functools.partial(sampler.run, number) for number in range(SAMPLERS)]
    with _threads(*samplers, killer.run):
        limit = threading.Semaphore(MAX_OPEN)
        sampler.on_final = limit.release
        with ThreadPoolExecutor(CLIENTS) as pool:
            list(pool.map(lambda request: _send(request, api, control, limit, summary), planned))
        with contextlib.suppress(AssertionError):
            eventually("all are final", END_SECONDS, lambda: all(request.final for request in planned))
    summary.kills, summary.kills_in_leases, summary.spared = killer.kills, killer.in_leases, killer.spared
    with contextlib.suppress(AssertionError):
        control.drained(MODEL, END_SECONDS)
    sampler.look_at_all()
    _check_outcomes(planned, control, model.predict, summary)
    summary.seconds = time.monotonic() - started
    return summary


def _plan(requests: int, chosen: random.Random) -> list[Request]:
    planned: list[Request] = []
    poisons = [REJECTS, RAISES, KILLS]
    for number in range(requests):
        poison = chosen.random() < POISON
        kind = poisons[len([r for r in planned if r.kind != SUCCEEDS]) % len(poisons)] if poison else SUCCEEDS
        text = f"{REJECTED if kind == REJECTS else ''}soak {number} {chosen.random()}"
        value: dict[str, Any] = {"text": text, "work_ms": WORK_MS}
        if kind in (RAISES, KILLS):
            value["fault"] = {"point": "during_predict", "kind": "exception" if kind == RAISES else "sigkill"}
        cancel = kind == SUCCEEDS and chosen.random() < CANCELLED
        copies = chosen.randint(1, 3) if chosen.random() < DOUBLED else 0
        planned.append(Request(kind, value, cancel, copies))
    return planned


def _send(request: Request, api: Api, control: Control, limit: threading.Semaphore, summary: Summary) -> None:
    limit.acquire()
    request.request_id = api.accepted(request.value, model=MODEL)
    if request.cancel:
        request.cancelled = api.call("POST", f"/cancel/{request.request_id}", b"").status == 200
    for _ in range(request.copies):
        control.send(MODEL, control.message(request.request_id, request.value))
        summary.duplicates += 1


class Sampler:
    """Asks for every request's status again and again, also after it is final, as clients do."""

    def __init__(self, api: Api, planned: list[Request], summary: Summary) -> None:
        self._api = api
        self._planned = planned
        self._summary = summary
        self.on_final: Callable[[], None] = lambda: None

    def run(self, number: int, stopped: threading.Event) -> None:
        """Look at every `SAMPLERS`th request, from the one with this number on."""
        turn = 0
        while not stopped.is_set():
            known = [request for request in self._planned[number::SAMPLERS] if request.request_id]
            unfinished = [request for request in known if request.final is None]
            finished = [request for request in known if request.final is not None]
            # One that is open, one that is final, by turns.
            for requests in (unfinished, finished):
                if requests:
                    self.look_at(requests[turn % len(requests)])
            turn += 1
            stopped.wait(SAMPLE_SECONDS)

    def look_at_all(self) -> None:
        for request in self._planned:
            if request.request_id:
                self.look_at(request)

    def look_at(self, request: Request) -> None:
        response = self._api.status(request.request_id)
        self._summary.samples += 1
        body = response.body
        if request.final is not None:
            if body != request.final:
                request.changes.append(body)
        elif response.status == 200 and body["status"] in FINAL:
            request.final = body
            self.on_final()


def _check_outcomes(
    planned: list[Request], control: Control, predict: Callable[[list[dict[str, Any]]], list[Any]], summary: Summary
) -> None:
    accepted = [request for request in planned if request.request_id]
    summary.accepted = len(accepted)
    for request in accepted:
        final = request.final
        if final is None:
            summary.stuck += 1
            record = control.table.get(request.request_id, consistent=True)
            summary.problems.append(f"stuck: {record}")
            continue
        summary.changed += bool(request.changes)
        summary.problems += [f"changed: {final} became {change}" for change in request.changes]
        status, code = final["status"], (final["error"] or {}).get("code")
        summary.succeeded += status == "succeeded"
        summary.cancelled += status == "cancelled"
        summary.expired += status == "expired"
        summary.attempts[final["attempts"]] += 1
        summary.interrupted += request.kind == SUCCEEDS and final["attempts"] > 1
        if status == "failed":
            summary.failed[str(code)] += 1
            summary.lost += code in ("lost", "undelivered")
        wrong = _wrong(request, final, code, predict, control.record(request.request_id))
        if wrong:
            summary.wrong += 1
            summary.problems.append(f"wrong ({wrong}): {request.kind} {final}")
    still_open = {request.request_id for request in accepted} & control.open_ids()
    summary.left_over = len(still_open) + (not control.queues_empty(MODEL))


def _wrong(
    request: Request,
    final: dict[str, Any],
    code: str | None,
    predict: Callable[[list[dict[str, Any]]], list[Any]],
    record: Record,
) -> str | None:
    """What is not as it should be with a final request, or None."""
    if final["status"] != record.status:
        return f"the table says {record.status}"
    if record.attempts > record.attempt_limit or record.lease_until is not None:
        return "attempts or lease out of bounds"
    if request.cancelled:
        return None if final["status"] == "cancelled" else "its cancel was confirmed"
    if request.kind == SUCCEEDS:
        (expected,) = predict([{**request.value, "work_ms": 0}])
        if final["status"] != "succeeded":
            return "it should have succeeded"
        return None if final["result"] == expected else f"the model says {expected}"
    if (final["status"], code) != ("failed", EXPECTED_CODES[request.kind]):
        return "it should have failed as its poison does"
    return None


@contextlib.contextmanager
def _threads(*runs: Callable[[threading.Event], None]) -> Iterator[None]:
    """Run something beside the block, until its end; what it raises is raised here."""
    stopped, pool = threading.Event(), ThreadPoolExecutor(len(runs))
    futures = [pool.submit(run, stopped) for run in runs]
    try:
        yield
    finally:
        stopped.set()
        pool.shutdown()
    for future in futures:
        future.result()
