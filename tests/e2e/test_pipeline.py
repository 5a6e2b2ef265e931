"""Objects in S3 through the real functions, with IAM enforced: two models, results behind CloudFront, one webhook.

It has a deployment of its own, which is applied once. The emulator's events have no version: `If-Match` alone protects.
"""

from __future__ import annotations

import contextlib
import http.client
import io
import json
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from PIL import Image

from scripts.deployment.terraform import terraform_env
from scripts.local.emulator import Emulator
from scripts.local.pipeline_pictures import PICTURES
from tests.e2e.conftest import KEPT, aimed_at
from tests.e2e.deployment import Deployment
from tests.e2e.http_client import FINAL, Api
from tests.e2e.waiting import eventually
from tests.e2e.webhooks import Hooks, verified, webhooks
from tests.integration.receivers import Receiver
from tests.provider_process import running_provider

PREFIX = "inference-pipeline"
FOREIGN = "photos-of-the-user"
SECONDS = 90
HOOK = "/parents"
SMALL = {"maximum_concurrency": 2, "timeout_seconds": 15}


@dataclass(frozen=True)
class Pipeline:
    """The deployment, from outside."""

    deployment: Deployment
    emulator: Emulator
    hooks: Hooks

    @property
    def api(self) -> Api:
        return Api(self.deployment.base_url)

    @property
    def bucket(self) -> str:
        name: str = self.deployment.output("triggers")["pictures"]["bucket"]
        return name

    @property
    def s3(self) -> Any:
        return self.deployment.client("s3")

    def put(self, key: str, content: bytes, bucket: str | None = None) -> None:
        self.s3.put_object(Bucket=bucket or self.bucket, Key=key, Body=content, ContentType="image/png")

    def parents(self, key: str) -> list[str]:
        """The ids of the parents of a key, by the batch of their requests, oldest first."""
        found = self.api.call("GET", "/requests?limit=100").body["requests"]
        ids = list(dict.fromkeys(each["batch_id"] for each in found if each["batch_id"]))
        documents = [self.api.status(parent_id).body for parent_id in ids]
        return [each["request_id"] for each in reversed(documents) if each["source"]["key"] == key]

    def parent(self, key: str) -> str:
        (parent_id,) = eventually(f"the parent of {key}", SECONDS, lambda: self.parents(key))
        return parent_id

    def object(self, key: str, bucket: str | None = None) -> Any:
        """An object of the results; None: it is not there."""
        listed = self.s3.list_objects_v2(Bucket=bucket or self.bucket, Prefix=key).get("Contents", ())
        if not any(found["Key"] == key for found in listed):
            return None
        return self.s3.get_object(Bucket=bucket or self.bucket, Key=key)

    def erase(self, key: str) -> None:
        """Delete an object and its results with all versions: the provider can't delete unusual keys from the
        emulator."""
        for prefix in (key, f"out/{key}/"):
            for found in self.s3.list_object_versions(Bucket=self.bucket, Prefix=prefix).get("Versions", ()):
                self.s3.delete_object(Bucket=self.bucket, Key=found["Key"], VersionId=found["VersionId"])

    def document(self, key: str) -> Any:
        found = eventually(key, SECONDS, lambda: self.object(key))
        return json.loads(found["Body"].read())

    def send(self, body: str) -> None:
        """A message to the intake, as the rule sends one."""
        queue = self.deployment.output("intake_queue_url").rpartition("/")[2]
        sqs = self.deployment.client("sqs")
        sqs.send_message(QueueUrl=sqs.get_queue_url(QueueName=queue)["QueueUrl"], MessageBody=body)

    def dead_letters(self) -> list[str]:
        queue = self.deployment.output("intake_dead_letter_queue_url").rpartition("/")[2]
        sqs = self.deployment.client("sqs")
        url = sqs.get_queue_url(QueueName=queue)["QueueUrl"]
        answer = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, VisibilityTimeout=1)
        return [message["Body"] for message in answer.get("Messages", ())]

    @contextlib.contextmanager
    def workers_stopped(self) -> Iterator[None]:
        """No worker gets a message within the block."""
        functions = self.deployment.client("lambda")
        names = [name for role, name in self.deployment.output("function_names").items() if role.startswith("worker/")]
        mappings = [
            mapping["UUID"]
            for mapping in functions.list_event_source_mappings()["EventSourceMappings"]
            if any(f":{name}:" in mapping["FunctionArn"] for name in names)
        ]
        assert len(mappings) == len(names)
        for mapping in mappings:
            functions.update_event_source_mapping(UUID=mapping, Enabled=False)
        try:
            yield
        finally:
            for mapping in mappings:
                functions.update_event_source_mapping(UUID=mapping, Enabled=True)


