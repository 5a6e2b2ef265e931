"""Checks that schemathesis' command loads, by SCHEMATHESIS_HOOKS."""

from __future__ import annotations

from typing import Any

import schemathesis
from schemathesis.specs.openapi.checks import negative_data_rejection, positive_data_acceptance

NOT_OF_THE_FORM = {
    "/problems/idempotency-key-reused": "the same key was used before, with another input",
    "/problems/invalid-reference": "no such upload was made",
    "/problems/too-large": "the limits are settings",
    "/problems/invalid-webhook": "webhooks are not set up, or not sent to such an address",
}
"""Types of problems that a call may have whose form is as described."""

OPAQUE = "cursor has to be that of an earlier page."


@schemathesis.check
def valid_data_acceptance(context: Any, response: Any, case: Any) -> bool | None:
    """What the description calls valid is accepted, unless that depends on more than its form."""
    if response.status_code in (400, 413, 422):
        problem = response.json()
        if problem["type"] in NOT_OF_THE_FORM or problem["detail"] == OPAQUE:
            return None
    checked: bool | None = positive_data_acceptance(context, response, case)
    return checked


@schemathesis.check
def invalid_data_rejection(context: Any, response: Any, case: Any) -> bool | None:
    """What the description calls invalid is rejected, but for query parameters that no route knows: as is usual on the
    web, they are ignored."""
    if set(case.query or ()) - {parameter.name for parameter in case.operation.query}:
        return None
    checked: bool | None = negative_data_rejection(context, response, case)
    return checked
