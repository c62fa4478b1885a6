"""When everybody does its part, everybody is paid, and nobody learns what it should not."""

import asyncio
from math import isqrt

import numpy as np
import pytest
from safetensors.numpy import load_file
from tests.scenarios.stage import FIRST_JOB, LOCAL_HARDENED, Stage

from scatter.lifecycle.payments import StakeReturned, TrainerPaid, ValidatorPaid
from scatter.lifecycle.vocabulary import Phase, Verdict
from scatter.mechanism.units import UNIT, JobId
from scatter.ports.store import Kind

SCORES = [8_500, 8_000, 7_500, 7_000, 6_500, 6_000]


@pytest.fixture(scope="module")
def stage(tmp_path_factory):
    stage = Stage(tmp_path_factory.mktemp("honest"))
    stage.publish()
    stage.play_out()
    return stage


def test_everybody_is_paid_as_the_equations_say(stage):
    weights = [isqrt(node_stake(n) * UNIT) * SCORES[n] ** 2 for n in range(6)]

    paid = {p.trainer: p.amount for p in stage.paid(TrainerPaid)}

    assert stage.verdict() is Verdict.NORMAL
    assert [paid[node.account] for node in stage.trainers] == [
        weight * 700 * UNIT // sum(weights) for weight in weights
    ]
    assert [p.amount for p in stage.paid(ValidatorPaid)] == [200 * UNIT // 3] * 3
    assert len(stage.paid(StakeReturned)) == 6
    assert stage.requester.earned == -1_000 * UNIT
    assert sum(stage.earnings().values()) == 0
    stage.check_books()


def node_stake(place: int) -> int:
    return 600 + 100 * place


def test_nobody_met_an_error(stage):
    assert stage.errors == []


def test_the_job_took_no_more_transactions_than_it_must(stage):
    assert stage.world.transactions == 1 + 6 + 1 + 6 + 1 + 3 + 3 + 1


def test_everybody_trained_once_and_looked_at_all_models_in_one_run(stage):
    assert [node.trained for node in stage.trainers] == [1] * 6
    for node in [*stage.validators, *stage.challengers]:
        assert [len(task.models) for task in node.sandbox.tasks] == [6]


def test_the_requester_has_the_mean_weighted_by_squared_scores(stage):
    kept = stage.requester.folder / "results/1/global.safetensors"

    mean = np.average([s / 10_000 for s in SCORES], weights=[s**2 for s in SCORES])
    assert load_file(kept)["w"][0] == pytest.approx(mean, rel=1e-6)


def test_keys_went_only_to_those_entitled_and_only_then(stage):
    members = {node.account for node in stage.validators}
    electors = {node.account for node in stage.challengers}
    assert len(stage.handed_over) == 6 * (3 + 2 + 1)
    for _, trainer, asker, phase in stage.handed_over:
        assert trainer in {node.account for node in stage.trainers}
        if asker in members:
            assert phase in (Phase.COMMIT, Phase.REVEAL, Phase.CHALLENGE)
        elif asker in electors:
            assert phase is Phase.CHALLENGE
        else:
            assert (asker, phase) == (stage.requester.account, Phase.SETTLED)


def test_no_opened_model_outlives_the_job(stage):
    left = [path for node in stage.nodes for path in node.folder.glob("jobs/*/*/*.safetensors")]

    assert left == []


def test_secrets_are_where_they_must_be(stage):
    for node in stage.trainers:
        assert asyncio.run(node.store.recall(Kind.MODEL_KEY, FIRST_JOB, node.account))
    for node in stage.validators:
        assert asyncio.run(node.store.recall(Kind.SCORES, FIRST_JOB, "own"))


def test_a_second_job_finds_the_nodes_as_ready_as_the_first(tmp_path):
    stage = Stage(tmp_path, trainers=2, validators=1, challengers=2)
    for number in (1, 2):
        assert stage.publish() == number
        stage.play_out(JobId(number))
        assert stage.verdict(JobId(number)) is Verdict.NORMAL
    assert stage.errors == []
    stage.check_books()


def test_a_hardened_network_ends_the_same_way(tmp_path):
    stage = Stage(tmp_path, trainers=3, challengers=3, parameters=LOCAL_HARDENED)
    stage.publish()
    stage.play_out()

    assert stage.verdict() is Verdict.NORMAL
    assert stage.errors == []
