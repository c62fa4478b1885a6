"""The aggregate of several models: their weighted mean, tensor by tensor (FedAvg).

Streamed: one block of each model at a time, through buffers that are used again, so memory grows
neither with the number of models nor with their size. Every step is one IEEE operation per
element, in the order in which the models are given, so the same models in the same order give the
same bytes on every machine.

Elements are summed in float32 (float64 for float64 tensors). A mean of counters or indices means
nothing: an integer or truth tensor is taken whole from the model of the largest weight, the
first of them if several have it.
"""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

import numpy as np

from scatter.learning.model_file import (
    BLOCK_BYTES,
    ModelRefused,
    OpenModel,
    check_model,
    open_model,
    write_model,
)
from scatter.learning.model_schema import ModelSchema, TensorType
from scatter.mechanism.errors import BadInput
from scatter.mechanism.units import Score

MOST_MODELS: Final = 64

Block = np.ndarray[Any, np.dtype[Any]]


def score_weights(scores: Sequence[Score]) -> list[float]:
    """Every model counts by the square of its score, as its trainer is paid (eq. 4).

    The default. The number of examples, FedAvg's own weight, is what a trainer says of itself:
    `docs/decisions/0005-weights-of-the-aggregate.md`.
    """
    return [float(score**2) for score in scores]


def uniform_weights(count: int) -> list[float]:
    """Every model counts the same."""
    return [1.0] * count


def aggregate(models: Sequence[tuple[Path, float]], schema: ModelSchema, target: Path) -> None:
    """Writes the weighted mean of the models at `target`, atomically.

    Weights need not add up to 1; only their proportions count. Raises BadInput for no models,
    too many, or weights that are negative, not finite or all zero; ModelRefused for a file that
    is not a model of `schema` or has numbers that are not finite. Then nothing is written.
    """
    shares = _shares([weight for _, weight in models])
    with ExitStack() as stack:
        opened = [stack.enter_context(open_model(path, schema)) for path, _ in models]
        write_model(target, schema, lambda append: _fill(opened, shares, append))


def _shares(weights: Sequence[float]) -> list[float]:
    if not 1 <= len(weights) <= MOST_MODELS:
        raise BadInput(f"An aggregate takes 1 to {MOST_MODELS} models, not {len(weights)}.")
    total = sum(weights)
    if not all(0 <= weight < np.inf for weight in weights) or not 0 < total < np.inf:
        raise BadInput("The weights of an aggregate must be positive numbers or 0, not all 0.")
    return [weight / total for weight in weights]


def _fill(
    models: Sequence[OpenModel], shares: Sequence[float], append: Callable[[memoryview], None]
) -> None:
    heaviest = models[max(range(len(shares)), key=shares.__getitem__)]
    raw = np.empty(BLOCK_BYTES, np.uint8)
    for name, tensor in models[0].schema.tensors.items():
        mean = _Mean(tensor)
        for start in range(0, tensor.size, BLOCK_BYTES):
            block = raw[: min(BLOCK_BYTES, tensor.size - start)]
            if tensor.is_float:
                append(mean.of_block(models, shares, name, start, block))
            else:
                heaviest.read(name, start, block.data)
                append(block.data)


class _Mean:
    """The buffers for one tensor: the sum so far and the next term."""

    def __init__(self, tensor: TensorType) -> None:
        self._stored = tensor.numpy_dtype
        self._summed = np.dtype(np.float64 if tensor.dtype == "float64" else np.float32)
        elements = BLOCK_BYTES // self._stored.itemsize
        self._sum = np.empty(elements, self._summed)
        self._term = np.empty(elements, self._summed)

    def of_block(
        self,
        models: Sequence[OpenModel],
        shares: Sequence[float],
        name: str,
        start: int,
        block: Block,
    ) -> memoryview:
        """The mean's bytes; valid until the next call. `block` is overwritten."""
        values = block.view(self._stored)
        total, term = self._sum[: values.size], self._term[: values.size]
        # A stranger's infinity is found below, once per block, not by a warning.
        with np.errstate(all="ignore"):
            for position, (model, share) in enumerate(zip(models, shares, strict=True)):
                model.read(name, start, block.data)
                if position == 0:
                    np.multiply(values, self._summed.type(share), out=total)
                else:
                    np.multiply(values, self._summed.type(share), out=term)
                    np.add(total, term, out=total)
            result = total.astype(self._stored, copy=False)
        if not np.isfinite(result).all():
            _blame(models, name)
        return result.view(np.uint8).data


def _blame(models: Sequence[OpenModel], name: str) -> None:
    for model in models:
        check_model(model.path, model.schema)
    raise ModelRefused(f"The models' mean of tensor {name} is too large for its type.")
