"""Divides one labelled data set among trainers the way the world does: unevenly.

A Dirichlet distribution decides, label by label, who gets how much (the usual benchmark of
federated learning, Hsu et al. 2019, arXiv 1909.06335). The held-out part goes to nobody: it is
what the validators score on. A pure function of its arguments, the seed included.
"""

import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from scatter.mechanism.errors import BadInput

MOST_TRIES: Final = 1000

Rows = np.ndarray[Any, np.dtype[np.intp]]
"""Row numbers of the whole data set, ascending."""


@dataclass(frozen=True)
class Split:
    """Who gets which rows. Every row belongs to exactly one part."""

    shares: tuple[Rows, ...]
    held_out: Rows


def split_examples(
    labels: np.ndarray[Any, Any],
    trainers: int,
    *,
    seed: int,
    alpha: float = 1.0,
    held_out: float = 0.2,
    least: int = 10,
) -> Split:
    """Splits rows over `trainers` by their labels.

    `alpha` is the evenness: 100 gives everybody the same mixture, 0.1 gives most trainers two or
    three labels. `held_out` is the share that nobody trains on. Every trainer has at least
    `least` rows; draws that would not are thrown away.

    Raises BadInput when that cannot be had.
    """
    if labels.ndim != 1 or trainers < 1 or alpha <= 0 or not 0 <= held_out < 1:
        raise BadInput("A split needs a list of labels, a trainer, and alpha above 0.")
    draw = np.random.Generator(np.random.PCG64(seed))
    order = draw.permutation(len(labels))
    aside = round(len(labels) * held_out)
    rest = order[aside:]
    if len(rest) < trainers * least:
        raise BadInput(f"{len(rest)} examples are too few for {trainers} trainers, {least} each.")
    for _ in range(MOST_TRIES):
        shares = _draw_shares(draw, labels, rest, trainers, alpha)
        if min(map(len, shares)) >= least:
            return Split(tuple(np.sort(share) for share in shares), np.sort(order[:aside]))
    raise BadInput(
        f"No draw in {MOST_TRIES} gave all {trainers} trainers {least} examples; raise alpha."
    )


def write_shares(
    source: Path, target: Path, trainers: int, *, seed: int, alpha: float = 1.0
) -> Split:
    """Lays out `target/trainer-1 ...` and `target/eval`, each with its part of `source`.

    `source` is an .npz file of arrays of equal length, `labels` among them; each folder gets a
    file of the same name. `target` must not exist yet, and appears complete or not at all.
    Raises BadInput.
    """
    if target.exists():
        raise BadInput(f"{target} exists already; name a folder that does not.")
    with np.load(source, allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files}
    if "labels" not in arrays or len({len(array) for array in arrays.values()}) != 1:
        raise BadInput(f"{source} must hold arrays of equal length, one of them named labels.")
    split = split_examples(arrays["labels"], trainers, seed=seed, alpha=alpha)
    parts = {f"trainer-{i}": rows for i, rows in enumerate(split.shares, start=1)}
    parts["eval"] = split.held_out
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    try:
        for part, rows in parts.items():
            (draft / part).mkdir()
            chosen: dict[str, Any] = {name: array[rows] for name, array in arrays.items()}
            np.savez_compressed(draft / part / source.name, **chosen)
        draft.rename(target)
    finally:
        if draft.exists():
            shutil.rmtree(draft)
    return split


def _draw_shares(
    draw: np.random.Generator,
    labels: np.ndarray[Any, Any],
    rows: Rows,
    trainers: int,
    alpha: float,
) -> list[Rows]:
    shares: list[list[Rows]] = [[] for _ in range(trainers)]
    for label in np.unique(labels):
        mine = rows[labels[rows] == label]
        portions = draw.dirichlet(np.full(trainers, alpha))
        cuts = (np.cumsum(portions)[:-1] * len(mine)).astype(np.intp)
        for share, part in zip(shares, np.split(mine, cuts), strict=True):
            share.append(part)
    return [np.concatenate(share) for share in shares]
