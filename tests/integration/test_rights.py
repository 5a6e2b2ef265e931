"""Each role can do all that its function does, and nothing more: without any one of its rights, a scenario fails."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, ClassVar

import pytest
from botocore.exceptions import ClientError

from inference.aws import clients
from inference.aws.boto3_bucket import Boto3Bucket
from inference.batches import creation
from inference.errors import Unavailable
from inference.store import payloads
from inference.sweep import SETTLE_MS
from scripts.operate import api_keys
from scripts.stack_defaults import PAYLOAD_BUCKET
from tests.integration.limited_system import LimitedSystem, Right
from tests.integration.system import GRACE_SECONDS, PREFIX, BatchesContext, Sentiment, calls_of
from tests.rights import Rights, rights, via
from worker.model.errors import ArtifactError

ACCOUNT = "000000000000"
REGION = "us-east-1"
KEY, ARTIFACT_KEY = (f"arn:aws:kms:{REGION}:{ACCOUNT}:key/{name}" for name in ("stack", "artifacts"))
BUCKET, OBJECT, CONTENT = "models-of-the-rights", "sentiment/1.onnx", b"weights"
RIGHTS = rights(
    PREFIX,
    REGION,
    ACCOUNT,
    ["sentiment"],
    key=KEY,
    artifact=(BUCKET, OBJECT),
    artifact_key=ARTIFACT_KEY,
    payload_bucket=PAYLOAD_BUCKET,
    api_keys=True,
)
PAYLOADS = f"arn:aws:s3:::{PAYLOAD_BUCKET}"
REQUESTS, UPLOADS = f"{PAYLOADS}/requests/*", f"{PAYLOADS}/uploads/*"
BATCH_QUEUE = f"arn:aws:sqs:{REGION}:{ACCOUNT}:{PREFIX}-batches"
TEXT = {"text": "what a lovely day"}


@pytest.fixture(scope="module")
def limited_system(on_emulator: None, package: Path, module_patch: pytest.MonkeyPatch) -> Iterator[LimitedSystem]:
    # The lean client has no events, by which calls are checked.
    module_patch.setattr(clients, "lean_client", clients.client)
    module_patch.setattr(clients, "bucket", cache(lambda name, *_: Boto3Bucket(clients.client("s3"), name)))
    system = LimitedSystem(package, module_patch, statements=25)
    system.limit(ACCOUNT, RIGHTS, KEY, ARTIFACT_KEY)
    system.s3.create_bucket(Bucket=BUCKET)
    yield system
    system.remove()
    system.s3.delete_bucket(Bucket=BUCKET)


@pytest.fixture
def system(limited_system: LimitedSystem) -> Iterator[LimitedSystem]:
    yield limited_system
    limited_system.rights = RIGHTS
    limited_system.broken = ()
    limited_system.denied.clear()
    limited_system.clear()
    limited_system.s3.delete_object(Bucket=BUCKET, Key=OBJECT)


def submit(system: LimitedSystem) -> str:
    answer = system.predict(TEXT)
    assert answer["statusCode"] == 202
    request_id: str = answer["json"]["request_id"]
    return request_id


def a_request_is_accepted_and_cancelled(system: LimitedSystem) -> None:
    request_id = submit(system)
    assert system.status(request_id)["json"]["status"] == "pending"
    assert system.cancel(request_id)["json"]["status"] == "cancelled"


def a_caller_lists_its_requests(system: LimitedSystem) -> None:
    request_id = submit(system)
    answer = system.requests()
    assert answer["statusCode"] == 200
    assert [each["request_id"] for each in answer["json"]["requests"]] == [request_id]


def a_submit_that_sqs_rejects_leaves_no_record(system: LimitedSystem) -> None:
    system.broken = ("SendMessage",)
    assert system.predict(TEXT)["statusCode"] == 503
    assert system.records() == {}


def one_request_succeeds(system: LimitedSystem) -> None:
    request_id = submit(system)
    assert system.run_worker() == []
    assert system.status(request_id)["json"]["status"] == "succeeded"
    assert system.messages() == 0


def a_batch_is_three_calls(system: LimitedSystem) -> None:
    ids = [submit(system) for _ in range(3)]
    with calls_of(system) as calls:
        assert system.run_worker() == []
    made = [call for call in calls if call not in ("GetQueueAttributes", "ReceiveMessage", "DeleteMessage")]
    assert made == ["ChangeMessageVisibilityBatch", "BatchExecuteStatement", "BatchExecuteStatement"]
    assert [system.status(request_id)["json"]["status"] for request_id in ids] == ["succeeded"] * 3


def a_dead_letter_ends_its_request_with_the_reason(system: LimitedSystem) -> None:
    request_id = submit(system)
    records = system.receive("sentiment")
    with pytest.raises(KeyboardInterrupt):
        system.stop_in_predict(records)
    invocation = system.records()[request_id].invocation_id
    system.log("worker-sentiment", f"START RequestId: {invocation}", "MemoryError")
    system.sqs.send_message(QueueUrl=system.urls["dlq"], MessageBody=records[0]["body"])
    system.time_passes(400)
    system.run_dead_letters()
    answer = system.status(request_id)["json"]
    assert answer["status"] == "failed"
    assert answer["error"]["code"] == "out_of_memory"
    assert system.messages("dlq") == 0


def a_lost_request_is_ended(system: LimitedSystem) -> None:
    request_id = submit(system)
    system.sqs.purge_queue(QueueUrl=system.urls["sentiment"])
    system.time_passes(GRACE_SECONDS + 1)
    assert system.sweep()["possibly_lost"] == 1
    system.time_passes(SETTLE_MS / 1000 + 1)
    assert system.sweep()["lost"] == 1
    assert system.status(request_id)["json"]["error"]["code"] == "lost"


def submitted_batch(system: LimitedSystem, items: int = 3) -> str:
    answer = system.submit_batch(*[TEXT] * items, key="k")
    assert answer["statusCode"] == 202
    batch_id: str = answer["json"]["batch_id"]
    return batch_id


def a_batch_is_accepted_and_cancelled_with_batch_calls(system: LimitedSystem) -> None:
    with calls_of(system) as calls:
        batch_id = submitted_batch(system)
    assert calls == ["PutItem", "BatchExecuteStatement", "SendMessageBatch", "UpdateItem"]
    assert system.batch(batch_id)["json"]["counts"]["pending"] == 3
    with calls_of(system) as calls:
        assert system.cancel_batch(batch_id)["json"]["counts"]["cancelled"] == 3
    assert [call for call in calls if "Get" not in call] == ["UpdateItem", "BatchExecuteStatement"]


FILE = b'{"text": "lovely"}\n' * 3


def a_file_becomes_a_batch_and_is_cancelled(system: LimitedSystem) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(payloads, "MAX_MESSAGE_BYTES", 0)
        patch.setattr(creation, "CHUNK", 2)
        accepted = system.submit_file(FILE)["json"]
        system.run_batches(BatchesContext(steps=1))
        with calls_of(system) as calls:
            system.run_batches()
        written = [call for call in calls if call in ("BatchExecuteStatement", "PutItem")]
        assert written == ["BatchExecuteStatement", "PutItem"]
        assert system.batch(f"{accepted['poll_url']}?limit=0")["json"]["counts"]["pending"] == 3
        assert not [key for key in system.objects() if key.startswith("uploads/")]
        system.cancel_batch(accepted["batch_id"])
        with calls_of(system) as calls:
            system.run_batches()
        assert calls.count("BatchExecuteStatement") == 1
        assert calls.count("UpdateItem") == 1 + 2 + 1, "claim, two steps, and the item that is alone in its step"
    assert system.batch(f"{accepted['poll_url']}?limit=0")["json"]["counts"]["cancelled"] == 3


def a_file_that_was_erased_is_called_so(system: LimitedSystem) -> None:
    accepted = system.submit_file(FILE)["json"]
    with system._as(None):
        for key in system.objects():
            system.s3.delete_object(Bucket=PAYLOAD_BUCKET, Key=key)
    system.run_batches()
    assert system.batch(accepted["poll_url"])["json"]["status"] == "failed"


class Maker(Sentiment):
    """Makes a file, after it has done something else."""

    output_files: ClassVar[dict[str, str]] = {"file": "text/plain"}  # type: ignore[misc]

    def __init__(self, meanwhile: Callable[[], object] = lambda: None) -> None:
        super().__init__()
        self._meanwhile = meanwhile

    def predict(self, inputs: list[Any]) -> Sequence[Any]:
        self._meanwhile()
        return [{**output, "file": b"made"} for output in super().predict(inputs)]


def submit_stored(system: LimitedSystem, value: Any) -> str:
    """Submit an input that is an object, because no message may have one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(payloads, "MAX_MESSAGE_BYTES", 0)
        answer = system.predict(value)
    assert answer["statusCode"] == 202
    request_id: str = answer["json"]["request_id"]
    return request_id


