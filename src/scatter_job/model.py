"""Weights in memory, and their way to and from a safetensors file."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from scatter_job.failure import JobFailed

Weights: TypeAlias = dict[str, np.ndarray[Any, Any]]
"""A model: its tensors by name."""


@dataclass(frozen=True)
class Trained:
    """What a training function returns."""

    weights: Weights
    examples: int
    """How many examples it learnt from."""
    metrics: Mapping[str, float] = field(default_factory=dict)
    """Whatever the author wants to report, the last loss for one."""


def read_weights(path: Path) -> Weights:
    """Raises JobFailed when the file is not a safetensors file."""
    try:
        return load_file(path)
    except SafetensorError as error:
        raise JobFailed(f"{path.name} is not a model in the safetensors format.") from error


def write_weights(path: Path, weights: object, schema: Mapping[str, Any]) -> None:
    """Writes a model that has exactly the tensors of the job's `[model]` table.

    Raises JobFailed with the first difference from the schema.
    """
    if not isinstance(weights, dict):
        raise JobFailed(f"The weights must be a dict of numpy arrays, not {_kind(weights)}.")
    if weights.keys() != schema.keys():
        odd = sorted(map(str, weights.keys() ^ schema.keys()))[0]
        state = "missing from the weights" if odd in schema else "not in the job's [model] table"
        raise JobFailed(f"Tensor {odd!r} is {state}.")
    for name, entry in schema.items():
        array = weights[name]
        if not isinstance(array, np.ndarray):
            raise JobFailed(f"Tensor {name!r} must be a numpy array, not {_kind(array)}.")
        found, wanted = (array.dtype.name, list(array.shape)), (entry["dtype"], entry["shape"])
        if found != wanted:
            raise JobFailed(f"Tensor {name!r} must be {wanted[0]} {wanted[1]}, not {_join(found)}.")
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise JobFailed(f"Tensor {name!r} has numbers that are not finite: training diverged.")
    save_file({name: np.ascontiguousarray(weights[name]) for name in schema}, path)


def _kind(value: object) -> str:
    return type(value).__name__


def _join(found: tuple[str, list[int]]) -> str:
    return f"{found[0]} {found[1]}"
