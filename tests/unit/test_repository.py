"""What the repository's own files promise: the workflow, the tables, the decisions, the version."""

import ast
import re
from typing import Any

import pytest
import yaml

from scripts import module_tables
from scripts.console import ROOT
from worker.verdicts import EVENTS

LEVELS = ("debug", "info", "warning", "warning_once", "error")
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
MAKE_TARGETS = frozenset(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))


def read_yaml(path: str) -> Any:
    return yaml.safe_load((ROOT / path).read_text(encoding="utf-8"))


def steps() -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Each step of each workflow, with its job."""
    assert WORKFLOWS
    jobs = [job for path in WORKFLOWS for job in yaml.safe_load(path.read_text(encoding="utf-8"))["jobs"].values()]
    return [(job, step) for job in jobs for step in job["steps"]]


def test_a_workflow_runs_nothing_but_make_targets() -> None:
    ran = 0
    for job, step in steps():
        if "run" not in step:
            continue
        named = {entry["target"] for entry in job["strategy"]["matrix"]["include"]}
        words = step["run"].replace("${{ matrix.target }}", " ".join(sorted(named))).split()
        assert words[0] == "make", step["run"]
        assert set(words[1:]) <= MAKE_TARGETS, step["run"]
        ran += 1
    assert ran


def test_actions_are_pinned_by_commit_with_their_version_beside() -> None:
    used = [step["uses"] for _, step in steps() if "uses" in step]
    assert used
    for path in WORKFLOWS:
        lines = [line for line in path.read_text(encoding="utf-8").splitlines() if "uses:" in line]
        for line in lines:
            assert re.search(r"uses: [\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$", line), line


def test_the_workflow_covers_what_is_supported() -> None:
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    lowest = re.search(r'requires-python = ">=([\d.]+)"', project)
    terraform = re.search(
        r'required_version = ">= ([\d.]+)"', (ROOT / "terraform/stack/versions.tf").read_text("utf-8")
    )
    assert lowest is not None
    assert terraform is not None
    include = read_yaml(".github/workflows/check.yml")["jobs"]["check"]["strategy"]["matrix"]["include"]
    pairs = {(entry["python"], entry["terraform"]) for entry in include}
    assert {(lowest[1], f"{terraform[1]}.0"), ("3.13", "latest")} <= pairs


def test_hooks_run_make_targets() -> None:
    (repository,) = read_yaml(".pre-commit-config.yaml")["repos"]
    assert repository["repo"] == "local"
    for hook in repository["hooks"]:
        make, target = hook["entry"].split()
        assert make == "make"
        assert target in MAKE_TARGETS


def test_dependabot_looks_at_folders_that_are_there() -> None:
    updates = read_yaml(".github/dependabot.yml")["updates"]
    assert {update["package-ecosystem"] for update in updates} == {"github-actions", "pip", "terraform"}
    for update in updates:
        for folder in [update["directory"]] if "directory" in update else update["directories"]:
            assert list(ROOT.glob(folder.strip("/") or "pyproject.toml")), folder


@pytest.mark.parametrize(
    "template", sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("[!c]*.yml")), ids=lambda p: p.stem
)
def test_issue_forms_have_what_github_asks_for(template: Any) -> None:
    form = yaml.safe_load(template.read_text(encoding="utf-8"))
    assert {"name", "description", "body"} <= form.keys()
    fields = [field for field in form["body"] if field["type"] != "markdown"]
    assert len({field["id"] for field in fields}) == len(fields) > 0
    assert all(field["attributes"]["label"] for field in fields)


@pytest.mark.parametrize("folder", module_tables.folders(), ids=lambda folder: folder.name)
def test_the_tables_of_a_module_are_up_to_date(folder: Any) -> None:
    readme = (folder / "README.md").read_text(encoding="utf-8")
    assert readme == module_tables.with_tables(readme, folder), "run `make docs`"


def test_decisions_are_numbered_and_listed() -> None:
    names = sorted(path.name for path in (ROOT / "docs" / "adr").glob("[0-9]*.md"))
    assert len({name[:4] for name in names}) == len(names), "a number is given once"
    index = (ROOT / "docs" / "adr" / "README.md").read_text(encoding="utf-8")
    assert re.findall(r"\]\((\d{4}[^)]*\.md)\)", index) == names
    for name in names:
        text = (ROOT / "docs" / "adr" / name).read_text(encoding="utf-8")
        assert re.findall(r"^## (.*)$", text, re.MULTILINE) == ["Context", "Decision", "Consequences"], name


def test_contributing_names_files_and_commands_that_are_there() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    spans = re.findall(r"`([^`\n]+)`", text)
    words = {word.rpartition("@")[2] for span in spans for word in span.split() if "(" not in word}
    top = {entry.name for entry in ROOT.iterdir()}
    paths = {word for word in words if word.split("/")[0] in top and "/mine" not in word}
    assert len(paths) > 30
    assert [path for path in sorted(paths) if not (ROOT / path).exists()] == []
    called = {word for span in spans if span.startswith("make ") for word in span.split()[1:]}
    assert {word for word in called if re.fullmatch(r"[a-z-]+", word)} <= MAKE_TARGETS
    links = re.findall(r"\]\(([^)#]+)#?([^)]*)\)", text)
    assert links
    for link, anchor in links:
        headings = re.findall(r"^#+ (.*)$", (ROOT / link).read_text(encoding="utf-8"), re.MULTILINE)
        assert not anchor or anchor in {heading.lower().replace(" ", "-") for heading in headings}, link


def _logged(root: str) -> set[str]:
    """The names of the events that a folder's code logs: literals, or what the variable passed is assigned."""
    names: set[str] = set()
    for path in sorted((ROOT / root).rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        assigned: dict[str, set[str]] = {}
        for node in ast.walk(tree):
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
                assigned.setdefault(node.targets[0].id, set()).update(_texts(node.value))
        for call in ast.walk(tree):
            if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr in LEVELS:
                if ast.unparse(call.func.value).rpartition(".")[2].strip("_") != "telemetry":
                    continue
                event = call.args[0]
                found = assigned.get(event.id, set()) if isinstance(event, ast.Name) else _texts(event)
                assert found, f"{path.name}: {ast.unparse(call)}: write the event's name where it is logged"
                names |= found
    return names


def _texts(node: ast.AST) -> set[str]:
    """The string constants that an expression can come to, conditions aside."""
    if isinstance(node, ast.IfExp):
        return _texts(node.body) | _texts(node.orelse)
    return {node.value} if isinstance(node, ast.Constant) and isinstance(node.value, str) else set()


def test_every_log_event_is_documented_and_no_other() -> None:
    text = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8").partition("## Log events")[2]
    documented = re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE)
    of_verdicts = {event for _, event in EVENTS.values()}
    assert sorted(documented) == sorted(_logged("lambda") | _logged("worker") | of_verdicts)
