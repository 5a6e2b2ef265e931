"""What Terraform does: nothing twice, nothing to a neighbour, and nothing is left."""

from __future__ import annotations

import json

from tests.e2e.conftest import Addition
from tests.e2e.deployment import Deployment
from tests.e2e.http_client import Api


def test_nothing_to_change_after_the_apply(deployment: Deployment) -> None:
    assert deployment.changes() == {}


def test_adding_a_model_changes_nothing_of_the_first(addition: Addition) -> None:
    created = [address for address, actions in addition.changes.items() if actions == ["create"]]
    assert any('module.worker["wordcount"]' in address for address in created)
    assert any('module.request_queue["wordcount"]' in address for address in created)
    # What serves all models learns of the new one; nothing else is touched, and nothing of the first model's at all.
    shared = ("module.api.", "module.batches.", "module.sweeper.", "module.dead_letters.", "module.dead_letter_queue.")
    assert addition.changes["module.stack.module.dead_letter_queue.aws_sqs_queue.this"] == ["update"], "its sources"
    others = addition.changes.keys() - set(created)
    assert [address for address in others if not address.startswith(tuple("module.stack." + s for s in shared))] == []
    assert [address for address in addition.changes if '["sentiment"]' in address] == []


def test_nothing_to_change_after_the_second_apply(addition: Addition) -> None:
    assert addition.deployment.changes() == {}


def test_the_functions_run_the_published_version_behind_the_alias(deployment: Deployment) -> None:
    functions = deployment.client("lambda")
    for name in deployment.output("function_names").values():
        version = functions.get_alias(FunctionName=name, Name="live")["FunctionVersion"]
        assert version.isdigit()
    for mapping in functions.list_event_source_mappings()["EventSourceMappings"]:
        assert mapping["FunctionArn"].endswith(":live"), mapping


def test_a_missing_permission_fails_as_on_aws(deployment: Deployment, api: Api) -> None:
    """IAM is enforced here: without sqs:SendMessage the API can't accept, says so, and leaves nothing pending."""
    iam = deployment.client("iam")
    role, policy = "inference-local-api", "queue"
    name = next(n for n in iam.list_role_policies(RoleName=role)["PolicyNames"] if policy in n)
    document = iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"]
    iam.delete_role_policy(RoleName=role, PolicyName=name)
    try:
        response = api.submit({"text": "fine"})
        assert response.status == 503
        assert int(response.headers["retry-after"]) >= 1
        assert list(deployment.changes()) != []
    finally:
        iam.put_role_policy(RoleName=role, PolicyName=name, PolicyDocument=json.dumps(document))
    assert api.submit({"text": "fine"}).status == 202
