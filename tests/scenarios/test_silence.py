"""Whoever falls silent, the job ends, with the verdict of the table and nobody else's loss."""

import asyncio

import pytest
from tests.scenarios.stage import FIRST_JOB, LOCAL_HARDENED, LOCAL_PAPER, Stage

from scatter.lifecycle.payments import (
    Penalised,
    RewardReturned,
    StakeForfeited,
    StakeReturned,
    TrainerPaid,
    ValidatorPaid,
)
from scatter.lifecycle.vocabulary import Phase, Verdict
from scatter.mechanism.units import UNIT


@pytest.fixture
def stage(tmp_path):
    stage = Stage(tmp_path, trainers=3)
    stage.publish()
    return stage


@pytest.fixture
def everybody_joined(stage):
    for node in stage.trainers:
        node.advance()
    return stage


def returned(stage):
    return sum(p.trainers_part + p.validators_part for p in stage.paid(RewardReturned))


def forfeited(stage):
    return {p.trainer for p in stage.paid(StakeForfeited)}


def test_a_requester_silent_after_publishing_pays_the_trainers_all_the_same(everybody_joined):
    stage = everybody_joined
    stage.requester.leave()
    stage.play_out()

    assert stage.verdict() is Verdict.REQUESTER_MALICIOUS
    assert len(stage.paid(TrainerPaid)) == len(stage.paid(StakeReturned)) == 3
    assert returned(stage) == 0
    stage.check_books()


def test_a_requester_that_publishes_no_dataset_is_malicious(stage):
    stage.play_until(Phase.DATASET)
    stage.requester.leave()
    stage.play_out()

    assert stage.verdict() is Verdict.REQUESTER_MALICIOUS
    assert stage.paid(Penalised) == []


def test_a_requester_that_serves_no_dataset_is_malicious_and_no_validator_is_fined(stage):
    stage.play_until(Phase.COMMIT)
    stage.requester.leave()
    stage.play_out()

    assert stage.verdict() is Verdict.REQUESTER_MALICIOUS
    assert all(member.refrained for member in stage.job().committee.values())
    assert stage.paid(Penalised) == []
    assert len(stage.paid(ValidatorPaid)) == 3


def test_a_requester_that_returns_after_settlement_gets_its_model(stage):
    stage.play_until(Phase.REVEAL)
    stage.requester.present = False
    stage.play_until(Phase.SETTLED)
    stage.requester.present = True
    stage.play_out()

    assert asyncio.run(stage.requester.duty.result(FIRST_JOB)).model.is_file()


def test_without_trainers_the_job_is_cancelled_and_only_the_tax_is_gone(stage):
    for node in stage.trainers:
        node.leave()
    stage.play_until(Phase.CANCELLED)

    assert stage.requester.earned == -100 * UNIT


def test_a_trainer_that_never_submits_loses_its_stake_alone(everybody_joined):
    stage = everybody_joined
    silent = stage.trainers[1]
    silent.leave()
    stage.play_out()

    assert stage.verdict() is Verdict.NORMAL
    assert forfeited(stage) == {silent.account}
    assert len(stage.paid(TrainerPaid)) == 2


def test_when_no_trainer_submits_the_reward_goes_back(everybody_joined):
    stage = everybody_joined
    for node in stage.trainers:
        node.leave()
    stage.play_out()

    assert stage.verdict() is Verdict.NOBODY_SUBMITTED
    assert returned(stage) == 900 * UNIT


def test_a_trainer_that_hands_over_no_key_scores_0(stage):
    stage.play_until(Phase.DATASET)
    silent = stage.trainers[0]
    silent.leave()
    stage.play_out()

    assert stage.verdict() is Verdict.NORMAL
    assert forfeited(stage) == {silent.account}
    assert stage.job().accusations == {}
    assert stage.paid(Penalised) == []


def test_a_trainer_that_vanishes_before_the_challengers_ask_harms_nobody(stage):
    stage.play_until(Phase.CHALLENGE)
    stage.trainers[0].leave()
    stage.play_out()

    assert stage.verdict() is Verdict.NORMAL
    assert stage.job().accusations == {}
    assert forfeited(stage) == set()
    assert len(stage.paid(TrainerPaid)) == 3


def test_a_trainer_that_turns_greedy_after_payment_costs_the_requester_nothing(stage):
    stage.play_until(Phase.SETTLED)
    greedy = stage.trainers[0]
    greedy.leave()
    stage.play_out()

    result = asyncio.run(stage.requester.duty.result(FIRST_JOB))
    assert [share.problem for share in result.shares] == ["", "", ""]
    sellers = {h for h, _, asker, _ in stage.handed_over if asker == stage.requester.account}
    assert sellers & {node.account for node in stage.validators}


def test_when_nobody_has_a_bought_key_the_rest_is_aggregated_and_says_why(stage):
    stage.play_until(Phase.SETTLED)
    for node in [stage.trainers[0], *stage.validators]:
        node.leave()
    stage.play_out()

    result = asyncio.run(stage.requester.duty.result(FIRST_JOB))
    by_trainer = {share.trainer: share for share in result.shares}
    missing = by_trainer.pop(stage.trainers[0].account)
    assert (missing.weight, "no peer knows" in missing.problem) == (0, True)
    assert sum(share.weight for share in by_trainer.values()) == pytest.approx(1)
    assert result.model.is_file()


def test_a_silent_validator_is_fined_and_the_others_decide(stage):
    silent = stage.validators[0]
    silent.leave()
    stage.play_out()

    assert stage.verdict() is Verdict.NORMAL
    assert [(p.account, p.amount) for p in stage.paid(Penalised)] == [(silent.account, 200 * UNIT)]
    assert len(stage.paid(ValidatorPaid)) == 2


def test_a_validator_that_commits_and_never_reveals_is_fined(stage):
    stage.play_until(Phase.REVEAL)
    silent = stage.validators[2]
    assert stage.job().committee[silent.account].scores is None
    silent.leave()
    stage.play_out()

    assert stage.verdict() is Verdict.NORMAL
    assert [p.account for p in stage.paid(Penalised)] == [silent.account]


def test_when_all_validators_are_silent_the_reward_goes_back(stage):
    for node in stage.validators:
        node.leave()
    stage.play_out()

    assert stage.verdict() is Verdict.VALIDATORS_FAILED
    assert returned(stage) == 900 * UNIT
    assert len(stage.paid(Penalised)) == 3
    assert forfeited(stage) == set()


def test_challengers_that_are_silent_change_nothing(stage):
    for node in stage.challengers:
        node.leave()
    stage.play_out()

    assert stage.verdict() is Verdict.NORMAL


@pytest.mark.parametrize(("parameters", "validators"), [(LOCAL_PAPER, 0), (LOCAL_HARDENED, 2)])
def test_with_too_few_validators_the_reward_goes_back(tmp_path, parameters, validators):
    stage = Stage(tmp_path, trainers=2, validators=validators, parameters=parameters)
    stage.publish()
    stage.play_out()

    assert stage.verdict() is Verdict.NO_COMMITTEE
    assert returned(stage) == 900 * UNIT
    assert stage.errors == []
