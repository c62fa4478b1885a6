"""Contracts and specification side by side, under both profiles, with people in their roles."""

from collections.abc import Callable, Iterator

import pytest
from tests.contracts.conftest import (
    challengers,
    open_job,
    requester,
    scored_job,
    stranger,
    tick,
    trained_job,
    trainers,
    validators,
)
from tests.contracts.scene import Tick
from tests.contracts.twins import Twins, twins
from tests.unit.vectors.reading import SALT

from scatter.lifecycle.commitments import commit_to_scores
from scatter.mechanism.parameters import PROFILES, local
from scatter.mechanism.units import Address, JobId, Score, Tokens

# Fixtures that the attacks share with the tests of the contracts
__all__ = [
    "challengers",
    "open_job",
    "requester",
    "scored_job",
    "stranger",
    "tick",
    "trained_job",
    "trainers",
    "validators",
]

Wealth = Callable[..., int]


@pytest.fixture
def profile() -> str:
    """Of the deployment under attack; a test says so where the paper's is meant."""
    return "hardened"


@pytest.fixture
def both(profile: str) -> Iterator[Twins]:
    with twins(local(PROFILES[profile])) as opened:
        yield opened


@pytest.fixture
def wealth(both: Twins) -> Wealth:
    """What some accounts own together, by the contracts: balances and role stakes."""

    def sum_up(*accounts: Address) -> Tokens:
        held = [both.contracts.read("ScatterToken", "holdings", a) for a in accounts]
        return Tokens(sum(balance + stake for balance, _, stake, _, _ in held))

    return sum_up


def score(both: Twins, tick: Tick, job: JobId, cards: dict[Address, tuple[Score, ...]]) -> None:
    for member, scores in cards.items():
        both.commit_scores(member, job, commit_to_scores(job, member, scores, SALT), tick())
    for member, scores in cards.items():
        both.reveal_scores(member, job, member, scores, SALT, tick())