@pytest.fixture(scope="module")
def pipeline(emulator: Emulator, tree: Path, provider_binary: Path) -> Iterator[Pipeline]:
    """Applied, and destroyed at the end."""
    place = tree / "terraform" / "environments" / "pipeline"
    ignored = shutil.ignore_patterns(".terraform*", "*.tfstate*", "*_override.tf*")
    shutil.copytree(place.with_name("local"), place, ignore=ignored, dirs_exist_ok=True)
    env = emulator.client_env(terraform_env())
    with (
        Receiver().running() as receiver,
        aimed_at(emulator),
        running_provider(provider_binary, place, env) as provider,
    ):
        pipeline = Pipeline(Deployment(place, emulator, tree, provider), emulator, Hooks(receiver))
        if not any(bucket["Name"] == FOREIGN for bucket in pipeline.s3.list_buckets()["Buckets"]):
            pipeline.s3.create_bucket(Bucket=FOREIGN)
            pipeline.s3.put_bucket_notification_configuration(
                Bucket=FOREIGN, NotificationConfiguration={"EventBridgeConfiguration": {}}
            )
        pipeline.deployment.override(
            name_prefix=PREFIX,
            models={"sentiment": SMALL, "thumbnail": SMALL, "shapes": SMALL},
            webhooks=webhooks(pipeline.deployment),
            triggers={
                "pictures": {
                    "prefix": "in/",
                    "suffix": ".png",
                    "models": ["thumbnail", "shapes"],
                    "input": {"thumbnail": {"size": 64}},
                    "webhook": pipeline.hooks.url(HOOK),
                    "results": {"prefix": "out/", "cdn": {}},
                },
                "foreign": {"bucket": FOREIGN, "prefix": "", "models": ["shapes"], "webhook": "none"},
            },
        )
        pipeline.deployment.apply()
        yield pipeline
        if not KEPT:
            pipeline.deployment.destroy()
            for found in pipeline.s3.list_objects_v2(Bucket=FOREIGN).get("Contents", ()):
                pipeline.s3.delete_object(Bucket=FOREIGN, Key=found["Key"])
            pipeline.s3.delete_bucket(Bucket=FOREIGN)
            assert PREFIX not in str(pipeline.deployment.left())


def test_pictures_become_thumbnails_and_labels(pipeline: Pipeline) -> None:
    for name, draw in PICTURES.items():
        pipeline.put(f"in/{name}", draw())
    for name in PICTURES:
        key = f"in/{name}"
        shapes, small = (pipeline.document(f"out/{key}/{model}.json") for model in ("shapes", "thumbnail"))
        assert shapes["result"]["label"] == name.partition("-")[2].removesuffix(".png")
        (file,) = small["files"]
        stored = pipeline.object(file["key"])
        assert stored["ContentType"] == "image/jpeg"
        assert Image.open(io.BytesIO(stored["Body"].read())).size == (64, 48)
        parent = pipeline.api.outcome(small["parent_id"], SECONDS)
        assert parent["status"] == "succeeded"
        assert parent["source"]["key"] == key
        assert parent["models"]["shapes"]["result"] == shapes["result"]
        (link,) = parent["models"]["thumbnail"]["files"]
        assert link["sha256"] == file["sha256"]
    documents = eventually("the webhooks", SECONDS, lambda: _all_announced(pipeline))
    assert {document["status"] for document in documents} == {"succeeded"}
    assert sorted(document["source"]["key"] for document in documents) == sorted(f"in/{name}" for name in PICTURES)


def _all_announced(pipeline: Pipeline) -> list[dict[str, Any]] | None:
    got = [verified(received) for received in pipeline.hooks.got(HOOK)]
    return got if len(got) >= len(PICTURES) else None


def test_a_key_with_unusual_characters(pipeline: Pipeline) -> None:
    key = "in/a+b %20 ü&=?#.png"
    pipeline.put(key, PICTURES["night-star.png"]())
    assert pipeline.api.outcome(pipeline.parent(key), SECONDS)["status"] == "succeeded"
    assert pipeline.document(f"out/{key}/shapes.json")["result"]["label"] == "star"
    assert pipeline.document(f"out/{key}/thumbnail.json")["status"] == "succeeded"
    pipeline.erase(key)


def test_an_event_that_comes_twice_makes_no_second_request(pipeline: Pipeline) -> None:
    key = "in/twice.png"
    pipeline.put(key, PICTURES["flag-cross.png"]())
    parent = pipeline.api.outcome(pipeline.parent(key), SECONDS)
    source = parent["source"]
    found = {"key": key, "size": source["bytes"], "etag": source["etag"], "sequencer": source["sequencer"]}
    at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    event = {"source": "aws.s3", "detail-type": "Object Created", "time": at}
    body = json.dumps({**event, "detail": {"bucket": {"name": pipeline.bucket}, "object": found}})
    for _ in range(3):
        pipeline.send(body)
    pipeline.put("in/after.png", PICTURES["flag-cross.png"]())  # its event comes after them
    pipeline.api.outcome(pipeline.parent("in/after.png"), SECONDS)
    assert pipeline.parents(key) == [parent["request_id"]]
    again = pipeline.api.status(parent["request_id"]).body
    assert again["finished_at"] == parent["finished_at"]
    assert [each["attempts"] for each in again["models"].values()] == [1, 1]


