"""The api function behind a real HTTP server on this machine, with the faults of a network."""

from __future__ import annotations

import base64
import json
import re
import socket
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, unquote

from tests import openapi
from tests.events import golden, http_events
from tests.integration.system import System


class HttpServer:
    """Answers as API Gateway does.

    Attributes:
        faults: for each next call: `lose` (processed, but the connection ends without a response), `hang` (the response
            comes when the server ends) or `answer`.
        seen: method and path of each call, with its headers.
        work: whether the batches function and a worker run before each status is answered.
        lets_in: whether a call has credentials, from its method, path, headers and body.
    """

    def __init__(self, system: System) -> None:
        self.faults: deque[str] = deque()
        self.seen: list[tuple[str, str, dict[str, str]]] = []
        self.work = True
        self.lets_in: Callable[[str, str, dict[str, str], bytes], bool] = lambda *_: True
        self._system = system
        self._one_at_a_time = threading.Lock()
        self.ended = threading.Event()

    def call(self, method: str, url: str, headers: dict[str, str], body: bytes) -> dict[str, Any]:
        path, _, query = url.partition("?")
        with self._one_at_a_time:  # a function's instance has one invocation at a time
            self.seen.append((method, path, headers))
            route, parameters = match(method, path)
            if route is None:
                return _of_the_gateway(404, "Not Found")
            if route not in openapi.OPEN_ROUTES and not self.lets_in(method, path, headers, body):
                return _of_the_gateway(403, "Forbidden")
            if self.work and route.startswith(("GET /status/", "GET /batches/")):
                self._system.run_batches()
                for model in self._system.models:
                    self._system.run_worker(model)
            event = golden(http_events()[route])
            event |= {"headers": headers, "pathParameters": parameters, "rawPath": path, "rawQueryString": query}
            event["queryStringParameters"] = dict(parse_qsl(query, keep_blank_values=True))
            return self._system.call(event | _as_event_body(body))


def match(method: str, path: str) -> tuple[str | None, dict[str, str]]:
    """The route of a call, and its path parameters. A path without parameters comes before one with them."""
    for route in sorted(openapi.ROUTES, key=lambda route: route.count("{")):
        pattern = re.sub(r"\\{(\w+)\\}", r"(?P<\1>[^/]+)", re.escape(route))
        found = re.fullmatch(pattern, f"{method} {path}")
        if found:
            return route, {name: unquote(value) for name, value in found.groupdict().items()}
    return None, {}


def _of_the_gateway(status: int, message: str) -> dict[str, Any]:
    headers = {"content-type": "application/json"}
    return {"statusCode": status, "headers": headers, "body": json.dumps({"message": message})}


def _as_event_body(body: bytes) -> dict[str, Any]:
    try:
        return {"body": body.decode(), "isBase64Encoded": False}
    except UnicodeDecodeError:
        return {"body": base64.b64encode(body).decode(), "isBase64Encoded": True}


@contextmanager
def serving(system: System) -> Iterator[tuple[HttpServer, str]]:
    """A server and its base URL."""
    api = HttpServer(system)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            headers = {name.lower(): value for name, value in self.headers.items()}
            response = api.call(self.command, self.path, headers, body)
            fault = api.faults.popleft() if api.faults else "answer"
            if fault == "hang":
                api.ended.wait()
            if fault != "answer":
                self.close_connection = True
                self.connection.shutdown(socket.SHUT_RDWR)
                return
            data = response.get("body", "").encode()
            self.send_response(response["statusCode"])
            for name, value in response["headers"].items():
                self.send_header(name, value)
            if response["statusCode"] != 304:
                self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = do_OPTIONS = do_TRACE = do_QUERY = _answer

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield api, f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            api.ended.set()
            server.shutdown()
            thread.join()
