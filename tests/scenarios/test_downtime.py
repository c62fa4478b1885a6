"""A node that was down over several phases does what is still due, and nothing of what is past."""

from collections.abc import Callable

import pytest
from tests.scenarios.stage import Node, Stage

from scatter.lifecycle.payments import Penalised, StakeForfeited
from scatter.lifecycle.vocabulary import Phase, Verdict
from scatter.mechanism.units import UNIT
from scatter.simulation.adversaries import SwappingValidator


@pytest.fixture
def company(tmp_path) -> Callable[[str], Stage]:
    """Validator 3 swaps good scores and bad ones, so that there is something to accuse."""

    def hire(folder: str) -> Stage:
        cast = {"validator 3": SwappingValidator}
        stage = Stage(tmp_path / folder, trainers=3, challengers=2, cast=cast)
        stage.publish()
        return stage

    return hire


def be_down_until(stage: Stage, nodes: list[Node], wanted: Phase) -> None:
    """The nodes' processes end now and start anew in this phase."""
    for node in nodes:
        node.present = False
    stage.play_until(wanted)
    for node in nodes:
        node.present = True
        node.build()


def test_challengers_back_in_the_last_phase_still_accuse_and_vote(company):
    undisturbed = company("undisturbed")
    undisturbed.play_out()
    stage = company("disturbed")

    be_down_until(stage, stage.challengers, Phase.CHALLENGE)
    stage.play_out()

    assert [p.account for p in stage.paid(Penalised)] == [stage.validators[2].account]
    assert stage.earnings() == undisturbed.earnings()
    assert stage.errors == []


def test_a_validator_back_after_its_windows_was_fined_and_acts_no_more(company):
    stage = company("stage")
    late = stage.validators[0]

    be_down_until(stage, [late], Phase.CHALLENGE)
    stage.play_out()

    assert stage.verdict() is Verdict.NORMAL
    assert late.earned == -200 * UNIT
    assert stage.job().committee[late.account].scores is None
    assert late.errors == []


def test_a_validator_back_in_the_first_window_still_scores(company):
    stage = company("stage")
    late = stage.validators[0]

    be_down_until(stage, [late], Phase.COMMIT)
    stage.play_out()

    assert stage.job().committee[late.account].scores is not None
    assert late.earned > 0
    assert late.errors == []


def test_a_trainer_back_after_training_neither_trains_nor_submits(company):
    stage = company("stage")
    late = stage.trainers[0]
    late.advance()
    assert late.account in stage.job().trainers

    be_down_until(stage, [late], Phase.CHALLENGE)
    stage.play_out()

    assert stage.verdict() is Verdict.NORMAL
    assert {p.trainer for p in stage.paid(StakeForfeited)} == {late.account}
    assert (late.trained, late.errors) == (0, [])


def test_a_trainer_that_missed_the_joining_risks_nothing(company):
    stage = company("stage")
    late = stage.trainers[0]

    be_down_until(stage, [late], Phase.CHALLENGE)
    stage.play_out()

    assert stage.verdict() is Verdict.NORMAL
    assert (late.earned, late.trained, late.errors) == (0, 0, [])


def test_a_requester_back_in_time_still_publishes_its_dataset(company):
    stage = company("stage")

    be_down_until(stage, [stage.requester], Phase.DATASET)
    stage.play_out()

    assert stage.verdict() is Verdict.NORMAL
    assert stage.requester.errors == []


@pytest.mark.parametrize("part", ["requester", "trainers", "validators", "challengers"])
def test_a_node_back_after_the_end_rests(company, part):
    stage = company("stage")
    stage.play_until(Phase.COMMIT)
    nodes = [stage.requester] if part == "requester" else getattr(stage, part)

    be_down_until(stage, nodes, Phase.SETTLED)
    transactions = stage.world.transactions
    stage.play_out()

    assert stage.world.transactions == transactions
    assert [error for node in nodes for error in node.errors] == []
