"""A copy of the repository in which a user works: the commands of the documentation, and what they print."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from scripts.console import ROOT

SOURCES = Path(__file__).parent
OF_BENCH = ROOT / "scripts" / "bench"  # its encoder is a user's model, too
COMMAND_SECONDS = 900
SHOWN_LINES = 14


@dataclass
class Checkout:
    """The user's checkout. `transcript` gets each command, with what the person sees and how long it took."""

    folder: Path
    port: int
    transcript: Path
    models: dict[str, str] = field(default_factory=lambda: {"sentiment": "{ timeout_seconds = 15 }"})

    @classmethod
    def copied(cls, folder: Path, port: int, transcript: Path) -> Checkout:
        """What git would give, with the .venv that is here."""
        command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
        names = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\0")
        for name in filter(None, names):
            if (ROOT / name).is_file():
                target = folder / name
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, target)
        (folder / ".venv").symlink_to((ROOT / ".venv").resolve())
        os.utime(folder / "pyproject.toml", (0, 0))  # older than .venv: nothing is installed into that
        (folder / "build").mkdir()
        transcript.parent.mkdir(parents=True, exist_ok=True)
        transcript.write_text("")
        return cls(folder, port, transcript)

    def make(self, *arguments: str, code: int | None = 0) -> subprocess.CompletedProcess[str]:
        """`make ...`, which must end with this exit code (None: any)."""
        env = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "PYTEST", "COV"))}
        env |= {"EMULATOR_PORT": str(self.port), "COLUMNS": "120"}
        started = time.monotonic()
        done = subprocess.run(
            ["make", *arguments],
            cwd=self.folder,
            env=env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=COMMAND_SECONDS,
            check=False,
        )
        self._note(arguments, done, time.monotonic() - started)
        assert code is None or done.returncode == code, done.stdout[-3000:] + done.stderr[-3000:]
        return done

    def write_model(self, name: str, changes: dict[str, Any]) -> Path:
        """What a user edits after `make new-model`: files over those that are there, and fields of the manifest."""
        folder = self.folder / "worker" / "models" / name
        source = SOURCES / name if (SOURCES / name).is_dir() else OF_BENCH / name
        shutil.copytree(source, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
        path = folder / "manifest.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | changes, indent=2))
        (folder / "tests" / "test_model.py").unlink()  # of the features that are no more
        return folder

    def name_model(self, name: str, settings: str = "{}", environment: str = "local") -> None:
        """The line in main.tf that deploys a model."""
        self.models[name] = settings
        path = self.folder / "terraform" / "environments" / environment / "main.tf"
        lines = "".join(f"    {model} = {said}\n" for model, said in self.models.items())
        text, count = re.subn(r"(?ms)^  models = \{\n.*?^  \}\n", f"  models = {{\n{lines}  }}\n", path.read_text())
        assert count == 1
        path.write_text(text)

    def _note(self, arguments: tuple[str, ...], done: subprocess.CompletedProcess[str], seconds: float) -> None:
        shown = [line[:200] for line in (done.stdout + done.stderr).replace(str(self.folder), ".").splitlines()]
        if len(shown) > SHOWN_LINES:
            half = SHOWN_LINES // 2
            shown = [*shown[:half], f"    ... {len(shown) - 2 * half} lines", *shown[-half:]]
        with self.transcript.open("a") as file:
            file.write(f"$ make {' '.join(arguments)[:300]}\n" + "\n".join(shown))
            file.write(f"\n# exit code {done.returncode}, {seconds:.1f} s\n\n")
