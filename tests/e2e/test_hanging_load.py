"""A deployed model that never ends to load: its requests say so, and end, as soon as the worker's timeout allows."""

from __future__ import annotations

import json
import time

from tests.e2e.conftest import E2E_MODELS, Addition
from tests.e2e.control import Control
from tests.e2e.http_client import Api
from tests.e2e.waiting import eventually
from worker.model.manifest import Manifest

MODEL = "hanging"
TIMEOUT_SECONDS = Manifest.read(E2E_MODELS / MODEL / "manifest.json").timeout_seconds
ATTEMPTS = 3
"""max_attempts of environments/local."""

START_SECONDS = 5
"""Until the message is delivered and the worker's process runs."""

RETRY_SECONDS = 3 + 5
"""The delays between three attempts, with the watchdog's part."""


def test_its_requests_are_told_in_one_timeout_and_end_after_their_attempts(
    api: Api, control: Control, addition: Addition
) -> None:
    # Lambda has killed the process in its INIT phase before it delivers the first message. The emulator has no such
    # phase of its own: this invocation is it.
    functions = addition.deployment.client("lambda")
    name = addition.deployment.output("function_names")[f"worker/{MODEL}"]
    killed = functions.invoke(FunctionName=name, Qualifier="live", Payload=b'{"source": "aws.events"}')
    assert "FunctionError" in killed, "the model has loaded"
    started = time.monotonic()
    request_id = api.accepted({"text": "a"}, model=MODEL)
    body = eventually(
        "the client sees why its request is not done",
        TIMEOUT_SECONDS + START_SECONDS,
        lambda: (found := api.status(request_id).body)["error"] and found,
    )
    told = time.monotonic() - started
    assert (body["status"], body["error"]["code"], body["attempts"]) == ("pending", "model_not_loaded", 1)
    outcome = api.outcome(request_id, ATTEMPTS * (TIMEOUT_SECONDS + START_SECONDS) + RETRY_SECONDS)
    print(f"\n{json.dumps(outcome['error'])}: told after {told:.1f} s, final after {time.monotonic() - started:.1f} s")
    assert (outcome["status"], outcome["error"]["code"]) == ("failed", "model_not_loaded")
    assert outcome["attempts"] == ATTEMPTS
    assert "Raise timeout_seconds" in outcome["error"]["message"]
    control.drained(MODEL)
