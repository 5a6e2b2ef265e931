"""A provider on this machine that answers as a test says, and remembers what it was asked."""

from __future__ import annotations

from typing import Any

from tests.providers.json_server import Answer, Asked, JsonServer


class ScriptedProvider(JsonServer):
    """Gives `answers` in their order, then the last one again."""

    def __init__(self) -> None:
        super().__init__()
        self.answers: list[Answer] = []

    def says(self, body: Any = None, status: int = 200, **headers: str) -> None:
        """Add an answer; `_` in names of headers stands for `-`."""
        self.answers.append(Answer(status, body, {name.replace("_", "-"): text for name, text in headers.items()}))

    def answer(self, asked: Asked) -> Answer:
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
