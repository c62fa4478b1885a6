"""Participants, honest or not, on the specification: who does what, and what it brings them."""

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scatter.economy.outcome import Run, add_up, simulate
from scatter.economy.plan import draw_plan
from scatter.economy.rules import Specification
from scatter.economy.scenario import (
    Crowd,
    OfChallenger,
    OfRequester,
    OfTrainer,
    OfValidator,
    Scenario,
    Spread,
)
from scatter.economy.series import LOTTERY, Kind
from scatter.lifecycle.deployment import Block
from scatter.lifecycle.payments import LotteryWon, StakeForfeited, TrainerPaid
from scatter.lifecycle.vocabulary import Verdict
from scatter.mechanism.errors import BadInput
from scatter.mechanism.parameters import HARDENED
from scatter.mechanism.units import UNIT, WHOLE, BasisPoints, BlockNumber, Timestamp, Tokens

HONEST = Scenario(name="honest", jobs=3)


def specification(scenario: Scenario) -> Specification:
    return Specification(
        scenario.parameters, first_block=Block(BlockNumber(100), Timestamp(1_800_000_000))
    )


def run(scenario: Scenario) -> Run:
    return simulate(scenario, specification(scenario))


def cheating(role: str, malicious: int, manner: object = None, **more: object) -> Scenario:
    crowd: Crowd = getattr(HONEST, role)
    changed = replace(crowd, malicious=malicious, manner=manner or crowd.manner, **more)
    return replace(HONEST, **{role: changed})


MIXED = replace(
    HONEST,
    name="mixed",
    jobs=20,
    requesters=replace(HONEST.requesters, count=2, malicious=1, cheats=BasisPoints(3_000)),
    trainers=replace(HONEST.trainers, count=9, malicious=4, cheats=BasisPoints(5_000)),
    validators=replace(HONEST.validators, count=5, malicious=2, cheats=BasisPoints(5_000)),
    challengers=replace(HONEST.challengers, count=4, malicious=1, cheats=BasisPoints(5_000)),
    lead=BasisPoints(5_000),
)


