"""References in inputs: what is one, what is data, and that nothing but the caller's uploads can be named."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from inference.errors import InvalidReference
from inference.references import (
    MAX_REFERENCES,
    owner_of,
    reference_to,
    upload_ids,
    with_references_replaced,
)
from inference.requests import new_request_id

A, B = "00000000-0000-4000-8000-00000000000a", "00000000-0000-4000-8000-00000000000b"


@pytest.mark.parametrize(
    ("value", "ids"),
    [
        (reference_to(A), (A,)),
        ({"image": reference_to(A)}, (A,)),
        ({"pages": [reference_to(B), {"deep": [reference_to(A)]}]}, (B, A)),
        ([reference_to(A), reference_to(A)], (A,)),
        ({"text": "fine", "n": [1, None, True]}, ()),
        ({"$ref": f"/uploads/{A}", "more": 1}, ()),  # data: a JSON Schema, for example
        ({"$refs": f"/uploads/{A}"}, ()),
        (f"/uploads/{A}", ()),
    ],
)
def test_where_a_reference_may_be(value: Any, ids: tuple[str, ...]) -> None:
    assert upload_ids(value) == ids


@pytest.mark.parametrize(
    "target",
    [
        "http://169.254.169.254/latest/meta-data",
        "s3://bucket/key",
        "file:///etc/passwd",
        "/uploads/",
        f"/uploads/{A}/",
        f"/uploads/{A}?x",
        f"/uploads/{A}\n",
        f"uploads/{A}",
        f"/uploads/../requests/{A}",
        f"/uploads/{A.upper()}",
        f"//uploads/{A}",
        "/uploads/" + "0" * 36,
        "",
        None,
        1,
        {"$ref": f"/uploads/{A}"},
        [f"/uploads/{A}"],
    ],
)
def test_anything_else_is_rejected(target: Any) -> None:
    with pytest.raises(InvalidReference):
        upload_ids({"image": {"$ref": target}})


def test_how_many() -> None:
    many = [reference_to(new_request_id()) for _ in range(MAX_REFERENCES)]
    assert len(upload_ids(copy.deepcopy(many))) == MAX_REFERENCES
    with pytest.raises(InvalidReference, match=f"{MAX_REFERENCES + 1} uploads"):
        upload_ids([*many, reference_to(A)])


def test_replacing() -> None:
    value = {"a": reference_to(A), "b": [reference_to(B), 1], "c": "x"}
    replaced = with_references_replaced(value, lambda reference: {"found": reference["$ref"][-1]})
    assert replaced == {"a": {"found": "a"}, "b": [{"found": "b"}, 1], "c": "x"}
    assert with_references_replaced(reference_to(A), lambda _: 7) == 7


def test_what_comes_from_an_upload_is_not_searched_again() -> None:
    found = with_references_replaced({"a": reference_to(A)}, lambda _: {"b": reference_to(B)})
    assert found == {"a": {"b": reference_to(B)}}


def test_callers_have_places_of_their_own() -> None:
    callers = ["anonymous", "iam:me", "iam:me ", "jwt:https://x:../../y", "\udc80"]
    assert len({owner_of(caller) for caller in callers}) == len(callers)
    assert all(len(owner_of(caller)) == 32 and owner_of(caller).isalnum() for caller in callers)
