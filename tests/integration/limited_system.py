"""The system of system.py, in which each function may do only what its role's rights allow.

Emulators check a role less exactly than AWS does. Here each call is checked before it is made: by the actions and
resources that AWS's Service Authorization Reference lists for the operation.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from fnmatch import fnmatchcase
from typing import Any

from botocore.exceptions import ClientError

from inference.aws import clients
from tests.integration.system import PREFIX, System
from tests.rights import Rights

Right = tuple[str, str]
"""An action and a resource."""


class LimitedSystem(System):
    """Set `rights` to limit the roles. `broken` are operations that AWS rejects, such as SendMessage."""

    rights: Rights
    broken: tuple[str, ...] = ()
    denied: set[str]
    _role: str | None = None

    def limit(self, account: str, rights: Rights) -> None:
        """Check the functions' calls from now on. The tests' own calls are not checked."""
        self.rights = rights
        self.denied = set()
        self._account = account
        self.logs = clients.client("logs")
        bounded = [clients.client(name, self.api.deadline) for name in ("dynamodb", "sqs")]
        for client in (
            self.dynamodb,
            self.sqs,
            self.logs,
            *(one for two in bounded for one in (two._short, two._last)),
        ):
            client.meta.events.register("before-parameter-build", self._check)
        self._region: str = self.sqs.meta.region_name

    def _check(self, model: Any, params: Mapping[str, Any], **_: Any) -> None:
        if self._role is None:
            return
        if model.name in self.broken:
            raise ClientError({"Error": {"Code": "ServiceUnavailable", "Message": "broken"}}, model.name)
        for action, resource in self._needed(model.service_model.service_name, model.name, params):
            if not any(
                action in actions and any(fnmatchcase(resource, pattern) for pattern in resources)
                for actions, resources in self.rights[self._role]
            ):
                self.denied.add(action)
                message = f"{self._role} is not authorized to perform: {action} on resource: {resource}"
                raise ClientError({"Error": {"Code": "AccessDeniedException", "Message": message}}, model.name)

    def _needed(self, service: str, operation: str, params: Mapping[str, Any]) -> list[Right]:
        place = f"arn:aws:{service}:{self._region}:{self._account}:"
        actions = [f"{service}:{operation}"]
        match service, operation:
            case "dynamodb", "BatchExecuteStatement":
                found = [re.match(r'(\w+) "([^"]+)"', statement["Statement"]) for statement in params["Statements"]]
                return [(f"dynamodb:PartiQL{m[1].title()}", f"{place}table/{m[2]}") for m in found if m]
            case "dynamodb", _:
                index = f"/index/{params['IndexName']}" if "IndexName" in params else ""
                return [(actions[0], f"{place}table/{params['TableName']}{index}")]
            case "sqs", _:
                if operation == "ChangeMessageVisibilityBatch":
                    actions.append("sqs:ChangeMessageVisibility")  # the one that AWS checks
                return [(action, place + params["QueueUrl"].rpartition("/")[2]) for action in actions]
            case "logs", _:
                stream = "" if operation == "FilterLogEvents" else f":log-stream:{params['logStreamName']}"
                return [(actions[0], f"{place}log-group:{params['logGroupName']}{stream}")]
        raise AssertionError(f"which rights does {service} {operation} need?")

    @contextmanager
    def _as(self, role: str) -> Iterator[None]:
        before, self._role = self._role, role
        try:
            yield
        finally:
            self._role = before

    def call(self, event: dict[str, Any]) -> dict[str, Any]:
        with self._as("api"):
            return super().call(event)

    def run_worker(self, model: str = "sentiment") -> list[str]:
        with self._as(f"worker-{model}"):
            return super().run_worker(model)

    def stop_in_predict(self, records: Sequence[Mapping[str, Any]]) -> None:
        with self._as("worker-sentiment"):
            super().stop_in_predict(records)

    def run_dead_letters(self) -> None:
        with self._as("dead-letters"):
            super().run_dead_letters()

    def sweep(self) -> dict[str, int]:
        with self._as("sweeper"):
            return super().sweep()

    def receive(self, queue: str) -> list[dict[str, Any]]:
        """Lambda's poll of a queue, with the role of the function that it invokes. It also reads the queue's
        attributes."""
        with self._as("dead-letters" if queue == "dlq" else f"worker-{queue}"):
            self.sqs.get_queue_attributes(QueueUrl=self.urls[queue], AttributeNames=["VisibilityTimeout"])
            return super().receive(queue)

    def log(self, role: str, *lines: str) -> None:
        """Lambda writes lines to a function's log group, with the function's role."""
        group = f"/aws/lambda/{PREFIX}-{role}"
        try:
            self.logs.create_log_group(logGroupName=group)
        except self.logs.exceptions.ResourceAlreadyExistsException:
            self.logs.delete_log_group(logGroupName=group)
            self.logs.create_log_group(logGroupName=group)
        with self._as(role):
            self.logs.create_log_stream(logGroupName=group, logStreamName="stream")
            now = self.clock()
            events = [{"timestamp": now + number, "message": line} for number, line in enumerate(lines)]
            self.logs.put_log_events(logGroupName=group, logStreamName="stream", logEvents=events)
