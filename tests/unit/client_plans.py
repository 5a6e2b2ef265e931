"""The API as the Python client sees it: responses, and a runner of plans whose clock passes only in pauses."""

from collections.abc import Callable, Iterable
from typing import Any

import httpx2

from async_inference_client._operations import Operations
from async_inference_client._pauses import Pauses
from async_inference_client._steps import Call, Pause, Plan, Transfer
from inference.errors import InferenceError
from inference.http.problems import INTERNAL_ERROR, PROBLEMS

BASE = "https://api.test"
RESET = httpx2.ReadError("connection reset")
Answer = httpx2.Response | httpx2.RequestError


def response(status: int, body: Any = None, **headers: str) -> httpx2.Response:
    return httpx2.Response(
        status,
        json=body,
        headers={name.replace("_", "-"): value for name, value in headers.items()},
        request=httpx2.Request("GET", BASE),
    )


def accepted(request_id: str = "r1", retry_after: str = "1") -> httpx2.Response:
    body = {"request_id": request_id, "status": "pending", "model": "m", "poll_url": f"/status/{request_id}"}
    return response(202, body, retry_after=retry_after)


def document(status: str, request_id: str = "r1", **more: Any) -> dict[str, Any]:
    return {
        "request_id": request_id,
        "status": status,
        "model": "m",
        "model_version": None,
        "code_digest": None,
        "result": None,
        "error": None,
        "attempts": 0,
        "submitted_at": "2026-11-26T08:00:00.000Z",
        "started_at": None,
        "finished_at": None,
        "expires_at": "2026-11-26T09:00:00.000Z",
    } | more


def status(value: str, retry_after: str | None = None, request_id: str = "r1", **more: Any) -> httpx2.Response:
    headers = {} if retry_after is None else {"retry_after": retry_after}
    return response(200, document(value, request_id, **more), **headers)


def problem(error: type[InferenceError] | None = None) -> httpx2.Response:
    """The API's answer to an error; without one, to an error that is not in its map."""
    answer = PROBLEMS[error] if error else INTERNAL_ERROR
    body = {"type": answer.type, "title": answer.title, "status": answer.status, "detail": f"because {answer.status}"}
    return response(answer.status, body, **{name.replace("-", "_"): value for name, value in answer.headers.items()})


THROTTLED = response(429, {"message": "Too Many Requests"})
"""API Gateway's answer, which has no type."""


class Runner:
    """Runs plans against answers, and keeps what they did.

    Args:
        answers: one for each call; or a function of the call.
        seconds_per_call: how long a call takes.
    """

    def __init__(
        self, answers: Iterable[Answer] | Callable[[Call | Transfer], Answer], seconds_per_call: float = 0.0
    ) -> None:
        self._answer = answers if callable(answers) else _next_of(answers)
        self._seconds_per_call = seconds_per_call
        self.now = 1000.0
        self.calls: list[Call] = []
        self.transfers: list[Transfer] = []
        self.sent: list[bytes] = []
        self.called_at: list[float] = []
        self.pauses: list[float] = []

    @property
    def passed(self) -> float:
        return self.now - 1000.0

    def operations(
        self, retry_seconds: float = 30.0, pauses: Pauses | None = None, wait_seconds: float = 0.0
    ) -> Operations:
        return Operations(
            BASE, retry_seconds, pauses=pauses or Pauses(), clock=lambda: self.now, wait_seconds=wait_seconds
        )

    def run(self, plan: Plan[Any]) -> Any:
        try:
            step = next(plan)
            while True:
                if isinstance(step, Pause):
                    assert step.seconds >= 0
                    self.pauses.append(step.seconds)
                    self.now += step.seconds
                    step = plan.send(None)
                    continue
                if isinstance(step, Call):
                    self.calls.append(step)
                else:
                    self.transfers.append(step)
                    self.sent.append(b"".join(step.content.parts()) if step.content else b"")
                self.called_at.append(self.now)
                answer = self._answer(step)
                self.now += self._seconds_per_call
                if isinstance(step, Transfer) and step.receive and isinstance(answer, httpx2.Response):
                    for part in (answer.content[:3], answer.content[3:]) if answer.is_success else ():
                        step.receive(part)
                step = plan.throw(answer) if isinstance(answer, httpx2.RequestError) else plan.send(answer)
        except StopIteration as end:
            return end.value


def _next_of(answers: Iterable[Answer]) -> Callable[[Call | Transfer], Answer]:
    left = iter(answers)
    return lambda _: next(left)
