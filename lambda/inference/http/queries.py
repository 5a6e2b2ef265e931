"""The queries of a list, ?status=&model=&limit=&cursor=, and of a batch, ?limit=&cursor="""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import NamedTuple

from inference.errors import RequestError
from inference.http.messages import HttpRequest
from inference.listing import Filter
from inference.requests import Status, can_be_id
from inference.store.caller_index import Position

DEFAULT_LIMIT = 20
MOST = 100
_LATEST = 10**14  # epoch milliseconds, in the year 5138


class InvalidQuery(RequestError):
    """A parameter of the query is not valid; the text names it."""


class ListQuery(NamedTuple):
    """What a list is asked for."""

    wanted: Filter
    limit: int
    after: Position | None


def read_list_query(request: HttpRequest) -> ListQuery:
    """Read the query of a list; parameters that it does not know are ignored.

    Raises:
        InvalidQuery: a parameter is not valid.
    """
    return ListQuery(
        Filter(_statuses(request.query.get("status")), _model(request.query.get("model"))),
        _limit(request.query.get("limit")),
        _position(request.query.get("cursor")),
    )


def next_url(request: HttpRequest, after: Position) -> str:
    """Path and query of the next page: the same query from there on."""
    from urllib.parse import urlencode  # takes a millisecond of each cold start

    kept: Mapping[str, str] = {
        name: request.query[name] for name in ("status", "model", "limit") if name in request.query
    }
    return f"/requests?{urlencode({**kept, 'cursor': _cursor(after)}, safe=',')}"


def read_page_query(request: HttpRequest) -> tuple[int, int]:
    """The query of a batch: the index of the first item, and how many items; 0: none.

    Raises:
        InvalidQuery: a parameter is not valid.
    """
    start, limit = request.query.get("cursor", "0"), request.query.get("limit", str(MOST))
    if not (start.isascii() and start.isdecimal() and len(start) <= 6):
        raise InvalidQuery("cursor has to be that of an earlier page.")
    if not (limit.isascii() and limit.isdecimal() and len(limit) <= 3 and int(limit) <= MOST):
        raise InvalidQuery(f"limit has to be a whole number from 0 to {MOST}.")
    return int(start), int(limit)


def _statuses(text: str | None) -> frozenset[Status] | None:
    if text is None:
        return None
    try:
        return frozenset(Status(name.strip(" ")) for name in text.split(","))
    except ValueError:
        raise InvalidQuery(f"status has to be one or more of {', '.join(Status)}, with commas between.") from None


def _model(text: str | None) -> str | None:
    if text is not None and not (0 < len(text) <= 64 and text.isascii()):
        raise InvalidQuery("model has to be a model's name.")
    return text


def _limit(text: str | None) -> int:
    if text is None:
        return DEFAULT_LIMIT
    if not (text.isascii() and text.isdecimal() and len(text) <= 3 and 1 <= int(text) <= MOST):
        raise InvalidQuery(f"limit has to be a whole number from 1 to {MOST}.")
    return int(text)


def _cursor(position: Position) -> str:
    return base64.urlsafe_b64encode(json.dumps(position).encode()).decode().rstrip("=")


def _position(text: str | None) -> Position | None:
    if text is None:
        return None
    try:
        submitted_at, request_id = json.loads(base64.b64decode(text + "=" * (-len(text) % 4), b"-_", validate=True))
    except (ValueError, TypeError, RecursionError):
        raise InvalidQuery("cursor has to be that of an earlier page.") from None
    known = type(submitted_at) is int and 0 <= submitted_at <= _LATEST and isinstance(request_id, str)
    if not known or not can_be_id(request_id):
        raise InvalidQuery("cursor has to be that of an earlier page.")
    return Position(submitted_at, request_id)
