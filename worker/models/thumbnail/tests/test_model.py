"""Tests of thumbnail, which never ship. tests/unit/test_pictures.py has more.

make test-model MODEL=thumbnail
"""

import base64
import json
from pathlib import Path

from worker.model import load

FOLDER = Path(__file__).resolve().parents[1]
INPUT = json.loads(Path(__file__).with_name("input.json").read_text(encoding="utf-8"))


def test_a_batch_gives_what_its_inputs_give_alone() -> None:
    model = load(FOLDER, threads=1)
    item = {**INPUT, "image": base64.b64decode(INPUT["image"])}
    (alone,) = model.predict([item])
    assert model.predict([item, item]) == [alone, alone]
    assert isinstance(alone, dict)
