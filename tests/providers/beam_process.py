"""A Beam app without Beam: `.local()` of its task, for lines of JSON; each answer is a line.

python beam_process.py      in the app's folder
"""

from __future__ import annotations

import json
import os
import sys
from types import SimpleNamespace

answers = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)  # what the model prints is no answer

import beam_app  # noqa: E402

context = SimpleNamespace(on_start_value=beam_app.load())
for line in sys.stdin:
    print(json.dumps(beam_app.predict.local(context, **json.loads(line))), file=answers, flush=True)
