"""make versions, promote and rollback, and the end of a deployment, with a fake AWS: what they take and print."""

from __future__ import annotations

from collections.abc import Callable

import boto3
import pytest

from scripts.console import CommandError
from scripts.deployment import aws_session, rollout, terraform
from scripts.deployment.environment_config import EnvironmentConfig
from tests.integration.test_versions import PATH, PREFIX, Function, decision

Rollout = Callable[..., int]


@pytest.fixture(scope="module")
def functions(on_moto: None) -> dict[str, Function]:
    """The api, the worker of the model `mine` and that of the pool `trials`; each with two versions."""
    return {name: Function(name, versions=2) for name in ("api", "worker-mine", "worker-trials")}


@pytest.fixture
def command(functions: dict[str, Function], monkeypatch: pytest.MonkeyPatch) -> Rollout:
    """Runs the command line on them, as new."""
    outputs = {
        "function_names": {name.replace("-", "/"): function.name for name, function in functions.items()},
        "pools": {"trials": ["first", "second"]},
        "kept_versions_path": PATH,
    }
    for function in functions.values():
        function.serve(2)
        function.parameters.delete_parameters(Names=[function.parameter])
    monkeypatch.setattr(terraform, "outputs", lambda _: outputs)
    monkeypatch.setattr(aws_session, "client", lambda environment, service, outputs: boto3.client(service))
    monkeypatch.setattr(aws_session, "client_of", lambda environment, service, region: boto3.client(service))

    def run(*arguments: str) -> int:
        monkeypatch.setattr("sys.argv", ["rollout", *arguments, "--env", "dev"])
        return rollout.main()

    return run


def test_the_versions_are_shown_with_what_a_rollback_would_do(
    command: Rollout, functions: dict[str, Function], capsys: pytest.CaptureFixture[str]
) -> None:
    functions["worker-mine"].serve(1, {"2": 0.25})
    functions["worker-trials"].rollback()
    assert command("versions") == 0
    lines = capsys.readouterr().out.splitlines()
    rows = [[cell.strip() for cell in line.strip("│").split("│")] for line in lines if line.startswith("│")]
    assert rows == [
        ["FUNCTION=api", "2", "", "1", "2, 1"],
        ["MODEL=mine", "1", "2 (25%)", "1", "2, 1"],
        ["POOL=trials", "1", "", "", "(2), 1"],
    ]


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        (("--function", "api"), "api"),
        (("--model", "mine"), "worker-mine"),
        (("--pool", "trials"), "worker-trials"),
    ],
)
def test_a_rollback_and_a_promotion_of_each_kind_of_function(
    command: Rollout,
    functions: dict[str, Function],
    arguments: tuple[str, ...],
    name: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert command("rollback", *arguments) == 0
    assert functions[name].serving() == (1, None, 0)
    assert "version 1 has all invocations (before: 2)" in capsys.readouterr().err
    assert [other.serving()[0] for other in functions.values()].count(1) == 1, "no other function is changed"
    assert command("promote", *arguments) == 0
    assert functions[name].serving() == (2, None, 0)


def test_all_canaries_are_promoted(
    command: Rollout, functions: dict[str, Function], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(CommandError, match="nothing to promote: dev has no canary"):
        command("promote")
    functions["api"].serve(1, {"2": 0.5})
    functions["worker-trials"].serve(1, {"2": 0.1})
    functions["worker-mine"].rollback()
    assert command("promote") == 0
    assert [function.serving()[0] for function in functions.values()] == [2, 1, 2], "what was rolled back stays"
    assert "worker/trials: version 2 has all invocations (before: 1, and 2 as its canary)" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "which function"),
        (("--model", "yours"), "dev has no worker of a model yours: it has mine"),
        (("--model", "trials"), "dev has no worker of a model trials: it has mine"),
        (("--model", "first"), "first is in the pool trials, whose worker runs first, second: set POOL=trials"),
        (("--pool", "mine"), "dev has no pool mine: it has trials"),
        (("--function", "sweeper"), "it must be one of api; for a worker set MODEL or POOL"),
        (("--pool", "trials", "--model", "mine"), "name one of MODEL, POOL and FUNCTION"),
    ],
)
def test_what_is_no_function_is_told_with_those_that_there_are(
    command: Rollout, arguments: tuple[str, ...], said: str
) -> None:
    with pytest.raises(CommandError, match=said) as failed:
        command("rollback", *arguments)
    assert failed.value.code == 2


def test_a_synchronous_function_is_named_by_its_role(
    command: Rollout, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    names = terraform.outputs("dev")["function_names"]
    outputs = terraform.outputs("dev") | {"function_names": {"sync/mine": names["worker/mine"]}}
    monkeypatch.setattr(terraform, "outputs", lambda _: outputs)
    assert command("versions", "--function", "sync/mine") == 0
    assert "FUNCTION=sync/mine" in capsys.readouterr().out


def test_a_function_that_was_deleted_by_hand_is_told(command: Rollout, monkeypatch: pytest.MonkeyPatch) -> None:
    outputs = terraform.outputs("dev") | {"function_names": {"api": f"{PREFIX}-deleted"}}
    monkeypatch.setattr(terraform, "outputs", lambda _: outputs)
    with pytest.raises(CommandError, match=f"{PREFIX}-deleted does not exist any more"):
        command("versions")


def test_where_terraform_does_not_read_the_decision_its_end_is_told(
    command: Rollout, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    outputs = terraform.outputs("dev") | {"kept_versions_path": None}
    monkeypatch.setattr(terraform, "outputs", lambda _: outputs)
    assert command("rollback", "--model", "mine") == 0
    assert "the next apply lets the newest version, 2, serve again" in capsys.readouterr().err


@pytest.mark.usefixtures("command")
def test_an_apply_holds_the_canaries_where_terraform_reads_the_parameters(functions: dict[str, Function]) -> None:
    mine = functions["worker-mine"]
    canaries = frozenset({mine.name})
    config = EnvironmentConfig("x86_64", {}, PREFIX, images_from_parameters=False, canaries=canaries)
    rollout.hold("dev", config)
    assert mine.stored() is None
    rollout.hold("dev", EnvironmentConfig("x86_64", {}, PREFIX, images_from_parameters=True, canaries=canaries))
    assert mine.stored() == decision(2)
    assert functions["api"].stored() is None


@pytest.mark.usefixtures("command")
def test_the_end_of_a_deployment_deletes_old_versions_and_names_the_canaries(
    functions: dict[str, Function], capsys: pytest.CaptureFixture[str]
) -> None:
    trials = functions["worker-trials"]
    for _ in range(7):
        trials.publish()
    trials.serve(8, {"9": 0.25})
    rollout.finish("dev")
    shown = capsys.readouterr().err
    assert "worker/trials: deleted the old versions 4, 3, 2, 1" in shown
    assert f"the new version 9 gets 25% of the invocations; the alarm {trials.name}-canary counts its errors" in shown
    assert "`make promote ENV=dev POOL=trials` or `make rollback ENV=dev POOL=trials`" in shown
    assert "api" not in shown
