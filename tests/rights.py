"""Which role may do what to what. tests/terraform/test_plans.py compares the plans' policies with it, and
tests/integration/test_rights.py shows that each right is needed.
"""

from __future__ import annotations

from collections.abc import Sequence

Rights = dict[str, list[tuple[set[str], set[str]]]]
"""Role, by its function's name without the prefix -> statements: actions and resources."""

# What Lambda does with a role of a function that reads a queue.
CONSUME = {"sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"}


def rights(prefix: str, region: str, account: str, models: Sequence[str]) -> Rights:
    """The rights of every role of a stack. A right that is added, removed or widened must be changed here too."""
    queues = f"arn:aws:sqs:{region}:{account}:{prefix}-"
    table = f"arn:aws:dynamodb:{region}:{account}:table/{prefix}-requests"
    logs = f"arn:aws:logs:{region}:{account}:log-group:/aws/lambda/{prefix}-"
    roles: Rights = {
        "api": [
            ({"sqs:SendMessage"}, {queues + model for model in models}),
            ({"dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:UpdateItem", "dynamodb:DeleteItem"}, {table}),
        ],
        "dead-letters": [
            (CONSUME, {f"{queues}{model}-dlq" for model in models}),
            ({"dynamodb:GetItem", "dynamodb:UpdateItem"}, {table}),
            ({"logs:FilterLogEvents", "logs:GetLogEvents"}, {logs + "worker-*"}),
        ],
        "sweeper": [
            ({"sqs:GetQueueAttributes"}, {queues + model + end for model in models for end in ("", "-dlq")}),
            ({"dynamodb:GetItem", "dynamodb:UpdateItem"}, {table}),
            ({"dynamodb:Query"}, {table + "/index/open"}),
        ],
    }
    for model in models:
        roles[f"worker-{model}"] = [
            (CONSUME | {"sqs:ChangeMessageVisibility", "sqs:ChangeMessageVisibilityBatch"}, {queues + model}),
            ({"dynamodb:UpdateItem", "dynamodb:PartiQLUpdate"}, {table}),
        ]
    own_log = {"logs:CreateLogStream", "logs:PutLogEvents"}
    return {role: [*found, (own_log, {f"{logs}{role}:*"})] for role, found in roles.items()}
