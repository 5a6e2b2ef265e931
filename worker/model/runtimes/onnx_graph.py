"""The graph of an ONNX file, its weights left where they are: in the file.

ONNX Runtime reads a file into memory, parses it and copies its weights, which is most of the start of a session.
Weights that are external data, in another file at some offset, it maps instead: nothing is read before it is used, and
nothing twice. Here that other file is the ONNX file itself, so that one file remains what is exported, verified and
deployed.

Only weights at a multiple of `ALIGNMENT` can be used where they are; scripts/model_tools/onnx_alignment.py writes such
files. https://onnx.ai/onnx/repo-docs/ExternalData.html, https://protobuf.dev/programming-guides/encoding/
"""

from __future__ import annotations

import mmap
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

ALIGNMENT = 64
"""Bytes: a cache line, and the widest vector that a CPU reads at once."""

LEAST_BYTES = 1024
"""Smaller weights stay in the graph: ONNX Runtime reads shapes and axes while it prepares the graph."""

_GRAPH = 7  # of ModelProto
_INITIALIZER = 5  # of GraphProto
_RAW_DATA, _EXTERNAL_DATA, _DATA_LOCATION = 9, 13, 14  # of TensorProto
_KEY, _VALUE = 1, 2  # of StringStringEntryProto
_EXTERNAL = 1  # of TensorProto.DataLocation
_LONGEST = 63  # bits of a number, without those of its last byte
_VARINT, _EIGHT_BYTES, _COUNTED, _FOUR_BYTES = 0, 1, 2, 5  # how a field is written

Content = bytes | mmap.mmap


class Field(NamedTuple):
    """A field of a message: `start:end` is all of it, `value:end` what it says, without number and length."""

    number: int
    start: int
    value: int
    end: int


class Weight(NamedTuple):
    """An initializer, the field `tensor`, and its data, the field `data` of that."""

    tensor: Field
    data: Field


def graph_of(path: Path) -> bytes | None:
    """The model of an ONNX file, with references to that file in place of its weights.

    None if it has none, or one that is not aligned, or is no ONNX file: ONNX Runtime then opens it, or says what is
    wrong.
    """
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            graph = graph_field(content)
            left = list(weights(content, graph))
            # One that is not aligned would stay in the graph, which then may be nearly the file, and in memory twice.
            return _without(content, graph, left, path.name) if left and not _misaligned(left) else None
    except (IndexError, ValueError):  # ValueError of an empty file too, which can't be mapped
        return None


def is_misaligned(content: bytes) -> bool:
    """Whether this is an ONNX file with weights that could be left in the file if they were aligned."""
    try:
        return _misaligned(weights(content, graph_field(content)))
    except (IndexError, ValueError):
        return False


def graph_field(content: Content) -> Field:
    """The graph of a model. Raises IndexError or ValueError if the content is none."""
    (graph,) = (field for field in _fields(content, 0, len(content)) if field.number == _GRAPH)
    return graph


def weights(content: Content, graph: Field) -> Iterator[Weight]:
    """The graph's initializers of at least LEAST_BYTES. Raises IndexError or ValueError."""
    for tensor in _fields(content, graph.value, graph.end):
        if tensor.number == _INITIALIZER and tensor.end - tensor.value >= LEAST_BYTES:
            for data in _fields(content, tensor.value, tensor.end):
                if data.number == _RAW_DATA and data.end - data.value >= LEAST_BYTES:
                    yield Weight(tensor, data)


def _misaligned(found: Iterable[Weight]) -> bool:
    return any(weight.data.value % ALIGNMENT for weight in found)


def _without(content: Content, graph: Field, left: Sequence[Weight], location: str) -> bytes:
    parts = []
    kept = graph.value
    for weight in left:
        tensor, data = weight.tensor, weight.data
        where = {"location": location, "offset": str(data.value), "length": str(data.end - data.value)}
        entries = [
            _counted(_EXTERNAL_DATA, _counted(_KEY, key.encode()) + _counted(_VALUE, value.encode()))
            for key, value in where.items()
        ]
        outside = bytes([_DATA_LOCATION << 3 | _VARINT, _EXTERNAL])
        rest = content[tensor.value : data.start] + content[data.end : tensor.end]
        parts += [content[kept : tensor.start], _counted(_INITIALIZER, b"".join([rest, *entries, outside]))]
        kept = tensor.end
    parts.append(content[kept : graph.end])
    return content[: graph.start] + _counted(_GRAPH, b"".join(parts)) + content[graph.end :]


def _fields(content: Content, start: int, end: int) -> Iterator[Field]:
    """The fields of the message at `start:end`."""
    while start < end:
        tag, value = _number(content, start)
        kind = tag & 7
        if kind == _COUNTED:
            length, value = _number(content, value)
            after = value + length
        elif kind == _VARINT:
            after = _number(content, value)[1]
        elif kind in (_EIGHT_BYTES, _FOUR_BYTES):
            after = value + (8 if kind == _EIGHT_BYTES else 4)
        else:
            raise ValueError(f"{kind} is no kind of field")
        if after > end:
            raise ValueError(f"a field ends at {after}, its message at {end}")
        yield Field(tag >> 3, start, value, after)
        start = after


def _number(content: Content, start: int) -> tuple[int, int]:
    """The number at `start`, seven bits to a byte, the lowest first; and where it ends."""
    byte = content[start]
    number, shift = byte & 0x7F, 7
    while byte & 0x80:
        if shift > _LONGEST:
            raise ValueError(f"the number at {start} does not end")
        start += 1
        byte = content[start]
        number |= (byte & 0x7F) << shift
        shift += 7
    return number, start + 1


def _counted(number: int, value: bytes) -> bytes:
    """A field of bytes."""
    return _as_number(number << 3 | _COUNTED) + _as_number(len(value)) + value


def _as_number(number: int) -> bytes:
    written = bytearray()
    while number > 0x7F:
        written.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*written, number])
