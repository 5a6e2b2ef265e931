"""What the reference worker does with the demo model: its features, one forward pass, its answer."""

from typing import Any

import torch

from worker.models.sentiment.model import feature_ids


def predict(model: Any, text: str, threshold: float = 0.5) -> dict[str, Any]:
    input_tensor = torch.from_numpy(feature_ids(text)).unsqueeze(0)
    with torch.no_grad():
        confidence = model(input_tensor).item()
    return {
        "prediction": "positive" if round(confidence, 4) > threshold else "negative",
        "confidence": round(confidence, 4),
    }
