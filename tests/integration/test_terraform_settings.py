"""What Terraform sets in the functions' environment is what their settings read: no more, no less, no other bounds."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from inference.settings import (
    ApiSettings,
    AuthorizerSettings,
    BatchesSettings,
    CallbacksSettings,
    DeadLettersSettings,
    DelivererSettings,
    DispatcherSettings,
    IntakeSettings,
    RelaySettings,
    ResultsSettings,
    Settings,
    SweeperSettings,
    SyncSettings,
    WorkerSettings,
)
from inference.store.payloads import MAX_MESSAGE_BYTES, REFERABLE_MS
from inference.webhooks.addresses import CONNECT_SECONDS
from inference.webhooks.retries import DELAYS_SECONDS, SHORT_DELAY_SECONDS
from inference.webhooks.sender import TOTAL_SECONDS
from scripts.stack_defaults import api_environment, worker_environment
from tests.integration.terraform_definition import Module
from worker.payloads import MAX_DEPTH

TERRAFORM = Path(__file__).resolve().parents[2] / "terraform"
STACK = TERRAFORM / "stack"
OPTIONAL = {
    *("MODEL_ARTIFACTS", "METRICS_ENVIRONMENT", "POOL", "WEBHOOKS", "WEBHOOK_QUEUE_URL", "MAX_BATCH_ITEMS", "API_URL"),
}
"""Set where a model has one, where metrics are on, for a pool, where the deployment has webhooks, where `sync` says so,
and where a GPU provider calls; every other setting is required."""


def names_in(text: str) -> set[str]:
    """Names of environment variables that a piece of HCL sets."""
    return set(re.findall(r"^\s*([A-Z][A-Z_]+)\s*=", text, re.MULTILINE))


def block(file: Path, start: str) -> str:
    """The text of a top-level block."""
    text = file.read_text()
    return text[text.index(start) :].split("\n}\n", 1)[0]


@pytest.mark.parametrize(
    ("file", "start", "settings"),
    [
        (STACK / "main.tf", 'module "api"', ApiSettings),
        (STACK / "batches.tf", 'module "batches"', BatchesSettings),
        (STACK / "backends.tf", 'module "callbacks"', CallbacksSettings),
        (STACK / "api_keys.tf", 'module "authorizer"', AuthorizerSettings),
        (STACK / "failure_handling.tf", 'module "dead_letters"', DeadLettersSettings),
        (STACK / "failure_handling.tf", 'module "sweeper"', SweeperSettings),
        (TERRAFORM / "modules" / "webhooks" / "main.tf", 'module "relay"', RelaySettings),
        (TERRAFORM / "modules" / "webhooks" / "main.tf", 'module "deliverer"', DelivererSettings),
        (TERRAFORM / "modules" / "triggers" / "main.tf", 'module "intake"', IntakeSettings),
        (TERRAFORM / "modules" / "triggers" / "main.tf", 'module "results"', ResultsSettings),
        (TERRAFORM / "modules" / "worker" / "main.tf", "", WorkerSettings),
        (TERRAFORM / "modules" / "sync" / "main.tf", "", SyncSettings),
    ],
    ids=[
        "api",
        "batches",
        "callbacks",
        "authorizer",
        "dead_letters",
        "sweeper",
        "relay",
        "deliverer",
        "intake",
        "results",
        "worker",
        "sync",
    ],
)
def test_the_environment_is_what_the_settings_read(file: Path, start: str, settings: type[Settings]) -> None:
    text = block(file, start) if start else file.read_text()
    known = {name.upper() for name in settings.declared()}
    assert names_in(text) | (OPTIONAL & known) == known
    assert ("metrics_environment" in text) == ("METRICS_ENVIRONMENT" in known)


def test_a_dispatcher_reads_what_a_worker_is_given_and_what_is_added_for_it() -> None:
    folder = TERRAFORM / "modules" / "worker"
    added = names_in(re.sub(r"[{] ", "\n", (folder / "backend.tf").read_text()))
    assert added == {"BACKENDS", "API_URL"}
    assert "local.backend_environment" in (folder / "main.tf").read_text()
    known = {name.upper() for name in DispatcherSettings.declared()}
    assert known == (names_in((folder / "main.tf").read_text()) | added | OPTIONAL) & known
    assert {name.upper() for name in WorkerSettings.declared()} - known == {"MODEL_ARTIFACTS", "POOL"}


def test_webhooks_reach_the_functions_that_take_part() -> None:
    text = (STACK / "webhooks.tf").read_text()
    assert names_in(re.sub(r"[?:{] ", "\n", text)) == {"WEBHOOKS", "WEBHOOK_QUEUE_URL"}
    assert "local.webhook_environment" in block(STACK / "main.tf", 'module "api"')
    assert "local.webhook_queue_environment" in block(STACK / "failure_handling.tf", 'module "sweeper"')


def test_a_delivery_ends_before_the_deliverer() -> None:
    """Else Lambda would end it between the receiver's answer and its record, and it would be made again."""
    text = (TERRAFORM / "modules" / "webhooks" / "main.tf").read_text()
    timeout = re.search(r"deliverer_timeout_seconds = (\d+)", text)
    receives = re.search(r"max_receive_count = (\d+)", text)
    assert timeout is not None
    assert receives is not None
    assert int(timeout[1]) > TOTAL_SECONDS + CONNECT_SECONDS + 15, "15: DynamoDB's three attempts before or after it"
    assert int(receives[1]) > sum(seconds <= SHORT_DELAY_SECONDS for seconds in DELAYS_SECONDS) + 1


