"""Changes while requests are in flight: what was accepted ends, rightly or with a reason, and is counted."""

from __future__ import annotations

import collections
import json
import shutil
import threading
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import pytest

from scripts.console import CommandError
from scripts.deployment import removal, terraform
from scripts.local.emulator import Emulator
from scripts.operate import dead_letters, status
from tests.e2e.conftest import E2E_MODELS, KEPT, aimed_at
from tests.e2e.control import Control
from tests.e2e.deployment import Deployment
from tests.e2e.faults.package import HANDLER
from tests.e2e.http_client import Api
from tests.e2e.test_faults import right_answer
from tests.e2e.waiting import eventually

CLIENTS = 3
PAUSE_SECONDS = 0.2
GRACE_SECONDS = 30
PREFIX = "inference-changes"


class Changing:
    """A deployment of its own, beside the session's, whose models are changed."""

    def __init__(self, tree: Path, emulator: Emulator, provider: Mapping[str, str]) -> None:
        self.packages = tree / "build" / "packages"
        folder = tree / "terraform" / "environments" / "changes"
        if not folder.exists():
            ignored = shutil.ignore_patterns(".terraform*", "*.tfstate*", "e2e*")
            shutil.copytree(folder.with_name("local"), folder, ignore=ignored)
        self.deployment = Deployment(folder, emulator, tree, provider)

    def apply(self, **models: dict[str, Any]) -> Control:
        """Deploy these models."""
        self.deployment.override(
            name_prefix=PREFIX,
            models=models,
            default_model="moving",
            sweeper={"schedule": "rate(1 minute)", "grace_seconds": GRACE_SECONDS},
        )
        self.deployment.apply()
        return Control(self.deployment)

    def model(self, package: str = "worker-faulty-faults.zip", **settings: Any) -> dict[str, Any]:
        """The settings of a model whose worker fails on demand."""
        return {
            "source": "faulty",
            "models_dir": str(E2E_MODELS),
            "package": {"zip": {"path": str(self.packages / package), "handler": HANDLER}},
            "maximum_concurrency": 2,
            **settings,
        }

    def new_version(self) -> str:
        """A zip of the next version of the model; its name."""
        name = "worker-faulty-faults-next.zip"
        with (
            zipfile.ZipFile(self.packages / "worker-faulty-faults.zip") as before,
            zipfile.ZipFile(self.packages / name, "w") as after,
        ):
            for entry in before.infolist():
                content = before.read(entry)
                if entry.filename.endswith("faulty/manifest.json"):
                    content = json.dumps(json.loads(content) | {"version": "2.0.0"}).encode()
                after.writestr(entry, content)
        return name


class Load:
    """Clients that send requests to a model as long as the block runs."""

    def __init__(self, api: Api, model: str) -> None:
        self._api = api
        self._model = model
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._send, args=(number,)) for number in range(CLIENTS)]
        self.accepted: dict[str, str] = {}
        self.rejected: list[Any] = []

    def _send(self, client: int) -> None:
        number = 0
        while not self._stop.wait(PAUSE_SECONDS):
            number += 1
            text = f"{client}-{number}"
            response = self._api.submit({"text": text, "work_ms": 100}, self._model)
            if response.status == 202:
                self.accepted[response.body["request_id"]] = text
            else:
                self.rejected.append(response)

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def outcomes(self) -> list[dict[str, Any]]:
        """What became of each accepted request; a result has to be the right one."""
        outcomes = []
        for request_id, text in self.accepted.items():
            outcome = self._api.outcome(request_id, 120)
            assert outcome["result"] is None or outcome["result"] == right_answer(text), outcome
            outcomes.append(outcome)
        return outcomes


@pytest.fixture(scope="module")
def changing(tree: Path, emulator: Emulator, provider: dict[str, str]) -> Iterator[Changing]:
    changing = Changing(tree, emulator, provider)
    with aimed_at(emulator):
        changing.apply(**dict.fromkeys(("moving", "leaving", "old"), changing.model()))
        yield changing
        if not KEPT:
            changing.deployment.destroy()