def payloads_are_kept_and_erased(system: LimitedSystem) -> None:
    system.model = Maker()
    request_id = submit_stored(system, {"text": system.upload(b'"lovely"', "application/json")})
    assert system.run_worker() == []
    response = system.status(request_id)
    assert response["statusCode"] == 200
    shown = response["json"]
    assert (shown["status"], shown["error"], len(shown["files"])) == ("succeeded", None, 1)
    assert len(system.objects()) == 3
    assert system.erase(request_id)["statusCode"] == 200
    assert system.objects() == []


def files_of_a_dropped_outcome_are_deleted(system: LimitedSystem) -> None:
    request_id = submit(system)
    system.model = Maker(lambda: system.cancel(request_id))
    assert system.run_worker() == []
    assert (system.status(request_id)["json"]["status"], system.objects()) == ("cancelled", [])


def an_input_that_was_erased_is_called_so(system: LimitedSystem) -> None:
    request_id = submit_stored(system, TEXT)
    system._delete_objects()
    assert system.run_worker() == []
    assert "erased" in system.status(request_id)["json"]["error"]["message"]


def an_upload_that_was_not_made_is_called_so(system: LimitedSystem) -> None:
    answer = system.predict({"text": {"$ref": "/uploads/6f1c2b1e-5d0a-4c57-9a3e-0d6b7f3a9c11"}})
    assert answer["statusCode"] == 422


