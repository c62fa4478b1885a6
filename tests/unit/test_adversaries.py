"""Cheats pay as the paper says they do, because the honest find them out by evaluating."""

from tests.scenarios.stage import FIRST_JOB, Stage

from scatter.lifecycle.payments import LotteryWon, Penalised, StakeForfeited, TrainerPaid
from scatter.lifecycle.vocabulary import Role, Verdict
from scatter.mechanism.units import UNIT
from scatter.roles.duty import Patience
from scatter.simulation.adversaries import (
    FalseChallenger,
    RandomWeightsTrainer,
    SwappingValidator,
)


def test_a_trainer_with_random_weights_loses_exactly_its_stake(tmp_path):
    stage = Stage(tmp_path, trainers=3, cast={"trainer 3": RandomWeightsTrainer})
    stage.publish()
    stage.play_out()

    cheat = stage.trainers[2]
    assert stage.verdict() is Verdict.NORMAL
    assert cheat.earned == -800 * UNIT
    assert cheat.trained == 0
    assert [(p.trainer, p.amount) for p in stage.paid(StakeForfeited)] == [
        (cheat.account, 800 * UNIT)
    ]
    assert cheat.account not in {p.trainer for p in stage.paid(TrainerPaid)}
    assert stage.paid(LotteryWon) == []
    assert stage.job().accusations == {}


def test_random_weights_of_two_trainers_are_not_copies_of_one_another(tmp_path):
    cast = {"trainer 2": RandomWeightsTrainer, "trainer 3": RandomWeightsTrainer}
    stage = Stage(tmp_path, trainers=3, validators=1, challengers=0, cast=cast)
    stage.publish()
    stage.play_out()

    revealed = stage.job().committee[stage.validators[0].account].scores
    assert all(0 < score < 4_000 for score in revealed[1:])


def test_a_swapping_validator_pays_twice_as_much_each_time_and_the_accuser_wins(tmp_path):
    cast = {"validator 3": SwappingValidator}
    stage = Stage(tmp_path, trainers=2, validators=3, cast=cast)
    before = 0
    for number, fine in enumerate((200, 400, 800), start=1):
        job = stage.publish()
        stage.play_out(job)

        fined, won = stage.paid(Penalised)[-1], stage.paid(LotteryWon)[-1]
        accuser = next(node for node in stage.challengers if node.account == won.accuser)
        assert (fined.account, fined.role) == (stage.validators[2].account, Role.VALIDATOR)
        assert fined.amount == fine * UNIT
        assert won.job == number
        # The tax of one job, the fine, and what rounding left of the job before.
        assert won.amount == won.pool == before + (100 + fine) * UNIT
        assert accuser.earned >= won.amount
        assert len(stage.paid(Penalised)) == len(stage.paid(LotteryWon)) == number
        before = stage.lottery
    assert stage.validators[2].earned == -1_400 * UNIT
    assert stage.errors == []
    stage.check_books()


def test_the_scores_of_a_swapping_validator_do_not_count(tmp_path):
    stage = Stage(tmp_path, trainers=2, cast={"validator 3": SwappingValidator})
    stage.publish()
    stage.play_out()

    assert [p.score for p in stage.paid(TrainerPaid)] == [8_500, 8_000]


def test_a_false_challenger_is_condemned_by_three_honest_ones(tmp_path):
    cast = {"challenger 4": FalseChallenger}
    stage = Stage(tmp_path, trainers=2, validators=2, challengers=4, cast=cast)
    stage.publish()
    stage.play_out()

    cheat = stage.challengers[3]
    assert stage.job().condemned == {cheat.account}
    assert [(p.account, p.role, p.amount) for p in stage.paid(Penalised)] == [
        (cheat.account, Role.CHALLENGER, 200 * UNIT)
    ]
    assert stage.paid(LotteryWon)[0].accuser in {n.account for n in stage.challengers[:3]}
    assert stage.errors == []


def test_one_honest_challenger_alone_cannot_condemn_a_false_one(tmp_path):
    cast = {"challenger 3": FalseChallenger}
    stage = Stage(tmp_path, trainers=2, validators=2, challengers=3, cast=cast)
    stage.challengers[0].leave()
    stage.publish()
    stage.play_out()

    assert stage.job().condemned == set()
    assert stage.verdict() is Verdict.NORMAL


def test_whoever_waits_to_accuse_leaves_the_prize_to_the_quicker(tmp_path):
    cast = {"validator 2": SwappingValidator}
    stage = Stage(tmp_path, trainers=2, validators=2, cast=cast, patience=Patience(accuse=10))
    slow, quick = stage.challengers
    quick.duty = type(quick.duty)(quick.surroundings, quick.duty.policy, Patience())
    stage.publish()
    stage.play_out()

    assert [p.accuser for p in stage.paid(LotteryWon)] == [quick.account]
    assert stage.job(FIRST_JOB).accusations[stage.validators[1].account].yes == [
        quick.account,
        slow.account,
    ]
