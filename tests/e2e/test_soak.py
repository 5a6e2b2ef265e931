"""`make soak`: SOAK_REQUESTS (500) requests planned by SOAK_SEED (1), and what came of them."""

from __future__ import annotations

import os

from scripts.local.emulator import Emulator
from tests.e2e.control import Control
from tests.e2e.http_client import Api
from tests.e2e.soak import run_soak

REQUESTS = int(os.environ.get("SOAK_REQUESTS", "500"))
SEED = int(os.environ.get("SOAK_SEED", "1"))


def test_soak(api: Api, control: Control, emulator: Emulator) -> None:
    summary = run_soak(api, control, emulator, REQUESTS, SEED)
    print(f"\nsoak of {REQUESTS} requests, seed {SEED}\n{summary.table()}")
    assert summary.accepted == REQUESTS
    assert (summary.lost, summary.stuck, summary.changed, summary.wrong) == (0, 0, 0, 0), "\n".join(summary.problems)
    assert summary.left_over == 0
    assert summary.succeeded + summary.failed.total() + summary.cancelled == REQUESTS
    # It was a soak, not a walk.
    assert summary.kills >= REQUESTS // 50
    assert summary.interrupted >= REQUESTS // 50
    assert summary.duplicates >= REQUESTS // 20
    assert set(summary.failed) == {"invalid_input", "model_error", "crashed"}
