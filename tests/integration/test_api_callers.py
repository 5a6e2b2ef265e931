"""Callers of the api function see their own requests and keys, and no others."""

from __future__ import annotations

import json
from typing import Any

from tests.events import golden
from tests.integration.api_calls import by_user, rejected, signed_by
from tests.integration.system import System


def test_callers_list_their_own_requests_whatever_cursor_they_send(system: System) -> None:
    alice = [system.call(by_user("alice", golden("http_predict")))["json"]["request_id"] for _ in range(2)]
    bob = system.call(by_user("bob", golden("http_predict")))["json"]["request_id"]

    def listed(user: str, **query: str) -> Any:
        return system.call(by_user(user, golden("http_requests")) | {"queryStringParameters": query})["json"]

    page = listed("alice", limit="1")
    cursor = page["next"].partition("cursor=")[2]
    assert [each["request_id"] for each in listed("bob")["requests"]] == [bob]
    assert all(each["request_id"] not in alice for each in listed("bob", cursor=cursor)["requests"])
    assert {each["request_id"] for each in [*page["requests"], *listed("alice", cursor=cursor)["requests"]]} == {*alice}


def test_callers_do_not_see_each_others_requests_or_keys(system: System) -> None:
    def submit(user: str) -> str:
        event = by_user(user, golden("http_predict"))
        event["headers"]["idempotency-key"] = "k-1"
        request_id: str = system.call(event)["json"]["request_id"]
        return request_id

    alice, bob = submit("alice"), submit("bob")
    assert alice != bob
    ask = golden("http_status") | {"pathParameters": {"request_id": alice}}
    assert system.call(by_user("alice", dict(ask)))["statusCode"] == 200
    rejected(system.call(by_user("bob", json.loads(json.dumps(ask)))), 404)
    rejected(system.status(alice), 404)
    rejected(system.cancel(alice), 404)


def test_a_new_session_of_a_role_has_its_requests_and_keys(system: System) -> None:
    role = "arn:aws:sts::123456789012:assumed-role/app/"
    submits = [signed_by(role + session, golden("http_predict")) for session in ("botocore-1", "botocore-2")]
    for event in submits:
        event["headers"]["idempotency-key"] = "k-1"
    first, second = [system.call(event)["json"]["request_id"] for event in submits]
    assert first == second
    ask = golden("http_status") | {"pathParameters": {"request_id": first}}
    assert system.call(signed_by(role + "botocore-3", ask))["statusCode"] == 200
    rejected(system.call(signed_by("arn:aws:sts::123456789012:assumed-role/other/botocore-1", ask)), 404)
