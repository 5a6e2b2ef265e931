"""Processes pinned to cores: the contestant on one, everything that serves it on another."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import psutil

from scripts.bench.certificates import with_botocore, write_certificates
from scripts.bench.fake_aws import HOST
from scripts.console import ROOT, CommandError

INHERITED = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "LD_LIBRARY_PATH")
STOP_SECONDS = 10.0
MB = 1024 * 1024
_CPU_CLOCK_OF_PROCESS = 2  # CPUCLOCK_SCHED, see clock_getcpuclockid(3)


def cores() -> tuple[int, int]:
    """The contestants' core and the helpers': the first and the last that this process may use.

    Raises:
        CommandError: this system has no way to pin a process (only Linux has).
    """
    if not hasattr(os, "sched_getaffinity"):
        raise CommandError("the bench pins processes to cores and reads /proc: run it on Linux")
    usable = sorted(os.sched_getaffinity(0))
    return usable[0], usable[-1]


@contextlib.contextmanager
def as_helper() -> Iterator[None]:
    """Keep this process off the contestants' core inside the block."""
    before = os.sched_getaffinity(0)
    _pin(0, cores()[1])
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def clean_environment(more: Mapping[str, str]) -> dict[str, str]:
    """An environment without the caller's AWS settings, proxies and PYTHONPATH; no bytecode is written, as on Lambda,
    where the code's folder is read-only."""
    kept = {name: os.environ[name] for name in INHERITED if name in os.environ}
    return kept | {"PYTHONDONTWRITEBYTECODE": "1", "NO_PROXY": HOST} | dict(more)


@dataclass(frozen=True)
class Memory:
    """Resident memory of one process in MB: now, and the most there has been."""

    now: float
    peak: float


class Process:
    """A child process pinned to a core, in a session of its own.

    What it prints goes to a file, unless there are pipes; stderr goes to another, which failures quote.

    Args:
        command: its arguments; `python` as the first is this interpreter.
        core: where it, and what it starts, runs.
        folder: its working directory.
        environment: all of it.
    """

    def __init__(
        self, command: Sequence[str], core: int, folder: Path, environment: Mapping[str, str], *, pipes: bool = False
    ) -> None:
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115  (closed by stop)
        self._output = tempfile.TemporaryFile()  # noqa: SIM115
        arguments = [sys.executable if part == "python" else part for part in command]
        self.started = time.perf_counter()
        self.popen = subprocess.Popen(
            arguments,
            cwd=folder,
            env=dict(environment),
            stdin=subprocess.PIPE if pipes else subprocess.DEVNULL,
            stdout=subprocess.PIPE if pipes else self._output,
            stderr=self._errors,
            start_new_session=True,
        )
        _pin(self.popen.pid, core)  # right after exec: what sizes itself by its cores does so later

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """End it and what it started."""
        if self.popen.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.popen.pid, signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.popen.wait(STOP_SECONDS)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.popen.pid, signal.SIGKILL)
        self.popen.wait()
        for pipe in (self.popen.stdin, self.popen.stdout):
            if pipe is not None:
                pipe.close()
        self._errors.close()
        self._output.close()

    @property
    def last_error(self) -> str:
        """The last line on its stderr."""
        self._errors.seek(0)
        lines = [line.strip() for line in self._errors.read().decode(errors="replace").split("\n") if line.strip()]
        return lines[-1] if lines else f"nothing on stderr, exit code {self.popen.poll()}"

    @property
    def printed_bytes(self) -> int:
        """What it has printed so far."""
        return os.fstat(self._output.fileno()).st_size

    @property
    def cpu_seconds(self) -> float:
        """User and system time so far, of all threads, of the process and of all that it started and still runs."""
        return sum(_cpu_seconds(process.pid) for process in self._family())

    @property
    def memory(self) -> Memory:
        """Resident memory of the process itself."""
        status = Path(f"/proc/{self.popen.pid}/status").read_text(encoding="utf-8")
        fields = dict(line.split(":", 1) for line in status.splitlines() if ":" in line)
        return Memory(int(fields["VmRSS"].split()[0]) / 1024, int(fields["VmHWM"].split()[0]) / 1024)

    @property
    def family_memory(self) -> float:
        """Resident memory in MB of the process and all that it started; what they share counts once for each."""
        return float(sum(process.memory_info().rss for process in self._family()) / MB)

    def _family(self) -> list[psutil.Process]:
        first = psutil.Process(self.popen.pid)
        return [first, *first.children(recursive=True)]

    def send_signal(self, number: int) -> None:
        """Signal the whole session."""
        os.killpg(self.popen.pid, number)


