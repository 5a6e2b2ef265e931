"""Batches through the packaged functions: HTTP's event in, rows and messages in moto, workers between."""

from __future__ import annotations

import json
from typing import Any

import pytest

from inference.requests import new_request_id
from inference.store.request_queue import RequestQueue
from scripts.stack_defaults import PAYLOAD_BUCKET
from tests.events import golden
from tests.integration.aws_faults import ALWAYS, KINDS, AwsFault, injected
from tests.integration.system import BatchesContext, System

LOVELY, WORST = {"text": "what a lovely day"}, {"text": "worst delay of my life"}


def submitted(system: System, *items: Any, key: str | None = None) -> dict[str, Any]:
    response = system.submit_batch(*items, key=key)
    assert response["statusCode"] == 202, response
    assert response["headers"]["Location"] == response["json"]["poll_url"]
    answer: dict[str, Any] = response["json"]
    return answer


def counts(system: System, accepted: dict[str, Any]) -> dict[str, int]:
    found = system.batch(f"{accepted['poll_url']}?limit=0")["json"]["counts"]
    return {status: count for status, count in found.items() if count}


def test_a_batch_from_its_submit_to_its_results(system: System) -> None:
    accepted = submitted(system, *[LOVELY, WORST] * 6)
    assert (accepted["total"], len(set(accepted["request_ids"])), system.messages()) == (12, 12, 12)
    assert counts(system, accepted) == {"pending": 12}
    system.run_worker()
    assert counts(system, accepted) == {"pending": 2, "succeeded": 10}
    system.run_worker()
    response = system.batch(accepted["poll_url"])
    shown = response["json"]
    assert (shown["status"], shown["counts"]["succeeded"], shown["next"]) == ("finished", 12, None)
    assert "Retry-After" not in response["headers"]
    assert [item["request_id"] for item in shown["items"]] == accepted["request_ids"]
    assert [item["result"]["prediction"] for item in shown["items"]] == ["positive", "negative"] * 6
    single = system.status(accepted["request_ids"][1])["json"]
    assert (single["batch_id"], single["result"]) == (accepted["batch_id"], shown["items"][1]["result"])
    assert shown["finished_at"] == max(system.status(name)["json"]["finished_at"] for name in accepted["request_ids"])


def test_pages_follow_next(system: System) -> None:
    accepted = submitted(system, *[LOVELY] * 5)
    url, seen = f"{accepted['poll_url']}?limit=2", []
    while url:
        page = system.batch(url)["json"]
        assert len(page["items"]) <= 2
        seen += [item["index"] for item in page["items"]]
        url = page["next"]
    assert seen == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("query", ["limit=101", "limit=-1", "limit=x", "cursor=x", "cursor=1234567"])
def test_a_query_that_is_not_valid(system: System, query: str) -> None:
    accepted = submitted(system, LOVELY)
    assert system.batch(f"{accepted['poll_url']}?{query}")["json"]["type"] == "/problems/invalid-query"


def test_all_errors_are_told_and_nothing_is_accepted(system: System) -> None:
    response = system.submit_batch(LOVELY, {"text": ""}, {"text": {"$ref": "http://169.254.169.254/"}}, LOVELY)
    assert (response["statusCode"], response["json"]["type"]) == (422, "/problems/invalid-items")
    assert [error["index"] for error in response["json"]["errors"]] == [1, 2]
    assert (system.records(), system.messages()) == ({}, 0)


@pytest.mark.parametrize("body", ["[]", '{"items": {}}', '{"items": [{}], "more": 1}', '{"item": []}', "7"])
def test_a_body_that_is_no_batch(system: System, body: str) -> None:
    response = system.call(golden("http_batch") | {"body": body})
    assert response["json"]["type"] == "/problems/invalid-batch"


def test_the_webhook_of_a_batch(system: System) -> None:
    event = golden("http_batch")
    for url, status in (("http://example.com/", 400), ("none", 202), ("https://example.com/", 202)):
        event["headers"]["webhook-url"] = url
        answer = system.call(event)
        assert answer["statusCode"] == status
    shown = system.batch(answer["json"]["poll_url"])["json"]["webhook"]
    assert shown == {"url": "https://example.com/", "state": "waiting", "attempts": [], "next_attempt_at": None}


