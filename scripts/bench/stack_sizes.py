"""How large a planned stack is, against what AWS allows: sizes are of the largest role or function.

A plan does not know the API's id, and so no dashboard: modules/monitoring/tests counts its metrics.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

Json = Mapping[str, Any]


class Limit(NamedTuple):
    """A size, and AWS's limit of it; None: there is none that a stack could reach."""

    name: str
    most: int | None


# https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
# https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
# https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-quotas.html
# https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/cloudwatch_limits.html
RESOURCES = Limit("resources", None)
INLINE = Limit("inline policies of a role, characters", 10_240)
ATTACHED = Limit("managed policies of a role", 10)
MANAGED = Limit("a managed policy, characters", 6_144)
ENVIRONMENT = Limit("environment of a function, characters", 4_096)
ROUTES = Limit("routes of the API", 300)
ROLES = Limit("roles (of an account)", 1_000)
ALARMS = Limit("alarms (of an account)", 5_000)
LIMITS = (RESOURCES, INLINE, ATTACHED, MANAGED, ENVIRONMENT, ROUTES, ROLES, ALARMS)


def sizes(plan: Json) -> dict[str, int]:
    """Name of a size -> its value.

    Args:
        plan: as `terraform show -json` has it.
    """
    changes = [change for change in plan["resource_changes"] if change["mode"] == "managed"]
    managed = [(module, _characters(values["policy"])) for module, values in _of(changes, "aws_iam_policy")]
    inline: Counter[str] = Counter()
    for module, values in _of(changes, "aws_iam_role_policy"):
        inline[module] += _characters(values["policy"])
    routes = _of(changes, "aws_apigatewayv2_route")
    return {
        RESOURCES.name: len(changes),
        INLINE.name: _most(inline.values()),
        ATTACHED.name: _most(Counter(module for module, _ in managed).values()),
        MANAGED.name: _most(size for _, size in managed),
        ENVIRONMENT.name: _most(_environment(values) for _, values in _of(changes, "aws_lambda_function")),
        ROUTES.name: len(routes),
        ROLES.name: len(_of(changes, "aws_iam_role")),
        ALARMS.name: len(_of(changes, "aws_cloudwatch_metric_alarm")),
    }


def environment_of(plan: Json, ending: str) -> dict[str, str]:
    """The variables of the function whose name ends so."""
    functions = [change for change in plan["resource_changes"] if change["type"] == "aws_lambda_function"]
    after = [change["change"]["after"] for change in functions]
    (found,) = [values for values in after if values["function_name"].endswith(ending)]
    variables: dict[str, str] = found["environment"][0]["variables"]
    return variables


def exceeded(found: Mapping[str, int]) -> list[str]:
    """What is beyond AWS's limit, in words."""
    beyond = [limit for limit in LIMITS if limit.most is not None and found[limit.name] > limit.most]
    return [f"{limit.name}: {found[limit.name]:,} of {limit.most:,}" for limit in beyond]


def _of(changes: list[Json], kind: str) -> list[tuple[str, Json]]:
    """The module's address and the planned values of each resource of a type."""
    return [
        (change["address"].rpartition(f".{kind}.")[0], change["change"]["after"])
        for change in changes
        if change["type"] == kind
    ]


def _characters(policy: str) -> int:
    """IAM does not count white space."""
    return len(json.dumps(json.loads(policy), separators=(",", ":")))


def _environment(function: Json) -> int:
    """Lambda measures the variables as JSON, where each quote in a value counts twice."""
    found = [environment["variables"] for environment in function["environment"]]
    return sum(len(json.dumps(variables, separators=(",", ":"))) for variables in found)


def _most(numbers: Iterable[int]) -> int:
    return max(numbers, default=0)
