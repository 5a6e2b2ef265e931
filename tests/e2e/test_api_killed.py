"""The api function's processes are killed at random while clients submit with keys and repeat what got no answer."""

from __future__ import annotations

import contextlib
import itertools
import os
import random
import signal
import threading
import time
import uuid
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPException
from typing import Any

from scripts.local.emulator import Emulator
from tests.e2e.control import Control
from tests.e2e.http_client import Api, Response
from tests.e2e.killer import worker_processes
from tests.e2e.test_faults import right_answer
from tests.e2e.waiting import POLL_SECONDS

MODEL = "deliveries"
CLIENTS = 8
SEED = 20_261_125
SUBMIT_SECONDS = 30
PAUSE_SECONDS = 0.3
GIVE_UP_SECONDS = 25
"""A repeat waits for nothing but a new process, which takes long on a busy machine; and it is never answered 409."""


def _kill(emulator: Emulator, over: threading.Event, kills: list[int], accepted: dict[str, str]) -> None:
    """Kill a process after each few submits that were accepted: by the clock, a busy machine would get no further than
    starting processes."""
    chosen = random.Random(SEED)
    after = 1
    while not over.wait(chosen.uniform(0, 0.2)):
        processes = worker_processes(emulator, "api") if len(accepted) >= after else []
        if processes:
            after = len(accepted) + chosen.randint(1, 2 * CLIENTS)
            with contextlib.suppress(ProcessLookupError):
                kills.append(chosen.choice(processes))
                os.kill(kills[-1], signal.SIGKILL)


def _submit(api: Api, value: dict[str, Any], statuses: Counter[int]) -> str:
    """Submit with one key until it is accepted."""
    key, until = str(uuid.uuid4()), time.monotonic() + GIVE_UP_SECONDS
    while True:
        response: Response | None = None
        with contextlib.suppress(OSError, HTTPException):
            response = api.submit(value, MODEL, idempotency_key=key)
            statuses[response.status] += 1
            if response.status == 202:
                request_id: str = response.body["request_id"]
                return request_id
            assert response.status >= 500, response
        assert time.monotonic() < until, f"not accepted after {GIVE_UP_SECONDS} s: {response}"
        time.sleep(POLL_SECONDS)


def test_a_repeat_with_the_key_is_accepted_soon_and_has_one_outcome(
    api: Api, control: Control, emulator: Emulator
) -> None:
    over = threading.Event()
    kills: list[int] = []
    statuses: Counter[int] = Counter()
    accepted: dict[str, str] = {}
    until, run = time.monotonic() + SUBMIT_SECONDS, str(uuid.uuid4())

    def client(number: int) -> None:
        for count in itertools.count():
            if time.monotonic() > until:
                break
            text = f"{run} {number} {count}"
            accepted[text] = _submit(api, {"text": text, "work_ms": 0}, statuses)
            time.sleep(PAUSE_SECONDS)

    killer = threading.Thread(target=_kill, args=(emulator, over, kills, accepted))
    killer.start()
    try:
        with ThreadPoolExecutor(CLIENTS) as pool:
            list(pool.map(client, range(CLIENTS)))
    finally:
        over.set()
        killer.join()
    print(f"{len(accepted)} accepted, {len(kills)} kills, answers {dict(statuses)}")
    assert kills
    assert len(set(accepted.values())) == len(accepted)
    for text, request_id in accepted.items():
        outcome = api.outcome(request_id)
        assert (outcome["status"], outcome["result"]) == ("succeeded", right_answer(text))
    control.drained(MODEL)
    computed = Counter(text for line in control.events(f"worker/{MODEL}", "computed", run) for text in line["texts"])
    assert computed == dict.fromkeys(accepted, 1)
