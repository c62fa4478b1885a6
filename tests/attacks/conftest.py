"""Contracts and specification side by side, under both profiles, with people in their roles."""

from collections.abc import Callable, Iterator

import pytest
from tests.contracts.twins import Twins, twins

from scatter.mechanism.parameters import PROFILES, local
from scatter.mechanism.units import Address, Tokens

__all__ = [
    *("challengers", "open_job", "requester", "scored_job", "stranger", "tick"),
    *("trained_job", "trainers", "validators"),
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
