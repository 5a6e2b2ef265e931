"""Which role may do what to what. tests/terraform/test_plans.py compares the plans' policies with it, and
tests/integration/test_rights.py shows that each right is needed.
"""

from __future__ import annotations

from collections.abc import Sequence

Rights = dict[str, list[tuple[set[str], set[str]]]]
"""Role, by its function's name without the prefix -> statements: actions and resources."""

# What Lambda does with a role of a function that reads a queue.
CONSUME = {"sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"}


def rights(prefix: str, region: str, account: str, workers: Sequence[str]) -> Rights:
    """The rights of every role of a stack. A right that is added, removed or widened must be changed here too.

    Args:
        workers: the names of models with workers of their own, and of pools.
    """
    queues = f"arn:aws:sqs:{region}:{account}:{prefix}-"
    table = f"arn:aws:dynamodb:{region}:{account}:table/{prefix}-requests"
    logs = f"arn:aws:logs:{region}:{account}:log-group:/aws/lambda/{prefix}-"
    roles: Rights = {
        "api": [
            ({"sqs:SendMessage"}, {queues + worker for worker in workers}),
            ({"dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:UpdateItem", "dynamodb:DeleteItem"}, {table}),
        ],
        "dead-letters": [
            (CONSUME, {queues + "dlq"}),
            ({"dynamodb:GetItem", "dynamodb:UpdateItem"}, {table}),
            ({"logs:FilterLogEvents", "logs:GetLogEvents"}, {logs + "worker-*"}),
        ],
        "sweeper": [
            ({"sqs:GetQueueAttributes"}, {queues + name for name in (*workers, "dlq")}),
            ({"dynamodb:GetItem", "dynamodb:UpdateItem"}, {table}),
            ({"dynamodb:Query"}, {table + "/index/open"}),
        ],
    }
    for worker in workers:
        roles[f"worker-{worker}"] = [
            (CONSUME | {"sqs:ChangeMessageVisibility", "sqs:ChangeMessageVisibilityBatch"}, {queues + worker}),
            ({"dynamodb:UpdateItem", "dynamodb:PartiQLUpdate"}, {table}),
        ]
    own_log = {"logs:CreateLogStream", "logs:PutLogEvents"}
    return {role: [*found, (own_log, {f"{logs}{role}:*"})] for role, found in roles.items()}
