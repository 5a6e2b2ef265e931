"""A client of the HTTP API: submit, get the status, wait. Standard library only."""

import json
import random
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from email.message import Message
from http.client import HTTPException
from typing import Any

from scripts.console import CommandError

FINAL = frozenset({"succeeded", "failed", "cancelled", "expired"})
RETRY_SECONDS = 30.0
HTTP_TIMEOUT_SECONDS = 30.0
LONGEST_PAUSE_SECONDS = 60.0

UNKNOWN_REQUEST = "/problems/unknown-request"
TRY_AGAIN = frozenset({"/problems/internal-error", "/problems/unavailable"})
"""Types of the API's problems (docs/api.md) that may pass."""

_TRY_AGAIN_STATUSES = frozenset({429, 500, 502, 503, 504})
"""The same for answers that are not the API's own: API Gateway's have a status only."""

Sign = Callable[[str, str, bytes, Mapping[str, str]], Mapping[str, str]]
"""method, URL, body, headers -> the headers to send, signed."""


@dataclass(frozen=True)
class Reply:
    """An HTTP response: header names in lower case, the body as JSON (or as text when it is none)."""

    status: int
    headers: Mapping[str, str]
    body: Any
    route: str = ""

    @property
    def pause(self) -> float | None:
        """The reply's Retry-After in seconds; None without one."""
        text = self.headers.get("retry-after", "")
        return min(float(text), LONGEST_PAUSE_SECONDS) if text.isdecimal() else None

    @property
    def problem_type(self) -> str | None:
        """The type of a problem document; None for everything else, such as an error of API Gateway's own."""
        found = self.body.get("type") if isinstance(self.body, dict) else None
        return found if isinstance(found, str) else None

    @property
    def may_pass(self) -> bool:
        """Whether the same call may succeed later."""
        return self.status in _TRY_AGAIN_STATUSES if self.problem_type is None else self.problem_type in TRY_AGAIN

    @property
    def problem(self) -> str:
        """The problem document in one line; for another reply, what is known."""
        if self.problem_type is not None:
            return (
                f"{self.status} {': '.join(str(self.body[key]) for key in ('title', 'detail') if self.body.get(key))}"
            )
        said = self.body.get("message", "") if isinstance(self.body, dict) else str(self.body)[:200]
        request = self.headers.get("apigw-requestid") or self.headers.get("x-amzn-requestid")
        known = (self.route, "not from the API itself", f"gateway request {request}" if request else "")
        where = ", ".join(part for part in known if part)
        return f"{self.status} {said or 'without a text'} ({where}; {_hint(self.status)})"


def _hint(status: int) -> str:
    if status in (401, 403):
        return "is the call signed, and may the caller invoke the API?"
    if status == 404:
        return "is the URL right?"
    if status == 413:
        return "API Gateway accepts no body of this size: put the input into S3, and send its key as the input"
    if status == 429:
        return "more calls than the API's throttling allows"
    return "the api function failed or could not be called: see `make logs`"


class Unreachable(CommandError):
    """The API does not answer."""

    def __init__(self, url: str, reason: object) -> None:
        super().__init__(f"no answer from {url}: {reason}", code=2)


class ApiError(CommandError):
    """The API returned an error."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(f"rejected: {reply.problem}", code=2)
        self.reply = reply


class NotFound(CommandError):
    """No such request, or it is gone, or another caller's."""

    def __init__(self, request_id: str) -> None:
        super().__init__(f"there is no request {request_id} (it may have been deleted after its retention)", 3)


class TimedOut(CommandError):
    """The request was not final in time. It continues, and its id stays valid."""

    def __init__(self, request_id: str, seconds: float) -> None:
        super().__init__(f"{request_id} is not done after {seconds:g} s and continues: --resume {request_id}", 4)


