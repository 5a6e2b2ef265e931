"""Where a handler's CPU goes: functions are wrapped for as long as a sample takes, and each counts for itself what it
does not spend in another wrapped one.
"""

from __future__ import annotations

import contextlib
import importlib
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from functools import wraps
from typing import Any

OUTSIDE = "outside the handler"
OTHER = "the rest of the handler"
TOKENIZER, RUN = "tokenizer", "session.run"
PLACES = (
    ("read the records", "worker.batch", "read_records"),
    ("read the records", "worker.batch", "without_duplicates"),
    ("hide the messages: SQS", "worker.visibility", "Visibility.hide"),
    ("claim: DynamoDB", "worker.claims", "Claimer.claim"),
    ("validate the inputs", "worker.prediction", "Prediction._input"),
    ("group by length", "worker.model.loaded", "groups_by_size"),
    ("results as JSON", "worker.isolation", "to_json"),
    ("finish: DynamoDB", "worker.finish", "Finisher.finish"),
    ("log and metrics", "inference.telemetry", "Telemetry.info"),
    ("log and metrics", "inference.telemetry", "Telemetry.measure"),
    ("log and metrics", "inference.telemetry", "Telemetry.write_metrics"),
)
"""Section, module, and the function in it, of the worker; a unit test says when one is no more there."""


class Sections:
    """CPU seconds of this process, by the section in which its main thread was.

    Args:
        clock: tells CPU seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.process_time) -> None:
        self._clock = clock
        self._thread = threading.get_ident()
        self._inside = [OUTSIDE]
        self._since = clock()
        self._taken: defaultdict[str, float] = defaultdict(float)

    @property
    def seconds(self) -> dict[str, float]:
        """Section -> CPU seconds without those of the sections inside it; nothing of OUTSIDE."""
        return {name: seconds for name, seconds in self._taken.items() if name != OUTSIDE}

    def wrapped(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function, which counts in its section; in other threads it does not."""

        @wraps(function)
        def counted(*args: Any, **kwargs: Any) -> Any:
            if threading.get_ident() != self._thread:
                return function(*args, **kwargs)
            self._count()
            self._inside.append(name)
            try:
                return function(*args, **kwargs)
            finally:
                self._count()
                self._inside.pop()

        return counted

    @contextlib.contextmanager
    def of_worker(self, module: Any) -> Iterator[None]:
        """Wrap the handler of the module `worker.handler`, PLACES, and what the loaded model and its runtime do."""
        model = module.single.loaded.model
        with contextlib.ExitStack() as stack:
            for name, *place in PLACES:
                stack.enter_context(self._replaced(name, *owner_of(*place)))
            stack.enter_context(self._replaced(OTHER, module, "handler"))
            stack.enter_context(self._replaced(RUN, model.runtime, "run"))
            stack.enter_context(self._replaced(TOKENIZER, model, "tokens"))
            stack.enter_context(self._replaced("arrays and lists", model, "predict"))
            self._since = self._clock()
            yield
            self._count()

    @contextlib.contextmanager
    def _replaced(self, name: str, owner: Any, attribute: str) -> Iterator[None]:
        before, is_own = getattr(owner, attribute), attribute in vars(owner)
        setattr(owner, attribute, self.wrapped(name, before))
        try:
            yield
        finally:
            if is_own:
                setattr(owner, attribute, before)
            else:
                delattr(owner, attribute)

    def _count(self) -> None:
        now = self._clock()
        self._taken[self._inside[-1]] += now - self._since
        self._since = now


def owner_of(module: str, path: str) -> tuple[Any, str]:
    """The object that has the named function, and its attribute. Raises AttributeError when there is none."""
    owner: Any = importlib.import_module(module)
    *outer, attribute = path.split(".")
    for part in outer:
        owner = getattr(owner, part)
    getattr(owner, attribute)
    return owner, attribute
