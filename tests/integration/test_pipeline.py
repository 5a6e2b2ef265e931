"""What an object in S3 becomes, with the real adapters: records, queues, a worker's reads, the API's answer."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from inference.aws import clients
from inference.aws.boto3_bucket import Boto3Bucket
from inference.batches import transitions
from inference.catalog import Catalog, PackagedModel
from inference.intake.intake import Intake
from inference.intake.results import Writer
from inference.intake.triggers import triggers_of
from inference.requests import Message
from inference.service import Limits
from inference.sources import ObjectChanged, Pin, Source
from inference.store.batch_table import BatchTable
from inference.store.expressions import to_attribute
from inference.store.payloads import Bucket, FileInfo, Payloads, files_to_json, request_key
from inference.store.request_queue import RequestQueue
from inference.store.results_place import ResultsPlace
from inference.telemetry import Telemetry
from scripts.stack_defaults import PAYLOAD_BUCKET
from tests.events import golden
from tests.integration.system import TABLE, System

BUCKET = "photos-of-the-pipeline"
TRIGGERS = {
    "uploads": {
        "bucket": BUCKET,
        "prefix": "in/",
        "suffix": "",
        "models": ["sentiment"],
        "caller": "anonymous",
        "place": None,
        "input": {"sentiment": {"text": "what a lovely day"}},
        "webhook": None,
        "results": {"bucket": BUCKET, "prefix": "out/"},
    }
}


@pytest.fixture
def bucket(system: System) -> Iterator[str]:
    system.s3.create_bucket(Bucket=BUCKET)
    system.s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
    yield BUCKET
    for found in system.s3.list_object_versions(Bucket=BUCKET).get("Versions", ()):
        system.s3.delete_object(Bucket=BUCKET, Key=found["Key"], VersionId=found["VersionId"])
    system.s3.delete_bucket(Bucket=BUCKET)


def put(system: System, key: str, content: bytes) -> Source:
    done = system.s3.put_object(Bucket=BUCKET, Key=key, Body=content)
    return Source(BUCKET, key, done["ETag"].strip('"'), len(content), f"{time.time_ns():016X}", done["VersionId"])


def event_of(source: Source) -> dict[str, Any]:
    found = {"key": source.key, "size": source.bytes, "etag": source.etag, "sequencer": source.sequencer}
    found |= {} if source.version_id is None else {"version-id": source.version_id}
    at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    event = {"source": "aws.s3", "detail-type": "Object Created", "time": at}
    body = json.dumps({**event, "detail": {"bucket": {"name": source.bucket}, "object": found}})
    return {"messageId": "1", "receiptHandle": "1", "body": body, "attributes": {"ApproximateReceiveCount": "1"}}


def intake(system: System) -> Intake:
    schema = {"type": "object"}
    packaged = PackagedModel("1.0.0", "A model.", schema, schema, None, 512, {"image": "bytes"})
    return Intake(
        triggers_of(json.dumps(TRIGGERS)),
        BatchTable(system.dynamodb, TABLE),
        system.table,
        lambda model: RequestQueue(system.sqs, system.urls[model]),
        Catalog({"sentiment": "sentiment"}, "sentiment", {"sentiment": packaged}, lambda _: lambda value: value),
        Limits(attempts=5, deadline=3600, retention=3600),
        Payloads(clients.bucket(PAYLOAD_BUCKET), link_seconds=0, max_upload_bytes=0),
        {},
        None,
        RequestQueue(system.sqs, system.urls["dlq"]),
        Telemetry("intake"),
    )


def parents(system: System) -> list[str]:
    found = system.dynamodb.scan(TableName=TABLE)["Items"]
    return [item["request_id"]["S"].removeprefix("batch/") for item in found if "seed" in item]


def test_the_status_of_a_parent_joins_its_requests(system: System, bucket: str) -> None:
    source = put(system, "in/a b+c.png", b"cat")
    assert intake(system).handle([event_of(source)], system.clock) == []
    assert intake(system).handle([event_of(source)], system.clock) == []
    (parent_id,) = parents(system)
    answer = system.status(parent_id)
    assert answer["statusCode"] == 200
    assert answer["headers"]["Retry-After"] == "1"
    body = answer["json"]
    assert body["status"] == "pending"
    assert body["source"] == source._asdict()
    request_id = body["models"]["sentiment"]["request_id"]
    assert system.status(request_id)["json"]["batch_id"] == parent_id
    (record,) = system.receive("sentiment")
    message = Message.from_body(record["body"])
    assert message.input["image"] == {"$ref": "/source"}
    assert Source.from_json(message.source or "") == source
    assert system.cancel_batch(parent_id)["statusCode"] == 200
    assert system.status(parent_id)["json"]["status"] == "cancelled"
    assert "Retry-After" not in system.status(parent_id)["headers"]


def test_another_callers_parent_is_unknown(system: System, bucket: str) -> None:
    intake(system).handle([event_of(put(system, "in/1.png", b"cat"))], system.clock)
    (parent_id,) = parents(system)
    batches = system.api.batches()
    assert batches.get(parent_id, "anonymous", system.clock()).trigger == "uploads"
    event = {"requestContext": {"authorizer": {"iam": {"userArn": "arn:aws:iam::1:user/you"}}}}
    answer = system.call(golden("http_status") | {"pathParameters": {"request_id": parent_id}} | event)
    assert answer["statusCode"] == 404


@pytest.mark.parametrize("kind", ["lean", "boto3"])
def test_an_object_is_read_as_it_was(system: System, bucket: str, kind: str) -> None:
    reader: Bucket = clients.bucket(BUCKET) if kind == "lean" else Boto3Bucket(system.s3, BUCKET)
    key = "in/ü +%20.png"
    first = put(system, key, b"first")
    put(system, key, b"second")
    found = reader.get(key, 1, 2, first.pin)
    assert found is not None
    assert (found.content, found.bytes) == (b"ir", 5)
    with pytest.raises(ObjectChanged):
        reader.get(key, pin=Pin(first.etag))
    assert f"versionId={first.version_id}" in reader.download_link(key, 900, first.version_id)
    assert "versionId" not in reader.download_link(key, 900)
    system.s3.delete_object(Bucket=BUCKET, Key=key, VersionId=first.version_id)
    assert reader.get(key, pin=first.pin) is None


def test_results_are_written_once_for_the_latest_object(system: System, bucket: str) -> None:
    triggers = triggers_of(json.dumps(TRIGGERS))
    place = ResultsPlace(system.s3, PAYLOAD_BUCKET)
    writer = Writer(triggers, system.table, place, Telemetry("results"))
    ids = []
    for content in (b"first", b"second"):
        intake(system).handle([event_of(put(system, "in/cat.png", content))], system.clock)
    batch_table = BatchTable(system.dynamodb, TABLE)
    found = [batch for batch in (batch_table.get(name) for name in parents(system)) if batch is not None]
    for number, batch in enumerate(sorted(found, key=lambda batch: Source.from_json(batch.source or "").sequencer)):
        record = system.table.get(batch.item_id(0), consistent=True)
        assert record is not None
        system.s3.put_object(Bucket=PAYLOAD_BUCKET, Key=request_key(record.request_id, "attempt-1/0"), Body=b"png")
        file = files_to_json([FileInfo("attempt-1/0", 3, "ab" * 32, "image/png")])
        done = record._replace(status="succeeded", finished_at=system.clock(), result=json.dumps(number), files=file)
        system.dynamodb.put_item(TableName=TABLE, Item=item_of(done))
        ids.append(record.request_id)
    for request_id in [ids[1], ids[0], ids[1]]:  # the earlier object's outcome comes late
        change = {"dynamodb": {"Keys": {"request_id": {"S": request_id}}, "SequenceNumber": "1"}}
        assert writer.handle([change]) == []
    stored = system.s3.get_object(Bucket=BUCKET, Key="out/in/cat.png/sentiment.json")
    document = json.loads(stored["Body"].read())
    assert (document["request_id"], document["result"], document["status"]) == (ids[1], 1, "succeeded")
    assert stored["ContentType"] == "application/json"
    (file,) = document["files"]
    picture = system.s3.get_object(Bucket=BUCKET, Key=file["key"])
    assert (picture["ContentType"], picture["Body"].read()) == ("image/png", b"png")
    assert file["key"] == "out/in/cat.png/sentiment-0.abababababab.png"


def test_files_that_were_erased_leave_no_document(system: System, bucket: str) -> None:
    place = ResultsPlace(system.s3, PAYLOAD_BUCKET)
    assert not place.copy("requests/none/attempt-1/0", BUCKET, "out/x.png", "image/png")
    assert place.written(BUCKET, "out/x.json") is None
    assert place.write(BUCKET, "out/x.json", b"{}", "1", None)
    assert not place.write(BUCKET, "out/x.json", b"{}", "1", None), "another has written it meanwhile"
    before = place.written(BUCKET, "out/x.json")
    assert before is not None
    assert before.sequencer == "1"
    assert place.write(BUCKET, "out/x.json", b"[]", "2", before)
    assert not place.write(BUCKET, "out/x.json", b"{}", "3", before)


def item_of(record: Any) -> dict[str, Any]:
    return {name: to_attribute(value) for name, value in record._asdict().items() if value not in (None, False)}


def test_a_confirmed_parent_is_left_alone(system: System, bucket: str) -> None:
    source = put(system, "in/2.png", b"cat")
    intake(system).handle([event_of(source)], system.clock)
    (parent_id,) = parents(system)
    table = BatchTable(system.dynamodb, TABLE)
    parent = table.get(parent_id)
    assert parent is not None
    assert parent.submit_id is None
    assert table.apply(transitions.confirm(parent._replace(submit_id="other"))) is None
