"""Who runs in the worker's part: each can process a number of requests and say what that took.

A contestant that cannot run here (a library or a program is missing) raises CommandError; the bench goes on without it.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from scripts import stack_defaults
from scripts.bench.processes import FakeAws, JsonProcess, Memory, clean_environment, cores
from scripts.bench.traffic import MODEL, SENTIMENT, Subject
from scripts.console import ROOT


@dataclass(frozen=True)
class Sample:
    """One measurement: what `requests` took, in seconds of the clock and of the CPU.

    `calls` to AWS by target, with the first request bodies of each in `bodies`; `log_bytes` is what was printed.
    """

    requests: int
    seconds: float
    cpu_seconds: float
    calls: Mapping[str, int] = field(default_factory=dict)
    bodies: Mapping[str, Any] = field(default_factory=dict)
    log_bytes: int = 0


class Contestant(Protocol):
    """One line of the table."""

    name: str
    batch: int

    def run(self, requests: int, seed: int) -> Sample:
        """Process so many requests; the same seed means the same texts."""

    def predict(self, texts: Sequence[str]) -> list[dict[str, Any]]:
        """What its model says of these texts."""

    def memory(self) -> Memory:
        """MB, now and at most."""


class Handler:
    """A Lambda handler in a process of its own (see `driver`); several batch sizes share the process."""

    def __init__(self, name: str, batch: int, process: JsonProcess, fake_aws: FakeAws) -> None:
        self.name = name
        self.batch = batch
        self._process = process
        self._fake_aws = fake_aws

    def run(self, requests: int, seed: int) -> Sample:
        self._fake_aws.reset()
        taken = self._process.request({"requests": requests, "batch": self.batch, "seed": seed})
        counts = self._fake_aws.counts()
        return Sample(
            requests,
            taken["seconds"],
            taken["cpu_seconds"],
            counts["calls"],
            counts["samples"],
            taken["log_bytes"],
        )

    def overhead(self, requests: int, seed: int) -> dict[str, Any]:
        """What our worker takes beyond its model's bare work, and for what (see `floor.overhead`)."""
        return self._process.request({"overhead": True, "requests": requests, "batch": self.batch, "seed": seed})

    def predict(self, texts: Sequence[str]) -> list[dict[str, Any]]:
        answers: list[dict[str, Any]] = self._process.request({"predict": list(texts)})["answers"]
        return answers

    def memory(self) -> Memory:
        return self._process.memory


def worker_environment(fake_aws: FakeAws, model: str = MODEL) -> dict[str, str]:
    """The settings of the real worker of a model, as Terraform gives them."""
    return (
        fake_aws.lambda_environment
        | stack_defaults.worker_environment()
        | {
            "REQUEST_TABLE": "bench-requests",
            "MODELS": json.dumps({model: model}),
            "QUEUE_URL": fake_aws.queue_url(f"bench-{model}"),
            "AWS_LAMBDA_FUNCTION_NAME": f"bench-worker-{model}",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "1769",  # one vCPU
        }
    )


def reference_environment(fake_aws: FakeAws, artifact: Path, model: str = MODEL) -> dict[str, str]:
    """The settings of the reference worker of a model, and of its handler."""
    return fake_aws.environment | {
        "RESULTS_TABLE": "bench-reference",
        "REFERENCE_MODEL": f"reference_{model}",
        "MODEL_PATH": str(artifact),
        "QUEUE_URL": fake_aws.queue_url("bench-reference"),
    }


@contextlib.contextmanager
def driver(kind: str, folder: Path, environment: dict[str, str], subject: Subject = SENTIMENT) -> Iterator[JsonProcess]:
    """A driver process, ready.

    Args:
        kind: `real` or `reference`.
        folder: its unpacked package.
        environment: its settings; a PYTHONPATH in it comes after the package.
        subject: what it is sent.
    """
    path = ":".join([str(folder), str(ROOT), *filter(None, [environment.get("PYTHONPATH")])])
    command = ("python", "-m", "scripts.bench.driver", kind, subject.model)
    with JsonProcess(
        command, cores()[0], folder, clean_environment(environment | {"PYTHONPATH": path}), pipes=True
    ) as process:
        process.read_reply()
        yield process
