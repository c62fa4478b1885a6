"""A challenger accuses and votes by its own eyes only, and leaves alone what it cannot tell."""

import asyncio
from dataclasses import dataclass, replace

import pytest
from tests.scenarios.stage import FIRST_JOB, LOCAL_PAPER, Stage

from scatter.fakes.sandbox import JobFailed
from scatter.lifecycle.opinion import Finding, opinion
from scatter.lifecycle.payments import LotteryWon, Penalised
from scatter.lifecycle.vocabulary import Phase, Verdict
from scatter.mechanism.errors import Refused
from scatter.mechanism.units import Score
from scatter.ports.content import ContentNotFound
from scatter.ports.peers import KeyRefused
from scatter.ports.store import Kind
from scatter.roles.challenger import decode_finding, encode_finding
from scatter.roles.examination import refraining
from scatter.roles.validator import Validator
from scatter.simulation.adversaries import (
    FalseChallenger,
    RandomWeightsTrainer,
    SwappingValidator,
)


@dataclass(frozen=True)
class GenerousValidator(Validator):
    """Adds to every score, or gives all the same."""

    by: int = 0
    flat: int | None = None

    async def examine(self, job, *, give_up_on_keys):
        honest = await super().examine(job, give_up_on_keys=give_up_on_keys)
        scores = (s + self.by if self.flat is None else self.flat for s in honest.scores)
        return replace(honest, scores=tuple(Score(score) for score in scores))


@dataclass(frozen=True)
class LazyValidator(Validator):
    """Refrains, to save itself the work."""

    async def examine(self, job, *, give_up_on_keys):
        return refraining(job, "I would rather not.")


def generous(**how):
    return lambda surroundings, policy, patience: GenerousValidator(
        surroundings, policy, patience, **how
    )


@pytest.fixture
def company(tmp_path):
    """Three trainers, three validators, three challengers, some of whom cheat."""

    def company(cast=None, **counts):
        counts = {"trainers": 3, "validators": 3, "challengers": 3} | counts
        stage = Stage(tmp_path, cast=cast, **counts)
        stage.publish()
        return stage

    return company


@pytest.mark.parametrize(("by", "accused"), [(10, False), (-10, False), (11, True), (-11, True)])
def test_accuses_scores_outside_the_tolerance_and_none_inside(company, by, accused):
    stage = company({"validator 2": generous(by=by)})
    stage.play_out()

    expected = {stage.validators[1].account} if accused else set()
    assert set(stage.job().accusations) == stage.job().condemned == expected
    assert stage.errors == []


def test_accuses_a_validator_that_refrained_without_cause(company):
    stage = company({"validator 1": LazyValidator})
    stage.play_out()

    assert stage.job().condemned == {stage.validators[0].account}
    assert [p.account for p in stage.paid(Penalised)] == [stage.validators[0].account]


def test_accuses_nobody_that_refrained_with_cause(company):
    stage = company()

    def fail(name, path, task):
        raise JobFailed("it never ends")

    for node in [*stage.validators, *stage.challengers]:
        node.evaluate = fail
    stage.play_out()

    assert stage.verdict() is Verdict.REQUESTER_MALICIOUS
    assert stage.job().accusations == {}


def test_accuses_whoever_scored_what_cannot_be_scored(company):
    stage = company({"validator 1": generous(flat=9_000)})

    def fail(name, path, task):
        raise JobFailed("it never ends")

    for node in [*stage.validators[1:], *stage.challengers]:
        node.evaluate = fail
    stage.play_out()

    assert stage.job().condemned == {stage.validators[0].account}


def test_accuses_a_copy_that_the_committee_let_pass(company):
    stage = company({f"validator {n}": generous(flat=8_000) for n in (1, 2, 3)})
    first, copy = stage.trainers[:2]
    (copy.folder / "data/data.txt").write_text((first.folder / "data/data.txt").read_text())
    stage.play_out()

    assert copy.account in stage.job().condemned
    assert first.account not in stage.job().accusations
    assert copy.earned == -700 * 10**18


def test_accuses_random_weights_that_the_committee_let_pass(company):
    cast = {f"validator {n}": generous(flat=8_000) for n in (1, 2)}
    stage = company(cast | {"trainer 3": RandomWeightsTrainer}, validators=2)
    stage.play_out()

    assert stage.trainers[2].account in stage.job().condemned


def test_leaves_alone_whom_the_scores_condemn(company):
    stage = company({"trainer 3": RandomWeightsTrainer})
    stage.play_out()

    assert stage.job().accusations == {}
    assert stage.paid(LotteryWon) == []


def vote(node, target, guilty):
    asyncio.run(node.chain.vote(FIRST_JOB, target.account, guilty))


@pytest.mark.parametrize(("by", "condemned"), [(25, True), (15, False)])
def test_accuses_a_false_vote_where_no_honest_eye_could_differ(company, by, condemned):
    stage = company({"validator 1": generous(by=by)}, challengers=4)
    stage.play_until(Phase.CHALLENGE)
    honest, false = stage.challengers[0], stage.challengers[3]
    honest.advance()
    vote(false, stage.validators[0], guilty=False)
    stage.play_out()

    expected = {stage.validators[0].account} | ({false.account} if condemned else set())
    assert stage.job().condemned == expected


def test_accuses_who_voted_for_a_false_accusation(company):
    stage = company(challengers=5)
    stage.play_until(Phase.CHALLENGE)
    accuser, follower = stage.challengers[3:]
    asyncio.run(accuser.chain.accuse(FIRST_JOB, stage.validators[0].account))
    vote(follower, stage.validators[0], guilty=True)
    for node in (accuser, follower):
        node.leave()
    for node in stage.challengers[:3]:
        node.advance()

    assert {accuser.account, follower.account} <= set(stage.job().accusations)


