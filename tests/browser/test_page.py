"""GET /docs in a browser: a form from a schema, a request from submit to result, the routes."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from inference import transitions
from inference.requests import Record
from tests.browser.conftest import both
from tests.integration.http_server import HttpServer
from tests.integration.system import System

Served = tuple[HttpServer, str]

FAR = 10**10
"""Milliseconds after now: the end of a lease."""


@pytest.fixture(autouse=True)
def _the_api_is_described(page: Page) -> None:
    expect(page.get_by_role("heading", name="Try it")).to_be_visible()


def send(page: Page) -> None:
    page.get_by_role("button", name="Send").click()


def result(page: Page) -> Any:
    """What the page shows as the result, once the request has succeeded."""
    expect(page.locator("#status")).to_have_text("succeeded")
    return json.loads(page.locator("#result").inner_text())


def only_record(system: System) -> Record:
    (record,) = system.records().values()
    return record


@pytest.fixture
def running(served: Served, system: System, page: Page) -> Iterator[Record]:
    """A request that was sent from the page, and that a worker has claimed."""
    served[0].work = False
    page.get_by_label("text").fill("what a lovely day")
    send(page)
    expect(page.locator("#status")).to_have_text("pending")
    record = only_record(system)
    now = system.clock()
    known = {"invocation_id": "i", "model_version": "1.0.0", "code_digest": "sha256:" + 64 * "0"}
    system.table.apply([transitions.claim_first(record.request_id, record.submitted_at, now + FAR, now, **known)])
    yield record


@both
def test_a_request_from_form_to_result(page: Page, served: Served, system: System) -> None:
    page.get_by_label("text").fill("what a lovely day")
    page.get_by_label("threshold").fill("0.25")
    send(page)
    assert result(page) == {"prediction": "positive", "confidence": 0.9999}
    figures = page.locator("#figures")
    expect(figures).to_contain_text("Waited for a worker")
    expect(figures).to_contain_text(re.compile(r"at most \$0\.\d+: \d\.\d{3} s . 1,769 MB at \$0\.0000166667"))
    expect(figures).to_contain_text(only_record(system).request_id)
    (submit,) = [headers for method, _, headers in served[0].seen if method == "POST"]
    assert re.fullmatch(r'"[0-9a-f]{32}"', submit["idempotency-key"])
    assert submit["prefer"] == "wait=2"


@both
@pytest.mark.dark
def test_every_kind_of_field(page: Page, tmp_path: Path) -> None:
    page.get_by_label("Model", exact=True).select_option("order")
    expect(page.locator("#about")).to_contain_text("order 2.1.0")
    page.get_by_label("Title").fill("A poster")
    page.get_by_label("note").fill("two\nlines")
    page.get_by_label("copies").fill("3")
    page.get_by_label("weight").fill("0.5")
    page.get_by_label("express").select_option("true")
    page.get_by_label("colour").select_option("blue")
    page.get_by_role("checkbox", name="tags").check()
    page.get_by_role("button", name="Add to tags").click()
    page.get_by_label("tags 1").fill("big")
    page.get_by_role("button", name="Add to tags").click()
    page.get_by_label("tags 2").fill("not this")
    page.get_by_role("button", name="Add to tags").click()
    page.get_by_label("tags 3").fill("😀")
    page.get_by_role("button", name="Remove tags").nth(1).click()
    page.get_by_role("checkbox", name="address").check()
    page.get_by_label("street").fill("Main Street 1")
    page.get_by_label("zip").fill("12345")
    (tmp_path / "file.txt").write_bytes(b"hello")
    page.get_by_label("document").set_input_files(tmp_path / "file.txt")
    page.get_by_label("options").fill('{"glossy": true}')
    send(page)
    assert result(page)["received"] == {
        "title": "A poster",
        "note": "two\nlines",
        "copies": 3,
        "weight": 0.5,
        "express": True,
        "colour": "blue",
        "tags": ["big", "😀"],
        "address": {"street": "Main Street 1", "zip": "12345"},
        "document": "aGVsbG8=",
        "options": {"glossy": True},
    }


def test_what_is_not_filled_in_is_left_out(page: Page) -> None:
    page.get_by_label("Model", exact=True).select_option("order")
    page.get_by_label("Title").fill("Poster")
    page.get_by_label("colour").select_option("red")
    send(page)
    # The API adds the defaults.
    assert result(page)["received"] == {"title": "Poster", "colour": "red", "copies": 1, "express": False}


def test_the_example_and_json(page: Page) -> None:
    page.get_by_label("Model", exact=True).select_option("order")
    page.get_by_role("button", name="Fill in the example").click()
    page.get_by_label("JSON", exact=True).check()
    text = page.get_by_label("Input as JSON")
    given = json.loads(text.input_value())
    assert given == {
        "title": "Poster",
        "colour": "green",
        "copies": 2,
        "tags": ["big", "shiny"],
        "address": {"street": "Main Street 1", "zip": "12345"},
        "options": {"glossy": True},
    }
    text.fill(json.dumps(given | {"copies": 4, "document": "aGVsbG8="}))
    page.get_by_label("Form", exact=True).check()
    expect(page.get_by_label("copies")).to_have_value("4")
    send(page)
    received = result(page)["received"]
    assert (received["copies"], received["document"]) == (4, "aGVsbG8=")


def test_what_the_form_knows_to_be_invalid_is_not_sent(page: Page, served: Served) -> None:
    page.get_by_label("text").fill("x" * 1001)
    send(page)
    page.get_by_label("text").fill("fine")
    page.get_by_label("threshold").fill("2")
    send(page)
    page.get_by_label("JSON", exact=True).check()
    page.get_by_label("Input as JSON").fill("{")
    send(page)
    expect(page.get_by_role("alert").filter(has_text="The input is not JSON.")).to_be_visible()
    assert not [method for method, *_ in served[0].seen if method == "POST"]


def test_what_the_api_rejects_says_why(page: Page) -> None:
    page.get_by_label("JSON", exact=True).check()
    page.get_by_label("Input as JSON").fill('{"text": "fine", "colour": "red"}')
    send(page)
    expect(page.get_by_role("alert").filter(has_text="422:")).to_contain_text('must not have property "colour"')
    expect(page.get_by_text("Nothing sent yet.")).to_be_visible()


def test_progress_and_the_end(page: Page, served: Served, system: System, running: Record) -> None:
    progress = json.dumps({"fraction": 0.4, "message": "page 2 of 5"})
    system.table.apply([transitions.report_progress(running.request_id, 1, progress, system.clock())])
    expect(page.locator("#status")).to_have_text("running")
    expect(page.get_by_label("Progress")).to_have_attribute("value", "0.4")
    expect(page.get_by_text("page 2 of 5", exact=True)).to_be_visible()
    system.table.apply([transitions.succeed(running.request_id, 1, '{"prediction": "negative"}', system.clock())])
    assert result(page) == {"prediction": "negative"}
    statuses = [headers for _, path, headers in served[0].seen if path == f"/status/{running.request_id}"]
    assert statuses
    assert all(headers["prefer"] == "wait=2" for headers in statuses)
    expect(page.get_by_label("Progress")).to_be_hidden()


def test_a_failure_says_why(page: Page, system: System) -> None:
    def fail(_: Any) -> Any:
        raise ValueError("no such word")

    system.model.predict = fail
    system.model.permanent_errors = ("ValueError",)
    page.get_by_label("text").fill("fine")
    send(page)
    expect(page.locator("#status")).to_have_text("failed")
    expect(page.get_by_role("alert").filter(has_text="model_error")).to_contain_text("no such word")


def test_a_request_is_cancelled(page: Page, running: Record) -> None:
    page.get_by_role("button", name="Cancel").click()
    expect(page.locator("#status")).to_have_text("cancelled")
    expect(page.get_by_role("button", name="Cancel")).to_be_hidden()


def test_a_submit_whose_answer_is_lost_is_one_request(page: Page, served: Served, system: System) -> None:
    served[0].faults.extend(["lose", "lose"])
    page.get_by_label("text").fill("fine")
    send(page)
    result(page)
    keys = [headers["idempotency-key"] for method, _, headers in served[0].seen if method == "POST"]
    assert len(keys) == 3
    assert len(set(keys)) == 1
    assert len(system.records()) == 1


def test_the_keyboard_is_enough(page: Page) -> None:
    page.get_by_label("text").focus()
    page.keyboard.type("what a lovely day")
    for _ in range(2):  # past the threshold
        page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Send")).to_be_focused()
    page.keyboard.press("Enter")
    assert result(page)["prediction"] == "positive"


def test_every_control_has_a_name(page: Page) -> None:
    page.get_by_label("Model", exact=True).select_option("order")
    page.get_by_role("button", name="Fill in the example").click()
    nameless = page.evaluate("""() => [...document.querySelectorAll("input, select, textarea, button")].filter(
        control => !control.labels?.length && !control.ariaLabel && !control.textContent.trim()
    ).map(control => control.outerHTML)""")
    assert nameless == []


@both
def test_the_routes_are_those_of_the_description(page: Page, served: Served) -> None:
    description = page.request.get(f"{served[1]}/openapi.json").json()
    routes = page.locator("#routes > details")
    shown = {route.locator(".path").inner_text() for route in routes.all()}
    assert shown == set(description["paths"])
    assert {"/predict/order", "/predict/sentiment"} <= shown
    listed = routes.filter(has=page.locator(".path", has_text=re.compile(r"^/requests$")))
    assert listed.locator("summary .say code").inner_text() == "requests.list_by_caller"
    assert "`" not in page.locator("#routes").inner_text()
    predict = routes.filter(has=page.get_by_text("/predict/order", exact=True))
    predict.locator("summary").first.click()
    expect(predict.get_by_role("cell", name="Idempotency-Key", exact=True)).to_be_visible()
    predict.get_by_text("application/json, application/*+json").click()
    expect(predict.get_by_label("Schema: application/json, application/*+json")).to_contain_text('"Five digits."')


def test_the_call_with_curl(page: Page, served: Served) -> None:
    page.get_by_label("text").fill("it's fine")
    page.get_by_text("The same call with curl").click()
    command = page.get_by_label("Command").inner_text()
    assert f"curl '{served[1]}/predict/sentiment'" in command
    assert r"""-d '{"text":"it'\''s fine"}'""" in command


def test_the_description_can_be_saved(page: Page) -> None:
    with page.expect_download() as download:
        page.get_by_role("button", name="Download openapi.json").click()
    assert json.loads(Path(download.value.path()).read_text(encoding="utf-8"))["openapi"] == "3.1.0"
