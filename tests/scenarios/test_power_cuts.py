"""A node that loses its power at any moment goes on from its disk, and nobody's money changes."""

import asyncio
import shutil

import pytest
from tests.scenarios.power import READS, Fuse
from tests.scenarios.stage import FIRST_JOB, Stage

from scatter.lifecycle.job import fold
from scatter.lifecycle.vocabulary import Verdict
from scatter.ports.store import Kind
from scatter.roles.keys import model_context
from scatter.sealing import Key, key_commitment
from scatter.simulation.adversaries import SwappingValidator

ROLES = ["requester 1", "trainer 1", "validator 1", "challenger 1"]


@pytest.fixture
def play(tmp_path):
    """Plays a job with an accusation in it; one node has a fuse."""

    def play(name: str, fuse: Fuse) -> Stage:
        folder = tmp_path / "stage"
        shutil.rmtree(folder, ignore_errors=True)
        cast = {"validator 3": SwappingValidator}
        stage = Stage(folder, trainers=2, validators=3, challengers=2, cast=cast)
        node = next(node for node in stage.nodes if node.name == name)
        node.fuse = fuse
        node.build()
        stage.publish()
        stage.play_out()
        return stage

    return play


def check(stage: Stage, name: str, undisturbed: Stage) -> None:
    assert stage.verdict() is Verdict.NORMAL
    assert stage.earnings() == undisturbed.earnings()
    assert stage.errors == []
    assert len(stage.world.ledger.jobs) == 1
    assert stage.world.transactions == undisturbed.world.transactions
    stage.check_books()
    result = asyncio.run(stage.requester.duty.result(FIRST_JOB))
    assert [share.problem for share in result.shares] == ["", ""]
    assert result.model.is_file()
    job = fold(stage.world.ledger.history(FIRST_JOB), stage.world.ledger.parameters)
    for node in stage.trainers:
        key = asyncio.run(node.store.recall(Kind.MODEL_KEY, FIRST_JOB, node.account))
        context = model_context(node.surroundings, job, node.account)
        assert key_commitment(Key(key), context) == job.trainers[node.account].key_commitment


def cut_everywhere(play, name: str, *, sampled: bool) -> None:
    whole = Fuse()
    undisturbed = play(name, whole)
    assert undisturbed.errors == []
    for number, call in enumerate(whole.calls, start=1):
        for after in (False, True):
            if sampled and not (after and number in _firsts_and_lasts(whole.calls)):
                continue
            moment = f"{'after' if after else 'before'} call {number} ({call}) of {name}"
            fuse = Fuse(blow_at=number, after=after)
            try:
                stage = play(name, fuse)
                assert fuse.blown
                check(stage, name, undisturbed)
            except AssertionError as failure:
                raise AssertionError(f"{moment}: {failure}") from failure
            # Only a model of which nothing was written down yet is trained again.
            lost = name == "trainer 1" and (number, after) in _unnoted(whole.calls)
            assert stage.trainers[0].trained == 1 + lost, moment


def _firsts_and_lasts(calls: list[str]) -> set[int]:
    """Of each kind of effect, the numbers of the first and the last."""
    effects = [(number, call) for number, call in enumerate(calls, start=1) if call not in READS]
    first = {call: number for number, call in reversed(effects)}
    last = {call: number for number, call in effects}
    return {*first.values(), *last.values()}


def _unnoted(calls: list[str]) -> set[tuple[int, bool]]:
    run = calls.index("run") + 1
    return {(run, True), (run + 1, False)}


@pytest.mark.parametrize("name", ROLES)
def test_a_cut_after_an_effect_costs_nobody_anything(play, name):
    cut_everywhere(play, name, sampled=True)


@pytest.mark.nightly
@pytest.mark.parametrize("name", ROLES)
def test_a_cut_at_any_call_costs_nobody_anything(play, name):
    cut_everywhere(play, name, sampled=False)