def test_votes_by_its_own_eyes_both_ways(company):
    cast = {"validator 3": SwappingValidator, "challenger 4": FalseChallenger}
    stage = company(cast, challengers=4)
    stage.play_out()

    honest = {node.account for node in stage.challengers[:3]}
    accusations = stage.job().accusations
    assert honest <= set(accusations[stage.validators[2].account].yes)
    assert honest <= set(accusations[stage.validators[0].account].no)
    assert stage.job().condemned == {stage.validators[2].account, stage.challengers[3].account}


@pytest.mark.parametrize("challengers", [0, 1])
def test_nobody_lifts_a_finger_where_nobody_can_be_accused(company, challengers):
    least = LOCAL_PAPER.least_electorate
    assert challengers < least
    stage = company({"validator 3": SwappingValidator}, challengers=challengers)
    stage.play_out()

    assert all(node.sandbox.tasks == [] for node in stage.challengers)
    assert stage.job().accusations == {}
    assert stage.verdict() is Verdict.NORMAL
    assert stage.errors == []


def test_takes_nothing_up_that_can_change_no_more(company):
    stage = company()
    for node in stage.challengers:
        node.present = False
    stage.play_until(Phase.CHALLENGE)
    stage.world.pass_time(LOCAL_PAPER.challenge_window)
    stage.challengers[0].advance()

    assert stage.challengers[0].sandbox.tasks == []


def test_a_trainer_cannot_frame_validators_by_keeping_its_key_from_challengers(company):
    stage = company()
    stage.play_until(Phase.CHALLENGE)

    async def keeper(job, trainer, asker):
        raise KeyRefused("Not to you.")

    stage.trainers[0].peers.serve_keys(keeper)
    stage.play_out()

    assert stage.job().accusations == {}
    assert stage.verdict() is Verdict.NORMAL


def test_what_it_could_see_still_condemns_when_one_key_is_missing(company):
    stage = company({"validator 2": SwappingValidator})
    stage.play_until(Phase.CHALLENGE)
    stage.trainers[0].leave()
    stage.play_out()

    assert stage.job().condemned == {stage.validators[1].account}


def test_examines_once_even_across_restarts(company):
    stage = company({"validator 2": generous(by=500)})
    stage.play_until(Phase.CHALLENGE)
    challenger = stage.challengers[0]
    challenger.advance()
    challenger.evaluate = lambda *_: 0.01
    challenger.build()
    stage.play_out()

    assert len(challenger.sandbox.tasks) == 1
    assert set(stage.job().accusations) == {stage.validators[1].account}


def test_what_keeps_it_from_judging_does_not_keep_the_job_from_ending(company):
    stage = company()

    async def fetch(real, digest, into, **named):
        raise ContentNotFound("Nobody serves this.")

    stage.challengers[0].meddle("content", fetch=fetch)
    stage.play_until(Phase.CHALLENGE)
    for node in stage.nodes:
        node.present = node is stage.challengers[0]
    stage.play_until(Phase.SETTLED)

    assert {str(error) for error in stage.challengers[0].errors} == {"Nobody serves this."}
    assert stage.verdict() is Verdict.NORMAL


@pytest.mark.parametrize("call", ["accuse", "vote"])
def test_another_that_was_quicker_is_passed_over(company, call):
    stage = company({"validator 1": SwappingValidator})
    stage.play_until(Phase.CHALLENGE)
    late = stage.challengers[2]
    target = stage.validators[0].account

    async def act_last(real, job, *args):
        if target not in stage.job().accusations:
            await stage.challengers[0].chain.accuse(job, target)
        if call == "vote":
            await stage.challengers[1].chain.vote(job, target, True)
        await real(job, *args)

    late.meddle("chain", **{call: act_last})
    if call == "vote":
        asyncio.run(stage.challengers[0].chain.accuse(FIRST_JOB, target))
    late.advance()

    assert late.errors == []
    assert target in stage.job().accusations


def test_any_other_refusal_is_an_error(company):
    stage = company({"validator 1": SwappingValidator})
    stage.play_until(Phase.CHALLENGE)

    async def refuse(real, job, target):
        raise Refused("accusation: not an elector")

    stage.challengers[0].meddle("chain", accuse=refuse)
    with pytest.raises(Refused, match="not an elector"):
        asyncio.run(stage.challengers[0].duty.advance(FIRST_JOB))


def test_keeps_what_it_saw_as_evidence(company):
    stage = company()
    stage.play_until(Phase.CHALLENGE)
    stage.challengers[0].advance()

    kept = asyncio.run(stage.challengers[0].store.recall(Kind.FINDING, FIRST_JOB, "own"))
    finding = decode_finding(kept)
    assert finding.scores == (8_500, 8_000, 7_500)
    assert decode_finding(encode_finding(finding)) == finding


def test_has_no_opinion_of_whom_it_cannot_judge(company):
    stage = company()
    stage.play_until(Phase.CHALLENGE)
    trainer, member = stage.trainers[0].account, stage.validators[0].account
    blind = Finding(
        scores=(Score(0),) * 3,
        unseen=frozenset(node.account for node in stage.trainers),
        duplicates=frozenset(),
        reason_to_refrain="",
        tolerance=Score(10),
    )

    assert opinion(stage.job(), blind, trainer) is None
    assert opinion(stage.job(), blind, member) is None
