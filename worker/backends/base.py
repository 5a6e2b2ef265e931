"""What a dispatcher needs of a GPU provider, and the errors by which it decides what to do next.

    BackendError
        Refused            the provider certainly did not take it: do it again later
        Uncertain          no answer: it may have taken it
        Rejected           it would be rejected again: the request fails, with what to fix
            Misconfigured  the token or the endpoint is wrong: of the deployment, not of this input
    NotAuthentic           a callback that is not the provider's

A provider keeps no record by which it would know a submit again: the same submission twice runs twice.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from inference.requests import ErrorCode


@dataclass(frozen=True)
class Submission:
    """One submit of a request.

    Attributes:
        request_id: the request.
        number: counts the request's submits, from 1.
        input: the model's input as JSON; a file in it is base64 text, or `{"$ref": "https://..."}`, a link to it.
        callback_url: where the provider announces the outcome; None for a provider that is only polled.
        seconds: until the request's deadline, at least 1.
    """

    request_id: str
    number: int
    input: Any
    callback_url: str | None
    seconds: int


@dataclass(frozen=True)
class Running:
    """Not done: in the provider's queue, or running. `progress` is from 0 to 1 where the provider tells it."""

    progress: float | None = None


@dataclass(frozen=True)
class Succeeded:
    """The model's output as JSON. `run_seconds`: what the provider bills, where it tells."""

    output: Any
    run_seconds: float | None = None


@dataclass(frozen=True)
class Failed:
    """The run ended without an output. `retryable`: another run may succeed, as after a lost machine or an exception of
    the model; not after an input that the model rejects. `code`: None where the provider tells none."""

    message: str
    retryable: bool
    run_seconds: float | None = None
    code: ErrorCode | None = None


@dataclass(frozen=True)
class Gone:
    """The provider does not know the id: it has forgotten the run, or never knew it."""


Look = Running | Succeeded | Failed | Gone


@dataclass(frozen=True)
class Callback:
    """What a provider announced. `look` is None where the outcome can be had by `Backend.look`: a callback's body is
    believed only of a provider that has no other way."""

    provider_id: str
    look: Look | None = None


class BackendError(Exception):
    """A provider was called, and this is what came of it. The message never has the token."""


class Refused(BackendError):
    """The provider certainly did not do it: no connection, too many calls, or it is out of service. `retry_after`:
    seconds, where it says."""

    def __init__(self, message: str, retry_after: int | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class Uncertain(BackendError):
    """No answer, or none that can be read: the provider may have done it."""


class Rejected(BackendError):
    """The provider rejects it and would do so again. The message says what to fix."""


class Misconfigured(Rejected):
    """The provider rejects the token, or does not know the endpoint: every request would be rejected."""


class NotAuthentic(Exception):
    """A callback is not signed by the provider, or can't be read. Nothing of it is to be used."""


class Backend(Protocol):
    """One endpoint of a provider. Safe to share by threads."""

    @property
    def polls(self) -> bool:
        """Whether `look` tells the outcome. False for Cog's server: only its callback does."""

    def submit(self, submission: Submission) -> str:
        """Start a run; returns the provider's id of it.

        Raises:
            Refused: certainly not started.
            Uncertain: perhaps started.
            Rejected: it would be rejected again.
        """

    def look(self, provider_id: str) -> Look:
        """How a run is. Raises Refused or Uncertain where the provider does not say, Misconfigured."""

    def cancel(self, provider_id: str) -> None:
        """Stop a run, or take it from the provider's queue. Does nothing where it is over. Raises Refused, Uncertain,
        Misconfigured."""

    def read_callback(self, headers: Mapping[str, str], body: bytes) -> Callback:
        """The run that a callback is about. `headers` have names in lower case. Raises NotAuthentic."""
