"""The query of a list, and the links between its pages."""

from __future__ import annotations

import base64
from urllib.parse import parse_qsl, urlsplit

import pytest

from inference.http.messages import HttpRequest, read_event
from inference.http.queries import DEFAULT_LIMIT, InvalidQuery, ListQuery, next_url, read_list_query
from inference.listing import Filter
from inference.requests import Status
from inference.store.caller_index import Position


def request(**query: str) -> HttpRequest:
    return read_event({"queryStringParameters": query})


def encoded(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def test_without_a_query() -> None:
    assert read_list_query(read_event({})) == ListQuery(Filter(None, None), DEFAULT_LIMIT, None)
    assert read_list_query(request(other="x")) == read_list_query(read_event({}))


def test_a_full_query() -> None:
    found = read_list_query(request(status="failed, running", model="sentiment", limit="100"))
    assert found == ListQuery(Filter({Status.FAILED, Status.RUNNING}, "sentiment"), 100, None)


@pytest.mark.parametrize(
    "position", [Position(1_800_000_000_000, "6f1c2b1e-5d0a-4c57"), Position(0, "a"), Position(7, "?>~ ")]
)
def test_the_next_page_is_the_same_query_from_a_position_on(position: Position) -> None:
    first = request(status="failed,running", model="a b&c", limit="5")
    url = next_url(first, position)
    second = request(**dict(parse_qsl(urlsplit(url).query)))
    assert urlsplit(url).path == "/requests"
    assert read_list_query(second) == read_list_query(first)._replace(after=position)
    assert next_url(second, position) == url


@pytest.mark.parametrize("text", ["", "done", "failed,", "FAILED", "failed;running"])
def test_another_status(text: str) -> None:
    with pytest.raises(InvalidQuery, match="status has to be one or more of pending, running"):
        read_list_query(request(status=text))


@pytest.mark.parametrize("text", ["", "0", "-1", "101", "1.5", "ten", "9" * 5000, "\u0665", " 5"])
def test_another_limit(text: str) -> None:
    with pytest.raises(InvalidQuery, match="limit has to be"):
        read_list_query(request(limit=text))


@pytest.mark.parametrize("text", ["", "x" * 65, "\ud800"])
def test_what_is_no_models_name(text: str) -> None:
    with pytest.raises(InvalidQuery, match="model has to be"):
        read_list_query(request(model=text))


@pytest.mark.parametrize(
    "text",
    [
        *("", "x", "%%%", "\ud800", "ü"),
        *map(encoded, ("", "[]", "[1]", '["1","a"]', "[1,2]", '[true,"a"]', '[-1,"a"]', '[1,""]', '{"a":1,"b":2}')),
        *map(encoded, ('[1,"' + "x" * 65 + '"]', f'[{10**30},"a"]', "[" * 50_000, '[1.5,"a"]', "null")),
    ],
)
def test_another_cursor(text: str) -> None:
    with pytest.raises(InvalidQuery, match="cursor has to be"):
        read_list_query(request(cursor=text))
