"""Run MiniStack in this process, with a lifetime, and without a race condition with Terraform's AWS provider."""

import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from typing import Any

Receive = Callable[[], Awaitable[Any]]
App = Callable[[dict[str, Any], Receive, Any], Awaitable[None]]

PAUSE_SECONDS = 0.02
FREQUENT_PAUSE_SECONDS = 0.002
"""For calls that functions make all the time, and Terraform does not make."""

SETTLING_ROUNDS = 8
"""Iterations of a busy event loop until it has seen that a connection was closed."""

_FREQUENT = (b"dynamodb_20120810.", b"amazonsqs.")


def serve(lifetime_seconds: int) -> int:
    """Run MiniStack; after the lifetime an alarm signal stops it, as SIGTERM would."""
    from ministack import app

    from scripts.local import emulator_functions, emulator_patches

    emulator_patches.patch()
    emulator_functions.patch()
    app.app = with_write_delay(app.app)
    signal.signal(signal.SIGALRM, lambda *_: os.kill(os.getpid(), signal.SIGTERM))
    signal.alarm(lifetime_seconds)
    sys.argv = ["ministack"]
    app.main()
    return 0


def with_write_delay(inner: App) -> App:
    """Wait briefly before each write, and skip a write whose client has disconnected meanwhile.

    MiniStack answers some writes before the provider's connection is ready for the response; the provider then closes
    the connection and sends the request again, which fails because the resource exists: about one apply of five,
    without the delay. After Ctrl-C the provider disconnects, and resources created later would be missing in
    Terraform's state.
    """

    async def paused(scope: dict[str, Any], receive: Receive, send: Any) -> None:
        if scope["type"] != "http" or scope["method"] in ("GET", "HEAD"):
            await inner(scope, receive, send)
            return
        events = [await receive()]
        while events[-1].get("more_body"):
            events.append(await receive())
        end = asyncio.ensure_future(receive())
        await asyncio.wait({end}, timeout=FREQUENT_PAUSE_SECONDS if _is_frequent(scope) else PAUSE_SECONDS)
        for _ in range(SETTLING_ROUNDS):
            await asyncio.sleep(0)
        if end.done() or events[-1]["type"] == "http.disconnect":
            return

        async def again() -> Any:
            return events.pop(0) if events else await end

        try:
            await inner(scope, again, send)
        finally:
            end.cancel()

    return paused


def _is_frequent(scope: dict[str, Any]) -> bool:
    target = dict(scope["headers"]).get(b"x-amz-target", b"").lower()
    return target.startswith(_FREQUENT) and b".create" not in target
