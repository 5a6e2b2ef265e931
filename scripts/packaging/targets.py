"""What images are for: a worker on Lambda, or something else that predicts with the same model folder."""

from typing import NamedTuple


class Target(NamedTuple):
    """What an image has beside what every worker has.

    Attributes:
        suffix: of the Dockerfile's stages: those of the runtimes, `onnx` and `torch`, have the worker; with this after
            the name, they have the command that the image starts with.
        rooms: folders of worker/.
        requirements: files below worker/ that name libraries; they are installed with the model's own.
    """

    suffix: str = ""
    rooms: tuple[str, ...] = ()
    requirements: tuple[str, ...] = ()


LAMBDA = Target()
LAMBDA_SYNC = Target("", ("sync",), ("requirements/sync.txt",))
"""A worker whose model or pool has a synchronous function, too: one image for both."""

TARGETS = {
    "lambda": LAMBDA,
    "server": Target("-server", ("sync",), ("requirements/server.txt",)),
}
"""By the name in `make image TARGET=...`."""
