"""The steps of a plan: HTTP calls, transfers of files, and pauses. A plan yields them; who runs it makes them. See
`_operations`.
"""

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

import httpx2

from async_inference_client._content import Content


@dataclass(frozen=True, slots=True)
class Call:
    """An HTTP call; `timeout` is in seconds."""

    method: str
    path: str
    timeout: float
    content: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Transfer:
    """A call of a presigned link: nothing of the client's authentication goes with it.

    Attributes:
        timeout: in seconds, of each part.
        content: what is sent; None sends nothing.
        receive: takes the parts of a success; None leaves it in the response.
    """

    method: str
    url: str
    timeout: float
    headers: Mapping[str, str] = field(default_factory=dict)
    content: Content | None = None
    receive: Callable[[bytes], None] | None = None


@dataclass(frozen=True, slots=True)
class Pause:
    """Time without a call."""

    seconds: float


T = TypeVar("T")
Plan = Generator[Call | Transfer | Pause, httpx2.Response | None, T]
