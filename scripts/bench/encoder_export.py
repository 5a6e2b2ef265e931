"""Exports the encoder for the bench, in a process that has its training libraries (see `encoder_model`).

    python -m scripts.bench.encoder_export FOLDER      a copy of the model folder; the files are written beside it

Writes each of `encoder_model.FORMATS`, and what the module itself says of the passages that all contestants are
compared on.
"""

import sys
from pathlib import Path

import numpy as np
import torch

from scripts.bench import traffic
from scripts.bench.encoder_model import CHECKED_SEED, CHECKED_TEXTS, EAGER, FORMATS
from scripts.bench.packages import LARGEST_BATCH
from scripts.console import run
from scripts.model_tools.export_comparison import Candidate
from scripts.model_tools.export_formats import FORMATS as WRITERS
from scripts.model_tools.export_formats import Recorder, Source
from scripts.model_tools.export_model import feeds_of


def main() -> int:
    """Export into the folder's parent."""
    torch.set_num_threads(1)
    folder = Path(sys.argv[1])
    candidate = Candidate.read(folder)
    module = candidate.trained()
    inputs = candidate.check([{"text": text} for text in traffic.passages(CHECKED_TEXTS, CHECKED_SEED)])
    sizes = (1, LARGEST_BATCH)
    source = Source(module, [feeds_of(candidate, module, inputs[:size]) for size in sizes])
    for label, name in FORMATS.items():
        WRITERS[label].write(source, folder.parent / name)
    recorder = Recorder(module)
    model = candidate.kind(recorder, candidate.manifest)
    for item in inputs:  # alone, without padding
        model.predict([item])
    np.save(folder.parent / EAGER, np.concatenate([vectors for _, (vectors,) in recorder.passes]))
    return 0


if __name__ == "__main__":
    run(main)
