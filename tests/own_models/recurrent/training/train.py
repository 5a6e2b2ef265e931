"""Weights of a small LSTM, not trained: what counts here is that any length goes in."""

from pathlib import Path

import torch

WEIGHTS = Path(__file__).with_name("weights.pt")


class Net(torch.nn.Module):
    """(n, length) numbers and (n,) lengths -> (n,)"""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = torch.nn.LSTM(1, 16, batch_first=True)
        self.head = torch.nn.Linear(16, 1)

    def forward(self, steps: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        hidden, _ = self.lstm(steps.unsqueeze(-1))
        last = hidden[torch.arange(hidden.shape[0]), lengths - 1]
        return self.head(last).squeeze(1)


if __name__ == "__main__":
    torch.manual_seed(0)
    torch.save(Net().state_dict(), WEIGHTS)
