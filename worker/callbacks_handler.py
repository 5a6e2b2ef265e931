"""The callbacks function: what GPU providers call when a run is over.

Anyone may call it. What is not signed is answered as an unknown address, and nothing is read for it.
"""

from __future__ import annotations

import os
from typing import Any

from inference.aws import clients
from inference.aws.deadline import Deadline
from inference.errors import NotJson, Unavailable
from inference.http.messages import UnknownRoute, read_body, read_event, respond
from inference.http.problems import respond_problem
from inference.settings import CallbacksSettings
from inference.store.request_table import RequestTable
from inference.telemetry import Telemetry, function_name, now_ms
from worker.backends.base import NotAuthentic
from worker.dispatch.callbacks import Callbacks
from worker.dispatch.setup import PAYLOAD_READ_SECONDS, backend_models
from worker.message_loop import LEASE_MARGIN_MS
from worker.payloads import WorkerPayloads

settings = CallbacksSettings.from_environment(os.environ)
telemetry = Telemetry(function_name(), settings.log_level, settings.metrics_environment)
deadline = Deadline()

callbacks = Callbacks(
    backend_models(settings.models, settings.backends, deadline),
    RequestTable(clients.lean_client("dynamodb", deadline), settings.request_table, telemetry=telemetry),
    telemetry,
    WorkerPayloads(clients.bucket(settings.payload_bucket, deadline, PAYLOAD_READ_SECONDS)),
)


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Work on one callback."""
    telemetry.begin(invocation_id=context.aws_request_id)
    deadline.start(context.get_remaining_time_in_millis() / 1000)
    request = read_event(event)
    now = now_ms()
    lease_until = now + context.get_remaining_time_in_millis() + LEASE_MARGIN_MS
    try:
        done = callbacks.receive(request.path, request.headers, read_body(request), lease_until, now)
    except (NotAuthentic, NotJson) as error:
        telemetry.warning("callback_rejected", reason=str(error))
        return respond_problem(UnknownRoute("There is no such address."))
    except Unavailable as error:
        telemetry.error("callback_not_worked_on", error)
        return respond_problem(error)
    finally:
        telemetry.write_metrics()
    return respond(200, {"callback": done})
