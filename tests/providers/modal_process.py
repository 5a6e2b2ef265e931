"""A Modal app without Modal: its own HTTP API, over `.local()` of its class; errors are the SDK's own.

python modal_process.py PORT TOKEN      in the app's folder
"""

from __future__ import annotations

import asyncio
import sys
import threading
import uuid
from typing import Any

import modal_app
import uvicorn
from modal import exception

from worker.providers.modal_api import make_api

calls: dict[str, LocalCall] = {}
model = modal_app.Model()
# `.local()` of a coroutine does not call what @modal.enter() marks: called here, on the class.
user_class = modal_app.Model._get_user_cls()
user_class.__dict__["load"]._get_raw_f()(user_class)
loop = asyncio.new_event_loop()
threading.Thread(target=loop.run_forever, daemon=True).start()


class LocalCall:
    """A run, with the part of `modal.FunctionCall` that the API uses."""

    def __init__(self, value: Any) -> None:
        self.object_id = f"fc-{uuid.uuid4().hex}"
        self._future = asyncio.run_coroutine_threadsafe(model.predict.local(value), loop)

    def get(self, timeout: float | None = None) -> Any:
        if self._future.cancelled():
            raise exception.InputCancellation("cancelled")
        return self._future.result(timeout)

    def cancel(self) -> None:
        self._future.cancel()


def spawn(value: Any) -> LocalCall:
    call = LocalCall(value)
    calls[call.object_id] = call
    return call


def from_id(call_id: str) -> LocalCall:
    if call_id not in calls:
        raise exception.NotFoundError(call_id)
    return calls[call_id]


def announce(call_id: str, url: str) -> None:
    threading.Thread(target=modal_app.announce.local, args=[call_id, url], daemon=True).start()


modal_app.modal.FunctionCall.from_id = from_id  # the app's own `announce` asks there
api = make_api(sys.argv[2], spawn, from_id, announce)
uvicorn.run(api, host="127.0.0.1", port=int(sys.argv[1]), log_level="warning")