SHARES = st.sampled_from([BasisPoints(WHOLE), BasisPoints(WHOLE // 2)])


def crowds(least: int, most: int, manners: type) -> st.SearchStrategy[Crowd]:
    return st.integers(least, most).flatmap(
        lambda count: st.builds(
            Crowd,
            count=st.just(count),
            malicious=st.integers(0, count),
            manner=st.sampled_from(list(manners)),
            cheats=SHARES,
        )
    )


@settings(max_examples=60, deadline=None)
@given(
    st.builds(
        replace,
        st.just(HONEST),
        parameters=st.sampled_from([HONEST.parameters, HARDENED]),
        seed=st.integers(0, 2**64 - 1),
        stake=st.sampled_from([HONEST.stake, Spread(30_000 * UNIT, 90_000 * UNIT)]),
        good=st.sampled_from([HONEST.good, Spread(0, WHOLE)]),
        lead=SHARES,
        requesters=crowds(1, 2, OfRequester),
        trainers=crowds(1, 6, OfTrainer),
        validators=crowds(0, 6, OfValidator),
        challengers=crowds(0, 6, OfChallenger),
    )
)
def test_any_crowd_plays_to_the_end_and_loses_no_token(scenario):
    rules = specification(scenario)

    outcome = simulate(scenario, rules).outcome

    assert outcome.jobs == scenario.jobs
    assert rules.funds.in_circulation() == scenario.parameters.supply
    assert rules.funds.held == rules.funds.owed()
    assert sum(node.change for node in outcome.nodes) + outcome.lottery == 0


@pytest.mark.parametrize("parameters", [HONEST.parameters, HARDENED], ids=["paper", "hardened"])
def test_every_token_is_somewhere_after_any_mixture_of_cheats(parameters):
    rules = specification(replace(MIXED, parameters=parameters))

    outcome = simulate(replace(MIXED, parameters=parameters), rules).outcome

    assert outcome.jobs == 20
    assert rules.funds.in_circulation() == parameters.supply
    assert rules.funds.held == rules.funds.owed()
    # What one lost another one won, or it lies in the lottery.
    assert sum(node.change for node in outcome.nodes) + outcome.lottery == 0


def test_the_same_seed_plays_the_same_and_another_one_does_not():
    once, again, other = run(MIXED), run(MIXED), run(replace(MIXED, seed=2))

    assert (once.series.curves, once.outcome) == (again.series.curves, again.outcome)
    assert other.outcome.nodes != once.outcome.nodes


def test_the_end_alone_is_the_end_of_the_way():
    assert add_up(MIXED, specification(MIXED)) == run(MIXED).outcome


def test_chance_of_a_job_does_not_depend_on_how_many_cheat():
    """So that two points of a sweep differ by what is swept and nothing else."""
    honest, cheated = draw_plan(HONEST, 2), draw_plan(cheating("trainers", 6), 2)

    assert (honest.reward, honest.stakes) == (cheated.reward, cheated.stakes)
    assert honest.quality == cheated.turned
    assert cheated.quality == honest.turned


class TestSeries:
    def test_a_validators_stake_falls_as_in_figure_6(self):
        played = run(replace(cheating("validators", 1), jobs=10))

        stakes = [t // UNIT for t in played.series.values(Kind.STAKE, "validator 3")]
        steps = [25_000, 24_800, 24_400, 23_600, 22_000, 18_800, 12_400, 0]
        assert stakes == [0, *steps, 0]

    def test_a_curve_begins_with_the_first_tokens_and_ends_with_the_last_block(self):
        played = run(HONEST)

        for (kind, name), points in played.series.curves.items():
            assert points[0].block == 0, name
            assert points[-1].block == played.series.end, name
            first = HONEST.tokens if kind is Kind.BALANCE else 0
            assert points[0].tokens == first, name

    def test_the_lottery_is_shown_at_its_height_before_it_is_won(self):
        played = run(cheating("validators", 1))
        wins = [p.pool for p in played.series.payments if isinstance(p, LotteryWon)]

        curve = played.series.curves[Kind.LOTTERY, LOTTERY]
        falls = [(a, b) for a, b in pairwise(curve) if b.tokens == 0]
        assert [a.tokens for a, _ in falls] == wins
        assert all(a.block == b.block for a, b in falls)

    def test_the_last_value_is_what_everybody_has(self):
        played = run(MIXED)

        for node in played.outcome.nodes:
            assert played.series.values(Kind.BALANCE, node.name)[-1] == node.balance
        for node in played.outcome.of("validator") + played.outcome.of("challenger"):
            assert played.series.values(Kind.STAKE, node.name)[-1] == node.stake


class TestManners:
    def verdicts(self, scenario: Scenario) -> set[Verdict]:
        return set(run(scenario).outcome.verdicts)

    def test_bad_models_cost_the_stake_and_good_ones_share_the_reward(self):
        played = run(cheating("trainers", 2))

        lost = {p.trainer for p in played.series.payments if isinstance(p, StakeForfeited)}
        paid = {p.trainer for p in played.series.payments if isinstance(p, TrainerPaid)}
        assert {played.series.names[a] for a in lost} == {"trainer 5", "trainer 6"}
        assert len(paid) == 4

    def test_a_trainer_without_a_model_keeps_the_job_waiting_but_not_from_ending(self):
        played = run(cheating("trainers", 1, OfTrainer.NO_MODEL))

        assert set(played.outcome.verdicts) == {Verdict.NORMAL}
        assert played.outcome.node("trainer 6").change < 0

    def test_when_nobody_submits_the_reward_goes_back(self):
        played = run(cheating("trainers", 6, OfTrainer.NO_MODEL))

        assert set(played.outcome.verdicts) == {Verdict.NOBODY_SUBMITTED}

    def test_a_validator_that_refrains_without_cause_is_fined(self):
        played = run(cheating("validators", 1, OfValidator.REFRAIN))

        assert played.outcome.node("validator 3").stake == 23_600 * UNIT
        assert set(played.outcome.verdicts) == {Verdict.NORMAL}

    def test_a_silent_validator_is_fined_without_an_accuser(self):
        played = run(cheating("validators", 1, OfValidator.SILENT))

        assert played.outcome.node("validator 3").stake == 23_600 * UNIT
        assert played.outcome.node("challenger 1").change == 0

    def test_silent_validators_in_the_majority_fail_the_job(self):
        assert self.verdicts(cheating("validators", 2, OfValidator.SILENT)) == {
            Verdict.VALIDATORS_FAILED
        }

    def test_honest_validators_refrain_from_harm(self):
        assert self.verdicts(cheating("requesters", 1)) == {Verdict.REQUESTER_MALICIOUS}

    def test_without_the_dataset_the_requester_is_malicious(self):
        scenario = cheating("requesters", 1, OfRequester.NO_DATASET)

        assert self.verdicts(scenario) == {Verdict.REQUESTER_MALICIOUS}

    def test_without_a_validator_there_is_no_committee(self):
        nobody = Crowd(count=0, manner=OfValidator.SWAP)

        assert self.verdicts(replace(HONEST, validators=nobody)) == {Verdict.NO_COMMITTEE}

    def test_challengers_in_the_majority_condemn_the_innocent(self):
        played = run(cheating("challengers", 2))

        assert played.outcome.node("validator 1").stake < 25_000 * UNIT
        assert set(played.outcome.verdicts) == {Verdict.VALIDATORS_FAILED}

    def test_one_malicious_challenger_of_four_pays_for_its_false_accusation(self):
        crowd = replace(HONEST.challengers, count=4, malicious=1)

        played = run(replace(HONEST, challengers=crowd))

        assert played.outcome.node("challenger 4").stake < 20_000 * UNIT
        assert played.outcome.node("challenger 3").stake == 20_000 * UNIT

    def test_a_silent_third_of_the_challengers_lets_liars_go(self):
        challengers = replace(HONEST.challengers, count=2, malicious=1, manner=OfChallenger.SILENT)
        liar = cheating("validators", 1)

        played = run(replace(liar, challengers=challengers))

        assert played.outcome.node("validator 3").stake == 25_000 * UNIT


class TestPoverty:
    def test_a_trainer_that_cannot_pay_its_stake_stays_away(self):
        stake = Spread(60_000 * UNIT, 60_000 * UNIT)

        played = run(replace(cheating("trainers", 1), stake=stake))

        lost = [p for p in played.series.payments if isinstance(p, StakeForfeited)]
        assert len(lost) == 1
        assert played.outcome.verdicts == {Verdict.NORMAL: 3}

    def test_a_job_that_nobody_can_join_is_cancelled(self):
        stake = Spread(200_000 * UNIT, 200_000 * UNIT)

        assert run(replace(HONEST, stake=stake)).outcome.verdicts == {Verdict.NONE: 3}

    def test_it_ends_when_the_requester_cannot_pay(self):
        reward = Spread(45_000 * UNIT, 45_000 * UNIT)

        assert run(replace(HONEST, reward=reward)).outcome.jobs == 2


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"jobs": 0}, "jobs must be from 1"),
        ({"tokens": Tokens(24_999 * UNIT)}, "tokens must cover the stake of the validators"),
        ({"reward": Spread(2, 1)}, "reward must lie in order"),
        ({"good": Spread(0, WHOLE + 1)}, "trainers.good must lie"),
        ({"trainers": replace(HONEST.trainers, malicious=7)}, "trainers.malicious must be from 0"),
        ({"trainers": replace(HONEST.trainers, count=65)}, "trainers.count must be from 1 to 64"),
    ],
)
def test_what_cannot_be_played_is_refused_by_its_key(changes, sentence):
    with pytest.raises(BadInput, match=sentence):
        replace(HONEST, **changes)
