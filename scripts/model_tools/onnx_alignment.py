"""Write ONNX so that a worker can leave the weights in the file (see worker/model/runtimes/onnx_graph.py).

python -m scripts.model_tools.onnx_alignment MODEL       rewrites the ONNX artifact of a model folder
"""

from __future__ import annotations

import argparse

import onnx

from scripts.console import CommandError, note, run
from scripts.model_tools.model_process import model_folder
from scripts.packaging.model_files import declare_artifact
from worker.model.errors import ManifestError
from worker.model.manifest import Manifest
from worker.model.runtimes.onnx_graph import ALIGNMENT, LEAST_BYTES, graph_field, is_misaligned, weights

RUNTIME = "onnx"

_TRIES = 10


def aligned(model: onnx.ModelProto) -> bytes:
    """`model` as the content of a file, the data of its initializers at multiples of ALIGNMENT.

    Spaces move them there: at the end of the description of what is before, the model or an initializer. `model` has
    them afterwards.
    """
    initializers = [tensor for tensor in model.graph.initializer if len(tensor.raw_data) >= LEAST_BYTES]
    for _ in range(_TRIES):  # a longer description may need a longer length, which moves all that follows
        content = model.SerializeToString(deterministic=True)
        moved = 0
        for before, weight in zip([model, *initializers], weights(content, graph_field(content)), strict=False):
            if missing := -(weight.data.value + moved) % ALIGNMENT:
                moved += _lengthen(before, missing)
        if not moved:
            return bytes(content)
    raise AssertionError(f"not aligned after {_TRIES} tries")


def _lengthen(message: onnx.ModelProto | onnx.TensorProto, size: int) -> int:
    """Make the description of `message` longer by `size`, or by ALIGNMENT more. Returns by how many bytes."""
    if message.HasField("doc_string"):
        message.doc_string += " " * size
        return size
    spaces = (size - 2) % ALIGNMENT  # a field takes two bytes besides
    message.doc_string = " " * spaces
    return spaces + 2


def main() -> int:
    """Command line of this module."""
    parser = argparse.ArgumentParser(prog="onnx_alignment", description="Align the weights of a model's ONNX artifact.")
    parser.add_argument("model", help="a folder in worker/models, or the path of one")
    folder = model_folder(parser.parse_args().model)
    try:
        artifact = Manifest.read(folder / "manifest.json").artifacts.get(RUNTIME)
    except ManifestError as error:
        raise CommandError(str(error)) from error
    if artifact is None:
        raise CommandError(f"{folder / 'manifest.json'} names no artifact for the runtime {RUNTIME}")
    path = folder / artifact.file
    if not path.is_file():
        raise CommandError(f"{path} is missing: put it there; what is in S3 is aligned before it is uploaded")
    content = path.read_bytes()
    if is_misaligned(content):
        part = path.with_name(f"{path.name}.part")
        part.write_bytes(aligned(onnx.load_from_string(content)))
        part.replace(path)  # whole or not at all
    else:
        note(f"{path} has no weights to align")
    declare_artifact(folder, RUNTIME, artifact.file)
    return 0


if __name__ == "__main__":
    run(main)
