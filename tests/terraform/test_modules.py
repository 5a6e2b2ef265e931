"""Every module, the stack and every environment: formatted, valid, tested, and described."""

import json
import os
import re
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from tests.terraform.plans import Json
from tests.terraform.runner import ENVIRONMENTS, SOURCE, Terraform, folders

pytestmark = pytest.mark.terraform

DEFAULTS: dict[str, Json] = json.loads((SOURCE / "stack" / "defaults.json").read_text())
DEFAULTS.pop("zip")  # of `package` in a model's settings
CHECKED_BY_KEY = {("stack", name) for name in DEFAULTS}
CALL = re.compile(r'^module "(\w+)" \{\n  source\s*= "([^"]+)"', re.M)

TESTED = [folder for folder in folders() if not folder.startswith("environments/")]


def test_formatted(terraform: Terraform) -> None:
    terraform.run(".", "fmt", "-check", "-recursive", "-diff")


def test_valid(terraform: Terraform) -> None:
    # The plans of the others show that they are valid; one reaches the stack and every module.
    terraform.init("environments/local")
    found = json.loads(terraform.run("environments/local", "validate", "-json"))
    assert found["diagnostics"] == [], "no warning either: what is deprecated comes as one"


@pytest.fixture(scope="module")
def runs(terraform: Terraform) -> Iterator[dict[str, Future[str]]]:
    """What `terraform test` shows in each folder. They run side by side: each spends its time starting the provider."""

    def test(folder: str) -> str:
        terraform.init(folder)
        files = (path.name for path in (SOURCE / folder / "tests").glob("*.tftest.hcl"))
        filters = [f"-filter=tests/{name}" for name in sorted(files) if name != "validation.tftest.hcl"]
        return terraform.run(folder, "test", "-no-color", *filters)  # test_validations.py has the others

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        yield {folder: pool.submit(test, folder) for folder in sorted(TESTED, key=lambda f: f != "stack")}


@pytest.mark.parametrize("folder", TESTED)
def test_terraform_test(runs: dict[str, Future[str]], folder: str) -> None:
    shown = runs[folder].result()
    assert re.search(r"Success! [1-9][0-9]* passed, 0 failed", shown), shown


@pytest.mark.parametrize("folder", folders())
def test_variables_and_outputs_are_described(folder: str) -> None:
    for name, body in _blocks(folder, "variable").items():
        assert re.search(r"^  description\s*=", body, re.M), f"variable {name} has no description"
        assert re.search(r"^  nullable\s*=", body, re.M), f"variable {name} does not say whether it may be null"
        takes_anything = re.search(r"^  type\s*=\s*.*\bany\b|\(any\)", body, re.M)
        assert not takes_anything or (folder, name) in CHECKED_BY_KEY, f"variable {name} takes anything"
        assert re.search(r"^  type\s*=", body, re.M), f"variable {name} has no type"
    for name, body in _blocks(folder, "output").items():
        assert re.search(r"^  description\s*=", body, re.M), f"output {name} has no description"


@pytest.mark.parametrize("folder", [folder for folder in folders() if folder.startswith("modules/")])
def test_defaults_are_in_the_stack_alone(folder: str) -> None:
    for name, body in _blocks(folder, "variable").items():
        assert not re.search(r"^  default\s*=|optional\([^()]*(\([^()]*\))?,", body, re.M), f"{name} has a default"


@pytest.mark.parametrize("name", sorted(DEFAULTS))
def test_every_setting_is_described_where_it_is_given(name: str) -> None:
    given = {"sync": "models", "backend": "models"}.get(name, name)  # in the settings of models and pools
    description = _blocks("stack", "variable")[given].split("  type ")[0]
    assert [key for key in DEFAULTS[name] if not re.search(rf"\b{key}\b", description)] == []


