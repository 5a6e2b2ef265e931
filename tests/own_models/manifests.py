"""What each model's manifest says beyond what `make new-model` wrote."""

from typing import Any


def schema(**properties: Any) -> dict[str, Any]:
    """An input of these properties, all required."""
    return {
        "type": "object",
        "properties": properties,
        "required": sorted(properties),
        "additionalProperties": False,
    }


TEXT = schema(text={"type": "string", "minLength": 1, "maxLength": 5000})
ANYTHING = {"type": "object"}

CHANGES: dict[str, dict[str, Any]] = {
    "encoder": {"description": "Embeds a text.", "memory_mb": 1769, "input_schema": TEXT, "output_schema": ANYTHING},
    "images": {
        "description": "Says whether an image is dark or light.",
        "memory_mb": 1769,
        "input_schema": schema(key={"type": "string", "pattern": "^images/.+$"}),
        "output_schema": ANYTHING,
    },
    "recurrent": {
        "description": "Reads numbers.",
        "input_schema": schema(steps={"type": "array", "items": {"type": "number"}, "minItems": 1, "maxItems": 1000}),
        "output_schema": ANYTHING,
    },
    "misbehaving": {
        "description": "Does what it is told.",
        "timeout_seconds": 5,
        "batch_size": 1,
        "input_schema": schema(do={"type": "string"}),
        "output_schema": ANYTHING,
    },
}
