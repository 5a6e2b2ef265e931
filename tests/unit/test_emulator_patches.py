"""Each patch changes what MiniStack does: without it, its test fails; when MiniStack does it by itself, it can go."""

from __future__ import annotations

import json

import pytest

iam_actions = pytest.importorskip("ministack.core.iam_actions")

from scripts.local import emulator_patches  # noqa: E402


def body(*statements: str) -> bytes:
    return json.dumps({"Statements": [{"Statement": text} for text in statements]}).encode()


def checks(action: str, content: bytes) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = iam_actions.dynamodb_transaction_checks(action, content, "eu-west-1", "123")
    return found


def test_partiql_batches_are_authorised_by_statement(monkeypatch: pytest.MonkeyPatch) -> None:
    batch = body('UPDATE "one" SET "a" = ? WHERE "k" = ?', 'UPDATE "two" SET "a" = ? WHERE "k" = ?')
    monkeypatch.setattr(iam_actions, "dynamodb_transaction_checks", iam_actions.dynamodb_transaction_checks)
    assert checks("dynamodb:BatchExecuteStatement", batch) == [], "MiniStack does it by itself: remove the patch"
    emulator_patches.patch()
    table = "arn:aws:dynamodb:eu-west-1:123:table/"
    assert checks("dynamodb:BatchExecuteStatement", batch) == [
        ("dynamodb:PartiQLUpdate", f"{table}one"),
        ("dynamodb:PartiQLUpdate", f"{table}two"),
    ]
    assert checks("dynamodb:BatchExecuteStatement", body('SELECT * FROM "one"')) == []
    item = json.dumps({"TransactItems": [{"Put": {"TableName": "one"}}]}).encode()
    assert checks("dynamodb:TransactWriteItems", item) == [("dynamodb:PutItem", f"{table}one")]
