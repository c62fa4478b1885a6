"""What a sandboxed run reported: scores of an evaluation, figures of a training.

The files come out of a sandbox in which a stranger's code ran, so they are read like any other
hostile input: small, strict, and believed no further than their form.
"""

import math
import stat
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from scatter.learning.strangers_json import parse_json
from scatter.mechanism.errors import BadInput
from scatter.mechanism.units import WHOLE, Score

MOST_REPORT_BYTES: Final = 1 << 20
MOST_SENTENCE: Final = 500
MOST_EXAMPLES: Final = 2**53


@dataclass(frozen=True)
class Failed:
    """One model could not be scored; `reason` is the sentence that the evaluation gave."""

    reason: str


@dataclass(frozen=True)
class TrainingReport:
    """What a training run says of itself. Nobody else can check it: show it, pay nothing for it."""

    examples: int
    metrics: Mapping[str, float]


def to_basis_points(value: float) -> Score:
    """Converts 0..1 to 0..10_000, rounding half to even as `round` does.

    Raises BadInput for NaN and anything outside 0..1.
    """
    if not 0.0 <= value <= 1.0:
        raise BadInput(f"A score must be between 0 and 1, but it is {value}.")
    return Score(round(value * WHOLE))


def read_scores(path: Path, names: Collection[str]) -> dict[str, Score | Failed]:
    """Reads `scores.json`: for each of `names` its score, or why there is none.

    Raises BadInput when the file is not what the harness writes.
    """
    table = _read_object(path)
    if set(table) != set(names):
        raise BadInput(f"{path} must name exactly the models that were to be scored.")
    return {name: _read_score(table[name], f"{path}: {name}") for name in names}


def read_training_report(path: Path) -> TrainingReport:
    """Reads `metrics.json`. Raises BadInput when it is not what the harness writes."""
    table = _read_object(path)
    examples, metrics = table.get("examples"), table.get("metrics")
    if set(table) != {"examples", "metrics"} or type(examples) is not int:
        raise BadInput(f"{path} must have exactly examples, a whole number, and metrics.")
    if not 1 <= examples <= MOST_EXAMPLES:
        raise BadInput(f"{path}: examples must be from 1 to {MOST_EXAMPLES}.")
    if not isinstance(metrics, dict) or not all(_is_finite(value) for value in metrics.values()):
        raise BadInput(f"{path}: metrics must be a table of finite numbers.")
    return TrainingReport(examples, {name: float(value) for name, value in metrics.items()})


def _read_score(entry: object, where: str) -> Score | Failed:
    if isinstance(entry, dict) and set(entry) == {"error"} and isinstance(entry["error"], str):
        return Failed(_printable(entry["error"][:MOST_SENTENCE]))
    if isinstance(entry, dict) and set(entry) == {"score"} and _is_finite(entry["score"]):
        return to_basis_points(float(entry["score"]))
    raise BadInput(f"{where} must have either a score between 0 and 1 or an error.")


def _printable(text: str) -> str:
    return "".join(letter if letter.isprintable() else " " for letter in text)


def _is_finite(value: object) -> bool:
    if type(value) is int:
        return abs(value) <= MOST_EXAMPLES
    return type(value) is float and math.isfinite(value)


def _read_object(path: Path) -> dict[str, Any]:
    try:
        facts = path.lstat()
    except FileNotFoundError as error:
        raise BadInput(f"{path} is missing from what the run left.") from error
    if not stat.S_ISREG(facts.st_mode) or facts.st_size > MOST_REPORT_BYTES:
        raise BadInput(f"{path} must be a regular file of at most {MOST_REPORT_BYTES} bytes.")
    try:
        table = parse_json(path.read_bytes(), depth=2)
    except ValueError as error:
        raise BadInput(f"{path} is not plain JSON: {error}.") from error
    if not isinstance(table, dict):
        raise BadInput(f"{path} must hold a JSON object.")
    return table
