"""Equations 1-8 of the paper (section 3.2), on whole units.

This is the reference: the contracts return the same numbers. Every division rounds down; what
rounding leaves goes to the lottery, so nothing is lost and nothing appears.
"""

from dataclasses import dataclass
from math import isqrt

from scatter.mechanism.parameters import LotteryShare, Parameters
from scatter.mechanism.units import WHOLE, Score, Tokens


@dataclass(frozen=True, slots=True)
class RewardParts:
    """A reward, divided (eq. 2): the three add up to it."""

    tax: Tokens
    trainers: Tokens
    validators: Tokens


def divide_reward(reward: Tokens, p: Parameters) -> RewardParts:
    """Divides R_p into tax, trainers' part and validators' part (eqs. 1, 2, 3, 5, 7).

    Each of the two parts is its rate times the reward, rounded down; the tax is what they leave.
    """
    trainers = reward * p.trainer_rate // WHOLE
    validators = reward * p.validator_rate // WHOLE
    return RewardParts(Tokens(reward - trainers - validators), Tokens(trainers), Tokens(validators))


def trainer_weight(stake: Tokens, score: Score) -> int:
    """A trainer's claim: the root of its stake, rounded down, times its score squared (eq. 4).

    The root gives large stakes diminishing returns, the square favours quality. Equation 4 as
    printed lacks the square; the prose under it has it three times, and we follow the prose.
    """
    return isqrt(stake) * score * score


def trainer_payment(weight: int, total_weight: int, pool: Tokens) -> Tokens:
    """R_ti: a trainer's share of the trainers' part R_tr (eq. 4). `total_weight` is above 0."""
    return Tokens(weight * pool // total_weight)


def validator_payment(stake: Tokens, total_stake: Tokens, pool: Tokens) -> Tokens:
    """R_vi: a member's share of the validators' part R_v (eq. 6). `total_stake` is above 0."""
    return Tokens(stake * pool // total_stake)


def penalty(offences: int, stake: Tokens, p: Parameters) -> Tokens:
    """What the next offence costs after `offences` earlier ones, up to the stake (eq. 8)."""
    price: int = p.base_penalty
    if p.penalty_multiplier > 1:
        # Stops once the stake is exceeded: the power itself would outgrow a word of the chain.
        for _ in range(offences):
            if price >= stake:
                break
            price *= p.penalty_multiplier
    return Tokens(min(price, stake))


def lottery_win(pool: Tokens, fine: Tokens, p: Parameters) -> Tokens:
    """What an accuser wins from a pool that already holds the fine (paper 3.2; section 2)."""
    if p.lottery_share is LotteryShare.WHOLE_POOL:
        return pool
    return Tokens(min(fine // 2, pool))


def two_thirds(count: int) -> int:
    """The quorum and super-majority of `count`: two thirds, rounded up (Q_c; paper 3.4)."""
    return (2 * count + 2) // 3


def committee_size(eligible: int, p: Parameters) -> int:
    """How many of the eligible validators are drawn (V_prop, rounded down, within the bounds).

    0 when fewer are eligible than the least committee.
    """
    if eligible < p.least_committee:
        return 0
    drawn = max(eligible * p.committee_proportion // WHOLE, p.least_committee)
    return min(drawn, p.most_committee, eligible)