def a_request_is_run_with_an_artifact_from_s3(system: LimitedSystem) -> None:
    encrypted = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": ARTIFACT_KEY}
    system.s3.put_object(Bucket=BUCKET, Key=OBJECT, Body=CONTENT, **encrypted)
    with TemporaryDirectory() as cache:
        assert system.fetch(BUCKET, OBJECT, hashlib.sha256(CONTENT).hexdigest(), Path(cache)) == CONTENT
    one_request_succeeds(system)


def an_artifact_that_does_not_exist_is_called_missing(system: LimitedSystem) -> None:
    with TemporaryDirectory() as cache, pytest.raises(ArtifactError) as failed:
        system.fetch(BUCKET, OBJECT, "0" * 64, Path(cache))
    assert "no such object: upload it" in str(failed.value)


def a_key_is_accepted(system: LimitedSystem) -> None:
    key, _ = api_keys.make(system.keys, "web", None, system.clock())
    assert system.authorize(key) == {"isAuthorized": True, "context": {"key_name": "web"}}


def functions_log(system: LimitedSystem) -> None:
    for role in RIGHTS:
        system.log(role, "a line")


Scenario = Callable[[LimitedSystem], None]
SCENARIOS: list[Scenario] = [
    a_request_is_accepted_and_cancelled,
    a_caller_lists_its_requests,
    a_submit_that_sqs_rejects_leaves_no_record,
    a_batch_is_accepted_and_cancelled_with_batch_calls,
    a_file_becomes_a_batch_and_is_cancelled,
    a_file_that_was_erased_is_called_so,
    one_request_succeeds,
    a_batch_is_three_calls,
    a_dead_letter_ends_its_request_with_the_reason,
    a_lost_request_is_ended,
    a_request_is_run_with_an_artifact_from_s3,
    an_artifact_that_does_not_exist_is_called_missing,
    payloads_are_kept_and_erased,
    files_of_a_dropped_outcome_are_deleted,
    an_input_that_was_erased_is_called_so,
    an_upload_that_was_not_made_is_called_so,
    a_key_is_accepted,
    functions_log,
]

