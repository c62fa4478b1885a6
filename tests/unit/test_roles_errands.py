"""What anybody may do is done by somebody, in turns, and once."""

import asyncio

import pytest
from tests.scenarios.stage import FIRST_JOB, LOCAL_PAPER, Stage

from scatter.lifecycle.events import (
    CommitteeDrawn,
    JobCancelled,
    JobSettled,
    TrainingClosed,
    TrainingStarted,
)
from scatter.lifecycle.vocabulary import Phase
from scatter.mechanism.errors import Refused
from scatter.mechanism.units import Address
from scatter.roles.duty import Patience
from scatter.roles.errands import run_errands, turn_of

TURN = Patience().turn


@pytest.fixture
def stage(tmp_path):
    return Stage(tmp_path, trainers=2, validators=1, challengers=2)


def run(node, job=None):
    chain, stage = node.chain, node.stage
    head = asyncio.run(chain.head())
    return asyncio.run(run_errands(chain, job or stage.job(), head, Patience()))


def actor(stage, kind):
    return next(e.actor for e in stage.world.ledger.history(FIRST_JOB) if isinstance(e, kind))


def joined(stage):
    stage.publish(most_trainers=3)
    for node in stage.trainers:
        node.advance()


def training(stage):
    stage.publish()
    stage.play_until(Phase.TRAINING)
    stage.trainers[0].advance()


def challenged(stage):
    stage.publish()
    stage.play_until(Phase.CHALLENGE)


# Per errand: how the job gets there, when it is due, and what tells that it was done.
ERRANDS = {
    "start": (joined, lambda job: job.join_deadline, TrainingStarted),
    "cancel": (
        lambda stage: stage.publish(),
        lambda job: job.join_deadline,
        JobCancelled,
    ),
    "close": (training, lambda job: job.training_deadline, TrainingClosed),
    "settle": (challenged, lambda job: job.challenge_deadline, JobSettled),
}


@pytest.mark.parametrize("errand", ERRANDS)
def test_a_stranger_does_it_in_its_turn_when_the_others_are_silent(stage, errand):
    arrange, due, done = ERRANDS[errand]
    arrange(stage)
    stranger = stage.challengers[0]
    mine = due(stage.job()) + turn_of(stage.job(), stranger.account) * TURN
    stage.world.pass_time(mine - 1 - stage.world.time)
    before = stage.world.transactions

    assert run(stranger) == mine
    assert stage.world.transactions == before

    stage.world.pass_time(1)
    assert run(stranger) is None
    assert actor(stage, done) == stranger.account


@pytest.mark.parametrize("errand", ERRANDS)
def test_another_that_was_quicker_is_passed_over(stage, errand):
    arrange, _, _ = ERRANDS[errand]
    arrange(stage)
    view = stage.job()
    stage.world.pass_time(2_000)
    run(stage.requester)
    before = stage.world.transactions

    assert run(stage.challengers[0], view) is None
    assert stage.world.transactions == before


def test_a_stranger_draws_when_nobody_has(stage):
    stage.publish()
    stage.play_until(Phase.DATASET)
    stranger = stage.challengers[0]
    job = stage.job()
    wait = 2 * turn_of(job, stranger.account)
    stage.world.mine(job.seed_block + wait - stage.world.number)
    assert run(stranger) == stage.world.time + 1
    assert not stage.job().drawn

    stage.world.mine()
    run(stranger)
    assert actor(stage, CommitteeDrawn) == stranger.account
    run(stage.requester, job)


def test_a_seed_that_expired_is_renewed_and_drawn_from(stage):
    stage.publish()
    stage.play_until(Phase.DATASET)
    stage.world.mine(300)
    run(stage.trainers[0])
    assert not stage.job().drawn
    stage.world.mine(10)
    run(stage.trainers[0])

    assert stage.job().drawn


def test_without_a_dataset_a_stranger_settles(stage):
    stage.publish()
    stage.play_until(Phase.DATASET)
    stage.world.pass_time(LOCAL_PAPER.dataset_window + 100)
    run(stage.challengers[1])

    assert actor(stage, JobSettled) == stage.challengers[1].account


def test_any_other_refusal_is_an_error(stage):
    challenged(stage)
    view = stage.job()
    target = stage.validators[0].account
    asyncio.run(stage.challengers[0].chain.accuse(FIRST_JOB, target))
    stage.world.pass_time(LOCAL_PAPER.challenge_window)

    with pytest.raises(Refused, match="job: too early"):
        run(stage.requester, view)


def test_an_accusation_puts_the_settlement_off(stage):
    challenged(stage)
    asyncio.run(stage.challengers[0].chain.accuse(FIRST_JOB, stage.validators[0].account))
    job = stage.job()

    assert run(stage.requester) == job.challenge_deadline + LOCAL_PAPER.vote_window


def test_nothing_is_left_to_do_in_a_job_that_is_over(stage):
    stage.publish()
    stage.play_out()

    assert run(stage.trainers[0]) is None


def test_the_requester_comes_first_then_the_trainers_then_the_rest(stage):
    joined(stage)
    job = stage.job()
    order = [stage.requester, *stage.trainers]

    assert [turn_of(job, node.account) for node in order] == [0, 1, 2]
    turns = {turn_of(job, Address(f"0x{number:040x}")) for number in range(100)}
    assert turns == set(range(3, 11))


def test_every_turn_comes_before_the_seed_is_gone():
    patient = Patience()
    last = 64 + 1 + 7

    assert 2 * last + LOCAL_PAPER.seed_delay < 256
    assert last * patient.turn < 300
