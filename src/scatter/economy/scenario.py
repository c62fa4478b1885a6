"""A scenario: how many take part, how many of them cheat and how, what is offered and staked."""

from dataclasses import dataclass, field
from enum import StrEnum
from random import Random
from typing import Generic, TypeVar

from scatter.mechanism.errors import BadInput
from scatter.mechanism.parameters import MOST_TRAINERS, PAPER, Parameters
from scatter.mechanism.units import MOST_STAKE, UNIT, WHOLE, BasisPoints, Score, Tokens

MOST_OF_A_KIND = 64
"""Nodes of one role, so that every vote of a job fits into its windows."""

MOST_JOBS = 10_000


@dataclass(frozen=True)
class Spread:
    """A number drawn anew each time: uniform within its bounds, or normal and cut at them."""

    least: int
    most: int
    mean: int | None = None
    deviation: int = 0

    def draw(self, chance: Random) -> int:
        if self.mean is None:
            return chance.randrange(self.least, self.most + 1)
        return max(self.least, min(self.most, round(chance.gauss(self.mean, self.deviation))))

    @property
    def middle(self) -> int:
        return (self.least + self.most) // 2 if self.mean is None else self.mean


class OfRequester(StrEnum):
    """How a malicious requester cheats."""

    HARMFUL_EVALUATION = "harmful-evaluation"
    """Its evaluation job does harm: whoever is honest refrains from running it (4.5)."""
    NO_DATASET = "no-dataset"
    """It never publishes the dataset."""


class OfTrainer(StrEnum):
    """How a malicious trainer cheats."""

    BAD_MODEL = "bad-model"
    """Saves itself the training (4.2)."""
    NO_MODEL = "no-model"
    """Joins and submits nothing."""


class OfValidator(StrEnum):
    """How a malicious validator cheats."""

    SWAP = "swap"
    """Gives good models the scores of bad ones, and bad ones those of good (4.3)."""
    REFRAIN = "refrain"
    """Refrains without a cause."""
    SILENT = "silent"
    """Neither scores nor refrains."""


class OfChallenger(StrEnum):
    """How a malicious challenger cheats."""

    OPPOSE = "oppose"
    """Accuses the innocent, and votes against what it sees."""
    SILENT = "silent"
    """Neither accuses nor votes."""


Manner = TypeVar("Manner", OfRequester, OfTrainer, OfValidator, OfChallenger)


@dataclass(frozen=True, kw_only=True)
class Crowd(Generic[Manner]):
    """The nodes of one role; the last `malicious` of them cheat."""

    count: int
    manner: Manner
    malicious: int = 0
    cheats: BasisPoints = BasisPoints(WHOLE)
    """In what share of the jobs a malicious one cheats; in the others it is honest."""
    work: Tokens = Tokens(0)
    """What honest work of one job costs a node, outside the protocol; a cheat saves it."""

    def is_malicious(self, place: int) -> bool:
        return place >= self.count - self.malicious


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """Everything that decides a simulation. Raises BadInput for what could not be played."""

    name: str
    parameters: Parameters = PAPER
    jobs: int = 10
    seed: int = 1
    tokens: Tokens = Tokens(100_000 * UNIT)
    """Of every node at the beginning."""
    reward: Spread = Spread(1_000 * UNIT, 2_000 * UNIT)
    threshold: Score = Score(4_000)
    """The floor is the same."""
    stake: Spread = Spread(500 * UNIT, 1_500 * UNIT)
    """Of a trainer on one job."""
    good: Spread = Spread(4_000, 10_000)
    """The score of an honest trainer's model."""
    bad: Spread = Spread(0, 3_900)
    """The score of a bad model."""
    lead: BasisPoints = BasisPoints(WHOLE)
    """How often the challengers act in the order of their names; else in any order."""
    requesters: Crowd[OfRequester] = field(
        default_factory=lambda: Crowd(count=1, manner=OfRequester.HARMFUL_EVALUATION)
    )
    trainers: Crowd[OfTrainer] = field(
        default_factory=lambda: Crowd(count=6, manner=OfTrainer.BAD_MODEL)
    )
    validators: Crowd[OfValidator] = field(
        default_factory=lambda: Crowd(count=3, manner=OfValidator.SWAP)
    )
    challengers: Crowd[OfChallenger] = field(
        default_factory=lambda: Crowd(count=2, manner=OfChallenger.OPPOSE)
    )

    def __post_init__(self) -> None:
        _refuse_outside("jobs", self.jobs, 1, MOST_JOBS)
        _refuse_outside("seed", self.seed, 0, 2**64 - 1)
        _refuse_outside("threshold", self.threshold, 0, WHOLE)
        _refuse_outside("challengers.lead", self.lead, 0, WHOLE)
        _refuse_outside("tokens", self.tokens, 1, MOST_STAKE)
        least_reward = self.parameters.least_reward
        _refuse_spread("reward", self.reward, least_reward, MOST_STAKE)
        _refuse_spread("trainers.stake", self.stake, 1, MOST_STAKE)
        _refuse_spread("trainers.good", self.good, 0, WHOLE)
        _refuse_spread("trainers.bad", self.bad, 0, WHOLE)
        bounds = {"requesters": 1, "trainers": 1, "validators": 0, "challengers": 0}
        for name, least in bounds.items():
            crowd: Crowd[OfTrainer] = getattr(self, name)
            _refuse_outside(f"{name}.count", crowd.count, least, MOST_OF_A_KIND)
            _refuse_outside(f"{name}.malicious", crowd.malicious, 0, crowd.count)
            _refuse_outside(f"{name}.cheats", crowd.cheats, 0, WHOLE)
            _refuse_outside(f"{name}.work", crowd.work, 0, MOST_STAKE)
        p = self.parameters
        for name, needed in (
            ("validators", p.validator_stake if self.validators.count else 0),
            ("challengers", p.challenger_stake if self.challengers.count else 0),
        ):
            if needed > self.tokens:
                raise BadInput(f"tokens must cover the stake of the {name}, {needed / UNIT:g}.")


assert MOST_OF_A_KIND <= MOST_TRAINERS, "all trainers fit into one job"


def _refuse_outside(key: str, value: int, least: int, most: int) -> None:
    if not least <= value <= most:
        raise BadInput(f"{key} must be from {least} to {most}, not {value}.")


def _refuse_spread(key: str, spread: Spread, least: int, most: int) -> None:
    if not least <= spread.least <= spread.most <= most:
        raise BadInput(f"{key} must lie in order within its bounds, the smaller number first.")
    if spread.deviation < 0:
        raise BadInput(f"{key} must not have a deviation below 0.")
