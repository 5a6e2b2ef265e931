"""The system of system.py, in which each function may do only what its role's rights allow.

Emulators check a role less exactly than AWS does. Here each call is checked before it is made: by the actions and
resources that AWS's Service Authorization Reference lists for the operation.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from inference.aws import clients
from scripts.stack_defaults import PAYLOAD_BUCKET
from tests.integration.system import PREFIX, Context, System
from tests.rights import Rights, under, via
from worker.model import artifact as artifacts

Right = tuple[str, str]
"""An action and a resource."""


class LimitedSystem(System):
    """Set `rights` to limit the roles. `broken` are operations that AWS rejects, such as SendMessage. `key` is the KMS
    key that encrypts the table and the queues, `artifact_key` the one that encrypts what is read in S3."""

    rights: Rights
    key: str
    artifact_key: str
    broken: tuple[str, ...] = ()
    denied: set[str]
    _role: str | None = None

    def limit(self, account: str, rights: Rights, key: str, artifact_key: str) -> None:
        """Check the functions' calls from now on. The tests' own calls are not checked."""
        self.rights = rights
        self.key, self.artifact_key = key, artifact_key
        self.denied = set()
        self._account = account
        self.logs = clients.client("logs")
        bounded = [clients.client(name, self.api.deadline) for name in ("dynamodb", "sqs")]
        bounded.append(clients.client("dynamodb", self.authorizer.deadline))
        for client in (
            self.dynamodb,
            self.sqs,
            self.logs,
            self.s3,
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
            if not self.may(action, resource):
                self.denied.add(action)
                message = f"{self._role} is not authorized to perform: {action} on resource: {resource}"
                error = {"Code": "AccessDeniedException", "Message": message}
                raise ClientError({"Error": error, "ResponseMetadata": {"HTTPStatusCode": 403}}, model.name)

    def may(self, action: str, resource: str) -> bool:
        """Whether the function at work may do this."""
        return any(
            action in actions and any(fnmatchcase(resource, pattern) for pattern in resources)
            for actions, resources in self.rights[self._role or ""]
        )

    def _needed(self, service: str, operation: str, params: Mapping[str, Any]) -> list[Right]:
        place = f"arn:aws:{service}:{self._region}:{self._account}:"
        actions = [f"{service}:{operation}"]
        match service, operation:
            case "dynamodb", "BatchExecuteStatement":
                found = [
                    re.match(r'(\w+)(?: INTO)? "([^"]+)"', statement["Statement"]) for statement in params["Statements"]
                ]
                rights = [(f"dynamodb:PartiQL{m[1].title()}", f"{place}table/{m[2]}") for m in found if m]
                return [*rights, self._use("kms:Decrypt", "dynamodb")]
            case "dynamodb", "BatchGetItem":
                rights = [(actions[0], f"{place}table/{table}") for table in params["RequestItems"]]
                return [*rights, self._use("kms:Decrypt", "dynamodb")]
            case "dynamodb", _:
                index = f"/index/{params['IndexName']}" if "IndexName" in params else ""
                right = (actions[0], f"{place}table/{params['TableName']}{index}")
                return [right, self._use("kms:Decrypt", "dynamodb")]
            case "sqs", _:
                if operation == "ChangeMessageVisibilityBatch":
                    actions.append("sqs:ChangeMessageVisibility")  # the one that AWS checks
                if operation == "SendMessageBatch":
                    actions = ["sqs:SendMessage"]
                sends = ("kms:GenerateDataKey", "kms:Decrypt")
                used = {"SendMessage": sends, "SendMessageBatch": sends, "ReceiveMessage": ("kms:Decrypt",)}
                return [
                    *((action, place + params["QueueUrl"].rpartition("/")[2]) for action in actions),
                    *(self._use(action, "sqs") for action in used.get(operation, ())),
                ]
            case "logs", _:
                stream = "" if operation == "FilterLogEvents" else f":log-stream:{params['logStreamName']}"
                return [(actions[0], f"{place}log-group:{params['logGroupName']}{stream}")]
            case "s3", "ListObjectsV2":
                return [("s3:ListBucket", f"arn:aws:s3:::{params['Bucket']}")]
            case "s3", _ if params["Bucket"] == PAYLOAD_BUCKET:
                bucket, key = f"arn:aws:s3:::{PAYLOAD_BUCKET}", params["Key"]
                used = {"GetObject": ("kms:Decrypt",), "PutObject": ("kms:GenerateDataKey",)}
                rights = [(actions[0], f"{bucket}/{key}"), *(self._use(name, "s3") for name in used.get(operation, ()))]
                if operation == "GetObject" and not self._exists(PAYLOAD_BUCKET, key):
                    rights.append(("s3:ListBucket", bucket))  # else S3 answers 403, not 404
                return rights
            case "s3", "HeadObject" | "GetObject":
                bucket, key = f"arn:aws:s3:::{params['Bucket']}", params["Key"]
                rights = [("s3:GetObject", f"{bucket}/{key}")]
                if self._exists(params["Bucket"], key):
                    return [*rights, ("kms:Decrypt", via(self.artifact_key, "s3", self._region))]
                return [*rights, ("s3:ListBucket", under(bucket, "s3:prefix", key))]  # else S3 answers 403, not 404
        raise AssertionError(f"which rights does {service} {operation} need?")

    def _use(self, action: str, service: str) -> Right:
        """What the caller of a service needs of the stack's key."""
        return action, via(self.key, service, self._region)

    def _exists(self, bucket: str, key: str) -> bool:
        with self._as(None):
            found = self.s3.list_objects_v2(Bucket=bucket, Prefix=key).get("Contents", ())
        return any(item["Key"] == key for item in found)

    @contextmanager
    def _as(self, role: str | None) -> Iterator[None]:
        before, self._role = self._role, role
        try:
            yield
        finally:
            self._role = before

    def call(self, event: dict[str, Any]) -> dict[str, Any]:
        with self._as("api"):
            return super().call(event)

    def authorize(self, key: str) -> dict[str, Any]:
        with self._as("authorizer"):
            return super().authorize(key)

    def run_worker(self, model: str = "sentiment") -> list[str]:
        with self._as(f"worker-{model}"):
            return super().run_worker(model)

    def stop_in_predict(self, records: Sequence[Mapping[str, Any]]) -> None:
        with self._as("worker-sentiment"):
            super().stop_in_predict(records)

    def run_dead_letters(self) -> None:
        with self._as("dead-letters"):
            super().run_dead_letters()

    def run_batches(self, context: Context | None = None) -> None:
        with self._as("batches"):
            super().run_batches(context)

    def sweep(self) -> dict[str, int]:
        with self._as("sweeper"):
            return super().sweep()

    def receive(self, queue: str) -> list[dict[str, Any]]:
        """Lambda's poll of a queue, with the role of the function that it invokes. It also reads the queue's
        attributes."""
        with self._as({"dlq": "dead-letters", "batches": "batches"}.get(queue, f"worker-{queue}")):
            self.sqs.get_queue_attributes(QueueUrl=self.urls[queue], AttributeNames=["VisibilityTimeout"])
            return super().receive(queue)

    def fetch(self, bucket: str, key: str, sha256: str, cache: Path) -> bytes:
        """A worker's artifact, from S3."""
        with self._as("worker-sentiment"):
            return artifacts.download(f"s3://{bucket}/{key}", sha256, lambda: self.s3, cache=cache).read_bytes()

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
