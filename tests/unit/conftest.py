"""Unit tests reach nothing outside their process: a test that opens a socket fails. They start from fakes."""

import pytest
from pytest_socket import disable_socket

from scripts.operate import predict
from tests.unit.api_harness import Api
from tests.unit.fake_table import FakeTable
from tests.unit.predict_server import Clock
from tests.unit.stripped_table import StrippedTable
from tests.unit.worker_harness import WorkerHarness

# Its asserts came out of a test: a failure shows the compared values, as it does there.
pytest.register_assert_rewrite("tests.unit.promises")


def pytest_runtest_setup() -> None:
    disable_socket(allow_unix_socket=True)


@pytest.fixture(autouse=True)
def no_aws_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever account this machine has, no test may find it."""
    for name in ("AWS_PROFILE", "AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(params=[FakeTable, StrippedTable], ids=["item", "no-item"])
def harness(request: pytest.FixtureRequest) -> WorkerHarness:
    """Everything that a worker does has to hold whether or not DynamoDB returns the record of a rejected statement."""
    return WorkerHarness(request.param())


@pytest.fixture
def api() -> Api:
    return Api()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The time of `predict`."""
    clock = Clock()
    monkeypatch.setattr(predict.asyncio, "run", clock.run)
    return clock
