"""The roles of a dispatcher and of the callbacks function can do all that their functions do, and nothing more."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from inference.aws import clients
from inference.aws.boto3_bucket import Boto3Bucket
from inference.errors import Unavailable
from inference.store import payloads
from inference.store.request_queue import RequestQueue
from scripts.stack_defaults import CODE_DIGEST, PAYLOAD_BUCKET
from tests.integration.limited_system import LimitedSystem, Right
from tests.integration.system import PREFIX
from tests.rights import Rights, rights, via
from tests.unit.fake_provider import FakeProvider, Run
from tests.unit.fakes import Clock, Recorder
from worker.backends.base import Succeeded
from worker.dispatch.callbacks import Callbacks, Done
from worker.dispatch.delays import LookDelay
from worker.dispatch.dispatcher import Dispatcher
from worker.dispatch.model import BackendModel, Provider
from worker.dispatch.tokens import StoredToken
from worker.invocation import Invocation, RetryDelay

ACCOUNT, REGION = "000000000000", "us-east-1"
KEY, TOKEN_KEY = (f"arn:aws:kms:{REGION}:{ACCOUNT}:key/{name}" for name in ("stack", "tokens"))
TOKEN = f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:provider-AbCdEf"
DISPATCHER, CALLBACKS = "worker-sentiment", "callbacks"
TEXT = {"text": "what a lovely day"}
FILE = base64.b64encode(b"pixels").decode()
RIGHTS = rights(
    PREFIX,
    REGION,
    ACCOUNT,
    ["sentiment"],
    key=KEY,
    payload_bucket=PAYLOAD_BUCKET,
    backends={"sentiment": TOKEN},
    token_key=TOKEN_KEY,
)
REQUESTS, UPLOADS = (f"arn:aws:s3:::{PAYLOAD_BUCKET}/{folder}/*" for folder in ("requests", "uploads"))


class Secrets:
    """Secrets Manager's client: what it is asked for is checked as all other calls are."""

    def __init__(self, system: DispatchSystem) -> None:
        self._system = system

    def get_secret_value(self, **params: str) -> dict[str, str]:
        self._system.check("secretsmanager", "GetSecretValue", params)
        return {"SecretString": "t0ken"}


class DispatchSystem(LimitedSystem):
    """The system, whose model runs at a provider."""

    provider: FakeProvider

    def prepare(self) -> None:
        """A new provider, whose token is not read yet."""
        self.provider = FakeProvider(Clock(), seconds=0, result=lambda _: Succeeded({"label": "positive"}))
        self.dispatched, self.called = self._at_provider(), self._at_provider()

    def _at_provider(self) -> BackendModel:
        """As a function of its own knows the model."""
        token = StoredToken(TOKEN, lambda _: Secrets(self))
        return BackendModel(
            "sentiment",
            "1",
            {},
            {"image": "image/png"},
            lambda value: value,
            Provider(lambda _: self.provider, token),
            LookDelay(1, 100),
            True,
        )

    def _needed(self, service: str, operation: str, params: Mapping[str, Any]) -> list[Right]:
        if service == "secretsmanager":
            decrypt = ("kms:Decrypt", via(TOKEN_KEY, service, REGION))
            return [(f"{service}:{operation}", params["SecretId"]), decrypt]
        return super()._needed(service, operation, params)

    def check(self, service: str, operation: str, params: Mapping[str, Any]) -> None:
        """Raise ClientError, if the function at work may not do this."""
        for action, resource in self._needed(service, operation, params):
            if not self.may(action, resource):
                self.denied.add(action)
                raise ClientError({"Error": {"Code": "AccessDeniedException", "Message": action}}, operation)

    def dispatch(self) -> None:
        """One invocation, and what the mapping does before and after it."""
        with self._as(DISPATCHER):
            records, log = self.receive("sentiment"), Recorder()
            dispatcher = Dispatcher(
                {"sentiment": self.dispatched},
                "https://api.example.com",
                self.table,
                RequestQueue(self.sqs, self.urls["sentiment"]),
                RetryDelay(2, 300),
                CODE_DIGEST,
                log,
                self.payloads,
            )
            context = self._context()
            invocation = Invocation(context.aws_request_id, context.get_remaining_time_in_millis, self.clock)
            self.settle("sentiment", records, dispatcher.process(records, invocation))
        assert not log.events("visibility_not_set")

    def call_back(self, run: Run) -> Done:
        """The provider says that a run is over."""
        parts = str(run.submission.callback_url).partition("/callbacks/")[2].split("/")
        address = dict(zip(("model", "request_id", "number", "signature"), parts, strict=True))
        with self._as(CALLBACKS):
            callbacks = Callbacks({"sentiment": self.called}, self.table, Recorder(), self.payloads)
            headers, body = {"authorization": "Bearer provider"}, json.dumps({"id": run.run_id}).encode()
            return callbacks.receive(address, headers, body, self.clock() + 29_000, self.clock())

    def held(self, value: Any = None) -> tuple[str, Run]:
        """A request that is held, and its run."""
        request_id: str = self.predict(TEXT if value is None else value)["json"]["request_id"]
        self.dispatch()
        assert self.provider.runs
        (run,) = self.provider.runs.values()
        return request_id, run


@pytest.fixture(scope="module")
def dispatch_system(on_emulator: None, package: Path, module_patch: pytest.MonkeyPatch) -> Iterator[DispatchSystem]:
    # The lean client has no events, by which calls are checked.
    module_patch.setattr(clients, "lean_client", clients.client)
    module_patch.setattr(clients, "bucket", cache(lambda name, *_: Boto3Bucket(clients.client("s3"), name)))
    system = DispatchSystem(package, module_patch, statements=25)
    system.limit(ACCOUNT, RIGHTS, KEY, TOKEN_KEY)
    yield system
    system.remove()


