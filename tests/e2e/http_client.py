"""The API as a client sees it: plain HTTP, nothing of the project's own code."""

from __future__ import annotations

import http.client
import json
import time
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

FINAL = {"succeeded", "failed", "cancelled", "expired"}
POLL_SECONDS = 0.2


@dataclass(frozen=True)
class Response:
    """One HTTP response; header names in lower case, the body read as JSON if it is JSON."""

    status: int
    headers: dict[str, str]
    body: Any


class Api:
    """Calls the API below a base URL, each time with these headers. Their names are written with underscores."""

    def __init__(self, base_url: str, **headers: str) -> None:
        parts = urlsplit(base_url)
        assert parts.hostname and parts.port
        self._address = (parts.hostname, parts.port)
        self._prefix = parts.path
        self._headers = headers

    def call(self, method: str, path: str, body: bytes | None = None, **headers: str) -> Response:
        """One request on a connection of its own. Header names are written with underscores."""
        connection = http.client.HTTPConnection(*self._address, timeout=60)
        try:
            names = {name.replace("_", "-"): value for name, value in (self._headers | headers).items()}
            connection.request(method, self._prefix + path, body, names)
            answer = connection.getresponse()
            text = answer.read().decode()
            fields = {name.lower(): value for name, value in answer.getheaders()}
            is_json = "json" in fields.get("content-type", "")
            return Response(answer.status, fields, json.loads(text) if text and is_json else text or None)
        finally:
            connection.close()

    def submit(self, value: Any, model: str | None = None, **headers: str) -> Response:
        """POST an input."""
        path = "/predict" if model is None else f"/predict/{model}"
        return self.call("POST", path, json.dumps(value).encode(), content_type="application/json", **headers)

    def accepted(self, value: Any, model: str | None = None, **headers: str) -> str:
        """POST an input that has to be accepted; its request id."""
        response = self.submit(value, model, **headers)
        assert response.status == 202, response
        request_id: str = response.body["request_id"]
        return request_id

    def status(self, request_id: str) -> Response:
        """GET a request's status."""
        return self.call("GET", f"/status/{request_id}")

    def outcome(self, request_id: str, seconds: float = 60) -> dict[str, Any]:
        """Poll until the request is final.

        Raises:
            AssertionError: it is not final in time; the text has its last status.
        """
        deadline = time.monotonic() + seconds
        while True:
            response = self.status(request_id)
            assert response.status == 200, response
            body: dict[str, Any] = response.body
            if body["status"] in FINAL:
                return body
            assert time.monotonic() < deadline, f"not final after {seconds} s: {body}"
            time.sleep(POLL_SECONDS)