class Client:
    """Talks to one deployment.

    Args:
        base_url: the URL before `/predict`.
        sign: adds a signature to each call.
    """

    def __init__(self, base_url: str, sign: Sign | None = None) -> None:
        self.base_url = base_url.rstrip("/")
        self._sign = sign
        host = urllib.parse.urlsplit(base_url).hostname
        # Calls to this machine must not use an HTTP proxy.
        proxies: dict[str, str] | None = {} if host in ("127.0.0.1", "localhost", "::1") else None
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler(proxies))

    def call(self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None) -> Reply:
        """One HTTP exchange, any status.

        Raises:
            Unreachable: no HTTP response came.
        """
        url = self.base_url + path
        sent = dict(headers or {})
        if self._sign is not None:
            sent = dict(self._sign(method, url, body, sent))
        request = urllib.request.Request(url, body or None, sent, method=method)
        try:
            with self._opener.open(request, timeout=HTTP_TIMEOUT_SECONDS) as response:
                return _reply(f"{method} {path}", response.status, response.headers, response.read())
        except urllib.error.HTTPError as error:
            with error:
                return _reply(f"{method} {path}", error.code, error.headers, error.read())
        except urllib.error.URLError as error:
            raise Unreachable(url, error.reason) from error
        except (OSError, HTTPException) as error:
            raise Unreachable(url, error) from error

    def submit(self, payload: Any, model: str | None = None) -> str:
        """Send an input and return the request's id.

        All tries of this call have the same Idempotency-Key, so that a lost response makes no second request.

        Raises:
            ApiError: the API does not take this input.
            Unreachable: no try reached it.
        """
        key = str(uuid.uuid4())
        deadline = time.monotonic() + RETRY_SECONDS
        tries = 0
        while True:
            try:
                return str(self.send(payload, model, key).body["request_id"])
            except CommandError as error:
                tries += 1
                pause = submit_again_after(error, tries)
                if pause is None or time.monotonic() + pause > deadline:
                    raise
            time.sleep(pause)

    def send(self, payload: Any, model: str | None, key: str) -> Reply:
        """Send an input once: a reply with status 202, whose body has the `request_id`.

        Raises:
            ApiError: any other answer.
            Unreachable: no response; the request may have been accepted, so the next try needs the same `key`.
        """
        path = f"/predict/{urllib.parse.quote(model, safe='')}" if model else "/predict"
        headers = {"Content-Type": "application/json", "Idempotency-Key": key}
        reply = self.call("POST", path, json.dumps(payload).encode(), headers)
        if reply.status != 202:
            raise ApiError(reply)
        return reply

    def status(self, request_id: str) -> Reply:
        """Get a request's status: a reply with HTTP status 200.

        Raises:
            NotFound: there is no such request.
            ApiError: any other answer.
        """
        reply = self.call("GET", f"/status/{urllib.parse.quote(request_id, safe='')}")
        if reply.problem_type == UNKNOWN_REQUEST:
            raise NotFound(request_id)
        if reply.status != 200:
            raise ApiError(reply)
        return reply

    def wait(
        self,
        request_id: str,
        seconds: float,
        on_status: Callable[[Mapping[str, Any]], None] = lambda _: None,
        *,
        pause: float | None = None,
    ) -> Mapping[str, Any]:
        """Poll until the request is final, and return the last response's body.

        Args:
            request_id: whose outcome.
            seconds: the longest time to wait.
            on_status: called with every response's body.
            pause: seconds between two calls, instead of the API's Retry-After.

        Raises:
            NotFound, ApiError, Unreachable: as the single calls do, but passing failures are tried again.
            TimedOut: it is not final in time.
        """
        deadline = time.monotonic() + seconds
        failures = 0
        while True:
            try:
                reply = self.status(request_id)
                failures = 0
                on_status(reply.body)
                if reply.body["status"] in FINAL:
                    answer: Mapping[str, Any] = reply.body
                    return answer
                wait = ask_again_after(reply) if pause is None else pause
            except CommandError as error:
                failures += 1
                after = try_again_after(error, failures)
                if after is None or time.monotonic() > deadline:
                    raise
                wait = after
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimedOut(request_id, seconds)
            time.sleep(min(wait, left))


def _reply(route: str, status: int, headers: Message, data: bytes) -> Reply:
    try:
        body = json.loads(data)
    except ValueError:
        body = data.decode(errors="replace")
    return Reply(status, {name.lower(): value for name, value in headers.items()}, body, route)


def ask_again_after(reply: Reply) -> float:
    """Seconds until the next status call for a request that is not final."""
    return 1.0 if reply.pause is None else reply.pause


def try_again_after(failure: CommandError, tries: int) -> float | None:
    """Seconds until the next try after so many that failed; None where another try would not help.

    Where the server names none, they double, and are spread so that clients don't meet.
    """
    if not isinstance(failure, Unreachable | ApiError):
        return None
    if isinstance(failure, ApiError) and not failure.reply.may_pass:
        return None
    if isinstance(failure, ApiError) and failure.reply.pause is not None:
        return failure.reply.pause
    return float(min(2.0 ** (tries - 1), 10.0) * random.uniform(0.5, 1.0))


def submit_again_after(failure: CommandError, tries: int) -> float | None:
    """As `try_again_after`, but None if the connection was rejected: nothing is listening there."""
    cause = failure.__cause__
    if isinstance(getattr(cause, "reason", cause), ConnectionRefusedError):
        return None
    return try_again_after(failure, tries)
