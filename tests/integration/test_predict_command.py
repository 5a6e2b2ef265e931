"""`predict` as a process, against the api function through real HTTP: Ctrl-C, and what a resume makes of it."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.http_server import HttpServer, serving
from tests.integration.system import System
from tests.predict_process import DEADLINE_SECONDS, ended, journal_named_in, started

COUNT = 100
SENT_BEFORE = 30


@pytest.fixture
def served(system: System) -> Iterator[tuple[HttpServer, str]]:
    with serving(system) as found:
        yield found


def test_many_inputs_interrupted_and_resumed_none_lost_none_computed_twice(
    served: tuple[HttpServer, str], system: System, tmp_path: Path
) -> None:
    api, url = served
    api.work = False
    api.faults.extend(["answer", "answer", "lose"] * 5)
    inputs = tmp_path / "inputs.jsonl"
    texts = [f"lovely day {number}" for number in range(COUNT)]
    inputs.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts), encoding="utf-8")

    process = started(url, "--inputs", str(inputs))
    deadline = time.monotonic() + DEADLINE_SECONDS
    while len(api.seen) < SENT_BEFORE:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.005)
    process.send_signal(signal.SIGINT)
    code, lines, said = ended(process)
    assert (code, lines) == (130, [])
    assert "interrupted; requests that were sent continue" in said
    assert "Traceback" not in said
    journal = journal_named_in(said)
    assert sum(method == "POST" for method, *_ in api.seen) < COUNT

    api.work = True
    try:
        code, lines, said = ended(started(url, "--resume", str(journal)))
    finally:
        journal.unlink()
    assert code == 0, said
    assert [line["index"] for line in lines] == list(range(COUNT))
    assert len({line["request_id"] for line in lines}) == COUNT
    computed = sorted(value["text"] for values in system.model.passes for value in values)
    assert computed == sorted(texts)


def test_one_input_interrupted_and_resumed(served: tuple[HttpServer, str], system: System) -> None:
    api, url = served
    api.work = False
    process = started(url, "what a lovely day")
    assert process.stderr is not None
    request_id = process.stderr.readline().split()[1]
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not any(method == "GET" for method, *_ in api.seen):
        assert time.monotonic() < deadline
        time.sleep(0.005)
    process.send_signal(signal.SIGINT)
    code, lines, said = ended(process)
    assert (code, lines) == (130, [])
    assert f"the request continues; get its result with --resume {request_id}" in said
    api.work = True
    code, lines, _ = ended(started(url, "--resume", request_id))
    assert code == 0
    assert [line["prediction"] for line in lines] == ["positive"]
    assert len(system.model.passes) == 1
