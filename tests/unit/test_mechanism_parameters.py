"""A deployment's numbers: two profiles, and what no deployment may have."""

from dataclasses import replace
from typing import Any

import pytest

from scatter.mechanism.errors import BadInput
from scatter.mechanism.parameters import HARDENED, PAPER, LotteryShare, local, profile
from scatter.mechanism.units import UNIT


def test_the_paper_profile_is_table_1() -> None:
    assert PAPER.supply == 100_000_000_000 * UNIT
    assert (PAPER.tax_rate, PAPER.trainer_rate, PAPER.validator_rate) == (1_000, 7_000, 2_000)
    assert (PAPER.validator_stake, PAPER.challenger_stake) == (25_000 * UNIT, 20_000 * UNIT)
    assert (PAPER.base_penalty, PAPER.penalty_multiplier) == (200 * UNIT, 2)
    assert PAPER.validator_unbonding == PAPER.challenger_unbonding == 30 * 24 * 3_600


def test_the_hardened_profile_differs_where_the_paper_can_be_farmed() -> None:
    assert (
        replace(
            PAPER,
            committee_proportion=2_000,
            least_committee=3,
            least_electorate=3,
            lottery_share=LotteryShare.HALF_OF_THE_FINE,
            floor_allowed=True,
            least_reward=100 * UNIT,
        )
        == HARDENED
    )


def test_profiles_have_names() -> None:
    assert profile("paper") is PAPER
    assert profile("hardened") is HARDENED


def test_an_unknown_profile_is_refused() -> None:
    with pytest.raises(BadInput, match="choose one of paper, hardened"):
        profile("soft")


def test_a_local_network_keeps_the_economics_and_shortens_the_windows() -> None:
    quick = local(HARDENED, challenge=20, vote=10)

    assert quick.challenger_unbonding == 2 * (60 + 60 + 60 + 20 + 10)
    assert quick.base_penalty == HARDENED.base_penalty
    assert quick.lottery_share is LotteryShare.HALF_OF_THE_FINE


@pytest.mark.parametrize(
    "change",
    [
        {"tax_rate": 999},
        {"supply": 0},
        {"supply": 2**128},
        {"validator_stake": 0},
        {"challenger_stake": 2**96},
        {"base_penalty": 0},
        {"base_penalty": -1},
        {"penalty_multiplier": 0},
        {"penalty_multiplier": 2**16 + 1},
        {"penalty_multiplier": 1.5},
        {"committee_proportion": 10_001},
        {"least_committee": 0},
        {"most_committee": 17},
        {"least_committee": 5, "most_committee": 4},
        {"least_electorate": 1},
        {"lottery_share": 0},
        {"least_reward": 0},
        {"join_window": 0},
        {"dataset_window": 0},
        {"commit_window": 0},
        {"reveal_window": 0},
        {"vote_window": 0},
        {"least_training": 0},
        {"least_training": 15 * 24 * 3_600},
        {"most_training": 11 * 365 * 24 * 3_600},
        {"seed_delay": 0},
        {"seed_delay": 129},
        {"challenge_window": 2 * 24 * 3_600 - 1},
        {"validator_unbonding": 11 * 24 * 3_600 - 1},
        {"challenger_unbonding": 11 * 24 * 3_600 - 1},
    ],
    ids=str,
)
def test_no_deployment_has(change: dict[str, Any]) -> None:
    with pytest.raises(BadInput):
        replace(PAPER, **change)
