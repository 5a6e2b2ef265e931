"""Corrects where MiniStack 1.5.33 differs from AWS, when it starts. Each patch has a test that fails without it."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Mapping
from typing import Any
from xml.sax.saxutils import escape

_TABLE = re.compile(r'\s*(UPDATE|INSERT\s+INTO)\s+"([^"]+)"', re.IGNORECASE)


def patch() -> None:
    """Apply all patches to the MiniStack of this process."""
    _authorise_partiql_by_statement()
    _authorise_sqs_batches_as_single_calls()
    _describe_alarms_in_full()
    _keep_authorizers_as_made()
    _stream_partiql_updates()


def _authorise_partiql_by_statement() -> None:
    """`BatchExecuteStatement` is not an IAM action: AWS checks `dynamodb:PartiQLUpdate` or `PartiQLInsert` on each
    statement's table.

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
        return [
            (f"dynamodb:PartiQL{'Update' if match[1].upper() == 'UPDATE' else 'Insert'}", prefix + match[2])
            for match in found
        ]

    iam_actions.dynamodb_transaction_checks = checks


def _authorise_sqs_batches_as_single_calls() -> None:
    """`SendMessageBatch` and the other batches of SQS are not IAM actions: AWS checks the single call's.

    MiniStack checks the operation's name.
    """
    from ministack.core import iam_actions

    action_of = iam_actions.extract_iam_action

    def action(service: str, *request: Any) -> str | None:
        found: str | None = action_of(service, *request)
        return found.removesuffix("Batch") if service == "sqs" and found else found

    iam_actions.extract_iam_action = action


def _stream_partiql_updates() -> None:
    """On AWS an update by PartiQL is in the table's stream, as every other.

    MiniStack writes no record, so the webhooks of requests that a worker finishes in a batch would not be sent.
    """
    from ministack.services import dynamodb

    update = dynamodb._partiql_update

    def with_record(table: Any, parsed: Any, data: Any = None) -> Any:
        key, sort_key, _, error = dynamodb._partiql_key_target(table, parsed)
        before = None if error else copy.deepcopy(table["items"].get(key, {}).get(sort_key))
        answer = update(table, parsed, data)
        if before is not None and answer[0] == 200:
            dynamodb._emit_stream_event(table["TableName"], "MODIFY", before, table["items"][key][sort_key])
        return answer

    dynamodb._partiql_update = with_record


def _describe_alarms_in_full() -> None:
    """AWS describes an alarm with everything that it was made with.

    MiniStack does so in JSON, but leaves half of it out of its XML, which Terraform's provider reads: each plan would
    change each alarm.
    """
    from ministack.services import cloudwatch

    describe = cloudwatch._describe_alarms

    def in_full(params: Any, data: Any, is_cbor: bool, is_json: bool = False) -> Any:
        if is_cbor or is_json:
            return describe(params, data, is_cbor, is_json)
        asked: dict[str, Any] = {
            name: cloudwatch._p(params, name)
            for name in ("AlarmNamePrefix", "StateValue", "MaxRecords", "NextToken")
            if cloudwatch._p(params, name)
        }
        for name in ("AlarmNames", "AlarmTypes"):
            members = [cloudwatch._p(params, f"{name}.member.{number}") for number in range(1, 101)]
            asked[name] = [member for member in members if member]
        status, _, body = describe({}, asked, False, True)
        if status != 200:
            return describe(params, data, False, False)
        found = json.loads(body)
        found |= {kind: [_as_made(alarm) for alarm in found[kind]] for kind in ("MetricAlarms", "CompositeAlarms")}
        return cloudwatch._xml(
            200, "DescribeAlarmsResponse", f"<DescribeAlarmsResult>{_to_xml(found)}</DescribeAlarmsResult>"
        )

    cloudwatch._describe_alarms = in_full


def _keep_authorizers_as_made() -> None:
    """AWS describes an authorizer with what its type has.

    MiniStack adds an empty JWT configuration to each that is a function, and a payload format to each that is not:
    every plan would change it.
    """
    from ministack.services import apigateway

    create = apigateway._create_authorizer

    def as_made(api_id: Any, data: Any) -> Any:
        answer = create(api_id, data)
        if answer[0] == 201:
            authorizer = apigateway._authorizers[api_id][json.loads(answer[2])["authorizerId"]]
            of_another_type = {"JWT": "authorizerPayloadFormatVersion", "REQUEST": "jwtConfiguration"}
            authorizer.pop(of_another_type[authorizer["authorizerType"]], None)
        return answer

    apigateway._create_authorizer = as_made


def _as_made(alarm: Mapping[str, Any]) -> dict[str, Any]:
    """Without what MiniStack assumes: a statistic beside a percentile; statistic and period beside an expression."""
    assumed: set[str] = set()
    if alarm.get("ExtendedStatistic"):
        assumed = {"Statistic"}
    elif not alarm.get("MetricName"):
        assumed = {"Statistic", "Period"}
    return {name: value for name, value in alarm.items() if name not in assumed and not name.endswith("Timestamp")}


def _to_xml(value: Any) -> str:
    if isinstance(value, dict):
        return "".join(f"<{name}>{_to_xml(each)}</{name}>" for name, each in value.items() if each is not None)
    if isinstance(value, list):
        return "".join(f"<member>{_to_xml(each)}</member>" for each in value)
    return escape(str(value).lower() if isinstance(value, bool) else str(value))
