"""What a model must look like: the names, element types and shapes of its tensors.

A job states its schema once, in `job.toml`; from then on a trainer's model either has exactly
these tensors or is refused.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

import numpy as np

from scatter.mechanism.errors import BadInput

MOST_TENSORS: Final = 4096
MOST_DIMENSIONS: Final = 8
MOST_MODEL_BYTES: Final = 4 << 30
"""Of the tensors together; what a node accepts beyond is a matter of its operator's limits."""

SAFETENSORS_TYPES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "float64": "F64",
        "float32": "F32",
        "float16": "F16",
        "int64": "I64",
        "int32": "I32",
        "int16": "I16",
        "int8": "I8",
        "uint8": "U8",
        "bool": "BOOL",
    }
)
"""The element types a schema may name, and what the safetensors format calls them."""

_TENSOR_NAME = re.compile(r"(?!__metadata__$)[A-Za-z0-9_][A-Za-z0-9_./-]{0,127}")


@dataclass(frozen=True)
class TensorType:
    """The element type (numpy's name for it) and shape of one tensor; `()` is a single number."""

    dtype: str
    shape: tuple[int, ...]

    @property
    def numpy_dtype(self) -> np.dtype[np.generic]:
        """Little-endian, as safetensors stores it."""
        return np.dtype(self.dtype).newbyteorder("<")

    @property
    def elements(self) -> int:
        return math.prod(self.shape)

    @property
    def size(self) -> int:
        """Bytes."""
        return self.elements * self.numpy_dtype.itemsize

    @property
    def is_float(self) -> bool:
        return self.dtype.startswith("float")

    def __str__(self) -> str:
        return f"{self.dtype} {list(self.shape)}"


@dataclass(frozen=True)
class ModelSchema:
    """The tensors of a model by name, in the order in which files of ours store them.

    The order is by element size, largest first, then by name, so that every tensor is aligned.
    """

    tensors: Mapping[str, TensorType]

    def __post_init__(self) -> None:
        ordered = sorted(
            self.tensors.items(), key=lambda item: (-item[1].numpy_dtype.itemsize, item[0])
        )
        object.__setattr__(self, "tensors", MappingProxyType(dict(ordered)))

    @property
    def size(self) -> int:
        """Bytes of all tensors together, without a file's header."""
        return sum(tensor.size for tensor in self.tensors.values())


def parse_schema(table: object, where: str) -> ModelSchema:
    """Reads the `[model]` table of a job: `name = { dtype = "float32", shape = [64, 32] }`.

    `where` names the table in messages. Raises BadInput.
    """
    if not isinstance(table, dict) or not table:
        raise BadInput(f"{where} must be a table with one entry per tensor.")
    if len(table) > MOST_TENSORS:
        raise BadInput(f"{where} names {len(table)} tensors; at most {MOST_TENSORS} are allowed.")
    schema = ModelSchema({name: _parse_tensor(name, entry, where) for name, entry in table.items()})
    if schema.size > MOST_MODEL_BYTES:
        raise BadInput(f"{where} takes {schema.size} bytes; at most {MOST_MODEL_BYTES} may be.")
    return schema


def _parse_tensor(name: str, entry: object, where: str) -> TensorType:
    if not _TENSOR_NAME.fullmatch(name):
        raise BadInput(
            f"{where}: {name[:40]!r} cannot name a tensor; use up to 128 letters, digits, _ . / -"
        )
    place = f"{where}.{name}"
    if not isinstance(entry, dict) or set(entry) != {"dtype", "shape"}:
        raise BadInput(f"{place} must have exactly the entries dtype and shape.")
    dtype, shape = entry["dtype"], entry["shape"]
    if dtype not in SAFETENSORS_TYPES:
        known = ", ".join(SAFETENSORS_TYPES)
        raise BadInput(f"{place}.dtype is {str(dtype)[:40]!r}; use one of {known}.")
    if (
        not isinstance(shape, list)
        or len(shape) > MOST_DIMENSIONS
        or any(type(length) is not int or not 1 <= length <= MOST_MODEL_BYTES for length in shape)
    ):
        raise BadInput(
            f"{place}.shape must be a list of at most {MOST_DIMENSIONS} positive whole numbers."
        )
    return TensorType(dtype, tuple(shape))
