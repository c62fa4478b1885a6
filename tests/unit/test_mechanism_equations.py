"""Equations 1-8 return the numbers worked out by hand in `vectors/equations.json`."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.vectors.reading import read_equations

from scatter.mechanism.equations import (
    committee_size,
    divide_reward,
    lottery_win,
    penalty,
    trainer_payment,
    trainer_weight,
    two_thirds,
    validator_payment,
)
from scatter.mechanism.parameters import PAPER, profile
from scatter.mechanism.units import MOST_STAKE, Score, Tokens

VECTORS = read_equations()
amounts = st.integers(1, MOST_STAKE).map(Tokens)


@pytest.mark.parametrize("v", VECTORS["divide_reward"])
def test_a_reward_divides_without_losing_a_unit(v: dict[str, Any]) -> None:
    parts = divide_reward(v["reward"], PAPER)

    assert [parts.tax, parts.trainers, parts.validators] == v["expected"]


@pytest.mark.parametrize("v", VECTORS["trainer_weight"])
def test_a_weight_is_the_root_of_the_stake_times_the_squared_score(v: dict[str, Any]) -> None:
    assert trainer_weight(v["stake"], v["score"]) == v["expected"]


@pytest.mark.parametrize("v", VECTORS["share"])
def test_shares_round_down(v: dict[str, Any]) -> None:
    assert trainer_payment(v["part"], v["whole"], v["pool"]) == v["expected"]
    assert validator_payment(v["part"], v["whole"], v["pool"]) == v["expected"]


@pytest.mark.parametrize("v", VECTORS["penalty"])
def test_a_penalty_doubles_up_to_the_stake(v: dict[str, Any]) -> None:
    assert penalty(v["offences"], v["stake"], PAPER) == v["expected"]


@pytest.mark.parametrize("v", VECTORS["lottery_win"])
def test_an_accuser_wins_the_share_of_the_profile(v: dict[str, Any]) -> None:
    assert lottery_win(v["pool"], v["fine"], profile(v["profile"])) == v["expected"]


@pytest.mark.parametrize("v", VECTORS["two_thirds"])
def test_two_thirds_round_up(v: dict[str, Any]) -> None:
    assert two_thirds(v["count"]) == v["expected"]


@pytest.mark.parametrize("v", VECTORS["committee_size"])
def test_the_committee_has_its_proportion_within_bounds(v: dict[str, Any]) -> None:
    assert committee_size(v["eligible"], profile(v["profile"])) == v["expected"]


@given(amounts)
def test_the_parts_of_any_reward_add_up(reward: Tokens) -> None:
    parts = divide_reward(reward, PAPER)

    assert parts.tax + parts.trainers + parts.validators == reward
    assert parts.tax * 10 >= reward


@given(st.lists(st.tuples(amounts, st.integers(1, 10_000).map(Score)), min_size=1), amounts)
def test_shares_never_exceed_the_pool(claims: list[tuple[Tokens, Score]], pool: Tokens) -> None:
    weights = [trainer_weight(stake, score) for stake, score in claims]
    paid = sum(trainer_payment(weight, sum(weights), pool) for weight in weights)

    assert pool - len(claims) < paid <= pool
    assert sum(weights) * pool < 2**256


@given(st.integers(0, 2**40), st.integers(0, MOST_STAKE).map(Tokens))
def test_no_count_of_offences_takes_more_than_the_stake(offences: int, stake: Tokens) -> None:
    fine = penalty(offences, stake, PAPER)

    assert fine == min(PAPER.base_penalty * 2 ** min(offences, 100), stake)
