"""Reading a plan: resources by type, policies by role, and what an argument refers to."""

import json
import re
from collections.abc import Callable
from typing import Any

from tests.rights import Rights, under

Json = dict[str, Any]

# What every plan of the tests is made for.
ACCOUNT = "123456789012"
REGION = "us-east-1"
PARTITIONS = {"cn-north-1": "aws-cn", "us-gov-west-1": "aws-us-gov", "eusc-de-east-1": "aws-eusc"}
DIGEST = "sha256:" + "0123456789abcdef" * 4


class Plan:
    """What a plan would create, by type; values that are not known yet are missing."""

    def __init__(self, plan: Json) -> None:
        self.raw = plan
        self.resources = {
            change["address"]: change for change in plan["resource_changes"] if change["mode"] == "managed"
        }
        self.configuration: Json = plan["configuration"]["root_module"]

    def of(self, kind: str) -> dict[str, Json]:
        """Address -> planned values, of one type of resource."""
        return {
            address: change["change"]["after"] for address, change in self.resources.items() if change["type"] == kind
        }

    def policies(self) -> dict[str, dict[str, list[Json]]]:
        """Role -> capability -> the statements of its inline policy, or of the managed one that is attached."""
        found: dict[str, dict[str, list[Json]]] = {}
        for address, values in (self.of("aws_iam_role_policy") | self.of("aws_iam_policy")).items():
            role = re.split(r"\.aws_iam_(?:role_)?policy\.", address)[0]
            statements = json.loads(values["policy"])["Statement"]
            found.setdefault(role, {})[values["name"]] = statements
        return found

    def rights(self) -> Rights:
        """What each role is allowed, as tests/rights.py has it."""
        return {
            role_of(address): [
                (set(as_list(statement["Action"])), resources_of(statement))
                for policy in policies.values()
                for statement in policy
                if statement["Effect"] == "Allow"
            ]
            for address, policies in self.policies().items()
        }

    def module(self, *path: str) -> Json:
        """The configuration of a module, by the names of the calls that lead to it."""
        module = self.configuration
        for name in path:
            module = module["module_calls"][name]["module"]
        return module

    def references(self, kind: str, argument: str) -> dict[str, list[str]]:
        """Place in the configuration -> what an argument of that type of resource is made of."""
        found: dict[str, list[str]] = {}

        def walk(module: Json, path: str) -> None:
            for resource in module.get("resources", []):
                if resource["type"] == kind:
                    expression = resource["expressions"].get(argument, {})
                    found[f"{path}{resource['address']}"] = expression.get("references", [])
            for name, call in module.get("module_calls", {}).items():
                walk(call["module"], f"{path}{name}.")

        walk(self.configuration, "")
        return found


PlanOf = Callable[..., Plan]
"""The fixture `plan_of`."""


def as_list(value: str | list[str]) -> list[str]:
    """IAM writes a list of one as the one."""
    return [value] if isinstance(value, str) else value


def resources_of(statement: Json) -> set[str]:
    """The resources of a policy's statement, with its conditions."""
    found = set(as_list(statement["Resource"]))
    for limits in statement.get("Condition", {}).values():
        for condition, values in limits.items():
            found = {under(resource, condition, value) for resource in found for value in as_list(values)}
    return found


def role_of(address: str) -> str:
    """The name of the function, without the prefix, whose role's policies are in a module."""
    each = re.search(r'\.(worker|sync)\["([^"]+)"\]', address)  # one of many, of one call
    return f"{each[1]}-{each[2]}" if each else address.rpartition(".")[2].removesuffix("[0]").replace("_", "-")