@pytest.mark.parametrize("folder", [folder for folder in folders() if folder.startswith("modules/")])
def test_every_output_of_a_module_is_read(folder: str) -> None:
    texts = [_hcl(caller) for caller in folders()]
    calls = {
        call
        for text in texts
        for call, source in CALL.findall(text)
        if source.endswith(folder.removeprefix("modules/"))
    }
    assert calls
    for name in _blocks(folder, "output"):
        read = rf"module\.({'|'.join(calls)})(\[[^]]*\])?\.{name}\b"
        each = rf"for \w+, (\w+) in module\.({'|'.join(calls)}) : .*?=> \1\.{name}\b"
        assert any(re.search(read, text) or re.search(each, text) for text in texts), f"nothing reads {name}"


@pytest.mark.parametrize("folder", [folder for folder in TESTED if folder != "bootstrap"])
def test_modules_have_no_provider_no_backend_and_a_readme(folder: str) -> None:
    text = _hcl(folder)
    assert not re.search(r'^\s*(provider "|backend "|endpoints \{)', text, re.M)
    assert (SOURCE / folder / "README.md").is_file()


def test_only_one_module_makes_functions() -> None:
    makers = [folder for folder in folders() if 'resource "aws_lambda_function"' in _hcl(folder)]
    assert makers == ["modules/function"]


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_an_environment_is_one_file_without_variables(environment: str) -> None:
    files = [path.name for path in (SOURCE / "environments" / environment).glob("*.tf*") if path.is_file()]
    assert [name for name in files if not name.endswith("_override.tf") and ".tfstate" not in name] == ["main.tf"]
    folder = f"environments/{environment}"
    assert _blocks(folder, "variable") == {}
    assert _blocks(folder, "output").keys() == {"deployment"}


@pytest.mark.parametrize("environment", ["dev", "prod"])
def test_state_is_kept_in_s3_with_native_locking(environment: str) -> None:
    text = _hcl(f"environments/{environment}").partition("locals {")[0]
    assert re.search(r'backend "s3" \{', text)
    assert re.search(r"use_lockfile\s*=\s*true", text)
    assert not re.search(r"(bucket|dynamodb_table)\s*=", text), "the backend must stay partial"


def test_nothing_knows_the_emulator() -> None:
    texts = [path.read_text() for path in SOURCE.rglob("*.tf") if ".terraform" not in path.parts]
    for word in ("localhost", "127.0.0.1", "4566", "localstack", "ministack", "skip_credentials_validation"):
        assert not any(word in text.lower() for text in texts), f"{word} in HCL"


def test_nothing_is_used_that_version_6_of_the_provider_deprecates() -> None:
    # No attribute of aws_region with its name is in both versions and without a warning. What remains: hash_key and
    # range_key of a table index, deprecated since 6.29, whose successor 5.100 does not have.
    for folder in folders():
        assert 'data "aws_region"' not in _hcl(folder), f"{folder}: take the region from aws_service"
        if folder.startswith(("modules/", "stack")):
            assert 'version = ">= 5.100, < 7.0"' in _hcl(folder), f"{folder} must accept both versions"


def test_the_provider_is_pinned_once() -> None:
    pins = {
        re.findall(r'\bversion\s*= "([^"]+)"', _hcl(f"environments/{environment}"))[-1] for environment in ENVIRONMENTS
    }
    assert pins == {"5.100.0"}


def _hcl(folder: str) -> str:
    return "\n".join(path.read_text() for path in sorted((SOURCE / folder).glob("*.tf")))


def _blocks(folder: str, kind: str) -> dict[str, str]:
    found = re.findall(rf'^{kind} "(\w+)" \{{\n(.*?)^\}}', _hcl(folder), re.S | re.M)
    return dict(found)


def test_the_sweeper_learns_of_a_model_before_the_api_takes_requests_for_it(terraform: Terraform) -> None:
    """It ends the requests of models that it does not know: an apply that stops half-way must not leave it behind."""
    terraform.init("stack")
    edges = [line.strip(" ;") for line in terraform.run("stack", "graph").splitlines()]
    assert '"module.api.aws_lambda_function.this" -> "module.sweeper.aws_lambda_alias.live"' in edges
