"""A stand-in for Replicate's API, in front of a real Cog server: POST and GET /v1/predictions, .../cancel, and webhooks
that are signed as Standard Webhooks."""

from __future__ import annotations

import json
import threading
import time
import uuid
from typing import Any

from inference.webhooks.signature import parse_secrets, signed_headers
from tests.providers.json_server import Answer, Asked, JsonServer, post

FINAL = ("succeeded", "failed", "canceled")


class ReplicateApi(JsonServer):
    """One account.

    Args:
        token: the API token.
        signing: the account's signing secret, `whsec_...`.
        cog: the Cog server's URL.

    Attributes:
        predictions: by id.
    """

    def __init__(self, token: str, signing: str, cog: str) -> None:
        super().__init__()
        self._token = token
        self._signing = parse_secrets(signing)
        self._cog = cog
        self.predictions: dict[str, dict[str, Any]] = {}
        self._lock = threading.Lock()

    def answer(self, asked: Asked) -> Answer:
        """See `JsonServer`."""
        if asked.parts[0] == "from-cog":
            return self._ended(asked.parts[1], asked.body)
        if asked.headers.get("authorization") != f"Bearer {self._token}":
            return Answer(401, {"title": "Unauthenticated", "status": 401})
        match asked.method, asked.parts:
            case "POST", ["v1", "predictions"]:
                return self._create(asked.body)
            case "GET", ["v1", "predictions", name] if name in self.predictions:
                return Answer(200, self._shown(name))
            case "POST", ["v1", "predictions", name, "cancel"] if name in self.predictions:
                post(f"{self._cog}/predictions/{name}/cancel", b"", {})
                return Answer(200, self._shown(name))
        return Answer(404, {"title": "Not found", "status": 404})

    def _create(self, body: dict[str, Any]) -> Answer:
        name = uuid.uuid4().hex[:26]
        with self._lock:
            self.predictions[name] = {
                "id": name,
                "version": body["version"],
                "model": "owner/name",
                "status": "starting",
                "input": body["input"],
                "output": None,
                "error": None,
                "logs": "",
                "metrics": {},
                "created_at": "2026-11-26T10:00:00.000Z",
                "urls": {"get": f"{self.url}/v1/predictions/{name}"},
                "webhook": body.get("webhook"),
            }
        asked = {
            "input": body["input"],
            "webhook": f"{self.url}/from-cog/{name}",
            "webhook_events_filter": ["completed"],
        }
        status = post(f"{self._cog}/predictions/{name}", json.dumps(asked).encode(), {"Prefer": "respond-async"}, "PUT")
        if status != 202:
            return Answer(500, {"detail": f"Cog answered {status}"})
        return Answer(201, self._shown(name))

    def _ended(self, name: str, body: dict[str, Any]) -> Answer:
        with self._lock:
            prediction = self.predictions[name]
            prediction |= {key: body[key] for key in ("status", "output", "error", "metrics") if key in body}
        if prediction["webhook"] and prediction["status"] in FINAL:
            sent = json.dumps(self._shown(name)).encode()
            headers = signed_headers(f"msg_{name}", time.time_ns() // 1_000_000, sent, self._signing)
            post(prediction["webhook"], sent, headers)
        return Answer(200, {})

    def _shown(self, name: str) -> dict[str, Any]:
        with self._lock:
            return {key: value for key, value in self.predictions[name].items() if key != "webhook"}
