"""A request's way on the emulator, where a batch is claimed and finished in one PartiQL call each."""

from __future__ import annotations

import json

from tests.integration.system import System, calls_of, sentiment_of


def test_ten_requests_are_three_calls_and_all_succeed(emulated_system: System) -> None:
    system = emulated_system
    texts = [f"text {number}" for number in range(10)]
    ids = [system.predict({"text": text})["json"]["request_id"] for text in texts]
    with calls_of(system) as calls:
        assert system.run_worker() == []
    work = [call for call in calls if call not in ("ReceiveMessage", "DeleteMessage")]
    assert work == ["ChangeMessageVisibilityBatch", "BatchExecuteStatement", "BatchExecuteStatement"]
    assert len(system.model.passes) == 1
    for request_id, text in zip(ids, texts, strict=True):
        body = system.status(request_id)["json"]
        assert (body["status"], body["attempts"]) == ("succeeded", 1)
        assert body["result"] == sentiment_of({"text": text, "threshold": 0.5})


def test_one_bad_among_ten_comes_again_and_duplicates_are_dropped(emulated_system: System) -> None:
    system = emulated_system
    system.clear()
    ids = [system.predict({"text": f"text {number}"})["json"]["request_id"] for number in range(9)]
    message = json.dumps({"request_id": ids[0], "model": "sentiment"})
    system.sqs.send_message(QueueUrl=system.urls["sentiment"], MessageBody=message)
    assert len(system.run_worker()) == 1
    assert [system.status(request_id)["json"]["status"] for request_id in ids] == ["succeeded"] * 9
    system.clear()


def test_a_cancelled_request_among_others_is_dropped(emulated_system: System) -> None:
    system = emulated_system
    ids = [system.predict({"text": f"text {number}"}, key=f"c-{number}")["json"]["request_id"] for number in range(3)]
    assert system.cancel(ids[1])["json"]["status"] == "cancelled"
    with calls_of(system) as calls:
        assert system.run_worker() == []
    # The rejected claim brings its record along: nobody asks again.
    assert calls.count("BatchExecuteStatement") == 2
    assert "UpdateItem" not in calls
    assert [system.status(name)["json"]["status"] for name in ids] == ["succeeded", "cancelled", "succeeded"]
    assert len(system.model.passes[-1]) == 2
    system.clear()
