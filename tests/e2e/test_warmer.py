"""The warmer: a rule whose pings keep environments of a function, which no one counts as traffic."""

from __future__ import annotations

from collections import Counter

from tests.e2e.conftest import ENVIRONMENTS
from tests.e2e.control import Control
from tests.e2e.http_client import Api
from tests.e2e.waiting import eventually

WORKER = "worker/kept"


def test_pings_start_as_many_environments_and_are_no_traffic(control: Control, api: Api) -> None:
    def environments() -> bool:
        return len(control.events(WORKER, "model_loaded", "model_loaded")) >= ENVIRONMENTS

    eventually("each environment has loaded the model", 150, environments)
    # Another round of pings: they find the environments that there are.
    pings = len(reports(control))
    eventually("three more pings have ended", 90, lambda: len(reports(control)) >= pings + ENVIRONMENTS)
    # The emulator's environments share one folder for temporary files: one that starts while another loads waits for a
    # ping to load, since it takes the other's marker for its own.
    logged = Counter(line["event"] for line in control.lines(WORKER, "event"))
    assert logged - Counter(load_deferred=ENVIRONMENTS) == {"model_loaded": ENVIRONMENTS}

    request_id = api.accepted({"text": "one two"}, "kept")
    assert api.outcome(request_id)["status"] == "succeeded"
    (finished,) = control.events(WORKER, "requests_succeeded", "requests_succeeded")
    assert not finished["cold_start"]
    metrics = control.events(WORKER, "metrics", "metrics")
    assert metrics
    assert not any("ColdStart" in line for line in metrics)


def reports(control: Control) -> list[str]:
    """The lines that Lambda writes at the end of each invocation."""
    return control.texts(WORKER, "REPORT RequestId")
