"""What the sync client does with plans: runs them in the calling thread, and those of `map` in threads."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import Any, TypeVar

import httpx2

from async_inference_client._operations import OUTAGE_SECONDS, Operations
from async_inference_client._steps import Call, Pause, Plan, Transfer
from async_inference_client._transfers import with_result
from async_inference_client._turns import Turns
from async_inference_client.errors import InferenceError
from async_inference_client.models import Accepted, Outcome

T = TypeVar("T")


def run(http: httpx2.Client, plan: Plan[T], sleep: Callable[[float], None] | None = None) -> T:
    """Run a plan to its end.

    Args:
        sleep: takes the pauses, in seconds; time.sleep by default.
    """
    try:
        step = next(plan)
        while True:
            if isinstance(step, Pause):
                (sleep or time.sleep)(step.seconds)
                step = plan.send(None)
                continue
            try:
                response = _call(http, step) if isinstance(step, Call) else _transfer(http, step)
            except httpx2.RequestError as error:
                step = plan.throw(error)
            else:
                step = plan.send(response)
    except StopIteration as end:
        value: T = end.value
        return value


def _call(http: httpx2.Client, step: Call) -> httpx2.Response:
    timeout = httpx2.Timeout(step.timeout, pool=None)
    content = step.content or None
    return http.request(step.method, step.path, content=content, headers=step.headers, timeout=timeout)


def _transfer(http: httpx2.Client, step: Transfer) -> httpx2.Response:
    timeout = httpx2.Timeout(step.timeout, pool=None)
    content = None if step.content is None else step.content.parts()
    call = http.stream(step.method, step.url, content=content, headers=step.headers, auth=None, timeout=timeout)
    with call as response:
        if step.receive is None or not response.is_success:
            response.read()
        else:
            for part in response.iter_bytes():
                step.receive(part)
    return response


def outcomes(
    http: httpx2.Client,
    operations: Operations,
    values: Iterator[Any],
    turns: Turns,
    concurrency: int,
    model: str | None,
    timeout: float | None,
    on_accepted: Callable[[int, Accepted], None] | None,
) -> Iterator[Outcome]:
    """What `Client.map` yields; each open input has a thread."""
    stop = threading.Event()

    def outcome(index: int, value: Any) -> Outcome:
        found: list[Accepted] = []

        def accepted(answer: Accepted) -> None:
            found.append(answer)
            if on_accepted is not None:
                on_accepted(index, answer)

        plan = operations.await_outcome(
            value, model=model, timeout=timeout, on_accepted=accepted, throttled_seconds=OUTAGE_SECONDS, waits=0
        )
        try:
            request = run(http, plan, lambda seconds: _sleep_until(stop, seconds))
            request = run(http, with_result(operations, request))
        except InferenceError as error:
            return Outcome(index, value, found[0] if found else None, None, error)
        return Outcome(index, value, found[0], request, None)

    running: set[Future[Outcome]] = set()
    more = True
    with ThreadPoolExecutor(concurrency, thread_name_prefix="async-inference-map") as pool:
        try:
            while more or running:
                while more and turns.may_start:
                    try:
                        value = next(values)
                    except StopIteration:
                        more = False
                        break
                    running.add(pool.submit(outcome, turns.start(), value))
                done, running = wait(running, return_when=FIRST_COMPLETED)
                for future in done:
                    turns.end(future.result())
                yield from turns.ready()
        finally:
            stop.set()
            pool.shutdown(wait=False, cancel_futures=True)


class _Stopped(Exception):
    """The iteration has ended, so nobody waits for this input."""


def _sleep_until(stop: threading.Event, seconds: float) -> None:
    if stop.wait(seconds):
        raise _Stopped
