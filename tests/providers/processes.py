"""Processes of the providers' own software, in environments of their own: `make test-providers` installs them."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from scripts.console import BUILD, ROOT

PROVIDERS = BUILD / "providers"
BEAM = BUILD / "beam"
DEADLINE_SECONDS = 20.0


def python_of(environment: Path) -> str:
    """Its interpreter; fails the test where it is not installed."""
    if not (environment / ".installed").is_file():
        pytest.fail(f"{environment} is not installed: run `make test-providers`")
    return str(environment / "bin" / "python")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def process(
    environment: Path, arguments: Sequence[str], app: Path, variables: Mapping[str, str], **options: Any
) -> Iterator[subprocess.Popen[bytes]]:
    """A process with an app on its path; ended with the block."""
    path = f"{environment / 'bin'}:{os.environ['PATH']}"  # Cog starts its worker by name
    log = app / "process.log"
    with (
        log.open("wb") as out,
        subprocess.Popen(
            [python_of(environment), *arguments],
            env={"PATH": path, "HOME": str(app), "PYTHONPATH": str(app), "PYTHONUNBUFFERED": "1", **variables},
            cwd=app,
            stderr=out,
            **{"stdout": out, **options},
        ) as running,
    ):
        try:
            yield running
        except BaseException:
            print(log.read_text(encoding="utf-8", errors="replace")[-5000:])
            raise
        finally:
            running.terminate()
            try:
                running.wait(10)
            except subprocess.TimeoutExpired:
                running.kill()


def get(url: str, **headers: str) -> Any:
    """The JSON of a GET, without proxies. Raises OSError."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(urllib.request.Request(url, headers=headers), timeout=10) as answer:
        return json.load(answer)


def until(question: Callable[[], Any], what: str, seconds: float = DEADLINE_SECONDS) -> Any:
    """The first true answer; an OSError counts as none yet."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            if found := question():
                return found
        except OSError:
            pass
        time.sleep(0.02)
    raise AssertionError(f"{what}: not within {seconds} seconds")


def run_code(python: str, code: str, app: Path, **variables: str) -> Any:
    """The JSON that code prints last, run by an interpreter in an app's folder."""
    done = subprocess.run(
        [python, "-c", code],
        env={"PATH": os.environ["PATH"], "HOME": str(app), "PYTHONPATH": f"{app}:{ROOT}", **variables},
        capture_output=True,
        cwd=app,
        encoding="utf-8",
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])
