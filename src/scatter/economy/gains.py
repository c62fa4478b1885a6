"""What honesty and cheating bring, per job, and where the one stops paying more than the other."""

import gc
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise

from scatter.economy.outcome import Outcome, add_up
from scatter.economy.rules import Specification
from scatter.economy.scenario import Scenario
from scatter.lifecycle.deployment import Block
from scatter.mechanism.units import UNIT, WHOLE, BlockNumber, Timestamp

ROLES = ("trainer", "validator", "challenger", "requester")
START = Block(BlockNumber(0), Timestamp(0))


@dataclass(frozen=True)
class Gain:
    """What one node of a kind gains in one job, on average, its own work paid."""

    role: str
    malicious: bool
    nodes: int
    tokens: float


def play_gains(scenario: Scenario) -> list[Gain]:
    """Plays the scenario on the specification; a kind that nobody is of is left out."""
    with _cycles_left_alone():
        outcome = add_up(scenario, Specification(scenario.parameters, first_block=START))
    kinds = [(role, malicious) for role in ROLES for malicious in (False, True)]
    gains = (_gain(scenario, outcome, role, malicious) for role, malicious in kinds)
    return [gain for gain in gains if gain is not None]


@contextmanager
def _cycles_left_alone() -> Iterator[None]:
    """A play makes no reference cycles and keeps nearly all it makes: to look for some is waste."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def average(samples: Sequence[Sequence[Gain]]) -> list[Gain]:
    """Of several runs of one scenario with other seeds."""
    runs = len(samples)
    return [
        Gain(kind[0].role, kind[0].malicious, kind[0].nodes, sum(g.tokens for g in kind) / runs)
        for kind in zip(*samples, strict=True)
    ]


def break_even(points: Sequence[tuple[float, float]]) -> float | None:
    """Where a curve through these points first falls from above 0 to 0 or below it.

    Straight between two points; None if it never does.
    """
    for (x, y), (next_x, next_y) in pairwise(points):
        if y > 0 >= next_y:
            return x + (next_x - x) * y / (y - next_y)
    return None


def _gain(scenario: Scenario, outcome: Outcome, role: str, malicious: bool) -> Gain | None:
    nodes = outcome.of(role, malicious=malicious)
    if not nodes:
        return None
    if not outcome.jobs:
        return Gain(role, malicious, len(nodes), 0.0)
    crowd = getattr(scenario, f"{role}s")
    honest_share = (WHOLE - crowd.cheats) / WHOLE if malicious else 1.0
    earned = sum(node.change for node in nodes) / len(nodes) / outcome.jobs
    return Gain(role, malicious, len(nodes), (earned - crowd.work * honest_share) / UNIT)