# Role -> what fails without one of its rights, if it is not the right to log; by the action, or by it and the resource.
NEEDED_BY: dict[str, dict[str, Scenario]] = {
    "api": {
        "sqs:SendMessage": a_request_is_accepted_and_cancelled,
        f"sqs:SendMessage {BATCH_QUEUE}": a_file_becomes_a_batch_and_is_cancelled,
        "dynamodb:PartiQLInsert": a_batch_is_accepted_and_cancelled_with_batch_calls,
        "dynamodb:PartiQLUpdate": a_batch_is_accepted_and_cancelled_with_batch_calls,
        "dynamodb:PutItem": a_request_is_accepted_and_cancelled,
        "dynamodb:GetItem": a_request_is_accepted_and_cancelled,
        "dynamodb:UpdateItem": a_request_is_accepted_and_cancelled,
        "dynamodb:BatchGetItem": a_caller_lists_its_requests,
        "dynamodb:Query": a_caller_lists_its_requests,
        "dynamodb:DeleteItem": a_submit_that_sqs_rejects_leaves_no_record,
        "kms:Decrypt": a_request_is_accepted_and_cancelled,
        "kms:GenerateDataKey": a_request_is_accepted_and_cancelled,
        f"kms:Decrypt {via(KEY, 's3', REGION)}": payloads_are_kept_and_erased,
        f"kms:GenerateDataKey {via(KEY, 's3', REGION)}": payloads_are_kept_and_erased,
        "s3:GetObject": payloads_are_kept_and_erased,
        "s3:PutObject": payloads_are_kept_and_erased,
        "s3:DeleteObject": payloads_are_kept_and_erased,
        "s3:ListBucket": payloads_are_kept_and_erased,
    },
    "worker-sentiment": {
        "sqs:ReceiveMessage": one_request_succeeds,
        "sqs:DeleteMessage": one_request_succeeds,
        "sqs:GetQueueAttributes": one_request_succeeds,
        "sqs:ChangeMessageVisibility": a_batch_is_three_calls,
        "sqs:ChangeMessageVisibilityBatch": a_batch_is_three_calls,
        "dynamodb:UpdateItem": one_request_succeeds,
        "dynamodb:PartiQLUpdate": a_batch_is_three_calls,
        "s3:GetObject": a_request_is_run_with_an_artifact_from_s3,
        "s3:ListBucket": an_artifact_that_does_not_exist_is_called_missing,
        "kms:Decrypt": a_request_is_run_with_an_artifact_from_s3,
        f"kms:Decrypt {via(KEY, 's3', REGION)}": payloads_are_kept_and_erased,
        "kms:GenerateDataKey": payloads_are_kept_and_erased,
        f"s3:GetObject {REQUESTS}/input-*.json": payloads_are_kept_and_erased,
        f"s3:GetObject {UPLOADS}": payloads_are_kept_and_erased,
        "s3:PutObject": payloads_are_kept_and_erased,
        "s3:DeleteObject": files_of_a_dropped_outcome_are_deleted,
        f"s3:ListBucket {PAYLOADS}": an_input_that_was_erased_is_called_so,
    },
    "batches": {
        **dict.fromkeys(
            {action for actions, _ in RIGHTS["batches"] for action in actions},
            a_file_becomes_a_batch_and_is_cancelled,
        ),
        "s3:ListBucket": a_file_that_was_erased_is_called_so,
    },
    "dead-letters": dict.fromkeys(
        {action for actions, _ in RIGHTS["dead-letters"] for action in actions},
        a_dead_letter_ends_its_request_with_the_reason,
    ),
    "sweeper": dict.fromkeys(
        {action for actions, _ in RIGHTS["sweeper"] for action in actions}, a_lost_request_is_ended
    ),
    "authorizer": {"dynamodb:GetItem": a_key_is_accepted, "kms:Decrypt": a_key_is_accepted},
}
OWN_LOG = ("logs:CreateLogStream", "logs:PutLogEvents")


def each_right() -> list[tuple[str, Right]]:
    return sorted(
        (role, (action, resource))
        for role, statements in RIGHTS.items()
        for actions, resources in statements
        for action in actions
        for resource in resources
    )


def without(role: str, right: Right) -> Rights:
    """All rights but one of a role."""
    left = [
        ({action}, {resource})
        for actions, resources in RIGHTS[role]
        for action in actions
        for resource in resources
        if (action, resource) != right
    ]
    return RIGHTS | {role: left}


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.__name__)
def test_the_rights_suffice(system: LimitedSystem, scenario: Scenario) -> None:
    scenario(system)


@pytest.mark.parametrize(
    ("role", "right"), each_right(), ids=lambda value: value if isinstance(value, str) else value[0]
)
def test_each_right_is_needed(system: LimitedSystem, role: str, right: Right) -> None:
    action, resource = right
    needed_by = NEEDED_BY[role]
    scenario = functions_log if action in OWN_LOG else needed_by.get(f"{action} {resource}") or needed_by[action]
    system.rights = without(role, right)
    with pytest.raises((AssertionError, ArtifactError, ClientError, Unavailable)):
        scenario(system)
    assert system.denied == {action}
