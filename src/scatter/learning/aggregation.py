"""The aggregate of several models: their weighted mean, tensor by tensor (FedAvg).

Streamed: one block of each model at a time, through buffers that are used again, so memory grows
neither with the number of models nor with their size. A few threads share the blocks, for half of
the work is copying, and one alone leaves the other cores idle. Every step is one IEEE operation per
element, in the order in which the models are given, so the same models in the same order give the
same bytes on every machine.

Elements are summed in float32 (float64 for float64 tensors). A mean of counters or indices means
nothing: an integer or truth tensor is taken whole from the model of the largest weight, the
first of them if several have it.
"""

import os
from collections import deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from scatter.learning.model_file import (
    BLOCK_BYTES,
    ModelRefused,
    OpenModel,
    Write,
    check_model,
    open_model,
    write_model,
)
from scatter.learning.model_schema import ModelSchema, TensorType
from scatter.mechanism.errors import BadInput
from scatter.mechanism.units import Score

MOST_MODELS: Final = 64
MOST_THREADS: Final = 4
"""More would wait for the memory, not for each other."""

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
        write_model(target, schema, lambda write: _fill(opened, shares, write))


def _shares(weights: Sequence[float]) -> list[float]:
    if not 1 <= len(weights) <= MOST_MODELS:
        raise BadInput(f"An aggregate takes 1 to {MOST_MODELS} models, not {len(weights)}.")
    total = sum(weights)
    if not all(0 <= weight < np.inf for weight in weights) or not 0 < total < np.inf:
        raise BadInput("The weights of an aggregate must be positive numbers or 0, not all 0.")
    return [weight / total for weight in weights]


def _fill(models: Sequence[OpenModel], shares: Sequence[float], write: Write) -> None:
    """Each thread takes the next span until none is left, or until one of them fails."""
    spans = _spans(models[0].schema)
    threads = min(MOST_THREADS, len(spans), len(os.sched_getaffinity(0)))
    with ThreadPoolExecutor(threads, "aggregate") as pool:
        working = [pool.submit(_work, models, shares, spans, write) for _ in range(threads)]
        for done in as_completed(working):
            if done.exception():
                spans.clear()
    for done in working:
        done.result()


@dataclass(frozen=True, slots=True)
class _Span:
    """A piece of one tensor, as long as a block or as what is left."""

    name: str
    tensor: TensorType
    start: int
    """Within the tensor."""
    place: int
    """Among the bytes of all tensors."""

    @property
    def size(self) -> int:
        return min(BLOCK_BYTES, self.tensor.size - self.start)


def _spans(schema: ModelSchema) -> deque[_Span]:
    spans, place = deque[_Span](), 0
    for name, tensor in schema.tensors.items():
        for start in range(0, tensor.size, BLOCK_BYTES):
            spans.append(_Span(name, tensor, start, place + start))
        place += tensor.size
    return spans


def _work(
    models: Sequence[OpenModel], shares: Sequence[float], spans: deque[_Span], write: Write
) -> None:
    heaviest = models[max(range(len(shares)), key=shares.__getitem__)]
    mean = _Mean()
    while spans:
        try:
            span = spans.popleft()
        except IndexError:
            return  # Another thread took the last one.
        if span.tensor.is_float:
            write(span.place, mean.of_span(models, shares, span))
        else:
            write(span.place, mean.read(heaviest, span).data)


class _Mean:
    """One thread's buffers: what is read, the sum so far, and the next term if it is wider than
    what is read.
    """

    def __init__(self) -> None:
        self._block = np.empty(BLOCK_BYTES, np.uint8)
        # A float16 takes two bytes in a model and four in a sum.
        self._sum, self._term = (np.empty(2 * BLOCK_BYTES, np.uint8) for _ in range(2))

    def read(self, model: OpenModel, span: _Span) -> Block:
        """The span's bytes; valid until the next call."""
        block = self._block[: span.size]
        model.read(span.name, span.start, block.data)
        return block

    def of_span(
        self, models: Sequence[OpenModel], shares: Sequence[float], span: _Span
    ) -> memoryview:
        """The mean's bytes; valid until the next call."""
        stored = span.tensor.numpy_dtype
        summed = np.dtype(np.float64 if span.tensor.dtype == "float64" else np.float32)
        elements = span.size // stored.itemsize
        total, term = (each.view(summed)[:elements] for each in (self._sum, self._term))
        # A stranger's infinity is found below, once per block, not by a warning.
        with np.errstate(all="ignore"):
            for position, (model, share) in enumerate(zip(models, shares, strict=True)):
                values = self.read(model, span).view(stored)
                if position == 0:
                    np.multiply(values, summed.type(share), out=total)
                else:
                    scaled = values if stored == summed else term
                    np.multiply(values, summed.type(share), out=scaled)
                    np.add(total, scaled, out=total)
            result = total.astype(stored, copy=False)
        if not np.isfinite(result).all():
            _blame(models, span.name)
        return result.view(np.uint8).data


def _blame(models: Sequence[OpenModel], name: str) -> None:
    for model in models:
        check_model(model.path, model.schema)
    raise ModelRefused(f"The models' mean of tensor {name} is too large for its type.")