def test_the_batchs_record_is_no_request(system: System) -> None:
    accepted = submitted(system, LOVELY)
    assert system.status(f"batch/{accepted['batch_id']}")["statusCode"] == 404
    assert system.status(accepted["batch_id"])["statusCode"] == 404
    assert system.batch("/batches/" + accepted["request_ids"][0])["statusCode"] == 404
    listed = system.requests()["json"]["requests"]
    assert [(each["request_id"], each["batch_id"]) for each in listed] == [
        (accepted["request_ids"][0], accepted["batch_id"])
    ]
    system.time_passes(10_000)
    assert system.sweep()["seen"] == 1


def test_a_key_gives_the_same_batch(system: System) -> None:
    first = submitted(system, LOVELY, WORST, key="k")
    assert submitted(system, LOVELY, WORST, key="k") == first
    assert system.messages() == 2
    response = system.submit_batch(LOVELY, key="k")
    assert (response["json"]["type"], response["json"]["batch_id"]) == (
        "/problems/idempotency-key-reused",
        first["batch_id"],
    )


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("operation", ["PutItem", "SendMessageBatch"])
def test_where_aws_fails_nothing_stays_pending(system: System, operation: str, kind: str) -> None:
    with injected(AwsFault(operation, kind, times=ALWAYS)):
        assert system.submit_batch(LOVELY, WORST, key="k")["statusCode"] == 503
    assert {record.status for record in system.records().values()} <= {"cancelled"}
    accepted = submitted(system, LOVELY, WORST, key="k")
    system.run_worker()
    assert counts(system, accepted) == {"succeeded": 2}


def test_cancel(system: System) -> None:
    accepted = submitted(system, LOVELY, WORST)
    response = system.cancel_batch(accepted["batch_id"])
    assert (response["json"]["status"], response["json"]["counts"]["cancelled"]) == ("finished", 2)
    assert response["json"]["cancelled_at"] is not None
    assert system.cancel_batch(accepted["batch_id"])["statusCode"] == 200
    system.run_worker()
    assert (counts(system, accepted), system.model.passes) == ({"cancelled": 2}, [])


def test_a_keyed_batch_that_died_is_accepted_again_after_its_items_were_lost(
    system: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*_: object) -> None:
        raise SystemExit

    with monkeypatch.context() as patch, pytest.raises(SystemExit):
        patch.setattr(RequestQueue, "send_many", die)
        system.submit_batch(LOVELY, WORST, key="k")
    for _ in range(2):
        system.clock.advance(1000)
        system.sweep()
    lost = system.requests()["json"]["requests"]
    assert [request["error"]["code"] for request in lost] == ["lost", "lost"]
    accepted = submitted(system, LOVELY, WORST, key="k")
    assert {request["request_id"] for request in lost} == set(accepted["request_ids"])
    system.run_worker()
    shown = system.batch(accepted["poll_url"])["json"]
    assert [item["result"]["prediction"] for item in shown["items"]] == ["positive", "negative"]
    assert submitted(system, LOVELY, WORST, key="k") == accepted
    assert system.messages() == 0


def test_an_unchanged_batch_has_no_body(system: System) -> None:
    accepted = submitted(system, LOVELY)
    first = system.batch(accepted["poll_url"])
    assert first["headers"]["Cache-Control"] == "private, no-cache"
    system.run_worker()
    assert system.batch(accepted["poll_url"])["headers"]["ETag"] != first["headers"]["ETag"]


def lines_of(*items: Any) -> bytes:
    return "".join(json.dumps(item) + "\n" for item in items).encode()


def test_a_file_from_its_upload_to_its_results(system: System) -> None:
    accepted = system.submit_file(lines_of(*[LOVELY, WORST] * 6))
    assert (accepted["statusCode"], accepted["json"]["status"], accepted["json"]["request_ids"]) == (
        202,
        "checking",
        None,
    )
    url = accepted["json"]["poll_url"]
    assert system.batch(url)["json"]["total"] is None
    system.run_batches()
    assert (counts(system, accepted["json"]), system.messages()) == ({"pending": 12}, 12)
    assert not [key for key in system.objects() if key.startswith("uploads/")]
    for _ in range(2):
        system.run_worker()
    shown = system.batch(url)["json"]
    assert (shown["status"], shown["total"], shown["counts"]["succeeded"]) == ("finished", 12, 12)
    assert [item["result"]["prediction"] for item in shown["items"]] == ["positive", "negative"] * 6
    assert system.status(shown["items"][0]["request_id"])["json"]["batch_id"] == shown["batch_id"]
    assert system.receive("batches") == []


