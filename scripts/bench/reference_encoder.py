"""What the reference worker does with the encoder: tokens, one forward pass, the vector with the digits of ours."""

from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer

tokenizer = Tokenizer.from_file(str(Path(__file__).with_name("tokenizer.json")))
tokenizer.no_padding()
tokenizer.enable_truncation(256)


def predict(model: Any, text: str) -> dict[str, Any]:
    input_ids = torch.tensor([tokenizer.encode(text).ids])
    with torch.no_grad():
        vector = model(input_ids, torch.ones_like(input_ids))[0]
    return {"embedding": torch.round(vector.double(), decimals=6).tolist()}
