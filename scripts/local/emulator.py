"""Start, find and stop the AWS emulator (MiniStack) of this checkout.

It listens on loopback only, keeps all its files in one folder, does not use Docker, enforces IAM, and stops by itself
after its lifetime. The pid file has its process id; the command line of the process shows that it is this emulator.

    python -m scripts.local.emulator start|stop|status|env
"""

import argparse
import contextlib
import http.client
import importlib.util
import json
import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from scripts.console import BUILD, ROOT, CommandError, note, run
from scripts.deployment.shell import without_aws

HOST = "127.0.0.1"
DEFAULT_PORT = 4566
FOLDER = BUILD / "emulator"
LIFETIME_SECONDS = 12 * 3600
START_SECONDS = 60.0
STOP_SECONDS = 10.0
POLL_SECONDS = 0.05
REGION = "us-east-1"
KEY = "test"  # MiniStack's root credentials

# The functions are subprocesses of the emulator and inherit its environment. Only these variables of the caller are
# passed on: no AWS profile, no PYTHONPATH, no secret.
INHERITED = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "SYSTEMROOT")


class Emulator:
    """A MiniStack process: its port on loopback, and the folder of its pid file, log and data.

    Args:
        port: TCP port of the gateway.
        folder: holds `pid`, `port`, `emulator.log` and `tmp/`; created when needed.
        lifetime_seconds: it stops by itself after this time.
        settings: more environment variables for MiniStack and the functions.
    """

    def __init__(
        self,
        port: int = DEFAULT_PORT,
        folder: Path = FOLDER,
        *,
        lifetime_seconds: int = LIFETIME_SECONDS,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        self.port = port
        self.folder = folder.resolve()
        self.lifetime_seconds = lifetime_seconds
        self.settings = dict(settings or {})
        self.log_file = self.folder / "emulator.log"
        self._pid_file = self.folder / "pid"
        self._port_file = self.folder / "port"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def endpoint(self) -> str:
        """The address of all AWS services."""
        return f"http://{HOST}:{self.port}"

    @property
    def env(self) -> dict[str, str]:
        """The variables that point an AWS client at this emulator."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_ACCESS_KEY_ID": KEY,
            "AWS_SECRET_ACCESS_KEY": KEY,
        }

    def client_env(self, base: Mapping[str, str]) -> dict[str, str]:
        """A complete environment for a client: `base` without its AWS settings, plus the emulator's.

        A profile or a session token of a real account would override the emulator's keys, or be sent to it.
        """
        env = without_aws(base)
        for name in ("NO_PROXY", "no_proxy"):
            env[name] = ",".join(filter(None, (env.get(name), HOST, "localhost")))
        return env | self.env

    @property
    def pid(self) -> int | None:
        """Process id, or None if it is not running: a pid that belongs to another program now is ignored."""
        if self._process is not None:
            return self._process.pid if self._process.poll() is None else None
        try:
            pid = int(self._pid_file.read_text(encoding="utf-8"))
        except (FileNotFoundError, ValueError):
            return None
        return pid if str(self.folder) in _command_line(pid) else None

    @property
    def running_port(self) -> int | None:
        """The port of the running process of this folder, or None."""
        if self.pid is None:
            return None
        with contextlib.suppress(FileNotFoundError, ValueError):
            return int(self._port_file.read_text(encoding="utf-8"))
        return None

    @property
    def instance(self) -> str | None:
        """An id of this run of the process: a new process has none of the earlier one's resources."""
        pid = self.pid
        return None if pid is None else f"{pid}-{self._pid_file.stat().st_mtime_ns}"

    def healthy(self) -> bool:
        """True when MiniStack answers on the port, with IAM enforced."""
        connection = http.client.HTTPConnection(HOST, self.port, timeout=5)
        try:
            connection.request("GET", "/_ministack/health")
            return bool(json.loads(connection.getresponse().read()).get("auth") == "enabled")
        except (OSError, http.client.HTTPException, ValueError):
            return False
        finally:
            connection.close()

    def start(self) -> bool:
        """Start it and wait until it answers. Returns False if it was running.

        Raises:
            CommandError: the port is in use, MiniStack is not installed, or it does not start.
        """
        self.check_port()
        ran = self.running_port is not None
        if not ran:
            self._spawn()
        self._wait_until_healthy()
        return not ran

    def check_port(self) -> None:
        """Raise CommandError if it is running on another port than this one."""
        running = self.running_port
        if running is not None and running != self.port:
            raise CommandError(
                f"the emulator is running on port {running}, not {self.port}: "
                "unset EMULATOR_PORT, or run `make down` without it first"
            )

    def stop(self) -> bool:
        """Stop the process and its children, and wait. Returns False if it was not running."""
        pid = self.pid
        if pid is not None:
            os.kill(pid, signal.SIGTERM)
            deadline = time.monotonic() + STOP_SECONDS
            while self.pid is not None and time.monotonic() < deadline:
                time.sleep(POLL_SECONDS)
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(pid, signal.SIGKILL)  # function processes that are still running: it leads its own group
        if self._process is not None:
            self._process.wait(timeout=STOP_SECONDS)
            self._process = None
        self._pid_file.unlink(missing_ok=True)
        self._port_file.unlink(missing_ok=True)
        shutil.rmtree(self.folder / "tmp", ignore_errors=True)
        return pid is not None

    def _spawn(self) -> None:
        if importlib.util.find_spec("ministack") is None:
            raise CommandError(
                f"MiniStack is not installed for {sys.executable}: run `make venv` and use .venv/bin/python"
            )
        if not _port_is_free(self.port):
            raise CommandError(
                f"port {self.port} is in use by another program: stop it, or choose another port, "
                f"for example EMULATOR_PORT={self.port + 100}"
            )
        shutil.rmtree(self.folder / "tmp", ignore_errors=True)
        (self.folder / "tmp").mkdir(parents=True)
        command = [sys.executable, "-m", "scripts.local.emulator", "serve", "--folder", str(self.folder)]
        with self.log_file.open("wb") as log:
            self._process = subprocess.Popen(
                [*command, "--lifetime", str(self.lifetime_seconds)],
                cwd=ROOT,
                env=self._server_env(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._port_file.write_text(str(self.port), encoding="utf-8")
        self._pid_file.write_text(str(self._process.pid), encoding="utf-8")

    def _server_env(self) -> dict[str, str]:
        tmp = self.folder / "tmp"
        return {
            **without_aws({name: os.environ[name] for name in INHERITED if name in os.environ}),
            "BIND_HOST": HOST,
            "GATEWAY_PORT": str(self.port),
            "AUTH": "true",
            "IOT_MTLS_ENABLED": "false",
            "SFTP_ENABLED": "false",
            "LAMBDA_EXECUTOR": "local",
            "DOCKER_HOST": f"unix://{tmp}/no-docker",  # it would remove containers of the user's Docker
            "TMPDIR": str(tmp),
            "S3_DATA_DIR": str(tmp / "s3"),
            "STATE_DIR": str(tmp / "state"),
            "AWS_ACCESS_KEY_ID": KEY,
            "AWS_SECRET_ACCESS_KEY": KEY,
            **self.settings,
        }

    def _wait_until_healthy(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if self.healthy():
                return
            if self.pid is None:
                break
            time.sleep(POLL_SECONDS)
        lines = (
            self.log_file.read_text(encoding="utf-8", errors="replace").split("\n") if self.log_file.exists() else []
        )
        last = next((line.strip() for line in reversed(lines) if line.strip()), "its log is empty")
        raise CommandError(f"the emulator did not start on port {self.port} (see {self.log_file}): {last}")


def current() -> Emulator:
    """The emulator of this checkout: on the port it runs on, else on EMULATOR_PORT (default 4566).

    Raises:
        CommandError: EMULATOR_PORT is not a port, or not the port of the running emulator.
    """
    wanted = os.environ.get("EMULATOR_PORT") or ""
    if wanted and (not wanted.isdecimal() or not 0 < int(wanted) < 65536):
        raise CommandError(f"EMULATOR_PORT={wanted} is not a port: set it to a number from 1 to 65535")
    emulator = Emulator(int(wanted or DEFAULT_PORT))
    running = emulator.running_port
    if not wanted and running is not None:
        return Emulator(running)
    emulator.check_port()
    return emulator


def _command_line(pid: int) -> str:
    """The command line of a process, empty when it is gone (or a zombie)."""
    proc = Path(f"/proc/{pid}/cmdline")
    if proc.parent.parent.joinpath("self").exists():
        try:
            return proc.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            return ""
    command = ["ps", "-ww", "-o", "command=", "-p", str(pid)]
    return subprocess.run(command, capture_output=True, encoding="utf-8", errors="replace", check=False).stdout.strip()


def _port_is_free(port: int) -> bool:
    """Whether nothing listens on the port (tested by connect), and it can be used (tested by bind)."""
    with socket.socket() as probe:
        probe.settimeout(1)
        if probe.connect_ex((HOST, port)) == 0:
            return False
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def main() -> int:
    """Command line of this module."""
    parser = argparse.ArgumentParser(prog="emulator", description="Start, find and stop the AWS emulator.")
    commands = ("start", "stop", "status", "env", "serve")
    parser.add_argument("command", choices=commands, help="env: print exports; serve: for internal use")
    parser.add_argument("--folder", type=Path, default=FOLDER, help=argparse.SUPPRESS)
    parser.add_argument("--lifetime", type=int, default=LIFETIME_SECONDS, help="seconds it may run")
    args = parser.parse_args()
    if args.command == "serve":
        from scripts.local.emulator_server import serve  # it imports MiniStack, which the other commands do without

        return serve(args.lifetime)

    emulator = current()
    emulator.lifetime_seconds = args.lifetime
    if args.command == "start":
        state = "started" if emulator.start() else "is already running"
        note(f"emulator {state} at {emulator.endpoint} (pid {emulator.pid})")
    elif args.command == "stop":
        note("emulator stopped" if emulator.stop() else "emulator was not running")
    elif args.command == "status":
        up = emulator.pid is not None and emulator.healthy()
        note(f"emulator {f'is running at {emulator.endpoint} (pid {emulator.pid})' if up else 'is not running'}")
        return 0 if up else 1
    else:
        for name, value in emulator.env.items():
            print(f"export {name}={shlex.quote(value)}")
    return 0


if __name__ == "__main__":
    run(main)
