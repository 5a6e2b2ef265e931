"""`predict` with many inputs against a deployment: Ctrl-C, and what a resume makes of it."""

from __future__ import annotations

import json
import re
import signal
from collections import Counter
from pathlib import Path

from tests.e2e.conftest import Addition
from tests.e2e.http_client import Api
from tests.e2e.waiting import eventually
from tests.predict_process import ended, started

COUNT = 120
"""More than `predict` has open at a time, and more than a page of a list."""

SENT_BEFORE = 40
MODEL = "wordcount"


def test_many_interrupted_and_resumed_none_lost_none_computed_twice(
    api: Api, addition: Addition, tmp_path: Path
) -> None:
    before = _listed(api)
    words = [1 + number % 40 for number in range(COUNT)]
    inputs = tmp_path / "inputs.jsonl"
    inputs.write_text("".join(json.dumps({"text": "word " * count}) + "\n" for count in words), encoding="utf-8")
    url = addition.deployment.base_url

    process = started(url, "--model", MODEL, "--inputs", str(inputs))
    assert process.stderr is not None
    (name,) = re.findall(r"--resume (\S+\.jsonl)", process.stderr.readline())
    journal = Path(name)
    try:
        eventually(f"{SENT_BEFORE} inputs are sent", 120, lambda: len(_sent(journal)) >= SENT_BEFORE)
        process.send_signal(signal.SIGINT)
        code, lines, said = ended(process)
        assert (code, "Traceback" in said) == (130, False), said
        sent = _sent(journal)
        assert len(lines) <= len(sent) < COUNT

        code, lines, said = ended(started(url, "--resume", name))
    finally:
        journal.unlink()
    assert code == 0, said
    assert [line["index"] for line in lines] == list(range(COUNT))
    assert [line["result"] for line in lines] == [{"words": count} for count in words]
    ids = [line["request_id"] for line in lines]
    assert sent.items() <= dict(enumerate(ids)).items(), "what was sent before is not sent again"
    assert _listed(api) - before == set(ids), "a request for each input, and no other"
    attempts = Counter(api.status(str(request_id)).body["attempts"] for request_id in ids)
    assert attempts == {1: COUNT}


def _sent(journal: Path) -> dict[int, str]:
    """Index -> request id of the inputs that were accepted."""
    whole = journal.read_text(encoding="utf-8").rpartition("\n")[0]
    lines = map(json.loads, whole.splitlines())
    return {line["index"]: line["request_id"] for line in lines if "request_id" in line}


def _listed(api: Api) -> set[str]:
    """The ids of all requests to the model."""
    found: set[str] = set()
    url = f"/requests?model={MODEL}&limit=100"
    while url:
        page = api.call("GET", url).body
        found |= {each["request_id"] for each in page["requests"]}
        url = page["next"]
    return found