class JsonProcess(Process):
    """A process that answers each line of JSON with another."""

    def request(self, question: Mapping[str, Any]) -> dict[str, Any]:
        """Send one line, wait for one. Raises CommandError when the process ends instead."""
        assert self.popen.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self.popen.stdin.write(json.dumps(question).encode() + b"\n")
            self.popen.stdin.flush()
        return self.read_reply()

    def read_reply(self) -> dict[str, Any]:
        """Wait for a line."""
        assert self.popen.stdout is not None
        line = self.popen.stdout.readline()
        if not line:
            raise CommandError(f"{' '.join(map(str, self.popen.args[1:4]))}: {self.last_error}")  # type: ignore[index]
        answer: dict[str, Any] = json.loads(line)
        return answer


class FakeAws:
    """A running fake AWS (see `fake_aws`), on the helpers' core.

    Args:
        tls: with TLS, as AWS. Without it, a client need not read the certificates' files.
    """

    def __init__(self, *, tls: bool = True) -> None:
        self._tls = tls

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as cleanup:
            command = ["python", "-m", "scripts.bench.fake_aws"]
            self._bundle: Path | None = None
            self._libraries: Path | None = None
            if self._tls:
                folder = Path(cleanup.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
                certificate, self._bundle = write_certificates(folder)
                self._libraries = with_botocore(folder / "libraries", self._bundle)
                command.append(str(certificate))
            process = JsonProcess(command, cores()[1], ROOT, clean_environment({}), pipes=True)
            process = cleanup.enter_context(process)
            assert process.popen.stdout is not None
            port = process.popen.stdout.readline().strip()
            if not port:
                raise CommandError(f"the fake AWS did not start: {process.last_error}")
            self._port = int(port)
            self._cleanup = cleanup.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._cleanup.close()

    @property
    def _url(self) -> str:
        return f"{'https' if self._tls else 'http'}://{HOST}:{self._port}"

    @property
    def environment(self) -> dict[str, str]:
        """The environment variables that make boto3 call this process."""
        trusted = {} if self._bundle is None else {"AWS_CA_BUNDLE": str(self._bundle)}
        return trusted | {
            "AWS_ENDPOINT_URL": self._url,
            "AWS_REGION": "us-east-1",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    @property
    def lambda_environment(self) -> dict[str, str]:
        """The same for our functions. Nothing names a CA bundle, as on AWS: they find the fake's CA where they find
        Amazon's, in botocore's."""
        if self._libraries is None:
            return self.environment
        kept = {name: value for name, value in self.environment.items() if name != "AWS_CA_BUNDLE"}
        return kept | {"PYTHONPATH": str(self._libraries)}

    def queue_url(self, name: str) -> str:
        """A queue of that name."""
        return f"{self._url}/000000000000/{name}"

    def counts(self) -> dict[str, Any]:
        """See `fake_aws.Answers.counts`."""
        return self._ask("GET", "/_fake/counts")

    def reset(self) -> None:
        """Count from zero."""
        self._ask("POST", "/_fake/reset")

    def finish(self, result: str) -> None:
        """Let all requests in the table be succeeded with this result, as JSON text."""
        self._ask("POST", "/_fake/finish", json.dumps({"result": result}).encode())

    def put_object(self, url: str, content: bytes, content_type: str) -> None:
        """Write an object of S3 by its link."""
        self._call("PUT", url.removeprefix(self._url), content, {"content-type": content_type})

    def _ask(self, method: str, path: str, body: bytes = b"") -> dict[str, Any]:
        answer: dict[str, Any] = json.loads(self._call(method, path, body, {}))
        return answer

    def _call(self, method: str, path: str, body: bytes, headers: Mapping[str, str]) -> bytes:
        if self._bundle is None:
            connection = http.client.HTTPConnection(HOST, self._port, timeout=10)
        else:
            context = ssl.create_default_context(cafile=self._bundle)
            connection = http.client.HTTPSConnection(HOST, self._port, timeout=10, context=context)
        try:
            connection.request(method, path, body, dict(headers))
            return connection.getresponse().read()
        finally:
            connection.close()


def _pin(pid: int, core: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.sched_setaffinity(pid, {core})


def _cpu_seconds(pid: int) -> float:
    """Nanosecond precision, where /proc has ticks of 10 ms: Linux's CPU clock of another process."""
    try:
        return time.clock_gettime(~pid << 3 | _CPU_CLOCK_OF_PROCESS)
    except OSError:
        return 0.0  # it has just ended
