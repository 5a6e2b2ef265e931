"""A model's own libraries: installed once, with those of its training, and removed when nothing uses them any more."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

import pytest

from scripts.console import CommandError
from scripts.packaging import libraries
from scripts.packaging.libraries import KEPT_SECONDS, libraries_of
from tests.unit.wheels import wheel


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where they are installed."""
    monkeypatch.setattr(libraries, "FOLDER", tmp_path / "libraries")
    return tmp_path / "libraries"


def model_folder(folder: Path, requirements: str) -> Path:
    """A model folder, as far as its libraries are concerned."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "requirements.txt").write_text(requirements)
    return folder


def test_libraries_are_installed_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wheel(tmp_path / "wheels", "pinnedthing", "1.0")
    folder = model_folder(tmp_path / "mine", f"--no-index\n--find-links {tmp_path / 'wheels'}\npinnedthing==1.0\n")
    first = libraries_of(folder)
    assert "installing the libraries of mine" in capsys.readouterr().err
    shutil.rmtree(tmp_path / "wheels")
    assert libraries_of(folder) == first
    assert capsys.readouterr().err == ""


def test_what_training_needs_is_found_together_with_what_the_model_needs(tmp_path: Path) -> None:
    """A newest version that the model's own pins exclude would fail at the first import."""
    for name, version in (("pinnedthing", "1.0"), ("pinnedthing", "2.0"), ("trainer", "1.0"), ("trainer", "2.0")):
        wheel(tmp_path / "wheels", name, version, f"pinnedthing=={version}" if name == "trainer" else "")
    options = f"--no-index\n--find-links {tmp_path / 'wheels'}\n"
    folder = model_folder(tmp_path / "mine", f"{options}pinnedthing==1.0\n")
    (folder / "training").mkdir()
    (folder / "training" / "requirements.txt").write_text(f"{options}trainer\n")
    both = libraries_of(folder, training=True)
    assert both is not None
    assert {path.name for path in both.glob("*.dist-info")} == {"pinnedthing-1.0.dist-info", "trainer-1.0.dist-info"}
    model = libraries_of(folder)
    assert model is not None
    assert {path.name for path in model.glob("*.dist-info")} == {"pinnedthing-1.0.dist-info"}


def test_a_library_that_is_not_there_is_one_line_with_its_file(tmp_path: Path) -> None:
    folder = model_folder(tmp_path / "mine", "--no-index\npinnedthing==1.0\n")
    with pytest.raises(
        CommandError, match=r"can't install the requirements of \S+requirements\.txt: ERROR: .*pinnedthing"
    ) as failure:
        libraries_of(folder)
    assert "\n" not in str(failure.value)
    assert list((tmp_path / "libraries").iterdir()) == []


def test_what_was_not_used_for_long_is_removed_when_another_is_installed(tmp_path: Path, folder: Path) -> None:
    for version in ("1.0", "2.0", "3.0", "4.0"):
        wheel(tmp_path / "wheels", "pinnedthing", version)
    options = f"--no-index\n--find-links {tmp_path / 'wheels'}\n"

    def installed(version: str) -> Path | None:
        return libraries_of(model_folder(tmp_path / "mine", f"{options}pinnedthing=={version}\n"))

    one, two, three = installed("1.0"), installed("2.0"), installed("3.0")
    assert one is not None and two is not None and three is not None
    long_ago = time.time() - KEPT_SECONDS - 60
    os.utime(one, (long_ago, long_ago))
    os.utime(two, (long_ago, long_ago))
    assert installed("2.0") == two, "this is a use"
    four = installed("4.0")
    assert set(folder.iterdir()) == {two, three, four}