def test_a_message_that_the_api_makes_fits_in_the_queue() -> None:
    queue = Module("request_queue", name="q").resource("aws_sqs_queue")
    assert queue["max_message_size"] > MAX_MESSAGE_BYTES


def test_an_object_outlives_the_requests_that_refer_to_it() -> None:
    text = (STACK / "payloads.tf").read_text(encoding="utf-8")
    (referable,) = re.findall(r"referable_seconds = (\d+)", text)
    assert int(referable) * 1000 == REFERABLE_MS
    counted = "local.referable_seconds + local.requests.deadline_seconds + local.requests.retention_seconds"
    assert f"ceil(({counted}) / 86400)" in text


def test_an_uploaded_document_may_be_as_deep_as_a_body() -> None:
    deepest = re.search(r"max_body_depth <= (\d+)", (STACK / "variables_requests.tf").read_text(encoding="utf-8"))
    assert deepest is not None
    assert int(deepest[1]) == MAX_DEPTH


def test_the_sweepers_grace_outlives_a_submit() -> None:
    longest = re.search(r"api\.timeout_seconds <= (\d+)", (STACK / "variables_api.tf").read_text())
    grace = re.search(r"sweeper\.grace_seconds >= (\d+)", (STACK / "variables_requests.tf").read_text())
    assert longest is not None
    assert grace is not None
    assert int(longest[1]) < int(grace[1])


@pytest.mark.parametrize(
    "settings",
    [
        ApiSettings,
        CallbacksSettings,
        DispatcherSettings,
        DeadLettersSettings,
        DelivererSettings,
        IntakeSettings,
        RelaySettings,
        ResultsSettings,
        SweeperSettings,
        WorkerSettings,
    ],
)
def test_a_setting_has_no_default_of_its_own(settings: type[Settings]) -> None:
    optional = {name.upper() for name, setting in settings.declared().items() if setting.default is not None}
    assert optional <= OPTIONAL


def test_what_tests_and_benchmarks_take_for_terraforms_settings_is_complete() -> None:
    names = {"MODELS", "DEFAULT_MODEL", "QUEUE_URL_PREFIX", "REQUEST_TABLE", "METRICS_ENVIRONMENT", "WEBHOOKS"}
    assert api_environment().keys() | names == {name.upper() for name in ApiSettings.declared()}
    names = {"MODELS", "QUEUE_URL", "REQUEST_TABLE"}
    known = {name.upper() for name in WorkerSettings.declared()}
    assert worker_environment().keys() | names | (OPTIONAL & known) == known
