"""HTTP API events (payload format 2.0) in, responses out.

Every response is JSON. The responses to errors are in `inference.http.problems`.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from inference.errors import NotJson, RequestError

ANONYMOUS = "anonymous"

# curl's and browsers' defaults, often sent with JSON; the body shows whether it is JSON.
_ACCEPTED_AS_JSON = ("application/x-www-form-urlencoded", "text/plain")

# JSON is UTF-8 (RFC 8259), and ASCII is a part of it.
_CHARSETS = ("utf-8", "utf8", "us-ascii", "ascii")

# <role's own part>/<session>; the role's path is not in it.
_ASSUMED_ROLE = re.compile(r"(arn:[^:]+:sts::[^:]*:assumed-role/.+)/[^/]*")

# DynamoDB takes keys of up to 2,048 bytes.
_MAX_CALLER_CHARACTERS = 500

# A String of RFC 8941; parameters may follow, and are ignored.
_STRING = re.compile(r'"((?:[ !#-\[\]-~]|\\["\\])*)"(?: *;[ -~]*)?')
_ESCAPED = re.compile(r"\\(.)")


class InvalidIdempotencyKey(RequestError):
    """The Idempotency-Key header is not a valid key."""


class UnknownRoute(RequestError):
    """API Gateway called the function for a route that it does not have."""


class UnsupportedEncoding(RequestError):
    """The body is compressed, or encoded in another way."""


class UnsupportedMediaType(RequestError):
    """The body says that it is something else than JSON in UTF-8."""


class HttpRequest(NamedTuple):  # making a frozen dataclass takes 1.3 ms more of each cold start
    """What the handler needs of an event. Header names are in lower case, as HTTP API sends them."""

    route: str
    path: Mapping[str, str]
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: str
    is_base64: bool
    caller: str


def read_event(event: Mapping[str, Any], by_session: bool = False) -> HttpRequest:
    """Read an event. `by_session`: each session of an assumed role is a caller of its own."""
    context = event.get("requestContext", {})
    return HttpRequest(
        route=event.get("routeKey", ""),
        path=event.get("pathParameters") or {},
        query=event.get("queryStringParameters") or {},
        headers={name.lower(): value for name, value in (event.get("headers") or {}).items()},
        body=event.get("body") or "",
        is_base64=bool(event.get("isBase64Encoded")),
        caller=_as_key(_caller(context.get("authorizer") or {}, by_session)),
    )


def _caller(authorizer: Mapping[str, Any], by_session: bool) -> str:
    """The caller, from the authorizer: a Cognito identity, an IAM principal, a token's subject, the name of an API key,
    or anonymous.

    A role is one caller, with any session name: SDKs make a new name in every process. All users of a Cognito identity
    pool have the same role and session name, and are identified by their identity id.
    """
    if iam := authorizer.get("iam"):
        cognito = iam.get("cognitoIdentity") or {}
        if cognito.get("identityId"):
            return f"cognito:{cognito.get('identityPoolId', '')}:{cognito['identityId']}"
        arn = iam.get("userArn") or iam.get("accessKey")
        role = None if by_session else _ASSUMED_ROLE.fullmatch(str(arn))
        return f"iam:{role[1] if role else arn}"
    if claims := (authorizer.get("jwt") or {}).get("claims"):
        return f"jwt:{claims.get('iss', '')}:{claims.get('sub', '')}"
    if name := (authorizer.get("lambda") or {}).get("key_name"):
        return f"key:{name}"
    return ANONYMOUS


def _as_key(caller: str) -> str:
    """The caller as the table's index takes it, which has a limit for keys: a very long one by its digest."""
    if len(caller) <= _MAX_CALLER_CHARACTERS:
        return caller
    return f"sha256:{hashlib.sha256(caller.encode('utf-8', 'surrogatepass')).hexdigest()}"


def read_body(request: HttpRequest) -> bytes:
    """The body's bytes.

    Raises:
        NotJson: it is declared as base64, but is not valid base64.
    """
    if not request.is_base64:
        return request.body.encode("utf-8", "surrogatepass")
    try:
        return base64.b64decode(request.body, validate=True)
    except (binascii.Error, ValueError) as error:
        raise NotJson("The body is not valid base64.") from error


def require_json(request: HttpRequest) -> None:
    """Reject a body that says it is something else than JSON in UTF-8, as it is.

    Raises:
        UnsupportedEncoding, UnsupportedMediaType: it names what it is.
    """
    coding = request.headers.get("content-encoding", "").strip().lower()
    if coding not in ("", "identity"):
        detail = f"The body's Content-Encoding is '{coding[:64]}'; send it without one, uncompressed."
        raise UnsupportedEncoding(detail)
    kind, *parameters = request.headers.get("content-type", "").lower().split(";")
    kind = kind.strip()
    if kind not in ("", "application/json", *_ACCEPTED_AS_JSON) and not kind.endswith("+json"):
        raise UnsupportedMediaType(f"The body is '{kind[:64]}'; send application/json.")
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        charset = value.strip().strip('"')
        if name.strip() == "charset" and charset not in _CHARSETS:
            raise UnsupportedMediaType(f"The body's charset is '{charset[:64]}'; send UTF-8.")


def idempotency_key(request: HttpRequest) -> str | None:
    """The Idempotency-Key header's value, or None.

    It is a String of RFC 8941, so the quotes are not part of it: `"abc"` and `abc` are one key. Without quotes, as most
    clients send it, it is taken as it is.

    Source: https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/

    Raises:
        InvalidIdempotencyKey: it is empty, longer than 255 characters, not printable ASCII, or begins with a quote and
            is no String.
    """
    key = request.headers.get("idempotency-key")
    if key is None:
        return None
    key = key.strip(" ")
    if key.startswith('"'):
        quoted = _STRING.fullmatch(key)
        if quoted is None:
            detail = 'Idempotency-Key begins with a quote and is no String of RFC 8941, such as "abc".'
            raise InvalidIdempotencyKey(detail)
        key = _ESCAPED.sub(r"\1", quoted[1])
    if not 1 <= len(key) <= 255 or not key.isascii() or not key.isprintable():
        raise InvalidIdempotencyKey("Idempotency-Key has to be 1 to 255 printable ASCII characters.")
    return key


def respond(status: int, body: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> dict[str, Any]:
    """A JSON response. It must not be stored, unless its headers say otherwise."""
    caching = {} if headers and "Cache-Control" in headers else {"cache-control": "no-store"}
    return {
        "statusCode": status,
        "headers": {"content-type": "application/json", **caching, **(headers or {})},
        "body": json.dumps(body, allow_nan=False),
    }
