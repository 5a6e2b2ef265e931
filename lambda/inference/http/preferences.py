"""The Prefer header (RFC 7240): what a client would like, and the API may ignore."""

from __future__ import annotations

import re

from inference.http.messages import HttpRequest

# The first `wait` of a list; it may have parameters, which are ignored.
_WAIT = re.compile(r'(?:^|,)[ \t]*wait[ \t]*=[ \t]*("?)([0-9]{1,9})\1[ \t]*(?=[;,]|$)', re.IGNORECASE)


def wait_seconds(request: HttpRequest, most: int) -> int:
    """For how many seconds the client would wait for the request to be final, at most `most`; 0: not at all.

    A preference that can't be read is ignored, as the RFC asks.
    """
    found = _WAIT.search(request.headers.get("prefer", ""))
    return min(int(found[2]), most) if found else 0
