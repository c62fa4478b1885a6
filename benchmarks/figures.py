"""A measured figure, what it is compared with, and whether it reaches its target.

Every figure comes from the run that shows it, the peer's too; only targets are written down.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Literal

Verdict = Literal["met", "missed", "unknown", ""]


@dataclass(frozen=True)
class Figures:
    """Repeated measurements of one thing, in the unit of their row."""

    values: tuple[float, ...]
    more_is_better: bool = False

    @property
    def median(self) -> float:
        return median(self.values)

    @property
    def best(self) -> float:
        """The measurement that was disturbed least."""
        return max(self.values) if self.more_is_better else min(self.values)

    @property
    def repeated(self) -> bool:
        return len(self.values) > 1


@dataclass(frozen=True)
class Target:
    """A bound on our median (in the row's unit), or on the ratio of our best to the peer's."""

    bound: float
    of: Literal["ours", "ratio"] = "ours"
    at_most: bool = True

    def is_met_by(self, found: float) -> bool:
        return found <= self.bound if self.at_most else found >= self.bound

    def __str__(self) -> str:
        sign = "<=" if self.at_most else ">="
        return f"{'ratio ' if self.of == 'ratio' else ''}{sign} {self.bound:,.10g}"


@dataclass(frozen=True)
class Row:
    """One line of the table. Without `ours` it could not be measured here."""

    what: str
    unit: str
    ours: Figures | None
    peer: str = ""
    """What the peer is, or why it is absent."""
    peers: Figures | None = None
    target: Target | None = None

    @property
    def ratio(self) -> float | None:
        """Our best by the peer's best."""
        if self.ours is None or self.peers is None or self.peers.best == 0:
            return None
        return self.ours.best / self.peers.best

    @property
    def verdict(self) -> Verdict:
        """Empty without a target; unknown when what the target bounds was not measured."""
        if self.target is None:
            return ""
        if self.target.of == "ratio":
            found = self.ratio
        else:
            found = None if self.ours is None else self.ours.median
        if found is None:
            return "unknown"
        return "met" if self.target.is_met_by(found) else "missed"


def at_most(bound: float) -> Target:
    """Our median may be this at most."""
    return Target(bound)


def at_least(bound: float) -> Target:
    """Our median must be this at least."""
    return Target(bound, at_most=False)


def ratio_at_most(bound: float) -> Target:
    """Our best by the peer's best may be this at most."""
    return Target(bound, of="ratio")


def ratio_at_least(bound: float) -> Target:
    """Our best by the peer's best must be this at least."""
    return Target(bound, of="ratio", at_most=False)


def one(value: float) -> Figures:
    """A figure that is measured once, such as gas."""
    return Figures((value,))


def milliseconds(seconds: Sequence[float]) -> Figures:
    return Figures(tuple(1_000 * value for value in seconds))


def megabytes(sizes: Sequence[int]) -> Figures:
    """Sizes in bytes, as MB (10^6 bytes)."""
    return Figures(tuple(size / 1e6 for size in sizes))


def rates(amount: float, seconds: Sequence[float]) -> Figures:
    """So much in so many seconds each time: amount per second."""
    return Figures(tuple(amount / value for value in seconds), more_is_better=True)
