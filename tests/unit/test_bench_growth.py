"""The bench of growth: sizes read off a plan, its targets, and what its fake AWS keeps of batches and files."""

import json
from pathlib import Path
from typing import Any

import pytest

from scripts.bench import model_growth, show, stack_sizes, traffic
from scripts.bench.fake_aws import Answers
from scripts.bench.plan import FULL, QUICK
from scripts.packaging.model_files import read_manifest


def resource(kind: str, module: str, **values: Any) -> dict[str, Any]:
    return {
        "mode": "managed",
        "type": kind,
        "address": f'{module}.{kind}.this["x"]',
        "change": {"after": values},
    }


PLAN = {
    "resource_changes": [
        resource("aws_iam_role_policy", "module.api", policy='{"a": "bc"}'),  # ten characters without white space
        resource("aws_iam_role_policy", "module.api", policy='{"a":"b"}'),
        resource("aws_iam_role_policy", "module.sweeper", policy="{}"),
        resource("aws_iam_policy", "module.api", policy='{"a":"b"}'),
        resource("aws_iam_policy", "module.api", policy="{}"),
        resource("aws_iam_role", "module.api"),
        resource("aws_lambda_function", "module.api", function_name="p-api", environment=[{"variables": {"A": '"'}}]),
        resource("aws_lambda_function", "module.empty", function_name="p-empty", environment=[]),
        resource("aws_apigatewayv2_route", "module.http"),
        {"mode": "data", "type": "aws_iam_policy_document", "address": "data.x", "change": {"after": {}}},
    ]
}


def test_sizes_are_of_the_largest_role_and_function() -> None:
    found = stack_sizes.sizes(PLAN)
    assert found.keys() == {limit.name for limit in stack_sizes.LIMITS}
    assert found["resources"] == 9
    assert found["inline policies of a role, characters"] == 10 + 9
    assert (found["managed policies of a role"], found["a managed policy, characters"]) == (2, 9)
    assert found["environment of a function, characters"] == len('{"A":"\\""}'), "a quote counts twice"
    assert (found["routes of the API"], found["roles (of an account)"], found["alarms (of an account)"]) == (1, 1, 0)
    assert stack_sizes.environment_of(PLAN, "-api") == {"A": '"'}


def test_what_is_beyond_a_limit_is_named() -> None:
    found = stack_sizes.sizes(PLAN)
    assert stack_sizes.exceeded(found) == []
    assert stack_sizes.exceeded(found | {"routes of the API": 301, "resources": 10**6}) == [
        "routes of the API: 301 of 300"
    ]


def test_growth_is_compared_with_one_model_and_with_a_batch_of_a_tenth() -> None:
    starts = [{"models": models, "first_result_ms": {"median": ms}} for models, ms in ((1, 200), (10, 220), (200, 240))]
    batches = [
        {"items": items, "create_cpu_ms": create, "results_cpu_ms": results}
        for items, create, results in ((100, 500, 50), (1_000, 1_000, 100), (10_000, 11_000, 2_000))
    ]
    found = {target.promise: target for target in show.targets({"growth": {"starts": starts, "batches": batches}})}
    start = found["api: start to first answer, 200 models / one"]
    assert (start.value, start.passed) == (pytest.approx(1.2), True)
    creation = found["batch: CPU for creating an item, of 10,000 / of 1,000"]
    assert (creation.value, creation.passed) == (pytest.approx(1.1), True)
    results = found["batch: CPU for reading the results of an item, of 10,000 / of 1,000"]
    assert (results.value, results.passed) == (pytest.approx(2), False)


@pytest.mark.parametrize("plan", [FULL, QUICK])
def test_what_is_compared_is_measured(plan: Any) -> None:
    assert plan.growth_models[0] == 1
    assert max(plan.growth_items) // 10 in plan.growth_items
    assert set(plan.growth_applied) <= set(plan.growth_models)


def test_the_models_of_a_stack_are_copies_of_the_demos_each_with_its_name(tmp_path: Path) -> None:
    most = max(FULL.growth_models)
    assert len(set(model_growth.names(most))) == most
    folders = model_growth.write_models(3, tmp_path)
    assert list(folders) == model_growth.names(3)
    for name, folder in folders.items():
        manifest = read_manifest(folder)
        assert (manifest["name"], manifest["artifacts"].keys()) == (name, {"onnx", "torchscript"})


# The fake AWS


def call(answers: Answers, target: str, **request: Any) -> Any:
    status, content = answers.answer(target, json.dumps(request).encode())
    assert status == 200
    return json.loads(content)


def insert(name: str) -> dict[str, Any]:
    parameters = [{"S": name}, {"S": "pending"}, {"N": "7"}]
    text = "INSERT INTO \"t\" VALUE {'request_id': ?, 'status': ?, 'submitted_at': ?}"
    return {"Statement": text, "Parameters": parameters}


def test_inserted_items_can_be_read_and_finished() -> None:
    answers = Answers()
    call(answers, "DynamoDB_20120810.BatchExecuteStatement", Statements=[insert("a"), insert("b")])
    theirs = {"request_id": {"S": "r"}, "status": {"S": "completed"}}  # of the reference's worker
    call(answers, "DynamoDB_20120810.PutItem", TableName="t", Item=theirs)
    answers.finish("{}")
    wanted = {
        "Keys": [{"request_id": {"S": name}} for name in ("a", "b", "c")],
        "ExpressionAttributeNames": {"#request_id": "request_id", "#result": "result"},
    }
    found = call(answers, "DynamoDB_20120810.BatchGetItem", RequestItems={"t": wanted})
    assert found == {"Responses": {"t": [{"request_id": {"S": name}, "result": {"S": "{}"}} for name in ("a", "b")]}}


def test_an_update_of_an_item_that_is_there_is_kept() -> None:
    answers = Answers()
    item = {"request_id": {"S": "a"}, "line": {"N": "1"}, "lease_id": {"S": "l"}}
    call(answers, "DynamoDB_20120810.PutItem", TableName="t", Item=item)
    key = {"request_id": {"S": "a"}}
    call(
        answers,
        "DynamoDB_20120810.UpdateItem",
        TableName="t",
        Key=key,
        UpdateExpression="SET #line = :line REMOVE #lease_id",
        ExpressionAttributeNames={"#line": "line", "#lease_id": "lease_id"},
        ExpressionAttributeValues={":line": {"N": "2"}},
        ReturnValues="ALL_NEW",
    )
    assert call(answers, "DynamoDB_20120810.GetItem", TableName="t", Key=key)["Item"] == key | {"line": {"N": "2"}}


def test_an_object_is_read_in_parts() -> None:
    answers = Answers()
    assert answers.object("GET", "/b/k", {}, b"")[0] == 404
    answers.object("PUT", "/b/k", {"content-type": "text/plain"}, b"0123456789")
    status, part, headers = answers.object("GET", "/b/k", {"range": "bytes=2-4"}, b"")
    assert (status, part) == (206, b"234")
    assert "Content-Range: bytes 2-4/10\r\nContent-Type: text/plain\r\n" in headers
    assert answers.object("GET", "/b/k", {"range": "bytes=8-"}, b"")[1] == b"89"
    answers.object("DELETE", "/b/k", {}, b"")
    assert answers.object("GET", "/b/k", {}, b"")[0] == 404


def test_a_page_is_asked_for_as_a_client_does() -> None:
    event = traffic.page_event("b1", "cursor=100&limit=50")
    assert event["queryStringParameters"] == {"cursor": "100", "limit": "50"}
    assert event["pathParameters"] == {"batch_id": "b1"}