@pytest.fixture
def system(dispatch_system: DispatchSystem) -> Iterator[DispatchSystem]:
    dispatch_system.prepare()
    yield dispatch_system
    dispatch_system.rights = RIGHTS
    dispatch_system.denied.clear()
    dispatch_system.clear()


def a_run_is_found(system: DispatchSystem) -> None:
    request_id, _ = system.held()
    assert system.status(request_id)["json"]["status"] == "running"
    system.time_passes(120)
    system.dispatch()
    assert system.status(request_id)["json"]["status"] == "succeeded"
    assert system.messages() == 0


def a_run_is_called_back(system: DispatchSystem) -> None:
    request_id, run = system.held()
    assert system.call_back(run) is Done.SUCCEEDED
    assert system.status(request_id)["json"]["status"] == "succeeded"


def payloads_come_and_go(system: DispatchSystem) -> None:
    system.provider.result = lambda _: Succeeded({"image": FILE})
    reference = system.upload(json.dumps("a word " * 40_000).encode(), "application/json")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(payloads, "MAX_MESSAGE_BYTES", 0)  # so that the input is an object
        request_id, run = system.held({"text": reference})
    assert run.submission.input["text"].startswith("a word")
    system.time_passes(120)
    system.dispatch()
    assert system.status(request_id)["json"]["files"]


def a_file_is_called_back(system: DispatchSystem) -> None:
    system.provider.result = lambda _: Succeeded({"image": FILE})
    request_id, run = system.held()
    assert system.call_back(run) is Done.SUCCEEDED
    assert system.status(request_id)["json"]["files"]


def files_of_a_dropped_outcome_are_deleted(system: DispatchSystem, by_callback: bool = False) -> None:
    request_id, run = system.held()
    put, system.provider.result = system.payloads.store, lambda _: Succeeded({"image": FILE})
    run.result = Succeeded({"image": FILE})

    def store(*arguments: Any) -> Any:
        stored = put(*arguments)
        with system._as(None):
            assert system.cancel(request_id)["statusCode"] == 200
        return stored

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(system.payloads, "store", store)
        if by_callback:
            assert system.call_back(run) is Done.DROPPED
        else:
            system.time_passes(120)
            system.dispatch()
    assert [name for name in system.objects() if "attempt" in name] == []


def files_of_a_dropped_callback_are_deleted(system: DispatchSystem) -> None:
    files_of_a_dropped_outcome_are_deleted(system, by_callback=True)


def an_input_that_was_erased_is_called_so(system: DispatchSystem) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(payloads, "MAX_MESSAGE_BYTES", 0)
        request_id = system.predict(TEXT)["json"]["request_id"]
    system._delete_objects()
    system.dispatch()
    error = json.loads(system.records()[request_id].error)
    assert error["code"] == "input_unavailable"
    assert "erased" in error["message"]


Scenario = Callable[[DispatchSystem], None]
SCENARIOS: list[Scenario] = [
    a_run_is_found,
    a_run_is_called_back,
    payloads_come_and_go,
    a_file_is_called_back,
    files_of_a_dropped_outcome_are_deleted,
    files_of_a_dropped_callback_are_deleted,
    an_input_that_was_erased_is_called_so,
]
NEEDED_BY: dict[str, dict[str, Scenario]] = {
    DISPATCHER: {
        "s3:GetObject": payloads_come_and_go,
        "s3:PutObject": payloads_come_and_go,
        "s3:DeleteObject": files_of_a_dropped_outcome_are_deleted,
        "s3:ListBucket": an_input_that_was_erased_is_called_so,
        f"kms:Decrypt {via(KEY, 's3', REGION)}": payloads_come_and_go,
        "kms:GenerateDataKey": payloads_come_and_go,
    },
    CALLBACKS: {
        "s3:PutObject": a_file_is_called_back,
        "s3:DeleteObject": files_of_a_dropped_callback_are_deleted,
        "kms:GenerateDataKey": a_file_is_called_back,
    },
}
"""By the action, or by it and the resource; every other right is needed by the plain scenarios."""


def each_right() -> list[tuple[str, Right]]:
    return sorted(
        (role, (action, resource))
        for role in (DISPATCHER, CALLBACKS)
        for actions, resources in RIGHTS[role]
        for action in actions
        for resource in resources
        if not action.startswith("logs:")  # tests/integration/test_rights.py has those of every function
    )


def without(role: str, right: Right) -> Rights:
    left = [
        ({action}, {resource})
        for actions, resources in RIGHTS[role]
        for action in actions
        for resource in resources
        if (action, resource) != right
    ]
    return RIGHTS | {role: left}


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.__name__)
def test_the_rights_suffice(system: DispatchSystem, scenario: Scenario) -> None:
    scenario(system)
    assert not system.denied


@pytest.mark.parametrize(
    ("role", "right"), each_right(), ids=lambda value: value if isinstance(value, str) else value[0]
)
def test_each_right_is_needed(system: DispatchSystem, role: str, right: Right) -> None:
    action, resource = right
    plain = a_run_is_found if role == DISPATCHER else a_run_is_called_back
    scenario = NEEDED_BY[role].get(f"{action} {resource}") or NEEDED_BY[role].get(action) or plain
    if action == "kms:Decrypt" and resource != via(KEY, "s3", REGION):
        scenario = plain
    system.rights = without(role, right)
    with pytest.raises((AssertionError, ClientError, Unavailable)):
        scenario(system)
    assert system.denied == {action}
