"""What a plan deploys, as far as it costs something: read from `terraform show -json`."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from scripts.cost import dispatch, warmth
from scripts.cost.dispatch import Backend
from scripts.cost.warmth import Warmth

Json = Mapping[str, Any]

_WORKER = re.compile(r'\.module\.worker\["([^"]+)"\]')

PER_RESOURCE = {
    "aws_cloudwatch_metric_alarm": "cloudwatch_alarm_month",
    "aws_cloudwatch_dashboard": "cloudwatch_dashboard_month",
    "aws_kms_key": "kms_key_month",
}
"""Resource type -> what each of them, or each metric of an alarm, costs a month, used or not."""

ALARMS_OF_TRACKING = 2
"""Application Auto Scaling makes them for each target tracking policy: one to grow, one to shrink."""

_BY_USE = (  # paid for by what they are used for, which usage.py counts
    "aws_apigatewayv2_", "aws_cloudwatch_event_", "aws_cloudwatch_log_group", "aws_dynamodb_table",
    "aws_ecr_repository", "aws_lambda_event_source_mapping", "aws_lambda_function",
    "aws_lambda_provisioned_concurrency_config", "aws_s3_bucket", "aws_sqs_queue", "aws_vpc_endpoint",
)  # fmt: skip
_FREE = (
    "aws_appautoscaling_", "aws_cloudwatch_log_metric_filter", "aws_default_security_group",
    "aws_dynamodb_resource_policy", "aws_ecr_", "aws_iam_",
    "aws_kms_alias", "aws_lambda_alias", "aws_lambda_permission", "aws_route_table", "aws_route",
    "aws_security_group", "aws_sns_topic", "aws_sqs_queue_policy", "aws_ssm_parameter", "aws_subnet", "aws_vpc",
    "aws_vpc_security_group_", "terraform_data",
)  # fmt: skip


@dataclass(frozen=True)
class Function:
    """A function; `provisioned` are environments that are kept, on average, `image` says that it runs from one,
    `metrics` that it writes metrics of its own, `invocation_lines` that Lambda logs each invocation."""

    name: str
    memory_mb: int
    timeout_seconds: int
    architecture: str
    provisioned: float = 0
    image: bool = False
    metrics: bool = False
    invocation_lines: bool = True
    warmth: Warmth = field(default_factory=Warmth)


@dataclass(frozen=True)
class Worker:
    """A worker, its models, and how its queue is read; `maximum_concurrency` is None where nothing limits it, `backend`
    where its models run in it."""

    function: Function
    models: tuple[str, ...]
    batch_size: int
    batch_window_seconds: int = 0
    maximum_concurrency: int | None = None
    backend: Backend | None = None


@dataclass(frozen=True)
class Deployment:
    """What a plan deploys.

    Attributes:
        api: the api function. `authorizer`: the one that API Gateway asks of a key; None: there are no API keys.
        cache_seconds: for how long it remembers the answer.
        workers: model, or pool -> its worker. `models`: all models.
        others: the functions that no request uses.
        polled_queues: queues that Lambda polls, those of dead letters among them.
        record_days: how long a record is kept. `log_days`: how long logs are. `payload_days`: how long uploads are.
        access_log: the HTTP API has one.
        backups: the table has point-in-time recovery. `listed`: it has the index of callers.
        sweeps_per_month: how often the schedule runs.
        endpoints: interface endpoints, one for each availability zone.
        per_resource: item of the price file -> how many of it.
        unpriced: resource types that the price file knows nothing of.
    """

    api: Function
    workers: Mapping[str, Worker]
    others: tuple[Function, ...]
    polled_queues: int
    record_days: float
    log_days: float
    authorizer: Function | None = None
    cache_seconds: int = 0
    payload_days: float = 0
    backups: bool = True
    access_log: bool = False
    listed: bool = False
    sweeps_per_month: float = 0
    endpoints: int = 0
    per_resource: Mapping[str, int] = field(default_factory=dict)
    unpriced: tuple[str, ...] = ()

    @property
    def models(self) -> tuple[str, ...]:
        return tuple(model for worker in self.workers.values() for model in worker.models)

    @property
    def deliverer(self) -> Function | None:
        """The function that sends webhooks, where there are some."""
        return self._other("-deliverer")

    @property
    def batches(self) -> Function | None:
        """The function that makes the items of batches from files."""
        return self._other("-batches")

    @property
    def sweeper(self) -> Function | None:
        """The function that sweeps the table."""
        return self._other("-sweeper")

    def _other(self, ending: str) -> Function | None:
        return next((function for function in self.others if function.name.endswith(ending)), None)


def read(plan: Json) -> Deployment:
    """Read a plan.

    Args:
        plan: what `terraform show -json` prints of a plan of this stack.

    Raises:
        ValueError: it has no api function or no worker: it is no plan of a whole environment.
    """
    resources = list(_resources(plan.get("planned_values", {}).get("root_module", {})))
    functions = {where: _function(where, values, resources) for where, values in _of(resources, "aws_lambda_function")}
    api = next((function for where, function in functions.items() if where.endswith(".module.api")), None)
    authorizer = next(
        (function for where, function in functions.items() if where.endswith(".module.authorizer[0]")), None
    )
    workers = {}
    for where, function in functions.items():
        if found := _WORKER.search(where):
            workers[found[1]] = _worker(function, where, found[0], resources)
    if api is None or not workers:
        raise ValueError("no api function or no worker is in the plan: give one of a whole environment")
    mappings = [values for _, values in _of(resources, "aws_lambda_event_source_mapping")]
    counts = Counter(resource["type"] for resource in resources)
    tables = [values for _, values in _of(resources, "aws_dynamodb_table")]
    return Deployment(
        api=api,
        workers=dict(sorted(workers.items())),
        others=tuple(
            f for where, f in functions.items() if f is not api and f is not authorizer and not _WORKER.search(where)
        ),
        polled_queues=sum(not values.get("starting_position") for values in mappings),  # a stream's reads are free
        record_days=_record_days(resources),
        log_days=max((v["retention_in_days"] for _, v in _of(resources, "aws_cloudwatch_log_group")), default=0),
        authorizer=authorizer,
        cache_seconds=max(
            (v["authorizer_result_ttl_in_seconds"] or 0 for _, v in _of(resources, "aws_apigatewayv2_authorizer")),
            default=0,
        ),
        payload_days=_payload_days(resources),
        backups=any(recovery["enabled"] for v in tables for recovery in v.get("point_in_time_recovery") or ()),
        access_log=any(v.get("access_log_settings") for _, v in _of(resources, "aws_apigatewayv2_stage")),
        listed=any(index["name"] == "caller" for v in tables for index in v.get("global_secondary_index") or ()),
        sweeps_per_month=sum(
            per_month(v["schedule_expression"])
            for where, v in _of(resources, "aws_cloudwatch_event_rule")
            if v.get("schedule_expression") and where not in functions  # the rule of a function is its warmer
        ),
        endpoints=_endpoints(resources),
        per_resource=_per_resource(counts, resources),
        unpriced=tuple(sorted(kind for kind in counts if not _known(kind))),
    )


def of_kind(plan: Json, kind: str) -> Iterator[tuple[str, Json]]:
    """Address of the module, and values, of each resource of a type in a plan."""
    return _of(list(_resources(plan.get("planned_values", {}).get("root_module", {}))), kind)


def _per_resource(counts: Counter[str], resources: list[Json]) -> dict[str, int]:
    found = {item: _units(kind, resources) for kind, item in PER_RESOURCE.items() if counts[kind]}
    if policies := counts["aws_appautoscaling_policy"]:
        found["cloudwatch_alarm_month"] = found.get("cloudwatch_alarm_month", 0) + policies * ALARMS_OF_TRACKING
    return found


def _known(kind: str) -> bool:
    return kind in PER_RESOURCE or kind.startswith(_BY_USE + _FREE)


def _resources(module: Json) -> Iterator[Json]:
    for resource in module.get("resources", ()):
        if resource["mode"] == "managed":
            yield resource
    for child in module.get("child_modules", ()):
        yield from _resources(child)


def _of(resources: list[Json], kind: str) -> Iterator[tuple[str, Json]]:
    """Address of the module, and values, of each resource of a type."""
    for resource in resources:
        if resource["type"] == kind:
            yield resource["address"].rpartition(f".{kind}.")[0], resource["values"]


def _units(kind: str, resources: list[Json]) -> int:
    """How often the price of a resource type is paid: for an alarm, once for each metric that it reads."""
    return sum(
        sum(bool(query.get("metric")) for query in values.get("metric_query") or ()) or 1
        for _, values in _of(resources, kind)
    )


def _endpoints(resources: list[Json]) -> int:
    """Interface endpoints, once for each zone. A plan does not have the ids of subnets that it makes."""
    subnets = Counter(where for where, _ in _of(resources, "aws_subnet"))
    return sum(
        len(values.get("subnet_ids") or ()) or subnets[where] or 1
        for where, values in _of(resources, "aws_vpc_endpoint")
        if values.get("vpc_endpoint_type") == "Interface"
    )


def _function(where: str, values: Json, resources: list[Json]) -> Function:
    provisioned = [
        config["provisioned_concurrent_executions"]
        for config in _at(where, resources, "aws_lambda_provisioned_concurrency_config")
    ]
    return Function(
        name=values["function_name"],
        memory_mb=values["memory_size"],
        timeout_seconds=values["timeout"],
        architecture=values["architectures"][0],
        provisioned=sum(provisioned) + warmth.scheduled(_at(where, resources, "aws_appautoscaling_scheduled_action")),
        image=values["package_type"] == "Image",
        metrics="METRICS_ENVIRONMENT" in _variables(values),
        invocation_lines=all(config["log_format"] != "JSON" for config in values.get("logging_config") or ()),
        warmth=_warmth(where, values, resources),
    )


def _at(where: str, resources: list[Json], kind: str) -> list[Json]:
    """Values of each resource of a type in one module."""
    return [values for place, values in _of(resources, kind) if place == where]


def _warmth(where: str, function: Json, resources: list[Json]) -> Warmth:
    rules = _at(where, resources, "aws_cloudwatch_event_rule")
    inputs = [target["input"] for target in _at(where, resources, "aws_cloudwatch_event_target")]
    pings, ping_ms = warmth.pinged(inputs, sum(per_month(rule["schedule_expression"]) for rule in rules))
    return Warmth(pings, ping_ms if pings else 0, bool(function.get("snap_start")))


def _variables(function: Json) -> Json:
    """The variables that a function gets, as far as a plan knows them."""
    return next((block.get("variables") or {} for block in function.get("environment") or ()), {})


def _worker(function: Function, where: str, place: str, resources: list[Json]) -> Worker:
    variables = _variables(_at(where, resources, "aws_lambda_function")[0])
    values = next(v for where, v in _of(resources, "aws_lambda_event_source_mapping") if where.endswith(place))
    scaling = values.get("scaling_config") or [{}]
    return Worker(
        function,
        tuple(sorted(json.loads(variables["MODELS"]))),
        values["batch_size"],
        values.get("maximum_batching_window_in_seconds") or 0,
        scaling[0].get("maximum_concurrency"),
        next(map(dispatch.read, json.loads(variables.get("BACKENDS") or "{}").values()), None),
    )


def _record_days(resources: list[Json]) -> float:
    """How long a finished record is kept, as the api function is told."""
    for where, values in _of(resources, "aws_lambda_function"):
        if where.endswith(".module.api"):
            return float(_variables(values)["RETENTION_SECONDS"]) / 86_400
    return 0.0


def _payload_days(resources: list[Json]) -> float:
    """When the lifecycle of the payload bucket deletes an object."""
    rules = (rule for _, v in _of(resources, "aws_s3_bucket_lifecycle_configuration") for rule in v["rule"])
    return max((expiration["days"] for rule in rules for expiration in rule.get("expiration") or ()), default=0)


def per_month(schedule: str) -> float:
    """How often a rate() runs in 30 days; what a cron() says is not read: it counts as hourly."""
    found = re.fullmatch(r"rate\((\d+) (minute|hour|day)s?\)", schedule)
    minutes = int(found[1]) * {"minute": 1, "hour": 60, "day": 1440}[found[2]] if found else 60
    return 30 * 1440 / minutes
