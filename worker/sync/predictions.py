"""What a call of the app asks for, and its answer: inputs are read strictly, predicted in one pass, and answered in
the words of the asynchronous API.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from inference.errors import InvalidBatch, InvalidInput, InvalidReference, RequestError, TooLarge, UnknownModel
from inference.http.messages import respond
from inference.http.problems import respond_problem
from inference.http.sync_problems import ASYNC_HELPS, BUSY, RESULT_TOO_LARGE, naming_async, respond_failed
from inference.references import with_references_replaced
from inference.requests import ErrorCode, Status
from inference.strict_json import parse_input
from worker.direct import DirectPrediction, output_of
from worker.isolation import Failed, Outcome, Succeeded
from worker.sync.lane import Busy, Lane, TimedOut

Response = dict[str, Any]
"""As `inference.http.messages.respond` makes it."""


@dataclass(frozen=True)
class Limits:
    """Of one call. Sizes in bytes.

    Attributes:
        batch_items: of a batch; None: the model's own batch_size.
        response_bytes: of a response as text in JSON, which is how Lambda takes it; None: no limit.
    """

    body_bytes: int
    body_depth: int
    batch_items: int | None = None
    response_bytes: int | None = None


class _Failure(Exception):
    """The call has no result; `code` is one of `SYNC_PROBLEMS`."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class Predictions:
    """Answers calls.

    Args:
        models: model name -> its prediction.
        lane: where passes are made.
        async_url: base URL of the asynchronous API with these models, "" for one at the same address; None: there is
            none.
    """

    def __init__(
        self, models: Mapping[str, DirectPrediction], lane: Lane, limits: Limits, async_url: str | None
    ) -> None:
        self.models = models
        self.limits = limits
        self._lane = lane
        self._async_url = async_url

    async def predict(self, name: str, body: bytes, seconds: float) -> Response:
        """Predict the input that a body is, within some seconds."""

        async def answer(prediction: DirectPrediction) -> Response:
            (outcome,) = await self._outcomes(prediction, [self._read(body)], seconds)
            if isinstance(outcome, Failed):
                raise _raised(outcome)
            return {"result": output_of(outcome)}

        return await self._answer(name, answer)

    async def predict_batch(self, name: str, body: bytes, seconds: float) -> Response:
        """Predict the inputs that a body has in `items`, in one pass; each has its own result or error."""

        async def answer(prediction: DirectPrediction) -> Response:
            items = self._read(body, levels_around=2)
            self._check_batch(items, self.limits.batch_items or prediction.model.batch_size)
            outcomes = await self._outcomes(prediction, items["items"], seconds)
            for outcome in outcomes:
                if isinstance(outcome, Failed) and outcome.code is ErrorCode.MODEL_NOT_LOADED:  # no item has a result
                    raise _raised(outcome)
            return {"items": [_item(index, outcome) for index, outcome in enumerate(outcomes)]}

        return await self._answer(name, answer)

    def prediction(self, name: str) -> DirectPrediction:
        """The prediction of a model. Raises UnknownModel."""
        if name not in self.models:
            there = ", ".join(sorted(self.models))
            raise UnknownModel(f"There is no model '{name[:64]}' here. There are: {there}.")
        return self.models[name]

    def _read(self, body: bytes, levels_around: int = 0) -> Any:
        if len(body) > self.limits.body_bytes:
            most = f"at most {self.limits.body_bytes:,} are accepted"
            raise TooLarge(f"The body has {len(body):,} bytes or more; {most}. Submit a larger input asynchronously.")
        value = parse_input(body, self.limits.body_bytes, self.limits.body_depth + levels_around)
        return with_references_replaced(value, _reject_reference)

    @staticmethod
    def _check_batch(value: Any, most: int) -> None:
        items = value.get("items") if isinstance(value, dict) and len(value) == 1 else None
        if not isinstance(items, list):
            raise InvalidBatch('The body must be {"items": [...]} with an input in each item.')
        if not 1 <= len(items) <= most:
            raise InvalidBatch(f"The batch has {len(items)} items; it must have 1 to {most}, which are one pass.")

    async def _outcomes(self, prediction: DirectPrediction, inputs: list[Any], seconds: float) -> list[Outcome]:
        try:
            return await self._lane.run(lambda: prediction.predict(inputs), seconds)
        except Busy:
            text = "As many calls wait for this model's process as may. Try again, or submit the input asynchronously."
            raise _Failure(BUSY, text) from None
        except TimedOut:
            text = (
                f"There is no result after {seconds:.1f} s. An input that takes longer can be submitted asynchronously."
            )
            raise _Failure(ErrorCode.TIMEOUT, text) from None

    async def _answer(self, name: str, answer: Callable[[DirectPrediction], Any]) -> Response:
        prediction = self.prediction(name)
        named = {"model": name, "model_version": prediction.model.version}
        try:
            response = respond(200, {**named, **await answer(prediction)})
            self._check_size(response["body"])
        except (TooLarge, InvalidReference) as error:
            return naming_async(respond_problem(error, **named, **self._address(name)), self._async_address(name))
        except RequestError as error:
            return respond_problem(error, **named)
        except _Failure as failure:
            if failure.code not in ASYNC_HELPS:
                return respond_failed(failure.code, str(failure), **named)
            failed = respond_failed(failure.code, str(failure), **named, **self._address(name))
            return naming_async(failed, self._async_address(name))
        return response

    def _check_size(self, body: str) -> None:
        most = self.limits.response_bytes
        if most is not None and len(body) > most // 2 and len(json.dumps(body)) > most:
            text = f"The response has {len(body):,} bytes, more than a synchronous one may have."
            raise _Failure(RESULT_TOO_LARGE, f"{text} Submit the input asynchronously.")

    def _async_address(self, name: str) -> str | None:
        return None if self._async_url is None else f"{self._async_url}/predict/{name}"

    def _address(self, name: str) -> dict[str, str]:
        address = self._async_address(name)
        return {} if address is None else {"async_url": address}


def _reject_reference(reference: Any) -> Any:
    shown = str(reference["$ref"])[:100]
    raise InvalidReference(
        f"The input has the reference '{shown}'. A synchronous call reads no uploads: send the value itself, a file as "
        "base64, or submit the input asynchronously."
    )


def _raised(failed: Failed) -> Exception:
    if failed.code is ErrorCode.INVALID_INPUT:
        return InvalidInput(failed.message)
    return _Failure(failed.code, failed.message)


def _item(index: int, outcome: Outcome) -> dict[str, Any]:
    """An item as `GET /batches/{batch_id}` shows it, without what only a request has."""
    if isinstance(outcome, Succeeded):
        return {"index": index, "status": Status.SUCCEEDED, "result": output_of(outcome), "error": None}
    error = {"code": outcome.code, "message": outcome.message}
    return {"index": index, "status": Status.FAILED, "result": None, "error": error}
