"""The app: routes, headers and bodies in, responses out. Bodies are checked by the validators that the asynchronous API
uses; there are no classes of inputs, and no second schema.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from fastapi import FastAPI, Request, Response
from starlette.exceptions import HTTPException

from inference.errors import InferenceError
from inference.http.messages import HttpRequest, UnknownRoute, require_json, respond
from inference.http.problems import respond_problem
from inference.telemetry import Stopwatch, Telemetry, function_version
from worker.sync.predictions import Predictions

Handle = Callable[[Request], Awaitable[dict[str, Any]]]


def create_app(
    predictions: Predictions,
    telemetry: Telemetry,
    seconds: Callable[[Request], float],
    description: Callable[[], str],
) -> FastAPI:
    """The app.

    Args:
        predictions: what the routes answer with.
        seconds: how long a call may take.
        description: returns the OpenAPI description of the app, as JSON.
    """
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)

    def route(path: str, methods: list[str], handle: Handle) -> None:
        async def endpoint(request: Request) -> Response:
            return _as_response(await _answered(request, handle, f"{request.method} {path}", telemetry))

        app.add_route(path, endpoint, methods=methods)

    async def predict(request: Request) -> dict[str, Any]:
        name = _model(request)
        body = await _body(request, predictions)
        return await predictions.predict(name, body, seconds(request))

    async def predict_batch(request: Request) -> dict[str, Any]:
        name = _model(request)
        body = await _body(request, predictions)
        return await predictions.predict_batch(name, body, seconds(request))

    async def health(request: Request) -> dict[str, Any]:
        return respond(200, _health(predictions, list(predictions.models)))

    async def model_health(request: Request) -> dict[str, Any]:
        predictions.prediction(_model(request))
        return respond(200, _health(predictions, [_model(request)]))

    async def openapi(request: Request) -> dict[str, Any]:
        return {**respond(200, {}), "body": description()}

    async def no_route(request: Request, error: Exception) -> Response:
        return _as_response(respond_problem(UnknownRoute(f"There is no {request.method} {request.url.path[:200]}.")))

    route("/models/{model}/predict", ["POST"], predict)
    route("/models/{model}/batch", ["POST"], predict_batch)
    route("/models/{model}/health", ["GET"], model_health)
    route("/health", ["GET"], health)
    route("/openapi.json", ["GET"], openapi)
    app.add_exception_handler(HTTPException, no_route)
    return app


def _model(request: Request) -> str:
    return str(request.path_params["model"])


async def _body(request: Request, predictions: Predictions) -> bytes:
    """The body; one that is too large is not read to its end, and longer than the limit. Raises the errors of
    `require_json`, and UnknownModel."""
    predictions.prediction(_model(request))
    require_json(HttpRequest("", {}, {}, dict(request.headers), "", False, ""))
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > predictions.limits.body_bytes:
            break
    return bytes(body)


def _health(predictions: Predictions, names: list[str]) -> Mapping[str, Any]:
    models = {name: predictions.models[name].model for name in sorted(names)}
    return {
        "status": "ok",
        "version": function_version(),
        "models": {name: {"version": model.version, "loaded": model.is_loaded} for name, model in models.items()},
    }


async def _answered(request: Request, handle: Handle, route: str, telemetry: Telemetry) -> dict[str, Any]:
    watch = Stopwatch()
    model = request.path_params.get("model")
    try:
        response = await handle(request)
    except InferenceError as error:
        response = respond_problem(error)
    except Exception as error:
        telemetry.error("unhandled_error", error, route=route)
        response = respond_problem(
            error, invocation_id=getattr(request.scope.get("aws.context"), "aws_request_id", None)
        )
    named = {"model": model} if model else {}
    telemetry.info("response_sent", route=route, status=response["statusCode"], duration_ms=watch.ms, **named)
    return response


def _as_response(answer: Mapping[str, Any]) -> Response:
    return Response(answer["body"], answer["statusCode"], dict(answer["headers"]))
