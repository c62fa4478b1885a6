"""The mean of 6 and of 20 models of 100 MB, beside Flower's own aggregation of the same files.

Time is from the files to the mean, ours written to a file again, Flower's left in memory. Each run
is a process of its own, so that the peak of memory is that of the run.
"""

import json
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

from benchmarks.figures import Figures, Row, megabytes, ratio_at_most
from benchmarks.flower import FLOWER, PEER, PeerAbsent, install_flower
from benchmarks.processes import run_apart
from benchmarks.running import run_alone
from scatter.learning.aggregation import aggregate
from scatter.learning.model_schema import ModelSchema, TensorType

MODELS = 6
MANY = 20
"""The same six files over and over."""
TENSORS = 10
SHAPE = (1_000, 2_500)
SCHEMA = ModelSchema({f"layer{n}.weight": TensorType("float32", SHAPE) for n in range(TENSORS)})
REPEATS = {MODELS: 4, MANY: 2}
"""The first of the smaller ones warms up."""
MOST_SECONDS = 90

Run = tuple[float, int]
"""Seconds, and the peak of memory in bytes."""


def measure(folder: Path) -> list[Row]:
    files = [_write_model(folder / f"model{n}.safetensors", n) for n in range(MODELS)]
    try:
        flower = install_flower()
        name = FLOWER
    except PeerAbsent as error:
        flower, name = None, str(error)
    rows: list[Row] = []
    ours_by_count: dict[int, list[Run]] = {}
    for count in (MODELS, MANY):
        paths = [files[n % MODELS] for n in range(count)]
        ours, peers = _run_by_turns(paths, folder / "mean.safetensors", flower, REPEATS[count])
        ours_by_count[count] = ours
        rows += _rows(count, ours, name, peers)
    few, many = (megabytes([peak for _, peak in ours_by_count[n]]) for n in (MODELS, MANY))
    what, beside = f"memory to average {MANY} models", f"the same for {MODELS}"
    return [*rows, Row(what, "MB", many, beside, few, ratio_at_most(1.1))]


def _rows(count: int, ours: Sequence[Run], name: str, peers: Sequence[Run]) -> list[Row]:
    def seconds(runs: Sequence[Run]) -> Figures | None:
        return Figures(tuple(spent for spent, _ in runs)) if runs else None

    def memory(runs: Sequence[Run]) -> Figures | None:
        return megabytes([peak for _, peak in runs]) if runs else None

    what = f"average of {count} x 100 MB"
    return [
        Row(f"{what}, time", "s", seconds(ours), name, seconds(peers), ratio_at_most(0.15)),
        Row(f"{what}, memory", "MB", memory(ours), name, memory(peers)),
    ]


def _run_by_turns(
    paths: Sequence[Path], target: Path, flower: Path | None, repeats: int
) -> tuple[list[Run], list[Run]]:
    ours: list[Run] = []
    peers: list[Run] = []
    for _ in range(repeats):
        ours.append(run_apart(average, paths, target))
        target.unlink()  # To replace a file of 100 MB would cost as much as a model.
        if flower is not None:
            peers.append(_run_flower(flower, paths))
    if repeats > 2:
        return ours[1:], peers[1:]
    return ours, peers


def average(paths: Sequence[Path], target: Path) -> float:
    """Seconds of one aggregation, for a process of its own."""
    began = time.perf_counter()
    aggregate([(path, 1.0) for path in paths], SCHEMA, target)
    return time.perf_counter() - began


def _run_flower(python: Path, paths: Sequence[Path]) -> Run:
    ended = subprocess.run(
        [python, PEER, *paths],
        capture_output=True,
        text=True,
        timeout=MOST_SECONDS,
        check=False,
    )
    if ended.returncode != 0:
        print(ended.stderr, file=sys.stderr)
        raise RuntimeError(f"{FLOWER} did not aggregate; what it printed is above.")
    found = json.loads(ended.stdout.splitlines()[-1])
    return float(found["seconds"]), int(found["peak"])


def _write_model(path: Path, number: int) -> Path:
    draw = np.random.default_rng(number)
    weights = {name: draw.random(SHAPE, np.float32) for name in SCHEMA.tensors}
    save_file(weights, path)
    return path


if __name__ == "__main__":
    run_alone(measure)
