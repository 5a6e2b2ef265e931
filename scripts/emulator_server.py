"""Run MiniStack in this process, with an end, and without its race against Terraform's provider."""

import asyncio
import os
import signal
import sys
from typing import Any

PAUSE_SECONDS = 0.02
HOT_PAUSE_SECONDS = 0.002
"""For what functions call all the time; Terraform calls none of it."""

_HOT = (b"dynamodb_20120810.", b"amazonsqs.")


def serve(lifetime_seconds: int) -> int:
    """Become MiniStack; an alarm clock asks it to stop, as SIGTERM would."""
    from ministack import app

    from scripts import emulator_functions, emulator_patches

    emulator_patches.patch()
    emulator_functions.patch()
    inner = app.app

    async def unhurried(scope: dict[str, Any], receive: Any, send: Any) -> None:
        # MiniStack answers some writes before the provider's connection is ready for it; the provider then closes it
        # and sends the request again, which fails because the thing exists: about one apply of five, without a pause.
        if scope["type"] == "http" and scope["method"] not in ("GET", "HEAD"):
            await asyncio.sleep(HOT_PAUSE_SECONDS if _is_hot(scope) else PAUSE_SECONDS)
        await inner(scope, receive, send)

    app.app = unhurried
    signal.signal(signal.SIGALRM, lambda *_: os.kill(os.getpid(), signal.SIGTERM))
    signal.alarm(lifetime_seconds)
    sys.argv = ["ministack"]
    app.main()
    return 0


def _is_hot(scope: dict[str, Any]) -> bool:
    target = dict(scope["headers"]).get(b"x-amz-target", b"").lower()
    return target.startswith(_HOT) and b".create" not in target
