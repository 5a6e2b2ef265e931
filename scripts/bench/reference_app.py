"""The reference app: the reference document's synchronous `app.py` (43.2.2), restated with its classes and its routes.

Taken from it: FastAPI with pydantic classes for inputs and outputs, a model that is loaded with the first request,
`torch.jit.load`, a batch that is predicted item by item, Mangum. Corrected so that it runs and does the same work: the
very features of the demo model in place of random numbers, no second sigmoid, `max_length` for what pydantic calls so
today, and no import of boto3, which a packaged model does not need.
"""

# mypy: disable-error-code="no-untyped-call"

import os
import time
from typing import Any

import torch
from fastapi import FastAPI
from mangum import Mangum
from pydantic import BaseModel, ConfigDict, Field

from worker.models.sentiment.model import feature_ids

app = FastAPI(title="ML Inference API", description="Serverless ML inference endpoint", version="1.0.0")

_model: Any = None


def get_model() -> Any:
    """Lazy load model on first request."""
    global _model
    if _model is None:
        _model = torch.jit.load(os.environ["MODEL_PATH"])
        _model.eval()
    return _model


class PredictRequest(BaseModel):
    text: str = Field(..., min_length=1, max_length=1000)
    threshold: float = Field(0.5, ge=0, le=1)


class PredictResponse(BaseModel):
    model_config = ConfigDict(protected_namespaces=())

    prediction: str
    confidence: float
    model_version: str


class BatchRequest(BaseModel):
    items: list[PredictRequest] = Field(..., max_length=100)


class BatchResponse(BaseModel):
    predictions: list[PredictResponse]
    processed: int
    latency_ms: float


@app.get("/health")
async def health() -> dict[str, str]:
    return {"status": "healthy"}


def _predicted(item: PredictRequest) -> PredictResponse:
    input_tensor = torch.from_numpy(feature_ids(item.text)).unsqueeze(0)
    with torch.no_grad():
        confidence = get_model()(input_tensor).item()
    return PredictResponse(
        prediction="positive" if round(confidence, 4) > item.threshold else "negative",
        confidence=round(confidence, 4),
        model_version=os.environ.get("MODEL_VERSION", "1.0.0"),
    )


@app.post("/predict", response_model=PredictResponse)
async def predict(request: PredictRequest) -> PredictResponse:
    return _predicted(request)


@app.post("/batch", response_model=BatchResponse)
async def batch_predict(request: BatchRequest) -> BatchResponse:
    start = time.perf_counter()
    predictions = [_predicted(item) for item in request.items]
    latency = (time.perf_counter() - start) * 1000
    return BatchResponse(predictions=predictions, processed=len(predictions), latency_ms=round(latency, 2))


handler = Mangum(app, lifespan="off")


def lambda_handler(event: dict[str, Any], context: Any) -> Any:
    if event.get("source") == "aws.events":
        get_model()
        return {"statusCode": 200, "body": "warm"}
    return handler(event, context)
