"""The results function: from the table's stream to the results place of a trigger."""

from __future__ import annotations

import os
from typing import Any

from inference.aws import clients
from inference.intake.results import Writer
from inference.settings import ResultsSettings
from inference.store.request_table import RequestTable
from inference.store.results_place import ResultsPlace
from inference.telemetry import Telemetry, function_name

settings = ResultsSettings.from_environment(os.environ)
telemetry = Telemetry(function_name(), settings.log_level, settings.metrics_environment)
writer = Writer(
    settings.triggers,
    RequestTable(clients.client("dynamodb"), settings.request_table),
    ResultsPlace(clients.client("s3"), settings.payload_bucket),
    telemetry,
)


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Process one event of the stream."""
    telemetry.begin(invocation_id=context.aws_request_id)
    missed = writer.handle(event["Records"])
    return {"batchItemFailures": [{"itemIdentifier": number} for number in missed]}