def test_an_object_that_is_overwritten_or_deleted_before_it_is_read(pipeline: Pipeline) -> None:
    with pipeline.workers_stopped():
        pipeline.put("in/swapped.png", PICTURES["night-star.png"]())
        first = pipeline.parent("in/swapped.png")
        pipeline.put("in/gone.png", PICTURES["night-star.png"]())
        gone = pipeline.parent("in/gone.png")
        pipeline.put("in/swapped.png", PICTURES["sun-circle.png"]())
        eventually("the second parent", SECONDS, lambda: len(pipeline.parents("in/swapped.png")) == 2)
        pipeline.s3.delete_object(Bucket=pipeline.bucket, Key="in/gone.png")
    (second,) = set(pipeline.parents("in/swapped.png")) - {first}
    assert pipeline.api.outcome(second, SECONDS)["models"]["shapes"]["result"]["label"] == "circle"
    for parent_id, text in ((first, "overwritten"), (gone, "deleted")):
        parent = pipeline.api.outcome(parent_id, SECONDS)
        assert parent["status"] == "failed"
        for each in parent["models"].values():
            assert (each["error"]["code"], each["attempts"]) == ("input_unavailable", 1)
            assert text in each["error"]["message"]
    assert pipeline.document("out/in/gone.png/shapes.json")["error"]["code"] == "input_unavailable"
    eventually(
        "the results of the later object",
        SECONDS,
        lambda: pipeline.document("out/in/swapped.png/shapes.json")["parent_id"] == second,
    )


def test_one_model_that_can_not_read_it_fails_alone(pipeline: Pipeline) -> None:
    pipeline.put("in/text.png", b"no picture")
    parent = pipeline.api.outcome(pipeline.parent("in/text.png"), SECONDS)
    assert {each["error"]["code"] for each in parent["models"].values()} == {"invalid_input"}
    pipeline.put("in/empty.png", b"")
    assert pipeline.api.outcome(pipeline.parent("in/empty.png"), SECONDS)["status"] == "failed"


def test_an_existing_bucket_without_results(pipeline: Pipeline) -> None:
    pipeline.put("anything", PICTURES["sign-triangle.png"](), FOREIGN)
    parent = pipeline.api.outcome(pipeline.parent("anything"), SECONDS)
    assert parent["trigger"] == "foreign"
    assert parent["models"]["shapes"]["result"]["label"] == "triangle"


def test_what_is_no_event_of_a_trigger_is_a_dead_letter_and_stops_nothing(pipeline: Pipeline) -> None:
    pipeline.send("no event")
    pipeline.put("in/beside.png", PICTURES["ring-circle.png"]())
    assert pipeline.api.outcome(pipeline.parent("in/beside.png"), SECONDS)["status"] == "succeeded"
    eventually("the dead letter", SECONDS, lambda: "no event" in pipeline.dead_letters())


def test_a_parent_is_cancelled_as_a_batch(pipeline: Pipeline) -> None:
    with pipeline.workers_stopped():
        pipeline.put("in/cancelled.png", PICTURES["ring-circle.png"]())
        parent_id = pipeline.parent("in/cancelled.png")
        assert pipeline.api.call("POST", f"/batches/{parent_id}/cancel", b"").status == 200
        assert pipeline.api.status(parent_id).body["status"] == "cancelled"
    assert pipeline.api.status(parent_id).body["status"] in FINAL


def test_results_are_read_through_the_cdn_alone(pipeline: Pipeline) -> None:
    """The emulator serves a distribution by its host name."""
    results = pipeline.deployment.output("triggers")["pictures"]["results"]
    host = urlsplit(results["url"]).hostname
    key = "out/in/night-star.png/shapes.json"
    pipeline.document(key)
    address = urlsplit(pipeline.emulator.endpoint)
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=20)
    with contextlib.closing(connection):
        connection.request("GET", f"/{key}", headers={"Host": host or "", "X-Forwarded-Proto": "https"})
        answer = connection.getresponse()
        assert answer.status == 200
        assert json.loads(answer.read())["result"]["label"] == "star"
    policy = json.loads(pipeline.s3.get_bucket_policy(Bucket=pipeline.bucket)["Policy"])
    (statement,) = policy["Statement"]
    assert statement["Principal"] == {"Service": "cloudfront.amazonaws.com"}
    assert statement["Resource"] == f"arn:aws:s3:::{pipeline.bucket}/out/*"


def test_nothing_would_change(pipeline: Pipeline) -> None:
    assert pipeline.deployment.changes() == {}
