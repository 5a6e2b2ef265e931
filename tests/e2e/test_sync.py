"""Synchronous predictions as deployed: a pool of two models that has them, and a model beside it that has not.

It has a deployment of its own: the routes, the function and its rights are what is tested, and one apply makes them.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from scripts.deployment.environment_config import MODELS, ConfiguredModel, EnvironmentConfig
from scripts.local.emulator import Emulator
from scripts.packaging.package import build_for_environment
from tests import sync_openapi
from tests.e2e.conftest import E2E_MODELS, aimed_at
from tests.e2e.deployment import Deployment
from tests.e2e.http_client import Api, Response
from tests.e2e.waiting import eventually
from tests.rights import rights

PREFIX = "inference-sync"
TIMEOUT_SECONDS = 4
FOLDERS = {"sentiment": MODELS / "sentiment", "stuck": E2E_MODELS / "stuck", "wordcount": E2E_MODELS / "wordcount"}
POOL = "quick"
REPLACED_SECONDS = 60
"""Until a process whose pass hangs is replaced: two calls, and a cold start."""


@pytest.fixture(scope="module")
def sync(
    emulator: Emulator, tree: Path, provider: Mapping[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Deployment]:
    """The deployment, applied in one go and destroyed at the end."""
    packages = tmp_path_factory.mktemp("packages")
    models = {
        name: ConfiguredModel(name, path, pool=None if name == "wordcount" else POOL, sync=name != "wordcount")
        for name, path in FOLDERS.items()
    }
    build_for_environment(packages, "local", EnvironmentConfig("x86_64", models))
    folder = tree / "terraform" / "environments" / "sync"
    ignored = shutil.ignore_patterns(".terraform*", "*.tfstate*", "*_override.tf*")
    shutil.copytree(folder.with_name("local"), folder, ignore=ignored, dirs_exist_ok=True)
    deployment = Deployment(folder, emulator, tree, provider)
    with aimed_at(emulator):
        deployment.override(
            name_prefix=PREFIX,
            packages_dir=str(packages),
            models={
                "wordcount": {"models_dir": str(E2E_MODELS)},
                "sentiment": {"pool": POOL},
                "stuck": {"models_dir": str(E2E_MODELS), "pool": POOL},
            },
            pools={POOL: {"sync": {"timeout_seconds": TIMEOUT_SECONDS}, "memory_mb": 1024}},
            default_model="wordcount",
        )
        deployment.apply()
        assert deployment.changes() == {}
        yield deployment
        deployment.destroy()
        assert PREFIX not in str(deployment.left())


@pytest.fixture
def api(sync: Deployment) -> Api:
    return Api(sync.base_url)


def post(api: Api, path: str, value: Any) -> Response:
    """A call; its response is as documented, unless API Gateway has answered."""
    response = api.call("POST", path, json.dumps(value).encode(), content_type="application/json")
    if response.headers.get("content-type") == "application/problem+json" or response.status == 200:
        kind = path.rsplit("/", 1)[1]
        named = {name: response.headers[name] for name in ("content-type", "link") if name in response.headers}
        sync_openapi.check(f"POST /models/{{model}}/{kind}", response.status, named, response.body)
    return response


def test_both_models_of_the_pool_answer_at_once(api: Api) -> None:
    one = post(api, "/models/sentiment/predict", {"text": "worst delay of my life, never again"})
    assert (one.status, one.body["model"], one.body["model_version"]) == (200, "sentiment", "1.0.0")
    assert one.body["result"]["prediction"] == "negative"
    assert post(api, "/models/stuck/predict", {"text": "a b c"}).body["result"] == {"words": 3}


def test_the_answer_is_that_of_the_asynchronous_route(api: Api) -> None:
    text = {"text": "I love this airline, best crew ever"}
    now = post(api, "/models/sentiment/predict", text).body
    later = api.outcome(api.accepted(text, "sentiment"))
    assert (later["result"], later["model_version"]) == (now["result"], now["model_version"])


def test_a_bad_item_of_a_batch_affects_no_other(api: Api) -> None:
    items: list[Any] = [{"text": text} for text in ("a b", "fail", "", "c")]
    items[2] = {"words": 1}
    response = post(api, "/models/stuck/batch", {"items": items})
    assert [item["status"] for item in response.body["items"]] == ["succeeded", "failed", "failed", "succeeded"]
    assert [item["error"] and item["error"]["code"] for item in response.body["items"][1:3]] == [
        "model_error",
        "invalid_input",
    ]


def test_a_bad_input_gets_the_same_problem_on_both_ways(api: Api) -> None:
    for value in ({"words": 1}, 7):
        now, later = post(api, "/models/sentiment/predict", value), api.submit(value, "sentiment")
        assert (now.status, now.body["type"]) == (later.status, later.body["type"]) == (422, "/problems/invalid-input")
    assert post(api, "/models/sentiment/predict", {"text": {"$ref": "/uploads/1"}}).body["type"] == (
        "/problems/invalid-reference"
    )


def test_only_models_with_sync_have_the_routes_and_are_described_with_them(api: Api) -> None:
    assert post(api, "/models/wordcount/predict", {"text": "a"}).status == 404
    paths = api.call("GET", "/openapi.json").body["paths"]
    assert {"/models/sentiment/predict", "/models/stuck/batch", "/models/{model}/health"} <= paths.keys()
    assert "/models/wordcount/predict" not in paths
    assert api.call("GET", "/models/sentiment").body["sync_url"] == "/models/sentiment/predict"
    assert api.call("GET", "/models/wordcount").body["sync_url"] is None


def test_a_ping_loads_all_models_of_the_pool(api: Api, sync: Deployment) -> None:
    client = sync.client("lambda")
    name = sync.output("function_names")[f"sync/{POOL}"]
    answer = client.invoke(FunctionName=name, Qualifier="live", Payload=b'{"ping": {"hold_ms": 0}}')
    assert json.loads(answer["Payload"].read()) == {}
    for model in ("sentiment", "stuck"):
        health = api.call("GET", f"/models/{model}/health")
        assert (health.status, health.body["models"][model]["loaded"]) == (200, True)


def test_a_pass_that_never_ends_is_answered_and_its_process_replaced(api: Api) -> None:
    response = post(api, "/models/stuck/predict", {"text": "stay"})
    assert (response.status, response.body["type"]) == (504, "/problems/timeout")
    assert response.body["async_url"] == "/predict/stuck"
    assert response.headers["link"].startswith("</predict/stuck>")
    assert api.submit({"text": "a b"}, "stuck").status == 202, "the address is one"

    def answered() -> bool:
        return post(api, "/models/stuck/predict", {"text": "a b"}).status == 200

    eventually("a new process answers", REPLACED_SECONDS, answered)


def test_the_function_has_no_right_on_a_queue_or_the_table(sync: Deployment) -> None:
    iam = sync.client("iam")
    role = f"{PREFIX}-sync-{POOL}"
    names = iam.list_role_policies(RoleName=role)["PolicyNames"]
    (own_log,) = (iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"] for name in names)
    expected = rights(PREFIX, "us-east-1", "000000000000", [], sync=[POOL])[f"sync-{POOL}"]
    (statement,) = own_log["Statement"]
    assert [(set(statement["Action"]), {statement["Resource"]})] == expected
    assert iam.list_attached_role_policies(RoleName=role)["AttachedPolicies"] == []
