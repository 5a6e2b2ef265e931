"""What a process makes anew after SnapStart has restored it from a snapshot."""

from __future__ import annotations

import random
import sys
from collections.abc import Callable, Iterator
from typing import Any

import numpy
import onnxruntime
import pytest
import snapshot_restore_py  # type: ignore[import-untyped]
import torch

from inference import snapshot
from inference.aws import clients
from inference.telemetry import Telemetry

STATES: dict[str, tuple[Callable[[], Any], Callable[[], float]]] = {
    "random": (lambda: random.seed(1), random.random),
    "numpy": (lambda: numpy.random.seed(1), lambda: float(numpy.random.random())),
    "torch": (lambda: torch.manual_seed(1), lambda: float(torch.rand(1))),
}
"""Library -> puts its generator into the state that the snapshot has, and draws a number."""


@pytest.fixture
def hooks() -> Iterator[list[Any]]:
    """The hooks that the runtime calls after a restore."""
    registered: list[Any] = snapshot_restore_py.get_after_restore()
    registered.clear()
    yield registered
    registered.clear()


@pytest.mark.parametrize("library", STATES)
def test_environments_of_one_snapshot_draw_different_numbers(library: str) -> None:
    restore, draw = STATES[library]
    drawn = set()
    for _ in range(3):
        restore()
        snapshot.reseed()
        drawn.add(draw())
    assert len(drawn) == 3


def test_onnx_runtimes_generator_is_seeded(monkeypatch: pytest.MonkeyPatch) -> None:
    seeds: list[int] = []
    monkeypatch.setattr(onnxruntime, "set_seed", seeds.append)
    for _ in range(3):
        snapshot.reseed()
    assert len(set(seeds)) == 3
    assert all(0 <= seed < 2**31 for seed in seeds)


def test_libraries_that_are_not_imported_stay_so(monkeypatch: pytest.MonkeyPatch) -> None:
    modules = {"random": random}
    monkeypatch.setattr(sys, "modules", modules)
    snapshot.reseed()
    assert modules == {"random": random}


def test_the_runtime_calls_it_after_a_restore(
    hooks: list[Any], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    telemetry = Telemetry("p-worker-echo", environment="p")
    snapshot.register(telemetry, {"AWS_LAMBDA_INITIALIZATION_TYPE": "snap-start"})
    telemetry.measure("echo", "LoadTime", 900)  # once, for all environments
    clients.client("s3")
    ((call, arguments, named),) = hooks
    call(*arguments, **named)
    telemetry.write_metrics()
    assert capsys.readouterr().out == ""
    assert clients.client.cache_info().currsize == 0, "what it has connected to is gone"


@pytest.mark.parametrize("kind", ["on-demand", "provisioned-concurrency", None])
def test_other_starts_have_no_hook(hooks: list[Any], kind: str | None) -> None:
    snapshot.register(Telemetry("p-api"), {} if kind is None else {"AWS_LAMBDA_INITIALIZATION_TYPE": kind})
    assert hooks == []


def test_a_runtime_without_hooks_fails_the_deployment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "snapshot_restore_py", None)
    with pytest.raises(ImportError):
        snapshot.register(Telemetry("p-api"), {"AWS_LAMBDA_INITIALIZATION_TYPE": "snap-start"})
