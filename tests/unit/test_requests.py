"""The vocabulary: the status that a reader sees, messages, ids."""

import json
import re
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.requests import (
    FINAL,
    Message,
    Record,
    Status,
    digest_of_input,
    keyed_request_id,
    message_group,
    new_request_id,
)
from tests.unit.fakes import NOW
from tests.unit.samples import a_message, a_record

P, R, S, F, C, E = Status

# What a reader sees


@pytest.mark.parametrize(
    ("record", "seen"),
    [
        (a_record(expires_at=NOW + 1), P),
        (a_record(expires_at=NOW), E),
        (a_record(status=R, expires_at=NOW, lease_until=NOW + 1), R),
        (a_record(status=R, expires_at=NOW, lease_until=NOW), R),
        (a_record(status=R, expires_at=NOW, lease_until=NOW - 1), E),
        (a_record(status=R, expires_at=NOW + 1, lease_until=NOW - 1), R),
        *[(a_record(status=status, expires_at=NOW), status) for status in FINAL],
    ],
)
def test_the_status_at_a_time(record: Record, seen: Status) -> None:
    assert record.status_at(NOW) is seen


def test_a_record_is_gone_from_the_second_of_its_deletion() -> None:
    record = a_record(delete_at=NOW // 1000)
    assert not record.deleted_at(NOW - 1)
    assert record.deleted_at(NOW)


# Messages and ids

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=())),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)  # fmt: skip


@given(JSON)
def test_a_message_survives_its_queue_as_ascii(value: object) -> None:
    message = a_message(a_record())._replace(input=value)
    body = message.to_body()
    assert body.isascii()
    assert Message.from_body(body) == message


def test_a_lone_surrogate_survives() -> None:
    message = a_message(a_record(), "\ud800")
    assert "\\ud800" in message.to_body()
    assert Message.from_body(message.to_body()).input == "\ud800"


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda body: "x", "Expecting value"),
        (lambda body: "[]", "not a JSON object"),
        (lambda body: "null", "not a JSON object"),
        (lambda body: body | {"request_id": 1}, "'request_id'"),
        (lambda body: body | {"request_id": ""}, "'request_id'"),
        (lambda body: body | {"request_id": "a" * 3000}, "'request_id'"),
        (lambda body: body | {"submitted_at": "1"}, "'submitted_at'"),
        (lambda body: body | {"expires_at": 1.5}, "'expires_at'"),
        (lambda body: body | {"attempt_limit": True}, "'attempt_limit'"),
        *[
            (lambda body, name=name: {k: v for k, v in body.items() if k != name}, f"'{name}'")
            for name in [field for field in Message._fields if field not in Message._field_defaults]
        ],
    ],
)
def test_a_body_that_is_no_message(change: Callable[[Any], Any], text: str) -> None:
    body = change(json.loads(a_message(a_record()).to_body()))
    with pytest.raises(ValueError, match=re.escape(text)):
        Message.from_body(body if isinstance(body, str) else json.dumps(body))


def test_a_field_of_a_later_version_is_no_trouble() -> None:
    message = a_message(a_record())
    assert Message.from_body(json.dumps(json.loads(message.to_body()) | {"trace": "x"})) == message


def test_ids_are_uuids_and_a_key_gives_the_same_one_to_the_same_caller_only() -> None:
    ids = [keyed_request_id("a", "k"), keyed_request_id("b", "k"), keyed_request_id("a", "l"), new_request_id()]
    assert len({*ids, new_request_id()}) == 5
    assert keyed_request_id("a", "k") == ids[0]
    assert keyed_request_id("a", "b:c") != keyed_request_id("a:b", "c")
    assert [uuid.UUID(name).version for name in ids] == [8, 8, 8, 4]
    assert {uuid.UUID(name).variant for name in ids} == {uuid.RFC_4122}


def test_the_digest_ignores_the_order_of_keys_and_nothing_else() -> None:
    digest = digest_of_input("m", {"a": 1, "b": [1, 2]})
    assert digest == digest_of_input("m", {"b": [1, 2], "a": 1})
    others = [("n", {"a": 1, "b": [1, 2]}), ("m", {"a": 1, "b": [2, 1]}), ("m", {"a": "1", "b": [1, 2]}), ("m", 1)]
    assert digest not in [digest_of_input(model, value) for model, value in others]
    assert digest_of_input("m", "\ud800")


def test_a_group_is_of_one_caller_and_one_model() -> None:
    pairs = [(model, caller) for model in ("a", "b") for caller in ("iam:x", "iam:y", "\ud800", "z" * 9_000)]
    groups = {message_group(*pair) for pair in pairs}
    assert len(groups) == len(pairs)
    assert message_group("a", "iam:x") in groups
    assert all(group.isascii() and len(message_group("m" * 31, group)) <= 128 for group in groups)
