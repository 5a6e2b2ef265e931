"""Which role may do what to what. tests/terraform/test_function_rights.py compares the plans' policies with it, and
tests/integration/test_rights.py shows that each right is needed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

Rights = dict[str, list[tuple[set[str], set[str]]]]
"""Role, by its function's name without the prefix -> statements: actions and resources. What a condition limits is in
the resource: see `under`."""

# What Lambda does with a role of a function that reads a queue.
CONSUME = {"sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"}


def under(resource: str, condition: str, value: str) -> str:
    """A resource, for calls that have this value of a condition key only."""
    return f"{resource} if {condition}={value}"


def via(key: str, service: str, region: str) -> str:
    """A KMS key, by way of a service."""
    return under(key, "kms:ViaService", f"{service}.{region}.amazonaws.com")


def _listed(place: str) -> str:
    """The right to list a place of a bucket, given as `bucket/prefix`."""
    bucket, _, prefix = place.partition("/")
    return under(f"arn:aws:s3:::{bucket}", "s3:prefix", f"{prefix}*")


def rights(
    prefix: str,
    region: str,
    account: str,
    workers: Sequence[str],
    *,
    key: str | None = None,
    artifact: tuple[str, str] | None = None,
    artifact_key: str | None = None,
    secret: str | None = None,
    secret_key: str | None = None,
    payload_bucket: str | None = None,
    api_keys: bool = False,
    sources: Mapping[str, Sequence[str]] | None = None,
    results: str | None = None,
    sync: Sequence[str] = (),
    backends: Mapping[str, str] | None = None,
    token_key: str | None = None,
) -> Rights:
    """The rights of every role of a stack. A right that is added, removed or widened must be changed here too.

    Args:
        workers: the names of models with workers of their own, and of pools.
        key: ARN of the KMS key that encrypts the stack.
        artifact: bucket and key of what every worker reads in S3.
        artifact_key: ARN of the KMS key that encrypts it.
        secret: ARN of what webhooks are signed with, in Secrets Manager or SSM; None: no webhooks.
        secret_key: ARN of the KMS key that encrypts it.
        payload_bucket: its name, if it is not the stack's.
        api_keys: callers have API keys.
        sources: worker -> the places of objects that triggers take for it, as `bucket/prefix`; None: no triggers.
        results: the place that triggers write results to, as `bucket/prefix`.
        sync: the workers that have a synchronous function.
        backends: the workers whose models run at GPU providers -> ARN of the provider's token.
        token_key: ARN of the KMS key that encrypts the tokens.
    """
    queues = f"arn:aws:sqs:{region}:{account}:{prefix}-"
    table = f"arn:aws:dynamodb:{region}:{account}:table/{prefix}-requests"
    payloads = f"arn:aws:s3:::{payload_bucket or f'{prefix}-payloads-{account}-{region}'}"
    requests, uploads = f"{payloads}/requests/*", f"{payloads}/uploads/*"
    logs = f"arn:aws:logs:{region}:{account}:log-group:/aws/lambda/{prefix}-"
    reading_streams = {
        f"dynamodb:{name}" for name in ("DescribeStream", "GetRecords", "GetShardIterator", "ListStreams")
    }
    roles: Rights = {
        "api": [
            ({"sqs:SendMessage"}, {queues + name for name in (*workers, "batches")}),
            (
                {
                    *("dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:UpdateItem", "dynamodb:DeleteItem"),
                    *("dynamodb:BatchGetItem", "dynamodb:PartiQLInsert", "dynamodb:PartiQLUpdate"),
                },
                {table},
            ),
            ({"dynamodb:Query"}, {table + "/index/caller"}),
            ({"s3:GetObject", "s3:DeleteObject"}, {requests, uploads}),
            ({"s3:PutObject"}, {f"{requests}/input-*.json", uploads}),
            ({"s3:ListBucket"}, {payloads}),
        ],
        "batches": [
            (CONSUME | {"sqs:ChangeMessageVisibility", "sqs:ChangeMessageVisibilityBatch"}, {queues + "batches"}),
            ({"sqs:SendMessage"}, {queues + worker for worker in workers}),
            (
                {
                    *("dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:UpdateItem"),
                    *("dynamodb:PartiQLInsert", "dynamodb:PartiQLUpdate"),
                },
                {table},
            ),
            ({"s3:GetObject", "s3:DeleteObject"}, {uploads}),
            ({"s3:PutObject"}, {f"{requests}/input-*.json"}),
            ({"s3:ListBucket"}, {payloads}),
        ],
        "dead-letters": [
            (CONSUME, {queues + "dlq"}),
            ({"dynamodb:GetItem", "dynamodb:UpdateItem"}, {table}),
            ({"logs:FilterLogEvents", "logs:GetLogEvents"}, {logs + "worker-*"}),
        ],
        "sweeper": [
            ({"sqs:GetQueueAttributes"}, {queues + name for name in (*workers, "dlq")}),
            ({"dynamodb:GetItem", "dynamodb:BatchGetItem", "dynamodb:UpdateItem"}, {table}),
            ({"dynamodb:Query"}, {table + "/index/open"}),
        ],
    }
    if api_keys:
        roles["authorizer"] = [({"dynamodb:GetItem"}, {f"arn:aws:dynamodb:{region}:{account}:table/{prefix}-api-keys"})]
    if secret:
        service = secret.split(":")[2]
        read = {"ssm": "ssm:GetParameter"}.get(service, "secretsmanager:GetSecretValue")
        roles["sweeper"][-1] = ({"dynamodb:Query"}, {table + "/index/open", table + "/index/webhooks"})
        roles["sweeper"].append(({"sqs:SendMessage"}, {queues + "webhooks"}))
        roles["relay"] = [
            (reading_streams, {table + "/stream/*"}),
            ({"dynamodb:GetItem", "dynamodb:BatchGetItem", "dynamodb:UpdateItem"}, {table}),
            ({"sqs:SendMessage"}, {queues + "webhooks"}),
        ]
        roles["deliverer"] = [
            ({"dynamodb:GetItem", "dynamodb:BatchGetItem", "dynamodb:UpdateItem"}, {table}),
            (CONSUME | {"sqs:ChangeMessageVisibility", "sqs:ChangeMessageVisibilityBatch"}, {queues + "webhooks"}),
            ({"sqs:SendMessage"}, {queues + "webhooks-dlq"}),
            ({"s3:GetObject"}, {f"{requests}/attempt-*"}),
            ({read}, {secret}),
        ]
        if secret_key:
            roles["deliverer"].append(({"kms:Decrypt"}, {via(secret_key, service, secret.split(":")[3])}))
    if sources is not None:
        roles["intake"] = [
            (CONSUME | {"sqs:ChangeMessageVisibility", "sqs:ChangeMessageVisibilityBatch"}, {queues + "intake"}),
            ({"sqs:SendMessage"}, {queues + worker for worker in sources}),
            (
                {
                    *("dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:UpdateItem", "dynamodb:BatchGetItem"),
                    *("dynamodb:PartiQLInsert", "dynamodb:PartiQLUpdate"),
                },
                {table},
            ),
        ]
    if results is not None:
        roles["results"] = [
            (reading_streams, {table + "/stream/*"}),
            ({"sqs:SendMessage"}, {queues + "intake-dlq"}),
            ({"dynamodb:GetItem"}, {table}),
            ({"s3:GetObject"}, {f"{requests}/attempt-*"}),
            ({"s3:GetObject", "s3:PutObject"}, {f"arn:aws:s3:::{results}*"}),
            ({"s3:ListBucket"}, {payloads}),
            ({"s3:ListBucket"}, {_listed(results)}),
        ]
    for worker in workers:
        roles[f"worker-{worker}"] = [
            (CONSUME | {"sqs:ChangeMessageVisibility", "sqs:ChangeMessageVisibilityBatch"}, {queues + worker}),
            ({"dynamodb:UpdateItem", "dynamodb:PartiQLUpdate"}, {table}),
            ({"s3:GetObject"}, {f"{requests}/input-*.json", uploads}),
            ({"s3:PutObject", "s3:DeleteObject"}, {f"{requests}/attempt-*"}),
            ({"s3:ListBucket"}, {payloads}),
        ]
    for worker, places in (sources or {}).items():
        objects = {f"arn:aws:s3:::{place}*" for place in places}
        roles[f"worker-{worker}"].append(({"s3:GetObject", "s3:GetObjectVersion"}, objects))
        roles[f"worker-{worker}"] += [({"s3:ListBucket"}, {_listed(place)}) for place in places]
    roles |= {f"sync-{worker}": [] for worker in sync}
    tokens = backends or {}
    if tokens:
        roles["callbacks"] = [
            ({"dynamodb:GetItem", "dynamodb:UpdateItem"}, {table}),
            ({"s3:PutObject", "s3:DeleteObject"}, {f"{requests}/attempt-*"}),
        ]
    for worker, token in tokens.items():
        roles[f"worker-{worker}"][1] = ({"dynamodb:GetItem", "dynamodb:UpdateItem"}, {table})
        service = token.split(":")[2]
        read = {"ssm": "ssm:GetParameter"}.get(service, "secretsmanager:GetSecretValue")
        for role in (f"worker-{worker}", "callbacks"):
            roles[role].append(({read}, {token}))
            if token_key:
                roles[role].append(({"kms:Decrypt"}, {via(token_key, service, token.split(":")[3])}))
    for role, statements in roles.items():
        if role.startswith(("worker-", "sync-")) and artifact:
            bucket = f"arn:aws:s3:::{artifact[0]}"
            statements.append(({"s3:GetObject"}, {f"{bucket}/{artifact[1]}"}))
            statements.append(({"s3:ListBucket"}, {under(bucket, "s3:prefix", artifact[1])}))
        if role.startswith(("worker-", "sync-")) and artifact_key:
            statements.append(({"kms:Decrypt"}, {via(artifact_key, "s3", region)}))
        if role.startswith("sync-"):
            if key and artifact:
                statements.append(({"kms:Decrypt"}, {via(key, "s3", region)}))
        elif key:
            services = {
                "sweeper": {"dynamodb", "sqs"} if secret else {"dynamodb"},
                "authorizer": {"dynamodb"},
                "callbacks": {"dynamodb"},
                "dead-letters": {"sqs", "dynamodb"},
                "relay": {"sqs", "dynamodb"},
                "intake": {"sqs", "dynamodb"},
            }.get(role, {"sqs", "dynamodb", "s3"})
            statements.append(({"kms:Decrypt"}, {via(key, service, region) for service in services}))
        if key and (role.startswith("worker-") or role == "callbacks"):
            statements.append(({"kms:GenerateDataKey"}, {via(key, "s3", region)}))
    if key:
        for role in ("api", "batches"):
            roles[role].append(({"kms:GenerateDataKey"}, {via(key, service, region) for service in ("s3", "sqs")}))
        for role in ("sweeper", "relay", "deliverer") if secret else ():
            roles[role].append(({"kms:GenerateDataKey"}, {via(key, "sqs", region)}))
        if "intake" in roles:
            roles["intake"].append(({"kms:GenerateDataKey"}, {via(key, "sqs", region)}))
        if "results" in roles:
            both = {via(key, service, region) for service in ("s3", "sqs")}
            roles["results"].append(({"kms:GenerateDataKey"}, both))
    own_log = {"logs:CreateLogStream", "logs:PutLogEvents"}
    return {role: [*found, (own_log, {f"{logs}{role}:*"})] for role, found in roles.items()}
