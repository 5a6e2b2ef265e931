"""The floor under our worker's CPU: the tokenizer and `session.run` alone, in the passes that our worker makes.

    python -m scripts.bench.encoder_floor MODEL_FOLDER      of an unpacked worker's package

{"requests": 100, "batch": 10, "seed": 1} -> {"requests": 100, "seconds": ..., "cpu_seconds": ..., "log_bytes": 0}

How to split a batch into passes is decided before the clock runs.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

from scripts.bench.traffic import ENCODER
from worker.model import load
from worker.model.bucketing import groups_by_size


def main() -> None:
    """Load, and answer until stdin ends."""
    model: Any = load(Path(sys.argv[1]), threads=1).model
    feeds = sys.modules[type(model).__module__].feeds
    print(json.dumps({"ready": True}), flush=True)
    for line in sys.stdin:
        command = json.loads(line)
        items = [ENCODER.item(text) for text in ENCODER.texts(command["requests"], command["seed"])]
        batches = [items[start : start + command["batch"]] for start in range(0, len(items), command["batch"])]
        passes = [
            [batch[position]["text"] for position in group]
            for batch in batches
            for group in groups_by_size([model.size(item) for item in batch], model.pass_cost)
        ]
        model.tokens.cache_clear()
        began, cpu_began = time.perf_counter(), time.process_time()
        for texts in passes:
            model.runtime.run(feeds([model.tokens(text) for text in texts]))
        taken = {"seconds": time.perf_counter() - began, "cpu_seconds": time.process_time() - cpu_began}
        print(json.dumps({"requests": len(items), "log_bytes": 0, "passes": len(passes), **taken}), flush=True)


if __name__ == "__main__":
    main()
