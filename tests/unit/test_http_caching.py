"""What may be kept of a status, and by whom; a client that has it gets no body."""

from __future__ import annotations

from typing import Any

import pytest

from inference.http.caching import CREDENTIALS, KEPT_SECONDS, cache_control, respond_cacheable
from inference.http.messages import read_event
from inference.requests import Record, Status
from tests.unit.fakes import NOW
from tests.unit.samples import a_record, with_webhook

LINK_SECONDS = 900
RECORD = a_record(status=Status.SUCCEEDED)


def respond(body: Any, record: Record = RECORD, **headers: str) -> dict[str, Any]:
    request = read_event({"headers": {name.replace("_", "-"): value for name, value in headers.items()}})
    return respond_cacheable(request, record, body, {"Retry-After": "1"}, NOW, LINK_SECONDS)


@pytest.mark.parametrize("status", sorted(Status))
def test_only_what_stays_as_it_is_may_be_used_without_a_question(status: Status) -> None:
    found = cache_control(a_record(status=status), NOW, LINK_SECONDS)
    stays = status in {Status.SUCCEEDED, Status.CANCELLED, Status.EXPIRED}
    assert found == (f"private, max-age={KEPT_SECONDS}" if stays else "private, no-cache")


def test_the_deliveries_of_a_webhook_are_seen_after_the_request_is_final() -> None:
    assert cache_control(with_webhook(a_record(status=Status.SUCCEEDED)), NOW, LINK_SECONDS) == "private, no-cache"


def test_a_request_that_no_sweep_has_ended_yet_still_changes() -> None:
    unswept = a_record()
    assert unswept.status_at(unswept.expires_at) is Status.EXPIRED
    assert cache_control(unswept, unswept.expires_at, LINK_SECONDS) == "private, no-cache"


@pytest.mark.parametrize(("seconds_left", "kept"), [(KEPT_SECONDS + 1, KEPT_SECONDS), (60, 60), (0, 0), (-5, 0)])
def test_nothing_is_kept_past_the_retention(seconds_left: int, kept: int) -> None:
    record = a_record(status=Status.SUCCEEDED, delete_at=NOW // 1000 + seconds_left)
    assert cache_control(record, NOW, LINK_SECONDS) == f"private, max-age={kept}"


def test_links_to_files_are_valid_when_they_come_out_of_a_cache() -> None:
    record = a_record(status=Status.SUCCEEDED, files="[]")
    assert cache_control(record, NOW, LINK_SECONDS) == f"private, max-age={LINK_SECONDS // 2}"


def test_the_tag_is_of_the_body() -> None:
    first, again, other = respond({"a": 1}), respond({"a": 1}), respond({"a": 2})
    assert first["statusCode"] == 200
    assert first["headers"]["ETag"] == again["headers"]["ETag"] != other["headers"]["ETag"]
    assert first["headers"]["Vary"] == CREDENTIALS
    assert "cache-control" not in first["headers"], "it would be there twice"


@pytest.mark.parametrize("form", ["{}", "W/{}", '"x", {}', '{} , W/"y"', "*"])
def test_a_client_that_has_the_body_gets_none(form: str) -> None:
    tag = respond({"a": 1})["headers"]["ETag"]
    response = respond({"a": 1}, if_none_match=form.format(tag))
    assert response["statusCode"] == 304
    assert "body" not in response
    headers = {"Cache-Control": f"private, max-age={KEPT_SECONDS}", "ETag": tag, "Vary": CREDENTIALS}
    assert response["headers"] == {**headers, "Retry-After": "1"}


@pytest.mark.parametrize("form", ["", "x", '"x"', "{0}x", "*, *"])
def test_a_client_that_has_another_body_gets_this_one(form: str) -> None:
    tag = respond({"a": 1})["headers"]["ETag"]
    assert respond({"a": 2}, if_none_match=form.format(tag))["statusCode"] == 200