def test_a_file_is_continued_by_the_next_invocation(system: System) -> None:
    accepted = system.submit_file(lines_of(*[LOVELY] * 230))["json"]
    for _ in range(12):
        system.run_batches(BatchesContext(steps=2))
    assert system.batch(f"{accepted['poll_url']}?limit=0")["json"]["status"] == "running"
    assert (counts(system, accepted), system.messages()) == ({"pending": 230}, 230)


def test_lines_that_are_not_valid(system: System) -> None:
    accepted = system.submit_file(lines_of(LOVELY, {"text": ""}, LOVELY) + b"{\n")["json"]
    system.run_batches()
    shown = system.batch(accepted["poll_url"])["json"]
    assert (shown["status"], shown["error_count"]) == ("rejected", 2)
    assert [(error["index"], error["line"]) for error in shown["errors"]] == [(1, 2), (3, 4)]
    assert (shown["items"], counts(system, accepted), system.messages()) == ([], {}, 0)
    again = system.cancel_batch(accepted["batch_id"])
    assert (again["statusCode"], again["json"]["batch_status"]) == (409, "rejected")


def test_a_file_that_is_erased_before_it_is_read(system: System) -> None:
    accepted = system.submit_file(lines_of(LOVELY))["json"]
    for key in system.objects():
        system.s3.delete_object(Bucket=PAYLOAD_BUCKET, Key=key)
    system.run_batches()
    shown = system.batch(accepted["poll_url"])["json"]
    assert (shown["status"], "The uploaded file is gone" in shown["reason"]) == ("failed", True)


def test_a_file_is_cancelled(system: System) -> None:
    accepted = system.submit_file(lines_of(*[LOVELY] * 120))["json"]
    system.run_batches(BatchesContext(steps=3))
    assert system.cancel_batch(accepted["batch_id"])["json"]["status"] == "creating"
    for _ in range(3):
        system.run_batches()
    shown = system.batch(f"{accepted['poll_url']}?limit=0")["json"]
    assert (shown["status"], counts(system, accepted)) == ("finished", {"cancelled": 100, "not_created": 20})


def test_a_file_in_the_dead_letter_queue_ends_with_a_reason(system: System) -> None:
    accepted = system.submit_file(lines_of(LOVELY))["json"]
    (record,) = system.receive("batches")
    system.sqs.send_message(QueueUrl=system.urls["dlq"], MessageBody=record["body"])
    system.run_dead_letters()
    shown = system.batch(accepted["poll_url"])["json"]
    assert (shown["status"], "could not work on the file" in shown["reason"]) == ("failed", True)


def test_a_file_again_with_its_key(system: System) -> None:
    reference = system.upload(lines_of(LOVELY), "application/x-ndjson")
    event = golden("http_batch") | {"body": json.dumps({"items": reference})}
    event["headers"]["idempotency-key"] = "k"
    first = system.call(event)["json"]
    system.run_batches()
    assert system.call(event)["json"] == first
    assert (counts(system, first), system.messages("batches")) == ({"pending": 1}, 0)


@pytest.mark.parametrize("reference", [{"$ref": 1}, {"$ref": "/uploads/x"}, {"$ref": f"/uploads/{new_request_id()}"}])
def test_a_reference_to_no_upload(system: System, reference: Any) -> None:
    response = system.call(golden("http_batch") | {"body": json.dumps({"items": reference})})
    assert (response["statusCode"], response["json"]["type"]) == (422, "/problems/invalid-reference")


def test_an_upload_that_is_no_file_of_lines(system: System) -> None:
    reference = system.upload(b"[]", "application/json")
    response = system.call(golden("http_batch") | {"body": json.dumps({"items": reference})})
    assert "application/jsonl or application/x-ndjson" in response["json"]["detail"]