@pytest.fixture
def tools(changing: Changing, emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the commands work on this deployment."""
    monkeypatch.setattr(terraform, "outputs", lambda _: changing.deployment.outputs)
    monkeypatch.setattr(terraform, "environment_env", lambda _: emulator.env)
    monkeypatch.delenv("REMOVE", raising=False)


def run(monkeypatch: pytest.MonkeyPatch, command: Any, *arguments: str) -> int:
    monkeypatch.setattr("sys.argv", [command.__name__, *arguments])
    code: int = command.main()
    return code


def test_new_version_timeout_and_batch_size_under_load(changing: Changing) -> None:
    others = dict.fromkeys(("leaving", "old"), changing.model())
    with Load(Api(changing.deployment.base_url), "moving") as load:
        changing.apply(moving=changing.model(changing.new_version()), **others)
        settings = {"timeout_seconds": 6, "batch_size": 3, "batch_window_seconds": 1}
        control = changing.apply(moving=changing.model("worker-faulty-faults-next.zip", **settings), **others)
    outcomes = load.outcomes()
    assert collections.Counter(outcome["status"] for outcome in outcomes) == {"succeeded": len(load.accepted)}
    assert {outcome["model_version"] for outcome in outcomes} == {"1.0.0", "2.0.0"}, "both versions had requests"
    assert load.rejected == []
    attributes = control.sqs.get_queue_attributes(QueueUrl=control.queue_url("moving"), AttributeNames=["All"])
    assert attributes["Attributes"]["VisibilityTimeout"] == "37"
    control.drained("moving")


@pytest.mark.usefixtures("tools")
def test_a_removed_and_a_renamed_model_with_open_requests(
    changing: Changing, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    api = Api(changing.deployment.base_url)
    control = Control(changing.deployment)
    control.pause("leaving")
    leaving = {api.accepted({"text": f"leaving {number}"}, "leaving"): f"leaving {number}" for number in range(12)}
    hang = {"point": "during_predict", "kind": "timeout", "times": 1}
    old = [api.accepted({"text": "at work", "fault": hang}, "old")]
    eventually("it is at work", 30, lambda: api.status(old[0]).body["status"] == "running")
    control.pause("old")
    old += [api.accepted({"text": f"old {number}"}, "old") for number in range(5)]

    # What `make status` and `make up` say, and that `make up` stops.
    assert run(monkeypatch, status, "--model", "leaving", "--json") == 0
    seen = json.loads(capsys.readouterr().out)
    assert (seen["models"]["leaving"]["waiting"], seen["models"]["leaving"]["pending"]) == (12, 12)
    assert {request["request_id"] for request in seen["requests"]} == set(leaving)
    stay = {name: f"{PREFIX}-{name}" for name in ("moving", "old")}
    with pytest.raises(CommandError, match="leaving would be removed from its queue with open requests"):
        removal.check("local", "apply", stay)
    assert "12 open requests (12 pending)" in capsys.readouterr().err
    monkeypatch.setenv("REMOVE", "leaving")
    removal.check("local", "apply", stay)

    # A bare `terraform apply`, which asks nobody, removes one and renames the other; a third is in use meanwhile.
    with Load(api, "moving") as load:
        control = changing.apply(moving=changing.model(), new=changing.model())
    for request_id in leaving:
        outcome = api.outcome(request_id, 0)
        assert (outcome["status"], outcome["error"]["code"]) == ("failed", "model_removed")

    def swept() -> bool:
        control.invoke("sweeper")
        return all(api.status(request_id).body["status"] == "failed" for request_id in old)

    eventually("the sweeper has ended what was left", GRACE_SECONDS + 60, swept)
    for request_id in old:
        error = api.outcome(request_id, 0)["error"]
        assert error["code"] == "model_removed"
        assert "'old' was removed" in error["message"]
    assert api.submit({"text": "a"}, "old").status == 404
    assert api.outcome(api.accepted({"text": "renamed"}, "new"))["result"] == right_answer("renamed")
    assert run(monkeypatch, dead_letters, "replay", next(iter(leaving))) == dead_letters.FAILED
    assert "the model leaving is not deployed" in capsys.readouterr().out
    assert {outcome["status"] for outcome in load.outcomes()} == {"succeeded"}
    assert load.rejected == []

    # Added again, it answers what had waited.
    changing.apply(moving=changing.model(), leaving=changing.model())
    assert run(monkeypatch, dead_letters, "replay", "--all", "--model", "leaving") == 0
    for request_id, text in leaving.items():
        assert api.outcome(request_id, 60)["result"] == right_answer(text)
    assert run(monkeypatch, dead_letters, "replay", old[0]) == 0
    assert "its input was not kept" in capsys.readouterr().out
