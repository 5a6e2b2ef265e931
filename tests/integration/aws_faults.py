"""Faults below the SDK: what AWS or the network does to a single HTTP request, so that boto3's own retries see it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import botocore.endpoint
import pytest
from botocore.awsrequest import AWSResponse
from botocore.exceptions import ConnectTimeoutError, ReadTimeoutError
from moto.core.botocore_stubber import BotocoreStubber, MockRawResponse

THROTTLED, BROKEN, SLOW, UNREACHABLE = "throttled", "server_error", "read_timeout", "connect_timeout"
KINDS = (THROTTLED, BROKEN, SLOW, UNREACHABLE)
DONE_KINDS = (BROKEN, SLOW)
"""Those after which the call may have taken effect all the same."""

ALWAYS = 10**6


@dataclass
class AwsFault:
    """An operation's HTTP requests that go wrong: the first `times`, after `skip` good ones.

    `done`: the request took effect; only its answer was lost.
    """

    operation: str
    kind: str
    done: bool = False
    times: int = 1
    skip: int = 0
    hits: int = 0

    def applies_to(self, event: str) -> bool:
        if event.rpartition(".")[2] != self.operation:
            return False
        if self.skip > 0:
            self.skip -= 1
            return False
        self.hits += 1
        return self.hits <= self.times


@contextmanager
def injected(*faults: AwsFault) -> Iterator[None]:
    """Moto answers, but for these faults. Waits between retries are left out."""
    answer = BotocoreStubber.__call__

    def faulty(stubber: BotocoreStubber, event_name: str, request: Any, **more: Any) -> AWSResponse | None:
        fault = next((fault for fault in faults if fault.applies_to(event_name)), None)
        if fault is None:
            return answer(stubber, event_name, request, **more)
        if fault.done:
            answer(stubber, event_name, request, **more)
        return _go_wrong(fault.kind, request)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(BotocoreStubber, "__call__", faulty)
        patch.setattr(botocore.endpoint, "time", SimpleNamespace(sleep=lambda _: None))
        yield


def _go_wrong(kind: str, request: Any) -> AWSResponse:
    if kind == SLOW:
        raise ReadTimeoutError(endpoint_url=request.url)
    if kind == UNREACHABLE:
        raise ConnectTimeoutError(endpoint_url=request.url)
    if kind == THROTTLED:
        return _answer(request, 400, "ThrottlingException")
    return _answer(request, 500, "InternalServerError")


def _answer(request: Any, status: int, code: str) -> AWSResponse:
    body = json.dumps({"__type": f"com.amazonaws#{code}", "message": "injected"})
    return AWSResponse(request.url, status, {"content-type": "application/x-amz-json-1.0"}, MockRawResponse(body))
