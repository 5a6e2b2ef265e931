"""Open an artifact in a process of its own and measure time and memory; started by export_model.

    python -m scripts.model_tools.export_probe RUNTIME ARTIFACT FEEDS.npz      (arrays named <inputs>/<name>)

Prints JSON: milliseconds from the start of this module to the first outputs, peak memory in MB, and the median
milliseconds of a pass for each number of inputs. One thread, as in a function with one vCPU. Milliseconds are those of
the CPU, which a busy machine changes less than the clock's.
"""

import time

started = time.process_time()  # before all other imports

import json
import sys
from pathlib import Path
from statistics import median

import numpy as np

from worker.model.runtimes import open_runtime

PASSES = 200
SECONDS = 2.0


def main() -> None:
    kind, artifact, feeds_file = sys.argv[1:]
    feeds: dict[str, dict[str, np.ndarray]] = {}
    for key, array in np.load(feeds_file).items():
        inputs, _, name = key.partition("/")
        feeds.setdefault(inputs, {})[name] = array
    runtime = open_runtime(kind, Path(artifact), threads=1)
    runtime.run(next(iter(feeds.values())))
    found: dict[str, float] = {"load_ms": (time.process_time() - started) * 1000}
    for inputs, arrays in feeds.items():
        times: list[float] = []
        until = time.perf_counter() + SECONDS
        while len(times) < PASSES and (len(times) < 3 or time.perf_counter() < until):
            before = time.process_time()
            runtime.run(arrays)
            times.append(time.process_time() - before)
        found[f"ms_{inputs}"] = median(times) * 1000
    found["memory_mb"] = peak_memory_mb()
    print(json.dumps(found))


def peak_memory_mb() -> float:
    """Of this process alone: getrusage's value includes the parent's memory before exec."""
    status = Path("/proc/self/status")
    if not status.is_file():
        return float("nan")
    line = next(line for line in status.read_text(encoding="utf-8").splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


if __name__ == "__main__":
    main()
