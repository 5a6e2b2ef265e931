"""The HTTP API of an app on Modal: what `worker.backends.modal` calls. Modal's own calls are gRPC, with an SDK.

POST /submit        {"input": ..., "callback_url": ...} -> {"id": ...}
GET  /status/{id}   {"status": "running" | "succeeded" | "failed" | "stopped", "output", "error"}; 404: not known
POST /cancel/{id}
"""

from __future__ import annotations

import hmac
from collections.abc import Callable
from typing import Any

from fastapi import Depends, FastAPI, Header, HTTPException
from modal import exception

from inference.errors import ConfigurationError


def make_api(
    token: str,
    spawn: Callable[[Any], Any],
    from_id: Callable[[str], Any],
    announce: Callable[[str, str], object],
) -> FastAPI:
    """The API.

    Args:
        token: of callers; the same as in the backend's secret.
        spawn: starts a run of the model; returns Modal's FunctionCall.
        from_id: `modal.FunctionCall.from_id`.
        announce: called with a run's id and the callback's address, when one is given.

    Raises:
        ConfigurationError: the token is empty: everybody would be let in.
    """
    if not token:
        raise ConfigurationError("the app's token is empty: set BACKEND_TOKEN in its Modal secret")

    def check(authorization: str = Header("")) -> None:
        if not hmac.compare_digest(authorization.encode(), f"Bearer {token}".encode()):
            raise HTTPException(401, "the token is wrong")

    api = FastAPI(openapi_url=None, dependencies=[Depends(check)])

    @api.post("/submit")
    def submit(body: dict[str, Any]) -> dict[str, Any]:
        if "input" not in body:
            raise HTTPException(422, "the body has no input")
        call = spawn(body["input"])
        if body.get("callback_url"):
            announce(call.object_id, str(body["callback_url"]))
        return {"id": call.object_id}

    @api.get("/status/{call_id}")
    def status(call_id: str) -> dict[str, Any]:
        try:
            answer = from_id(call_id).get(timeout=0)
        except (exception.NotFoundError, exception.OutputExpiredError, exception.InvalidError):
            raise HTTPException(404, "this run is not known, or was forgotten") from None
        except (exception.FunctionTimeoutError, exception.InputCancellation):
            return {"status": "stopped"}
        except TimeoutError:
            return {"status": "running"}
        except exception.RemoteError as error:  # the container was lost, or ran out of memory
            return {"status": "stopped", "error": str(error)}
        if "error" in answer:
            return {"status": "failed", **answer}
        return {"status": "succeeded", **answer}

    @api.post("/cancel/{call_id}")
    def cancel(call_id: str) -> dict[str, Any]:
        try:
            from_id(call_id).cancel()
        except (exception.NotFoundError, exception.OutputExpiredError, exception.InvalidError):
            raise HTTPException(404, "this run is not known, or was forgotten") from None
        return {}

    return api
