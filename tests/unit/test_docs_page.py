"""lambda/docs.html, and the responses with it and with the description. tests/browser has the page in a browser."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from pathlib import Path
from typing import Any

import pytest

from inference.http.documents import Documents, content_security_policy
from inference.http.messages import read_event
from inference.references import MAX_REFERENCES
from inference.settings import Deployed
from scripts.console import ROOT
from scripts.stack_defaults import DEPLOYED
from tests.unit.test_description import MODELS
from worker.payloads import MAX_BYTES as MAX_BYTES_IN_MEMORY

FOLDER = ROOT / "lambda"
PAGE = (FOLDER / "docs.html").read_text(encoding="utf-8")
MAX_BYTES = 60_000
CONTRAST = 4.5
"""Of text, by WCAG 2.2 level AA."""

ON = {"text": ("page", "card", "code", "field"), "faint": ("page", "card"), "on-accent": ("accent",)} | dict.fromkeys(
    ("accent", "good", "bad", "warn"), ("card", "tint")
)
"""Colour of text -> the backgrounds that it is on."""


LIMITS = {"max_body_bytes": 4_500_000, "max_upload_bytes": 10_000_000, "max_batch_items": 100}
UPLOADS = "https://bucket.s3.eu-west-1.amazonaws.com/uploads/"


def documents(authorizer: str = "NONE", folder: Path = FOLDER) -> Documents:
    deployed = Deployed(**(DEPLOYED | {"authorizer": authorizer}))
    return Documents(folder, deployed, lambda: MODELS, LIMITS, lambda: UPLOADS)


def request(**headers: str) -> Any:
    return read_event({"headers": {name.replace("_", "-"): value for name, value in headers.items()}})


def test_the_page_is_small_and_needs_nothing_else() -> None:
    assert len(PAGE.encode()) < MAX_BYTES
    assert re.findall(r"""(?:src|href)=["'](?!data:,)[^"']*""", PAGE) == []
    assert set(re.findall(r"https?://[^\s\"'`]+", PAGE)) == {
        "https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html"  # in a comment
    }
    (style,) = re.findall(r"<style>(.*?)</style>", PAGE, re.DOTALL)
    assert not re.findall(r"url\(|@import", style)


def test_nothing_that_is_read_becomes_markup_or_code() -> None:
    assert not re.findall(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|new Function|srcdoc", PAGE)
    assert not re.findall(r"<[^>]+\s(?:style|on\w+)=", PAGE), "the policy would block it"


def test_each_description_is_shown_with_its_code_as_code() -> None:
    others = re.sub(r"prose\([\w.]+\)|if \([\w.]+\)|\b[\w.]+ \?", "", PAGE)
    assert re.findall(r"[\w.]+\.(?:description|summary)\b", others) == []


def test_no_secret_is_stored() -> None:
    assert not re.findall(r"localStorage|sessionStorage|indexedDB|cookie", PAGE)


def test_the_policy_names_script_and_style_by_their_content() -> None:
    headers = documents().page(request())["headers"]
    policy = headers["Content-Security-Policy"]
    assert policy == content_security_policy(PAGE, UPLOADS)
    assert f"connect-src 'self' {UPLOADS};" in policy
    assert f"img-src data: {UPLOADS.replace('uploads', 'requests')};" in policy, "files of results alone"
    for tag in ("script", "style"):
        (content,) = re.findall(rf"<{tag}>(.*?)</{tag}>", PAGE, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}';" in policy
    assert "'self'" in policy
    assert "unsafe" not in policy


@pytest.mark.parametrize(("authorizer", "names"), [("NONE", []), ("JWT", ["jwt"]), ("AWS_IAM", ["sigv4"])])
def test_the_page_knows_how_to_authenticate(authorizer: str, names: list[str]) -> None:
    page = documents(authorizer).page(request())["body"]
    (text,) = re.findall(r'<script type="application/json" id="schemes">(.*?)</script>', page)
    assert list(json.loads(text)) == names


def test_the_page_knows_the_limits_that_no_setting_changes() -> None:
    found = dict(re.findall(r"^const (MAX_\w+) = (\d+);", PAGE, re.MULTILINE))
    assert int(found["MAX_BYTES_IN_MEMORY"]) == MAX_BYTES_IN_MEMORY
    assert int(found["MAX_UPLOADS"]) == MAX_REFERENCES


def test_a_scheme_cannot_end_its_element(tmp_path: Path) -> None:
    document = json.loads((FOLDER / "openapi.json").read_text(encoding="utf-8"))
    document["components"]["securitySchemes"]["jwt"]["description"] = "</script><b>"
    (tmp_path / "openapi.json").write_text(json.dumps(document), encoding="utf-8")
    (tmp_path / "docs.html").write_text(PAGE, encoding="utf-8")
    page = documents("JWT", tmp_path).page(request())["body"]
    assert page.count("</script>") == PAGE.count("</script>")
    (text,) = re.findall(r'<script type="application/json" id="schemes">(.*?)</script>', page)
    assert json.loads(text)["jwt"]["description"] == "</script><b>"


@pytest.mark.parametrize("method", ["openapi", "page"])
def test_a_client_that_has_it_gets_no_body(method: str) -> None:
    respond = getattr(documents(), method)
    first = respond(request())
    assert (first["statusCode"], first["headers"]["Cache-Control"]) == (200, "private, no-cache")
    again = respond(request(if_none_match=first["headers"]["ETag"]))
    assert (again["statusCode"], "body" in again, "content-type" in again["headers"]) == (304, False, False)
    assert respond(request(if_none_match='"another"'))["statusCode"] == 200


def test_another_deployment_has_another_tag() -> None:
    assert documents().openapi(request())["headers"]["ETag"] != documents("JWT").openapi(request())["headers"]["ETag"]


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_text_can_be_read(theme: str) -> None:
    light, dark = re.findall(r":root \{(.*?)\}", PAGE, re.DOTALL)
    colours = dict(re.findall(r"--([\w-]+): (#\w+)", {"light": light, "dark": dark}[theme]))
    for text, backgrounds in ON.items():
        for background in backgrounds:
            assert contrast(colours[text], colours[background]) >= CONTRAST, f"{text} on {background}"


def contrast(one: str, other: str) -> float:
    """https://www.w3.org/TR/WCAG22/#dfn-contrast-ratio"""
    darker, lighter = sorted(map(_luminance, (one, other)))
    return (lighter + 0.05) / (darker + 0.05)


def _luminance(colour: str) -> float:
    digits = colour[1:] if len(colour) == 7 else "".join(digit * 2 for digit in colour[1:])
    shares = [int(digits[start : start + 2], 16) / 255 for start in (0, 2, 4)]
    linear = [share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4 for share in shares]
    return sum(weight * share for weight, share in zip((0.2126, 0.7152, 0.0722), linear, strict=True))
