"""Corrects where MiniStack 1.5.33 differs from AWS, when it starts. Each patch has a test that fails without it."""

from __future__ import annotations

import json
import re
from typing import Any

_TABLE = re.compile(r'\s*UPDATE\s+"([^"]+)"', re.IGNORECASE)


def patch() -> None:
    """Apply all patches to the MiniStack of this process."""
    _authorise_partiql_by_statement()


def _authorise_partiql_by_statement() -> None:
    """`BatchExecuteStatement` is not an IAM action: AWS checks `dynamodb:PartiQLUpdate` on each statement's table.

    MiniStack checks the operation's name, without a resource: a role with the permissions that AWS needs was denied,
    and the worker made single updates instead.
    """
    from ministack.core import iam_actions

    checks_of = iam_actions.dynamodb_transaction_checks

    def checks(iam_action: str, body: bytes, region: str, account_id: str) -> list[tuple[str, str]]:
        if iam_action != "dynamodb:BatchExecuteStatement":
            return list(checks_of(iam_action, body, region, account_id))
        found: list[Any] = [_TABLE.match(each.get("Statement", "")) for each in json.loads(body).get("Statements", [])]
        if not all(found):
            return []  # another kind of statement: MiniStack's own check denies it
        prefix = f"arn:aws:dynamodb:{region}:{account_id}:table/"
        return [("dynamodb:PartiQLUpdate", prefix + match[1]) for match in found]

    iam_actions.dynamodb_transaction_checks = checks
