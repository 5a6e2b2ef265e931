"""The ends that no worker writes, as the api function shows them: undelivered and lost messages."""

from __future__ import annotations

import json

import pytest

from inference.store.request_queue import RequestQueue
from tests.events import golden
from tests.integration.api_calls import TEXT
from tests.integration.system import System
from tests.integration.terraform_definition import MAX_RECEIVE_COUNT


def test_an_undelivered_message_makes_its_request_failed(system: System) -> None:
    request_id = system.predict(TEXT)["json"]["request_id"]
    # Deliveries without a worker, until SQS moves the message to the dead-letter queue.
    for _ in range(MAX_RECEIVE_COUNT + 1):
        system.receive("sentiment")
        system.time_passes(0)
    assert (system.messages("sentiment"), system.messages("dlq")) == (0, 1)
    system.run_dead_letters()
    body = system.status(request_id)["json"]
    assert (body["status"], body["error"]["code"]) == ("failed", "undelivered")
    assert system.messages("dlq") == 0
    (kept,) = system.table.failed_with_input()
    assert json.loads(kept.input or "") == TEXT | {"threshold": 0.5}


def test_a_lost_message_makes_its_request_failed(system: System) -> None:
    request_id = system.predict(TEXT)["json"]["request_id"]
    system.settle("sentiment", system.receive("sentiment"), failed=[])
    assert system.sweep() == {"expired": 0, "lost": 0, "model_removed": 0, "possibly_lost": 0, "seen": 0, "passed": 0}
    system.clock.advance(901)
    assert system.sweep() == {"expired": 0, "lost": 0, "model_removed": 0, "possibly_lost": 1, "seen": 1, "passed": 1}
    system.clock.advance(60)
    assert system.sweep() == {"expired": 0, "lost": 1, "model_removed": 0, "possibly_lost": 0, "seen": 1, "passed": 0}
    assert system.status(request_id)["json"]["error"]["code"] == "lost"
    assert system.sweep()["seen"] == 0


def test_a_keyed_submit_that_died_is_accepted_again_after_its_request_was_lost(
    system: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*_: object) -> None:
        raise SystemExit

    with monkeypatch.context() as patch, pytest.raises(SystemExit):
        patch.setattr(RequestQueue, "send", die)
        system.predict(TEXT, key="k")
    for _ in range(2):
        system.clock.advance(1000)
        system.sweep()
    (lost,) = system.call(golden("http_requests") | {"queryStringParameters": {}})["json"]["requests"]
    assert (lost["status"], lost["error"]["code"]) == ("failed", "lost")
    again = system.predict(TEXT, key="k")
    assert (again["statusCode"], again["json"]["request_id"]) == (202, lost["request_id"])
    system.run_worker()
    final = system.status(lost["request_id"])["json"]
    assert (final["status"], final["attempts"], final["error"]) == ("succeeded", 1, None)
    assert system.predict(TEXT, key="k")["json"]["request_id"] == lost["request_id"]
    system.run_worker()
    assert system.status(lost["request_id"])["json"] == final


def test_a_message_that_is_waiting_loses_nothing(system: System) -> None:
    request_id = system.predict(TEXT)["json"]["request_id"]
    system.clock.advance(901)
    assert system.sweep() == {"expired": 0, "lost": 0, "model_removed": 0, "possibly_lost": 0, "seen": 1, "passed": 1}
    system.run_worker()
    assert system.status(request_id)["json"]["status"] == "succeeded"
