"""The rights of relay, deliverer and sweeper suffice for webhooks, and without any one of them something fails.

On moto, which has streams and secrets: each call is checked by limited_system.py before it is made.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import urlsplit

import pytest
from botocore.exceptions import ClientError

from inference.aws import clients
from inference.errors import Unavailable
from inference.webhooks.retries import MAX_DELIVERIES
from scripts.stack_defaults import PAYLOAD_BUCKET
from tests.integration.limited_system import LimitedSystem, Right
from tests.integration.receivers import Receiver
from tests.integration.system import PREFIX, TABLE, Sentiment
from tests.integration.webhook_system import DEAD_LETTERS, TEXT, WEBHOOKS, WebhookSystem
from tests.rights import Rights, rights, via

ACCOUNT, REGION = "123456789012", "us-east-1"
KEY, SECRET_KEY = (f"arn:aws:kms:{REGION}:{ACCOUNT}:key/{name}" for name in ("stack", "secret"))
SECRET_ARN = f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:hooks-*"
WITHOUT = rights(PREFIX, REGION, ACCOUNT, ["sentiment", "wordcount"], key=KEY, payload_bucket=PAYLOAD_BUCKET)
RIGHTS = rights(
    PREFIX,
    REGION,
    ACCOUNT,
    ["sentiment", "wordcount"],
    key=KEY,
    payload_bucket=PAYLOAD_BUCKET,
    secret=SECRET_ARN,
    secret_key=SECRET_KEY,
)
TABLE_AND_ITS_KEY = {f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/{TABLE}", via(KEY, "dynamodb", REGION)}
OWN_LOG = {"logs:CreateLogStream", "logs:PutLogEvents"}  # test_rights.py


class LimitedWebhooks(LimitedSystem, WebhookSystem):
    """The system with webhooks, in which each function may do only what its role's rights allow."""

    def limit(self, account: str, rights: Rights, key: str, artifact_key: str) -> None:
        super().limit(account, rights, key, artifact_key)
        for name in ("dynamodbstreams", "secretsmanager"):
            clients.client(name).meta.events.register("before-parameter-build", self._check)

    def _needed(self, service: str, operation: str, params: Mapping[str, Any]) -> list[Right]:
        match service:
            case "dynamodbstreams":
                stream = params.get("StreamArn", f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/{TABLE}/stream/new")
                return [(f"dynamodb:{operation}", stream), self._use("kms:Decrypt", "dynamodb")]
            case "secretsmanager":
                right = (f"secretsmanager:{operation}", params["SecretId"])
                return [right, ("kms:Decrypt", via(SECRET_KEY, "secretsmanager", REGION))]
        return super()._needed(service, operation, params)

    def receive(self, queue: str) -> list[dict[str, Any]]:
        if queue != WEBHOOKS:
            return super().receive(queue)
        with self._as("deliverer"):
            self.sqs.get_queue_attributes(QueueUrl=self.urls[queue], AttributeNames=["VisibilityTimeout"])
            return super(LimitedSystem, self).receive(queue)

    def changes(self) -> list[dict[str, Any]]:
        """Lambda reads the stream with the relay's role."""
        with self._as(None):
            stream = self.dynamodb.describe_table(TableName=TABLE)["Table"]["LatestStreamArn"]
        with self._as("relay"):
            reader = clients.client("dynamodbstreams")
            reader.list_streams(TableName=TABLE)
            (shard,) = reader.describe_stream(StreamArn=stream)["StreamDescription"]["Shards"]
            iterator = reader.get_shard_iterator(
                StreamArn=stream, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON"
            )["ShardIterator"]
            reader.get_records(ShardIterator=iterator)
        with self._as(None):
            return super().changes()

    def run_relay(self) -> int:
        with self._as("relay"):
            return super().run_relay()

    def run_deliverer(self) -> list[str]:
        with self._as("deliverer"):
            self.deliverer.deliverer._secrets._stored._known = None  # as in a new process
            return super().run_deliverer()


@pytest.fixture(scope="module")
def limited(on_moto: None, package: Path, module_patch: pytest.MonkeyPatch) -> LimitedWebhooks:
    system = LimitedWebhooks(package, module_patch)
    system.limit(ACCOUNT, RIGHTS, KEY, KEY)
    return system


@pytest.fixture
def system(limited: LimitedWebhooks) -> Iterator[LimitedWebhooks]:
    yield limited
    limited.rights = RIGHTS
    limited.denied.clear()
    limited.clear()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver().running() as running:
        yield running


def cancelled(system: LimitedWebhooks, receiver: Receiver) -> str:
    """A final request with a webhook."""
    accepted = system.submit(f"http://127.0.0.1:{receiver.port}/")
    request_id: str = accepted["json"]["request_id"]
    assert system.cancel(request_id)["statusCode"] == 200
    return request_id


def state_of(system: LimitedWebhooks, request_id: str) -> str:
    state: str = system.status(request_id)["json"]["webhook"]["state"]
    return state


def a_webhook_is_delivered(system: LimitedWebhooks, receiver: Receiver) -> None:
    request_id = cancelled(system, receiver)
    system.run_relay()
    assert system.run_deliverer() == []
    assert state_of(system, request_id) == "delivered"
    assert system.messages(WEBHOOKS) == 0


class Maker(Sentiment):
    """Makes a file."""

    output_files: ClassVar[dict[str, str]] = {"file": "text/plain"}  # type: ignore[misc]

    def predict(self, inputs: list[Any]) -> Sequence[Any]:
        return [{**output, "file": b"made"} for output in super().predict(inputs)]


def the_link_to_a_file_is_followed(system: LimitedWebhooks, receiver: Receiver) -> None:
    system.model = Maker()
    system.submit(f"http://127.0.0.1:{receiver.port}/")
    assert system.run_worker() == []
    system.run_relay()
    assert system.run_deliverer() == []
    (file,) = json.loads(receiver.received[0].body)["files"]
    key = urlsplit(file["url"]).path.removeprefix(f"/{PAYLOAD_BUCKET}").lstrip("/")
    with system._as("deliverer"):  # S3 checks the rights of the one who has signed
        assert system.s3.get_object(Bucket=PAYLOAD_BUCKET, Key=key)["Body"].read() == b"made"


def one_is_retried(system: LimitedWebhooks, receiver: Receiver) -> None:
    receiver.answer = lambda _: (503, {})
    request_id = cancelled(system, receiver)
    system.run_relay()
    assert len(system.run_deliverer()) == 1
    assert state_of(system, request_id) == "retrying"
    assert not system.denied, "a visibility timeout that can't be set is logged only"


def one_is_given_up(system: LimitedWebhooks, receiver: Receiver) -> None:
    receiver.answer = lambda _: (503, {})
    request_id = cancelled(system, receiver)
    system.changes()  # one message only: two threads at once can both pass a condition in moto, which does not lock
    system.dynamodb.update_item(
        TableName=TABLE,
        Key={"request_id": {"S": request_id}},
        UpdateExpression="SET webhook_attempts = :made",
        ExpressionAttributeValues={":made": {"N": str(MAX_DELIVERIES - 1)}},
    )
    system.run_relay()
    system.run_deliverer()
    assert state_of(system, request_id) == "failed"
    assert system.messages(DEAD_LETTERS) == 1


def a_lost_message_is_sent_again(system: LimitedWebhooks, receiver: Receiver) -> None:
    cancelled(system, receiver)
    system.changes()
    system.time_passes(2 * 86_400)
    assert system.sweep()["webhooks_sent"] == 1
    assert system.messages(WEBHOOKS) == 1


def one_of_a_batch_is_delivered(system: LimitedWebhooks, receiver: Receiver) -> None:
    accepted = system.submit_batch_to(f"http://127.0.0.1:{receiver.port}/", TEXT)
    assert system.cancel_batch(accepted["batch_id"])["statusCode"] == 200
    for _ in range(2):
        system.run_relay()
    assert system.run_deliverer() == []
    assert system.batch(accepted["poll_url"])["json"]["webhook"]["state"] == "delivered"


def one_of_a_batch_whose_stream_was_lost(system: LimitedWebhooks, receiver: Receiver) -> None:
    accepted = system.submit_batch_to(f"http://127.0.0.1:{receiver.port}/", TEXT)
    assert system.cancel_batch(accepted["batch_id"])["statusCode"] == 200
    system.changes()
    system.time_passes(2 * 86_400)
    assert system.sweep()["webhooks_sent"] == 1


Scenario = Callable[[LimitedWebhooks, Receiver], None]
SCENARIOS: list[Scenario] = [
    a_webhook_is_delivered,
    the_link_to_a_file_is_followed,
    one_is_retried,
    one_is_given_up,
    a_lost_message_is_sent_again,
    one_of_a_batch_is_delivered,
    one_of_a_batch_whose_stream_was_lost,
]


def needed_by(role: str, right: Right) -> Scenario:
    """What fails without a right."""
    action, resource = right
    if action == "dynamodb:BatchGetItem" or (role == "relay" and resource in TABLE_AND_ITS_KEY):
        return one_of_a_batch_whose_stream_was_lost if role == "sweeper" else one_of_a_batch_is_delivered
    if role == "sweeper":
        return a_lost_message_is_sent_again
    if action == "s3:GetObject" or resource == via(KEY, "s3", REGION):
        return the_link_to_a_file_is_followed
    if action.startswith("sqs:ChangeMessageVisibility"):
        return one_is_retried
    return one_is_given_up if resource.endswith(DEAD_LETTERS) or "Generate" in action else a_webhook_is_delivered


def each_right() -> list[tuple[str, Right]]:
    """Those of webhooks: of the sweeper, the ones that it has for them."""
    known = {
        (action, resource) for actions, resources in WITHOUT["sweeper"] for action in actions for resource in resources
    }
    return sorted(
        (role, (action, resource))
        for role in ("deliverer", "relay", "sweeper")
        for actions, resources in RIGHTS[role]
        for action in actions - OWN_LOG
        for resource in resources
        if role != "sweeper" or (action, resource) not in known
    )


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.__name__)
def test_the_rights_suffice(system: LimitedWebhooks, receiver: Receiver, scenario: Scenario) -> None:
    scenario(system, receiver)


@pytest.mark.parametrize(
    ("role", "right"), each_right(), ids=lambda value: value if isinstance(value, str) else value[0]
)
def test_each_right_is_needed(system: LimitedWebhooks, receiver: Receiver, role: str, right: Right) -> None:
    left = [
        ({action}, {resource})
        for actions, resources in RIGHTS[role]
        for action in actions
        for resource in resources
        if (action, resource) != right
    ]
    system.rights = RIGHTS | {role: left}
    with pytest.raises((AssertionError, ClientError, Unavailable)):
        needed_by(role, right)(system, receiver)
    assert system.denied == {right[0]}, json.dumps(left, default=list)
