"""What the clients do, as plans: generators that yield each HTTP call and each pause, and return the operation's value.
Those of files are in `_transfers`.

A plan does no I/O, so that the sync client, the async client and the tests run the same one. Who runs it sends the
response of each call into it, or throws the httpx2.RequestError.
"""

import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from math import inf
from typing import Any
from urllib.parse import quote

import httpx2

from async_inference_client._encoding import encoded, quoted
from async_inference_client._pauses import Pauses
from async_inference_client._responses import body_of, error_of, no_response, retry_after, unreadable
from async_inference_client._steps import Call, Pause, Plan
from async_inference_client.errors import ConnectionFailed, InferenceError, ResponseError, WaitTimeout
from async_inference_client.models import Accepted, Prediction, Request

RETRY_SECONDS = 30.0
REQUEST_TIMEOUT_SECONDS = 30.0

WAIT_SECONDS = 10.0
"""A poll of one request asks the API to answer when it is final, or after so long: `Prefer: wait=10`."""

OUTAGE_SECONDS = 300.0
"""A wait ends when the API has not answered for so long, and `map` gives up an input that is throttled for so long."""

SHORTEST_CALL_SECONDS = 1.0
"""The timeout of a call at the end of a deadline."""


OnAccepted = Callable[[Accepted], None]
OnStatus = Callable[[Request], None]


@dataclass
class Throttle:
    """What the submits of one client share: while one of them is throttled, the others would be too.

    Attributes:
        until: on the clock, no submit is tried before it.
        accepted_at: when one was accepted last.
    """

    until: float = -inf
    accepted_at: float = -inf


