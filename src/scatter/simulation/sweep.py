"""Varies one key of a scenario, or two, and plays every combination on the specification."""

import os
import re
from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from scatter.economy.gains import ROLES, Gain, average, break_even, play_gains
from scatter.economy.scenario import Scenario
from scatter.mechanism.errors import BadInput
from scatter.simulation.processes import open_pool
from scatter.simulation.scenario_file import KEYS, Table, parse_scenario

MOST_POINTS = 1_000
_NUMBER = re.compile(r"\d{1,12}(\.\d{1,18})?\Z", re.ASCII)
CROWD: Table = {
    "name": "crowd",
    "jobs": 20,
    "trainers": {"count": 12},
    "validators": {"count": 12},
    "challengers": {"count": 12},
}
"""What is swept without a scenario of one's own: section 4.1, longer, with a dozen of each role."""


@dataclass(frozen=True)
class Axis:
    """One key and the values that it takes."""

    name: str
    values: tuple[Any, ...]

    @property
    def numbers(self) -> list[float] | None:
        """The values, if they are numbers."""
        if all(isinstance(value, int | Decimal) for value in self.values):
            return [float(value) for value in self.values]
        return None


@dataclass(frozen=True)
class Curve:
    """The gains along the first axis, at one value of the second."""

    value: Any
    points: tuple[tuple[Gain, ...], ...]
    """One for each value of the first axis."""

    def along(self, axis: Axis, role: str, *, malicious: bool) -> list[tuple[float, float]]:
        """(place on the axis, tokens per job), where there are such nodes."""
        numbers = axis.numbers or [float(place) for place in range(len(axis.values))]
        return [
            (x, gain.tokens)
            for x, gains in zip(numbers, self.points, strict=True)
            for gain in gains
            if (gain.role, gain.malicious) == (role, malicious)
        ]


@dataclass(frozen=True)
class BreakEven:
    """From where on honesty stops paying; None is nowhere on this axis."""

    role: str
    value: Any
    has_cheats: bool
    """Whether there are malicious nodes of this role to compare with."""
    loses: float | None
    """From here on an honest node loses tokens."""
    beaten: float | None
    """From here on a malicious node of this role gains as much as an honest one, or more."""


@dataclass(frozen=True)
class Sweep:
    """What was varied, and what came of it."""

    x: Axis
    second: Axis | None
    curves: tuple[Curve, ...]
    jobs: int
    """Played in all."""

    def break_evens(self) -> list[BreakEven]:
        """Role by role; none where the values are not numbers."""
        if self.x.numbers is None:
            return []
        return [_find(self.x, curve, role) for curve in self.curves for role in ROLES[:3]]


def read_axis(word: str) -> Axis:
    """KEY=a,b,c or KEY=first:last:step. Raises BadInput."""
    key, separator, text = word.partition("=")
    if not separator or not text:
        raise BadInput(f"{word!r}: write it as KEY=VALUE,VALUE,... or KEY=FIRST:LAST:STEP.")
    if key not in KEYS:
        raise BadInput(f"{word!r}: there is no key {key}; docs/simulation.md lists them.")
    values = _span(word, text) if ":" in text else [_value(one) for one in text.split(",")]
    if not 0 < len(values) <= MOST_POINTS:
        raise BadInput(f"{word!r} has {len(values)} values; 1 to {MOST_POINTS} are possible.")
    return Axis(key, tuple(values))


def plan_sweep(table: Table, x: Axis, second: Axis | None, where: str) -> list[list[Scenario]]:
    """A scenario for each combination; the outer list goes along the second axis.

    Raises BadInput when one of them cannot be played.
    """
    rows = []
    for other in second.values if second else (None,):
        row = []
        for value in x.values:
            changed = deepcopy(dict(table))
            _put(changed, x.name, value)
            place = f"{where}, {x.name} = {value}"
            if second is not None:
                _put(changed, second.name, other)
                place += f", {second.name} = {other}"
            row.append(parse_scenario(changed, place, default_name="sweep"))
        rows.append(row)
    if sum(map(len, rows)) > MOST_POINTS:
        raise BadInput(f"{sum(map(len, rows))} combinations; at most {MOST_POINTS} are possible.")
    return rows


def run_sweep(
    x: Axis,
    second: Axis | None,
    rows: Sequence[Sequence[Scenario]],
    seeds: int,
    tell: Callable[[int], None],
) -> Sweep:
    """Plays each scenario with this many seeds, on all cores; tells how many runs are over."""
    tasks = [
        replace(scenario, seed=scenario.seed + more)
        for row in rows
        for scenario in row
        for more in range(seeds)
    ]
    samples: list[list[Gain]] = []
    for done, gains in enumerate(_play(tasks), 1):
        samples.append(gains)
        tell(done)
    points = [
        tuple(average(samples[start : start + seeds])) for start in range(0, len(samples), seeds)
    ]
    length = len(x.values)
    curves = tuple(
        Curve(value, tuple(points[place * length : (place + 1) * length]))
        for place, value in enumerate(second.values if second else (None,))
    )
    return Sweep(x, second, curves, sum(task.jobs for task in tasks))


def _play(tasks: Sequence[Scenario]) -> Any:
    workers = min(len(tasks), os.cpu_count() or 1)
    if workers == 1:
        yield from map(play_gains, tasks)
        return
    chunk = max(1, len(tasks) // (workers * 8))
    with open_pool(workers) as pool:
        yield from pool.map(play_gains, tasks, chunksize=chunk)


def _find(x: Axis, curve: Curve, role: str) -> BreakEven:
    honest = curve.along(x, role, malicious=False)
    malicious = dict(curve.along(x, role, malicious=True))
    ahead = [(place, gain - malicious[place]) for place, gain in honest if place in malicious]
    return BreakEven(role, curve.value, bool(ahead), break_even(honest), break_even(ahead))


def _put(table: dict[str, Any], key: str, value: Any) -> None:
    first, separator, inner = key.partition(".")
    if separator:
        table.setdefault(first, {})[inner] = value
    else:
        table[first] = value


def _span(word: str, text: str) -> list[Any]:
    """first:last or first:last:step, both ends included."""
    parts = text.split(":")
    if len(parts) > 3 or not all(map(_NUMBER.match, parts)):
        raise BadInput(f"{word!r}: write the span as FIRST:LAST:STEP, such as 0:1:0.1.")
    first, last, step = (Decimal(part) for part in [*parts, "1"][:3])
    if not (first <= last and step > 0) or (last - first) / step > MOST_POINTS:
        raise BadInput(f"{word!r}: a span goes upwards, in at most {MOST_POINTS} steps.")
    values = [first + step * place for place in range(int((last - first) / step) + 1)]
    whole = all(one == one.to_integral_value() for one in (first, step)) and "." not in text
    return [int(value) for value in values] if whole else values


def _value(text: str) -> Any:
    """A whole number, a number, else a word."""
    if _NUMBER.match(text) is None:
        return text
    return Decimal(text) if "." in text else int(text)
