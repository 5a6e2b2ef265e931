"""The table and the queues, made from the Terraform modules: what the tests run against is what is deployed.

A tiny reading of HCL: literals, `var.x`, `local.x`, and sums and products of them.
"""

from __future__ import annotations

import ast
import json
import operator
import re
from functools import cache
from pathlib import Path
from typing import Any

import hcl2
from hcl2 import SerializationOptions

from scripts.stack_defaults import defaults

MODULES = Path(__file__).resolve().parents[2] / "terraform" / "modules"
_OPTIONS = SerializationOptions(with_comments=False, explicit_blocks=False, strip_string_quotes=True)
MAX_RECEIVE_COUNT: int = defaults("requests")["max_receive_count"]
QUEUE_RETENTION_SECONDS = 345_600  # what the stack makes of the default deadline
_OPERATORS = {ast.Add: operator.add, ast.Mult: operator.mul}


@cache
def _parsed(file: Path) -> dict[str, Any]:
    parsed: dict[str, Any] = hcl2.loads(file.read_text(), serialization_options=_OPTIONS)
    return parsed


class Module:
    """One Terraform module with its variables set."""

    def __init__(self, folder: str, **variables: Any) -> None:
        parsed = {file: _parsed(MODULES / folder / f"{file}.tf") for file in ("main", "variables")}
        self._resources: dict[tuple[str, str], dict[str, Any]] = {
            (kind, label): body
            for block in parsed["main"]["resource"]
            for kind, named in block.items()
            for label, body in named.items()
        }
        self._locals = {k: v for block in parsed["main"].get("locals", []) for k, v in block.items()}
        known = {name for block in parsed["variables"]["variable"] for name in block}
        if unknown := variables.keys() - known:
            raise KeyError(f"the module {folder} has no variable {', '.join(sorted(unknown))}")
        self._variables = variables

    def resource(self, kind: str, label: str = "this") -> dict[str, Any]:
        """The arguments of a resource, unresolved."""
        return self._resources[kind, label]

    def value(self, expression: Any) -> Any:
        """What an argument comes to."""
        if not isinstance(expression, str) or "${" not in expression:
            return expression
        whole = re.fullmatch(r"\$\{([^{}]*)\}", expression)
        if whole is None:
            return re.sub(r"\$\{([^{}]*)\}", lambda match: str(self._evaluate(match[1])), expression)
        return self._evaluate(whole[1])

    def _evaluate(self, code: str) -> Any:
        return self._node(ast.parse(code.strip(), mode="eval").body)

    def _node(self, node: ast.expr) -> Any:
        match node:
            case ast.Constant(value=value):
                return value
            case ast.BinOp(left=left, op=op, right=right) if type(op) in _OPERATORS:
                return _OPERATORS[type(op)](self._node(left), self._node(right))
            case ast.Attribute(value=ast.Name(id="var"), attr=name):
                return self._variables[name]
            case ast.Attribute(value=ast.Name(id="local"), attr=name):
                return self.value(self._locals[name])
        raise ValueError(f"not read here: {ast.unparse(node)}")


def create_table(dynamodb: Any, name: str) -> None:
    """The module request_table's table."""
    module = Module("request_table", name=name)
    table = _with_dynamic_blocks(module.resource("aws_dynamodb_table"))
    hash_key = {"AttributeName": table["hash_key"], "KeyType": "HASH"}
    dynamodb.create_table(
        TableName=module.value(table["name"]),
        BillingMode=table["billing_mode"],
        KeySchema=[hash_key],
        AttributeDefinitions=[{"AttributeName": a["name"], "AttributeType": a["type"]} for a in table["attribute"]],
        GlobalSecondaryIndexes=[
            {
                "IndexName": index["name"],
                "KeySchema": [
                    {"AttributeName": index["hash_key"], "KeyType": "HASH"},
                    {"AttributeName": index["range_key"], "KeyType": "RANGE"},
                ],
                "Projection": {"ProjectionType": index["projection_type"]}
                | ({"NonKeyAttributes": more} if (more := index.get("non_key_attributes")) else {}),
            }
            for index in table["global_secondary_index"]
        ],
    )
    (ttl,) = table["ttl"]
    dynamodb.update_time_to_live(
        TableName=name,
        TimeToLiveSpecification={"AttributeName": ttl["attribute_name"], "Enabled": ttl["enabled"]},
    )


def create_key_table(dynamodb: Any, name: str) -> None:
    """The module key_table's table."""
    module = Module("key_table", name=name)
    table = module.resource("aws_dynamodb_table")
    dynamodb.create_table(
        TableName=module.value(table["name"]),
        BillingMode=table["billing_mode"],
        KeySchema=[{"AttributeName": table["hash_key"], "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": a["name"], "AttributeType": a["type"]} for a in table["attribute"]],
    )


def _with_dynamic_blocks(resource: dict[str, Any]) -> dict[str, Any]:
    """A resource whose optional blocks are there, too: those that occur once, with no reference to `each`."""
    whole = {name: list(value) if isinstance(value, list) else value for name, value in resource.items()}
    for block in whole.pop("dynamic", ()):
        for name, body in block.items():
            whole.setdefault(name, []).extend(body["content"])
    return whole


def create_dead_letter_queue(sqs: Any, name: str) -> str:
    """The module dead_letter_queue's queue. Returns its URL."""
    timeout = defaults("dead_letters")["timeout_seconds"]
    return _create_queue(sqs, Module("dead_letter_queue", name=name, consumer_timeout_seconds=timeout))


def create_queue(sqs: Any, name: str, worker_timeout_seconds: int, dead_letter_url: str) -> str:
    """The module request_queue's queue. Returns its URL."""
    module = Module(
        "request_queue",
        name=name,
        worker_timeout_seconds=worker_timeout_seconds,
        batch_window_seconds=0,
        max_receive_count=MAX_RECEIVE_COUNT,
        retention_seconds=QUEUE_RETENTION_SECONDS,
    )
    arn = sqs.get_queue_attributes(QueueUrl=dead_letter_url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    redrive = module.resource("aws_sqs_queue")["redrive_policy"]
    limit = re.search(r"maxReceiveCount\s*=\s*([\w.]+)", redrive)
    assert limit is not None
    policy = {"deadLetterTargetArn": arn, "maxReceiveCount": module._evaluate(limit[1])}
    return _create_queue(sqs, module, RedrivePolicy=json.dumps(policy))


def _create_queue(sqs: Any, module: Module, **more: str) -> str:
    queue = module.resource("aws_sqs_queue")
    attributes = {
        "VisibilityTimeout": module.value(queue["visibility_timeout_seconds"]),
        "MessageRetentionPeriod": module.value(queue["message_retention_seconds"]),
        "MaximumMessageSize": module.value(queue["max_message_size"]),
    }
    texts = {key: str(value) for key, value in attributes.items()} | more
    url: str = sqs.create_queue(QueueName=module.value(queue["name"]), Attributes=texts)["QueueUrl"]
    return url
