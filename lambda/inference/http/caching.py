"""The response with a status: what may keep it for how long, and no body for a client that has it already."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import Any

from inference.http.messages import HttpRequest, respond
from inference.requests import FINAL, Record, Status

KEPT_SECONDS = 3600
"""How long a private cache may keep a final answer without a question, at most; a request that is erased may be seen
there for so long."""

CREDENTIALS = "Authorization, X-Api-Key"
"""The headers that say who calls: two users of one browser are two callers."""

_OF_A_BODY = {"content-type", "Content-Security-Policy", "Referrer-Policy", "X-Content-Type-Options"}
"""Headers that a response without a body does not have: a client keeps those that it got with the body."""

# An entity tag; the mark of a weak one says nothing here.
_TAG = re.compile(r'(?:W/)?("[!#-~]*")')


def respond_cacheable(
    request: HttpRequest,
    record: Record,
    body: Mapping[str, Any],
    headers: Mapping[str, str],
    now: int,
    link_seconds: int,
) -> dict[str, Any]:
    """`200` with the body, or `304` without one if the client has the same body already (If-None-Match).

    Args:
        request: the call.
        record: what the body shows.
        headers: more headers of both.
        now: epoch milliseconds.
        link_seconds: for how long the links to its files are valid.
    """
    response = respond(200, body, {**headers, "Cache-Control": cache_control(record, now, link_seconds)})
    return respond_unless_unchanged(request, response["body"], response["headers"])


def respond_unless_unchanged(request: HttpRequest, body: str, headers: Mapping[str, str]) -> dict[str, Any]:
    """`200` with the body and its tag, or `304` without one if the client has the same body already (If-None-Match).

    Args:
        request: the call.
        body: the body's text.
        headers: more headers; `content-type` is of the body.
    """
    tag = f'"{hashlib.sha256(body.encode()).hexdigest()[:32]}"'
    sent = {**headers, "ETag": tag, "Vary": CREDENTIALS}
    if not _has(request.headers.get("if-none-match", ""), tag):
        return {"statusCode": 200, "headers": sent, "body": body}
    return {"statusCode": 304, "headers": {name: value for name, value in sent.items() if name not in _OF_A_BODY}}


def cache_control(record: Record, now: int, link_seconds: int) -> str:
    """No shared cache may keep a request. A private one may use a final answer without asking, until the record is
    deleted; one of a failed request only after asking, since an operator may replay it, and one with a webhook, whose
    deliveries are in the answer. Links to files that come out of a cache must still be usable: half their life is left.
    """
    if record.status not in FINAL or record.status is Status.FAILED or record.webhook_url is not None:
        return "private, no-cache"
    seconds = link_seconds // 2 if record.files else KEPT_SECONDS
    return f"private, max-age={min(max(record.delete_at - now // 1000, 0), seconds)}"


def _has(if_none_match: str, tag: str) -> bool:
    return if_none_match.strip() == "*" or tag in _TAG.findall(if_none_match)
