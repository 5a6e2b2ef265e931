"""What a download leaves on the disk, however it ends: a Lambda function keeps its /tmp when its process is killed."""

import errno
import hashlib
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.unit.fake_s3 import URI, FakeS3
from tests.unit.model_folders import ROOT
from worker.model.artifact import download
from worker.model.errors import ArtifactError

CONTENT = bytes(range(256)) * 40
SHA256 = hashlib.sha256(CONTENT).hexdigest()
DEADLINE_SECONDS = 20.0

LINUX = pytest.mark.skipif(sys.platform == "darwin", reason="macOS can't reserve space")


def fetched(cache: Path) -> bytes:
    return download(URI, SHA256, lambda: FakeS3(CONTENT), cache=cache).read_bytes()


def names(cache: Path) -> set[str]:
    return {path.name for path in cache.iterdir()}


def test_a_file_that_went_bad_is_fetched_again(tmp_path: Path) -> None:
    (tmp_path / SHA256).write_bytes(b"altered on disk")
    assert fetched(tmp_path) == CONTENT


def test_a_call_that_writes_less_than_it_was_given_is_continued(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pwrite = os.pwrite
    monkeypatch.setattr(os, "pwrite", lambda file, content, start: pwrite(file, content[:1000], start))
    assert fetched(tmp_path) == CONTENT


@pytest.mark.parametrize("call", [pytest.param("posix_fallocate", marks=LINUX), "pwrite"])
def test_a_full_disk_is_named_with_what_is_needed_and_what_is_free(
    call: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, call, full)
    monkeypatch.setattr("shutil.disk_usage", lambda path: SimpleNamespace(free=3 * 2**19))
    s3 = FakeS3(bytes(5 * 2**19))
    message = rf"{URI}: it needs 2\.5 MB of disk, and {tmp_path} has 1\.5 MB free; raise .* ephemeral_storage_mb$"
    with pytest.raises(ArtifactError, match=message):
        download(URI, SHA256, lambda: s3, cache=tmp_path)
    assert names(tmp_path) == {"lock"}
    assert call == "pwrite" or s3.ranges == [], "what does not fit need not be fetched"


# Fetches CONTENT, in a process of its own. It says when it begins to, then waits for `go`.
FETCHER = """
import sys, time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tests.unit.fake_s3 import URI, FakeS3
from tests.unit.test_artifact_disk import CONTENT, SHA256, until
from worker.model.artifact import download

cache, marks = map(Path, sys.argv[1:])

class S3(FakeS3):
    def get_object(self, **asked):
        (marks / "fetching").touch()
        until((marks / "go").exists)
        return super().get_object(**asked)

assert download(URI, SHA256, lambda: S3(CONTENT), cache=cache).read_bytes() == CONTENT
"""


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not holds():
        assert time.monotonic() < deadline, "the other process did not come"
        time.sleep(0.005)


@pytest.fixture
def marks(tmp_path: Path) -> Path:
    folder = tmp_path / "marks"
    folder.mkdir()
    return folder


@pytest.fixture
def first(tmp_path: Path, marks: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Another process, in the middle of its download."""
    command = [sys.executable, "-c", FETCHER, str(tmp_path / "cache"), str(marks)]
    with subprocess.Popen(command, cwd=ROOT, env=os.environ | {"PYTHONPATH": "lambda:."}) as process:
        try:
            until(lambda: (marks / "fetching").exists() or process.poll() is not None)
            yield process
        finally:
            process.kill()


def test_a_second_process_waits_for_the_file_of_the_first(
    first: subprocess.Popen[bytes], tmp_path: Path, marks: Path
) -> None:
    with ThreadPoolExecutor(1) as pool:
        s3 = FakeS3(CONTENT)
        second = pool.submit(download, URI, SHA256, lambda: s3, cache=tmp_path / "cache")
        with pytest.raises(TimeoutError):
            second.result(timeout=0.3)
        (marks / "go").touch()
        assert first.wait(DEADLINE_SECONDS) == 0
        assert second.result(DEADLINE_SECONDS).read_bytes() == CONTENT
    assert s3.ranges == []
    assert names(tmp_path / "cache") == {SHA256, "lock"}


def test_what_a_killed_process_left_is_cleared(first: subprocess.Popen[bytes], tmp_path: Path) -> None:
    first.kill()
    first.wait(DEADLINE_SECONDS)
    assert len(names(tmp_path / "cache")) == 2, "it was killed while it wrote"
    assert fetched(tmp_path / "cache") == CONTENT
    assert names(tmp_path / "cache") == {SHA256, "lock"}
