"""Every validation is broken by a run, and by its own: only Terraform says which of a variable's rules a value breaks.

`expect_failures` takes any rule of a variable for all of them. So each folder's validation.tftest.hcl is run without
it, and what fails must be exactly what it names; over all runs, every rule.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from scripts.deployment.terraform import terraform_binary
from tests.terraform.plans import Json
from tests.terraform.runner import SOURCE, Terraform, folders

pytestmark = pytest.mark.terraform

TESTED = [folder for folder in folders() if not folder.startswith("environments/")]
RUN = re.compile(r'^(?=run "(\w+)")(run .*?^\})$', re.M | re.S)
EXPECTED = re.compile(r'^run "(\w+)" \{$(?:(?!^\}$).)*?expect_failures\s*=\s*\[(.*?)\]', re.M | re.S)
BROKEN = re.compile(r"This was checked by the validation rule at ([\w.]+:\d+),")


@pytest.fixture(scope="module")
def diagnostics(terraform: Terraform) -> Iterator[dict[str, Future[list[Json]]]]:
    """What each folder's validation.tftest.hcl prints without `expect_failures`."""

    def test(folder: str) -> list[Json]:
        terraform.init(folder)
        bare = terraform.copy / folder / "bare"
        bare.mkdir()
        source = re.sub(r"^ *expect_failures\s*=\s*\[.*?\]", "", _runs(folder), flags=re.M | re.S)
        common = source.partition('\nrun "')[0]
        for name, run in RUN.findall(source):  # a file each, since one that fails ends its file
            (bare / f"{name}.tftest.hcl").write_text(f"{common}\n{run}\n")
        done = subprocess.run(
            [terraform_binary(), "test", "-json", "-test-directory=bare"],
            cwd=terraform.copy / folder,
            env=terraform.env,
            capture_output=True,
            text=True,
            check=False,
            timeout=900,
        )
        shutil.rmtree(bare)
        lines = [json.loads(line) for line in done.stdout.splitlines()]
        return [line for line in lines if line["type"] == "diagnostic" and line["diagnostic"]["severity"] == "error"]

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        yield {folder: pool.submit(test, folder) for folder in sorted(TESTED, key=lambda f: f != "stack")}


@pytest.mark.parametrize("folder", TESTED)
def test_every_validation_is_broken_by_a_run_that_names_its_variable(
    diagnostics: dict[str, Future[list[Json]]], folder: str
) -> None:
    rules = _rules(folder)
    broken: dict[str, set[str]] = {}
    for line in diagnostics[folder].result():
        found = BROKEN.search(line["diagnostic"]["detail"])
        assert found, line["@message"] + line["diagnostic"]["detail"]
        broken.setdefault(line["@testrun"], set()).add(found[1])
    expected = {run: set(re.findall(r"var\.(\w+)", names)) for run, names in EXPECTED.findall(_runs(folder))}
    assert {run: {rules[rule] for rule in found} for run, found in broken.items()} == expected
    assert rules.keys() - set().union(*broken.values()) == set(), "validations that no run breaks"


def _runs(folder: str) -> str:
    return (SOURCE / folder / "tests" / "validation.tftest.hcl").read_text()


def _rules(folder: str) -> dict[str, str]:
    """`file:line` of each validation -> its variable."""
    found: dict[str, str] = {}
    for path in sorted((SOURCE / folder).glob("*.tf")):
        variable = ""
        for number, line in enumerate(path.read_text().splitlines(), 1):
            if start := re.match(r'variable "(\w+)"', line):
                variable = start[1]
            elif line == "  validation {":
                found[f"{path.name}:{number}"] = variable
    assert found
    return found
