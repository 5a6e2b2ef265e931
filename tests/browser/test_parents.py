"""GET /docs in a browser: a request by its id, and what an object in S3 has become, with its pictures."""

from __future__ import annotations

import io
import json
import re

from PIL import Image
from playwright.sync_api import Page, expect

from inference.batches import transitions
from inference.batches.items import Item, create_items
from inference.batches.record import BatchRecord
from inference.requests import Status, derived_id, new_request_id
from inference.sources import Source
from inference.store.batch_table import BatchTable
from inference.store.expressions import to_attribute
from inference.store.payloads import FileInfo, Payloads, files_to_json, request_key
from inference.store.request_queue import RequestQueue
from scripts.stack_defaults import PAYLOAD_BUCKET
from tests.browser.conftest import both
from tests.integration.http_server import HttpServer
from tests.integration.system import TABLE, System

Served = tuple[HttpServer, str]


def find(page: Page, request_id: str) -> None:
    page.get_by_label("Show a request").fill(request_id)
    page.get_by_role("button", name="Show", exact=True).click()


def a_parent(system: System) -> BatchRecord:
    """Of a picture, with the models sentiment and media; its requests wait."""
    now = system.clock()
    parent = BatchRecord(
        batch_id=derived_id("trigger", new_request_id()),
        caller="anonymous",
        model="sentiment",
        seed=new_request_id(),
        total=2,
        submitted_at=now,
        expires_at=now + 3_600_000,
        delete_at=now // 1000 + 7_200,
        attempt_limit=5,
        submit_id=new_request_id(),
        trigger="pictures",
        models="sentiment media",
        source=Source("photos", "in/cat.png", "e", 3, "1").to_json(),
    )
    batches = BatchTable(system.dynamodb, TABLE)
    assert batches.create(parent) is None
    items = [(0, Item({"text": "fine"}, ())), (1, Item({"sound": ""}, ()))]
    payloads = Payloads(system.api.payloads._bucket, link_seconds=900, max_upload_bytes=1)
    create_items(parent, items, system.table, payloads, lambda model: RequestQueue(system.sqs, system.urls[model]))
    confirmed = batches.apply(transitions.confirm(parent))
    assert confirmed is not None
    return confirmed


def end(system: System, parent: BatchRecord, index: int, picture: bytes | None) -> None:
    """Let a request succeed with a picture, or without one fail."""
    record = system.table.get(parent.item_id(index), consistent=True)
    assert record is not None
    done = record._replace(finished_at=system.clock(), started_at=system.clock(), attempts=1)
    if picture is None:
        error = json.dumps({"code": "invalid_input", "message": "it is no picture"})
        done = done._replace(status=Status.FAILED, error=error)
    else:
        key = request_key(record.request_id, "attempt-1/0")
        system.s3.put_object(Bucket=PAYLOAD_BUCKET, Key=key, Body=picture, ContentType="image/png")
        files = files_to_json([FileInfo("attempt-1/0", len(picture), "ab" * 32, "image/png")])
        result = json.dumps({"thumbnail": {"$ref": "#/files/0"}})
        done = done._replace(status=Status.SUCCEEDED, result=result, files=files)
    item = {name: to_attribute(value) for name, value in done._asdict().items() if value not in (None, False)}
    system.dynamodb.put_item(TableName=TABLE, Item=item)


@both
def test_an_object_with_a_picture_and_an_error(page: Page, served: Served, system: System) -> None:
    served[0].work = False
    parent = a_parent(system)
    find(page, parent.batch_id)
    expect(page.locator("#status")).to_have_text("pending")
    expect(page.locator("#models section")).to_have_count(2)
    content = io.BytesIO()
    Image.new("RGB", (40, 30), "red").save(content, "PNG")
    end(system, parent, 0, content.getvalue())
    end(system, parent, 1, None)
    expect(page.locator("#status")).to_have_text("failed")
    first, second = page.locator("#models section").all()
    expect(first).to_contain_text("sentiment")
    expect(first.locator(".badge")).to_have_text("succeeded")
    picture = first.locator("img")
    expect(picture).to_have_js_property("naturalWidth", 40)
    expect(first.locator("a")).to_have_attribute("href", re.compile("/requests/.*/attempt-1/0"))
    expect(second).to_contain_text("it is no picture")
    expect(page.locator("#result-part")).to_be_hidden()
    expect(page.locator("#figures")).to_contain_text(parent.batch_id)


def test_a_request_by_its_id(page: Page, system: System) -> None:
    request_id = system.predict({"text": "what a lovely day"})["json"]["request_id"]
    system.run_worker()
    find(page, f" {request_id} ")
    expect(page.locator("#status")).to_have_text("succeeded")
    expect(page.locator("#result")).to_contain_text("positive")


def test_an_id_that_nobody_knows(page: Page) -> None:
    find(page, "nobody")
    expect(page.locator("#refused")).to_contain_text("No such request")


def test_an_object_is_cancelled_with_all_its_requests(page: Page, served: Served, system: System) -> None:
    served[0].work = False
    parent = a_parent(system)
    find(page, parent.batch_id)
    page.get_by_role("button", name="Cancel").click()
    expect(page.locator("#status")).to_have_text("cancelled")
