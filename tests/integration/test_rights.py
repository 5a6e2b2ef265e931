"""Each role can do all that its function does, and nothing more: without any one of its rights, a scenario fails."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from botocore.exceptions import ClientError

from inference.aws import clients
from inference.errors import Unavailable
from inference.sweep import SETTLE_MS
from tests.integration.limited_system import LimitedSystem, Right
from tests.integration.system import GRACE_SECONDS, PREFIX, calls_of
from tests.rights import Rights, rights
from worker.model.errors import ArtifactError

ACCOUNT = "000000000000"
REGION = "us-east-1"
KEY, ARTIFACT_KEY = (f"arn:aws:kms:{REGION}:{ACCOUNT}:key/{name}" for name in ("stack", "artifacts"))
BUCKET, OBJECT, CONTENT = "models-of-the-rights", "sentiment/1.onnx", b"weights"
RIGHTS = rights(PREFIX, REGION, ACCOUNT, ["sentiment"], key=KEY, artifact=(BUCKET, OBJECT), artifact_key=ARTIFACT_KEY)
TEXT = {"text": "what a lovely day"}


@pytest.fixture(scope="module")
def limited_system(on_emulator: None, package: Path, module_patch: pytest.MonkeyPatch) -> Iterator[LimitedSystem]:
    # The lean client has no events, by which calls are checked.
    module_patch.setattr(clients, "lean_client", clients.client)
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


def functions_log(system: LimitedSystem) -> None:
    for role in RIGHTS:
        system.log(role, "a line")


Scenario = Callable[[LimitedSystem], None]
SCENARIOS: list[Scenario] = [
    a_request_is_accepted_and_cancelled,
    a_caller_lists_its_requests,
    a_submit_that_sqs_rejects_leaves_no_record,
    one_request_succeeds,
    a_batch_is_three_calls,
    a_dead_letter_ends_its_request_with_the_reason,
    a_lost_request_is_ended,
    a_request_is_run_with_an_artifact_from_s3,
    an_artifact_that_does_not_exist_is_called_missing,
    functions_log,
]

# Role -> what fails without one of its rights, if it is not the right to log.
NEEDED_BY: dict[str, dict[str, Scenario]] = {
    "api": {
        "sqs:SendMessage": a_request_is_accepted_and_cancelled,
        "dynamodb:PutItem": a_request_is_accepted_and_cancelled,
        "dynamodb:GetItem": a_request_is_accepted_and_cancelled,
        "dynamodb:UpdateItem": a_request_is_accepted_and_cancelled,
        "dynamodb:BatchGetItem": a_caller_lists_its_requests,
        "dynamodb:Query": a_caller_lists_its_requests,
        "dynamodb:DeleteItem": a_submit_that_sqs_rejects_leaves_no_record,
        "kms:Decrypt": a_request_is_accepted_and_cancelled,
        "kms:GenerateDataKey": a_request_is_accepted_and_cancelled,
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
    },
    "dead-letters": dict.fromkeys(
        {action for actions, _ in RIGHTS["dead-letters"] for action in actions},
        a_dead_letter_ends_its_request_with_the_reason,
    ),
    "sweeper": dict.fromkeys(
        {action for actions, _ in RIGHTS["sweeper"] for action in actions}, a_lost_request_is_ended
    ),
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
    action, _ = right
    scenario = functions_log if action in OWN_LOG else NEEDED_BY[role][action]
    system.rights = without(role, right)
    with pytest.raises((AssertionError, ArtifactError, ClientError, Unavailable)):
        scenario(system)
    assert system.denied == {action}