@dataclass(frozen=True)
class Operations:
    """Makes the plans.

    Args:
        base_url: for the texts of errors.
        retry_seconds: how long a submit, get or cancel is repeated; 0 means one try.
        request_timeout: of one HTTP call, in seconds; a poll that waits has its wait in addition.
        wait_seconds: for how long a poll asks the API to wait; 0: not at all.
        clock: seconds; any zero.
    """

    base_url: str
    retry_seconds: float = RETRY_SECONDS
    request_timeout: float = REQUEST_TIMEOUT_SECONDS
    pauses: Pauses = field(default_factory=Pauses)
    clock: Callable[[], float] = time.monotonic
    throttle: Throttle = field(default_factory=Throttle)
    wait_seconds: float = WAIT_SECONDS

    def submit(
        self,
        value: Any,
        *,
        model: str | None = None,
        idempotency_key: str | None = None,
        webhook: str | None = None,
        retry_seconds: float | None = None,
        deadline: float | None = None,
        throttled_seconds: float = 0.0,
    ) -> Plan[Accepted]:
        """Send an input. All tries have the same key, so that a lost response makes no second request.

        Args:
            retry_seconds: in place of the client's.
            deadline: on `clock`: nothing is tried after it.
            throttled_seconds: a throttled submit is repeated for so long after the client's last that was accepted.
        """
        key = str(uuid.uuid4()) if idempotency_key is None else idempotency_key
        headers = {"Content-Type": "application/json", "Idempotency-Key": quoted(key)}
        if webhook is not None:
            headers["Webhook-URL"] = webhook
        path = "/predict" if model is None else f"/predict/{quote(model, safe='')}"
        content = encoded(value)
        submit = Call("POST", path, self.request_timeout, content, headers)
        response = yield from self.submitted(submit, retry_seconds, deadline, throttled_seconds)
        found = body_of(response)
        if response.status_code != 202 or not isinstance(found, dict) or not isinstance(found.get("request_id"), str):
            raise unreadable(response, "202 and a request_id were expected")
        return Accepted(found["request_id"], str(found.get("model") or model or ""), key, retry_after(response))

    def predict_sync(self, value: Any, *, model: str) -> Plan[Prediction]:
        """Send an input to a model's synchronous route, once: who waits for the answer decides about another try."""
        path, headers = f"/models/{quote(model, safe='')}/predict", {"Content-Type": "application/json"}
        response = yield from self.once(Call("POST", path, self.request_timeout, encoded(value), headers), None)
        found = body_of(response)
        if not isinstance(found, dict) or "result" not in found:
            raise unreadable(response, "a result was expected")
        return Prediction(str(found.get("model") or model), str(found.get("model_version") or ""), found["result"])

    def get(self, request_id: str) -> Plan[Request]:
        """The request as it is now."""
        response = yield from self.repeated("GET", f"/status/{quote(request_id, safe='')}")
        return _request(response)

    def cancel(self, request_id: str) -> Plan[Request]:
        """Cancel a request that is not final. Repeating it is safe: cancelling again changes nothing."""
        response = yield from self.repeated("POST", f"/cancel/{quote(request_id, safe='')}")
        return _request(response)

    def wait(
        self,
        request_id: str,
        *,
        timeout: float | None = None,
        on_status: OnStatus | None = None,
        poll_seconds: float | None = None,
    ) -> Plan[Request]:
        """Poll until the request is final, at once for the first time.

        Args:
            timeout: seconds; None waits as long as the request is open, which its `expires_at` bounds.
            poll_seconds: between two polls, in place of what the API asks for.
        """
        waits = self.wait_seconds if poll_seconds is None else 0.0
        return (yield from self._wait(request_id, timeout, self.deadline(timeout), on_status, waits, poll_seconds))

    def _wait(
        self,
        request_id: str,
        timeout: float | None,
        deadline: float | None,
        on_status: OnStatus | None,
        waits: float,
        poll_seconds: float | None = None,
    ) -> Plan[Request]:
        poll = Call("GET", f"/status/{quote(request_id, safe='')}", self.request_timeout)
        failures, failing_since = 0, 0.0
        while True:
            pause: float | None
            try:
                request = _request((yield from self.once(self._waiting(poll, waits, deadline), deadline)))
            except InferenceError as error:
                now = self.clock()
                failing_since = failing_since if failures else now
                failures += 1
                pause = self.pauses.before_retry(error, failures)
                over = deadline is not None and now >= deadline
                if pause is None or over or now - failing_since >= OUTAGE_SECONDS:
                    error.request_id = request_id
                    raise
            else:
                failures = 0
                if on_status is not None:
                    on_status(request)
                if request.final:
                    return request
                if timeout is not None and deadline is not None and self.clock() >= deadline:
                    raise WaitTimeout(request_id, timeout)
                pause = self.pauses.before_poll(request.retry_after) if poll_seconds is None else poll_seconds
            yield self.pause(pause, deadline)

    def await_outcome(
        self,
        value: Any,
        *,
        model: str | None = None,
        idempotency_key: str | None = None,
        timeout: float | None = None,
        on_accepted: OnAccepted | None = None,
        on_status: OnStatus | None = None,
        throttled_seconds: float = 0.0,
        waits: float | None = None,
    ) -> Plan[Request]:
        """Submit and wait: `timeout` is for both together. `on_accepted` has the id before any waiting, so the submit
        itself never waits.

        Args:
            waits: in place of the client's `wait_seconds`.
        """
        waits = self.wait_seconds if waits is None else waits
        deadline = self.deadline(timeout)
        accepted = yield from self.submit(
            value,
            model=model,
            idempotency_key=idempotency_key,
            deadline=deadline,
            throttled_seconds=throttled_seconds,
        )
        if on_accepted is not None:
            on_accepted(accepted)
        if not waits:
            yield self.pause(self.pauses.before_poll(accepted.retry_after), deadline)
        return (yield from self._wait(accepted.request_id, timeout, deadline, on_status, waits))

    def submitted(
        self,
        call: Call,
        retry_seconds: float | None = None,
        deadline: float | None = None,
        throttled_seconds: float = 0.0,
    ) -> Plan[httpx2.Response]:
        """A submit, until it is accepted, can't be, or its time is over; the arguments are as in `submit`."""
        retry_seconds = self.retry_seconds if retry_seconds is None else retry_seconds
        began = self.clock()
        over = inf if deadline is None else deadline
        failures = 0

        def last_throttled() -> float:
            since_accepted = max(began, self.throttle.accepted_at) + throttled_seconds
            return max(began + retry_seconds, since_accepted)

        while True:
            while (left := min(self.throttle.until, last_throttled(), over) - self.clock()) > 0:
                yield Pause(left)
            try:
                response = yield from self.once(call, deadline)
            except InferenceError as error:
                failures += 1
                pause = self.pauses.before_retry(error, failures)
                until = began + retry_seconds
                if isinstance(error, ResponseError) and error.throttled and pause is not None:
                    self.throttle.until = max(self.throttle.until, self.clock() + pause)
                    until = last_throttled()
                pause = self.before_next(error, pause, min(until, over))
                if pause is None:
                    raise
            else:
                self.throttle.accepted_at = self.clock()
                return response
            yield Pause(pause)

    def repeated(
        self,
        method: str,
        path: str,
        content: bytes = b"",
        headers: Mapping[str, str] | None = None,
        failures: list[InferenceError] | None = None,
    ) -> Plan[httpx2.Response]:
        """A call that is safe to repeat, until it succeeds, can't succeed, or its time is over.

        Args:
            failures: takes the errors after which it was repeated.
        """
        until = self.clock() + self.retry_seconds
        failures = [] if failures is None else failures
        call = Call(method, path, self.request_timeout, content, headers or {})
        while True:
            try:
                return (yield from self.once(call, None))
            except InferenceError as error:
                pause = self.before_next(error, self.pauses.before_retry(error, len(failures) + 1), until)
                if pause is None:
                    raise
                failures.append(error)
            yield Pause(pause)

    def before_next(self, error: InferenceError, pause: float | None, until: float) -> float | None:
        """The pause; None if there is no next try.

        A refused connection is not tried again: nothing listens there, and the URL is probably wrong.
        """
        refused = isinstance(error, ConnectionFailed) and error.refused
        return None if pause is None or refused or self.clock() + pause > until else pause

    def once(self, call: Call, deadline: float | None) -> Plan[httpx2.Response]:
        """One call, which ends soon after the deadline."""
        if deadline is not None:
            left = max(deadline - self.clock(), SHORTEST_CALL_SECONDS)
            call = replace(call, timeout=min(call.timeout, left))
        try:
            response = yield call
        except httpx2.RequestError as error:
            raise no_response(f"{self.base_url}{call.path}", error) from error
        assert response is not None
        if not response.is_success:
            raise error_of(response)
        return response

    def _waiting(self, poll: Call, waits: float, deadline: float | None) -> Call:
        """The poll with a preference to wait, if its answer comes before the deadline then."""
        seconds = int(waits if deadline is None else min(waits, deadline - self.clock() - SHORTEST_CALL_SECONDS))
        if seconds < 1:
            return poll
        headers = {**poll.headers, "Prefer": f"wait={seconds}"}
        return replace(poll, headers=headers, timeout=poll.timeout + seconds)

    def deadline(self, timeout: float | None) -> float | None:
        """When a time of so many seconds ends, on `clock`."""
        return None if timeout is None else self.clock() + timeout

    def pause(self, seconds: float, deadline: float | None = None) -> Pause:
        """A pause that ends by the deadline."""
        return Pause(seconds if deadline is None else min(seconds, max(0.0, deadline - self.clock())))


def _request(response: httpx2.Response) -> Request:
    found = body_of(response)
    if not isinstance(found, dict):
        raise unreadable(response, "a JSON object was expected")
    try:
        return Request.from_document(found, retry_after(response))
    except ValueError as error:
        raise unreadable(response, str(error)) from error
