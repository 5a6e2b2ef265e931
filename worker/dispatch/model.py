"""A model that runs at a GPU provider, as the dispatcher and the callbacks function know it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol, TypeVar

from inference.catalog import Validate
from inference.errors import ConfigurationError, Unavailable
from worker.backends.base import Backend, Callback, Look, Misconfigured, Refused, Submission
from worker.dispatch.delays import LookDelay

_Answer = TypeVar("_Answer")


class Token(Protocol):
    """The provider's token: `worker.dispatch.tokens`."""

    def secret(self, *, fresh: bool = False) -> Mapping[str, str]: ...


class Provider:
    """A provider, called with the token that is valid now: when it rejects the token, that is read again, once. A
    secret that can't be read is as if the provider could not be reached; a wrong one, as if it rejected the token.

    Args:
        make: makes the backend from what the secret has.
        token: reads the secret.
    """

    def __init__(self, make: Callable[[Mapping[str, str]], Backend], token: Token) -> None:
        self._make = make
        self._token = token
        self._current: tuple[Mapping[str, str], Backend] | None = None

    @property
    def polls(self) -> bool:
        """Whether a look tells the outcome; False: only the provider's callback does."""
        return self._backend().polls

    def submit(self, submission: Submission) -> str:
        """See `Backend.submit`."""
        return self._call(lambda backend: backend.submit(submission))

    def look(self, run_id: str) -> Look:
        """See `Backend.look`."""
        return self._call(lambda backend: backend.look(run_id))

    def cancel(self, run_id: str) -> None:
        """See `Backend.cancel`."""
        self._call(lambda backend: backend.cancel(run_id))

    def read_callback(self, headers: Mapping[str, str], body: bytes) -> Callback:
        """See `Backend.read_callback`."""
        return self._backend().read_callback(headers, body)

    def secret(self) -> Mapping[str, str]:
        """What the secret has now. Raises Refused, Misconfigured."""
        return self._read(fresh=False)

    def _read(self, *, fresh: bool) -> Mapping[str, str]:
        try:
            return self._token.secret(fresh=fresh)
        except Unavailable as error:
            raise Refused(f"the provider's token could not be read: {error}") from error
        except ConfigurationError as error:
            raise Misconfigured(str(error)) from error

    def _call(self, operation: Callable[[Backend], _Answer]) -> _Answer:
        backend = self._backend()
        used = self._current
        try:
            return operation(backend)
        except Misconfigured:
            again = self._backend(fresh=True)
            if self._current is used:
                raise
            return operation(again)

    def _backend(self, *, fresh: bool = False) -> Backend:
        """The backend with the current token: the same one as long as the secret is the same."""
        secret, current = self._read(fresh=fresh), self._current
        if current is None or current[0] != secret:
            current = self._current = (secret, self._make(secret))
        return current[1]


@dataclass(frozen=True)
class BackendModel:
    """A model with a backend.

    Attributes:
        name: its name in the API.
        version, input_files, output_files: what its manifest says.
        validate: checks an input and fills in defaults, as the api function does.
        delay: between two looks.
        callbacks: whether the provider is given an address to call.
    """

    name: str
    version: str
    input_files: Mapping[str, str]
    output_files: Mapping[str, str]
    validate: Validate
    provider: Provider
    delay: LookDelay
    callbacks: bool
