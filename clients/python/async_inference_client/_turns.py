"""The order of `map`: which inputs may start, and which outcomes can be given out."""

from collections.abc import Iterator

from async_inference_client.models import Outcome

WINDOW = 4
"""In order, an outcome waits for those before it: at most this many times `concurrency` inputs are started and not
given out, so that one slow request does not let the others' results fill the memory."""


class Turns:
    """The state of one `map`.

    Args:
        concurrency: how many inputs are open at the same time, from 1.
        ordered: outcomes in the order of the inputs; else as they come.
    """

    def __init__(self, concurrency: int, ordered: bool) -> None:
        if concurrency < 1:
            raise ValueError(f"concurrency must be 1 or more, not {concurrency}")
        self._concurrency = concurrency
        self._ordered = ordered
        self._started = 0
        self._open = 0
        self._next = 0
        self._done: dict[int, Outcome] = {}

    @property
    def may_start(self) -> bool:
        """Whether another input may start."""
        waiting = len(self._done)
        return self._open < self._concurrency and self._open + waiting < self._concurrency * WINDOW

    def start(self) -> int:
        """The index of the next input, which is open from now on."""
        self._open += 1
        self._started += 1
        return self._started - 1

    def end(self, outcome: Outcome) -> None:
        """An input is not open any more."""
        self._open -= 1
        self._done[outcome.index] = outcome

    def ready(self) -> Iterator[Outcome]:
        """Give out what can be given out."""
        while self._done:
            index = self._next if self._ordered else next(iter(self._done))
            if index not in self._done:
                return
            self._next += 1
            yield self._done.pop(index)
