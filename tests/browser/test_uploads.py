"""GET /docs in a browser: files. What has no room in the input is uploaded to a bucket of another origin first."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Error, Locator, Page, expect

from scripts.stack_defaults import DEPLOYED, PAYLOAD_BUCKET
from tests.browser.conftest import both
from tests.browser.s3 import S3Server
from tests.integration.http_server import HttpServer
from tests.integration.system import System

Served = tuple[HttpServer, str]
MakeFile = Callable[..., Path]

LARGE = 20_000_000
ENOUGH = 4_000_000
"""Of a file: as base64 it is larger than a body."""

UPLOADED_ONCE = [("OPTIONS", 200), ("PUT", 200)]


@pytest.fixture(autouse=True)
def _the_model_takes_files(page: Page) -> None:
    page.get_by_label("Model", exact=True).select_option("media")
    expect(page.locator("#about")).to_contain_text("media 1.0.0")


@pytest.fixture
def make_file(tmp_path: Path) -> MakeFile:
    def make(name: str, size: int) -> Path:
        (tmp_path / name).write_bytes(os.urandom(size))
        return tmp_path / name

    return make


def chooser(page: Page, label: str) -> Locator:
    return page.get_by_label(re.compile(f"^{label} file"))


def choose(page: Page, label: str, *files: Path) -> None:
    chooser(page, label).set_input_files(files)


def send(page: Page) -> None:
    page.get_by_role("button", name="Send").click()


def result(page: Page) -> Any:
    expect(page.locator("#status")).to_have_text("succeeded")
    return json.loads(page.locator("#result").inner_text())


def described(path: Path) -> Any:
    return {"bytes": path.stat().st_size, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}


def field(page: Page, label: str) -> Locator:
    return page.locator(".field", has=chooser(page, label))


def submits(served: Served) -> int:
    return len([path for method, path, _ in served[0].seen if method == "POST" and path.startswith("/predict/")])


@both
def test_a_large_file_is_uploaded_and_a_small_one_is_in_the_input(
    page: Page, system: System, s3: S3Server, make_file: MakeFile
) -> None:
    image, sound = make_file("cat.png", LARGE), make_file("cat.wav", 3_000)
    choose(page, "image", image)
    choose(page, "sound", sound)
    expect(field(page, "image")).to_contain_text("cat.png: 20,000,000 bytes, uploaded before the input is sent.")
    expect(field(page, "sound")).to_contain_text("cat.wav: 3,000 bytes, 4,000 as base64 in the input.")
    with page.expect_request(re.compile("/predict/media")) as submit:
        send(page)
    assert result(page) == {"image": described(image), "sound": described(sound)}
    (record,) = system.records().values()
    assert submit.value.post_data_json == {
        "image": {"$ref": f"/uploads/{record.uploads}"},
        "sound": base64.b64encode(sound.read_bytes()).decode(),
    }
    assert s3.seen == UPLOADED_ONCE
    (key,) = system.objects()
    assert key.startswith("uploads/")
    assert system.s3.head_object(Bucket=PAYLOAD_BUCKET, Key=key)["ContentType"] == "image/png"
    expect(page.locator("#figures")).to_contain_text("20,000,000 bytes in")
    expect(field(page, "image")).to_contain_text("20,000,000 bytes, uploaded.")


@pytest.mark.dark
def test_an_upload_shows_how_far_it_is_and_can_be_cancelled(
    page: Page, served: Served, system: System, s3: S3Server, make_file: MakeFile
) -> None:
    image = make_file("cat.png", LARGE)
    choose(page, "image", image)
    s3.stops_after = 2_000_000
    s3.flowing.clear()
    send(page)
    expect(page.locator("#status")).to_have_text("uploading")
    for bar in (page.get_by_label("Progress"), field(page, "image").get_by_label("Upload")):
        expect(bar).to_be_visible()
        page.wait_for_function("bar => bar.value > 0.05 && bar.value < 1", arg=bar.element_handle())
    expect(page.get_by_text(re.compile(r"cat\.png: [\d.]+ MB of 20 MB"))).to_be_visible()
    expect(page.get_by_role("button", name="Send")).not_to_be_enabled()
    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_text("The upload was cancelled. Nothing was sent.")).to_be_visible()
    assert (submits(served), system.objects()) == (0, [])
    s3.flowing.set()
    send(page)
    assert result(page) == {"image": described(image)}


@pytest.mark.parametrize("faults", [[503, 500], [0]], ids=["rejected", "cut off"])
def test_an_upload_is_tried_again(
    page: Page, served: Served, system: System, s3: S3Server, make_file: MakeFile, faults: list[int]
) -> None:
    s3.faults.extend(faults)
    image = make_file("cat.png", ENOUGH)
    choose(page, "image", image)
    send(page)
    assert result(page) == {"image": described(image)}
    assert [status for method, status in s3.seen if method == "PUT"] == [*faults, 200]
    assert (submits(served), len(system.objects())) == (1, 1)


def test_an_upload_whose_answer_was_lost_is_there(
    page: Page, s3: S3Server, system: System, make_file: MakeFile
) -> None:
    keep = s3.keep

    def keep_and_answer_503(*given: Any) -> int:
        s3.keep = keep  # type: ignore[method-assign]
        assert keep(*given) == 200
        return 503

    s3.keep = keep_and_answer_503  # type: ignore[method-assign]
    image = make_file("cat.png", ENOUGH)
    choose(page, "image", image)
    send(page)
    assert result(page) == {"image": described(image)}
    assert [status for method, status in s3.seen if method == "PUT"] == [503, 412]
    assert len(system.objects()) == 1


def test_a_link_that_has_ended_is_replaced(page: Page, s3: S3Server, make_file: MakeFile, served: Served) -> None:
    s3.faults.append(403)
    image = make_file("cat.png", ENOUGH)
    choose(page, "image", image)
    send(page)
    assert result(page) == {"image": described(image)}
    assert len([path for method, path, _ in served[0].seen if (method, path) == ("POST", "/uploads")]) == 2


def test_an_upload_that_fails_says_why_where_the_file_is(
    page: Page, served: Served, s3: S3Server, make_file: MakeFile
) -> None:
    s3.faults.extend([403, 403])
    choose(page, "image", make_file("cat.png", ENOUGH))
    send(page)
    expect(field(page, "image").get_by_role("alert")).to_have_text("S3 answered 403. Please reduce your request rate.")
    expect(page.get_by_text("The upload failed. Nothing was sent.")).to_be_visible()
    assert submits(served) == 0
    send(page)
    result(page)
    expect(field(page, "image").get_by_role("alert")).to_be_empty()


def test_where_the_bucket_does_not_name_the_origin_the_page_says_so(
    page: Page, served: Served, s3: S3Server, make_file: MakeFile, complaints: list[str]
) -> None:
    s3.origins = ["https://another.example"]
    choose(page, "image", make_file("cat.png", ENOUGH))
    send(page)
    expect(field(page, "image").get_by_role("alert")).to_contain_text("it does not let this page upload")
    assert set(s3.seen) == {("OPTIONS", 403)}
    assert submits(served) == 0
    assert complaints
    assert all("blocked by CORS policy" in complaint for complaint in complaints)
    complaints.clear()


def test_the_policy_lets_the_page_call_nothing_else_of_the_bucket(
    page: Page, s3: S3Server, complaints: list[str]
) -> None:
    for path in ("/", f"/{PAYLOAD_BUCKET}/requests/1", f"/{PAYLOAD_BUCKET}/uploads"):
        with pytest.raises(Error, match="Failed to fetch"):
            page.evaluate("url => fetch(url, {method: 'PUT'})", s3.url + path)
    assert s3.seen == []
    assert len(complaints) >= 3
    assert all("Content Security Policy" in complaint for complaint in complaints)
    complaints.clear()
    page.evaluate(
        "url => fetch(url, {method: 'PUT', body: ''}).catch(() => {})", f"{s3.url}/{PAYLOAD_BUCKET}/uploads/1"
    )
    assert s3.seen[0] == ("OPTIONS", 200)
    complaints.clear()


def test_what_is_too_large_is_not_sent(
    page: Page, served: Served, system: System, s3: S3Server, make_file: MakeFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAX_UPLOAD_BYTES", "10000000")
    system.deploy(DEPLOYED)
    page.reload()
    page.get_by_label("Model", exact=True).select_option("media")
    expect(page.get_by_text("file (image/png), at most 10 MB, required")).to_be_visible()
    expect(page.get_by_text("file (image/png), at most 3.3 MB, optional")).to_be_visible()
    choose(page, "image", make_file("cat.png", LARGE))
    choose(page, "thumbnail", make_file("small.png", 4_000_000))
    alerts = [field(page, label).get_by_role("alert") for label in ("image", "thumbnail")]
    expect(alerts[0]).to_have_text("It is too large: at most 10 MB are accepted.")
    expect(alerts[1]).to_contain_text("this model takes no upload here")
    send(page)
    assert (submits(served), s3.seen) == (0, [])
    choose(page, "image", make_file("cat.png", 9_000_000))
    choose(page, "thumbnail")
    for alert in alerts:
        expect(alert).to_be_empty()


def test_the_largest_are_uploaded_until_the_others_have_room(page: Page, s3: S3Server, make_file: MakeFile) -> None:
    page.get_by_role("checkbox", name="pages").check()
    pages = [make_file(f"{number}.tif", size) for number, size in enumerate([2_200_000, 1_400_000, 1_000_000], 1)]
    for number, each in enumerate(pages, 1):
        page.get_by_role("button", name="Add to pages").click()
        choose(page, f"pages {number}", each)
    choose(page, "image", make_file("cat.png", 10))
    expect(field(page, "pages 1")).to_contain_text("uploaded before")
    expect(field(page, "pages 2")).to_contain_text("as base64")
    expect(field(page, "pages 3")).to_contain_text("as base64")
    page.get_by_role("button", name="Remove pages").nth(1).click()
    expect(field(page, "pages 1")).to_contain_text("as base64")
    send(page)
    assert result(page)["pages"] == [described(pages[0]), described(pages[2])]
    assert s3.seen == []


def test_the_reference_is_kept_in_form_and_json(page: Page, s3: S3Server, make_file: MakeFile) -> None:
    image = make_file("cat.png", ENOUGH)
    choose(page, "image", image)
    page.get_by_label("JSON", exact=True).click()
    expect(page.get_by_role("alert").filter(has_text="cat.png is too large for the input.")).to_be_visible()
    expect(page.get_by_label("Form", exact=True)).to_be_checked()
    send(page)
    first = result(page)
    send(page)
    assert result(page) == first
    page.get_by_label("JSON", exact=True).check()
    value = json.loads(page.get_by_label("Input as JSON").input_value())
    assert value["image"]["$ref"].startswith("/uploads/")
    page.get_by_label("Form", exact=True).check()
    expect(field(page, "image")).to_contain_text(f"{value['image']['$ref']}, from the JSON")
    with page.expect_request(re.compile("/predict/media")) as submit:
        send(page)
    assert submit.value.post_data_json == value
    assert result(page) == first
    assert s3.seen == UPLOADED_ONCE


def test_a_file_whose_upload_is_gone_is_uploaded_again(
    page: Page, s3: S3Server, system: System, make_file: MakeFile
) -> None:
    choose(page, "image", make_file("cat.png", ENOUGH))
    send(page)
    first = result(page)
    system._delete_objects()
    send(page)
    expect(page.locator("#refused")).to_contain_text("There is no upload")
    send(page)
    assert result(page) == first
    assert [status for method, status in s3.seen if method == "PUT"] == [200, 200]


@pytest.mark.parametrize(
    ("label", "name", "kept", "hint"),
    [
        ("image", "scan.tiff", "image/tiff", "The schema says image/png; this is image/tiff."),
        ("image", "no-ending", "image/png", None),
        ("sound", "speech.wav", "audio/wav", None),
        ("sound", "words.json", "application/octet-stream", "The schema says audio/*; this is application/json."),
    ],
)
def test_an_upload_has_the_files_type(
    page: Page, system: System, make_file: MakeFile, label: str, name: str, kept: str, hint: str | None
) -> None:
    if label != "image":
        choose(page, "image", make_file("cat.png", 10))
    choose(page, label, make_file(name, ENOUGH))
    expect(field(page, label)).to_contain_text(hint or "uploaded before the input is sent.")
    assert ("The schema says" in field(page, label).inner_text()) == (hint is not None)
    send(page)
    result(page)
    (key,) = system.objects()
    assert system.s3.head_object(Bucket=PAYLOAD_BUCKET, Key=key)["ContentType"] == kept


def test_the_calls_with_curl(page: Page, served: Served, make_file: MakeFile) -> None:
    choose(page, "image", make_file("cat.png", ENOUGH))
    page.get_by_text("The same call with curl").click()
    upload, put, predict = page.get_by_label("Command").inner_text().split("\n\n")[1:]
    assert f"curl '{served[1]}/uploads'" in upload
    assert """-d '{"content_type":"image/png","bytes":4000000}'""" in upload
    assert put.startswith("curl -T 'cat.png' ")
    assert "-H 'Content-Type: image/png'" in put
    assert f"curl '{served[1]}/predict/media'" in predict
    assert """-d '{"image":{"$ref":"/uploads/""" in predict
