"""A validator scores what it saw, refrains with cause only, and reveals what it committed to."""

import asyncio
import re
from dataclasses import dataclass, replace

import numpy as np
import pytest
from safetensors.numpy import save_file
from tests.scenarios.stage import (
    EVALUATION,
    FIRST_JOB,
    LOCAL_HARDENED,
    TRAINING,
    Stage,
    evaluate,
)

from scatter.fakes.sandbox import JobFailed, ModelUnfit
from scatter.fakes.store import FakeStore
from scatter.learning.job_file import read_job
from scatter.lifecycle.vocabulary import Phase, Verdict
from scatter.mechanism.errors import ScatterError
from scatter.ports.chain import ChainUnreachable
from scatter.ports.peers import KeyRefused
from scatter.ports.sandbox import Isolation
from scatter.ports.statements import sign_key_reply
from scatter.roles.examination import JobNotAllowed, tolerance
from scatter.roles.trainer import Trainer
from scatter.roles.workplace import MODEL


@pytest.fixture
def stage(tmp_path):
    return Stage(tmp_path, trainers=3, validators=1, challengers=0)


@pytest.fixture
def validator(stage):
    return stage.validators[0]


def revealed(validator):
    return validator.stage.job().committee[validator.account].scores


def examine(validator):
    return asyncio.run(validator.duty.examine(validator.stage.job(), give_up_on_keys=True))


# What one trainer can hand in; each returns what the validator says of it.


def answer_no_letters(trainer):
    async def answer_key(real, job, asker, sealed_key):
        pass

    trainer.meddle("chain", answer_key=answer_key)


def refuse_the_key(trainer):
    async def keeper(job, owner, asker):
        raise KeyRefused("Pay me first.")

    trainer.peers.serve_keys(keeper)
    answer_no_letters(trainer)
    return "Pay me first"


def hand_over_a_wrong_key(trainer):
    async def keeper(job, owner, asker):
        entry = trainer.stage.job().trainers[owner]
        return sign_key_reply(
            trainer.signer,
            trainer.stage.network.deployment,
            job=job,
            trainer=owner,
            model=entry.model,
            key_commitment=entry.key_commitment,
            key=bytes(32),
            asker=asker,
        )

    trainer.peers.serve_keys(keeper)
    answer_no_letters(trainer)
    return "does not match its commitment"


def change_the_sealed_file(trainer):
    async def add(real, folder):
        sealed = folder / "model.sealed"
        content = bytearray(sealed.read_bytes())
        content[-1] ^= 1
        sealed.write_bytes(content)
        return await real(folder)

    trainer.meddle("content", add=add)
    return "changed after it was sealed"


def publish_an_empty_folder(trainer):
    async def add(real, folder):
        (folder / "model.sealed").rename(folder / "readme")
        return await real(folder)

    trainer.meddle("content", add=add)
    return "has no file model.sealed"


def publish_nothing(trainer):
    async def add(real, folder):
        return await trainer.content.name(folder)

    trainer.meddle("content", add=add)
    return "Nobody serves"


@dataclass(frozen=True)
class Forger(Trainer):
    """Hands in these weights, whatever the job says."""

    weights: tuple[float, ...] = ()

    async def train(self, job, training, workplace):
        path = workplace.fresh(MODEL)
        save_file({"w": np.array(self.weights, np.float32)}, path)
        return path


def forge(*weights):
    def forge(trainer):
        duty = trainer.duty
        trainer.duty = Forger(
            duty.surroundings, duty.policy, duty.offers, duty.patience, weights=weights
        )
        return {3: "its header and the job's tensors take", 2: "not finite"}[len(weights)]

    return forge


def copy_the_first(trainer):
    first = trainer.stage.trainers[0]
    (trainer.folder / "data/data.txt").write_text((first.folder / "data/data.txt").read_text())
    return f"equals the earlier model of {first.account}"


@pytest.mark.parametrize(
    "hand_in",
    [
        refuse_the_key,
        hand_over_a_wrong_key,
        change_the_sealed_file,
        publish_an_empty_folder,
        publish_nothing,
        forge(0.9, 0.9, 0.9),
        forge(0.9, float("nan")),
        copy_the_first,
    ],
)
def test_scores_0_what_cannot_be_used_and_says_why(stage, validator, hand_in):
    sentence = hand_in(stage.trainers[1])
    stage.publish()
    stage.play_until(Phase.COMMIT)

    found = examine(validator)

    assert found.scores == (8_500, 0, 7_500)
    assert [bool(remark) for remark in found.remarks] == [False, True, False]
    assert sentence in found.remarks[1]
    stage.play_out()
    assert revealed(validator) == found.scores
    assert stage.errors == []


def test_waits_for_keys_and_gives_up_at_its_patience(stage, validator):
    refuse_the_key(stage.trainers[2])
    stage.publish()
    stage.play_until(Phase.COMMIT)
    opened = stage.world.time

    validator.advance()
    assert validator.wakes[FIRST_JOB] == opened + 2
    stage.world.pass_time(59)
    validator.advance()
    assert stage.job().commitments == 0
    assert validator.sandbox.tasks == []

    stage.world.pass_time(1)
    validator.advance()
    assert stage.job().commitments == 1


def test_scores_a_model_whose_key_comes_late(stage, validator):
    late = stage.trainers[2]
    stage.publish()
    stage.play_until(Phase.COMMIT)
    late.peers.is_online = False
    validator.advance()
    late.peers.is_online = True
    stage.play_out()

    assert revealed(validator) == (8_500, 8_000, 7_500)


def fail(name, path, task):
    raise JobFailed("it used more than 512 MiB")


def find_unfit(name, path, task):
    raise ModelUnfit("no such layer")


@pytest.mark.parametrize(
    ("judge", "reason"),
    [
        (fail, "a fresh one too: it used more than 512 MiB"),
        (find_unfit, "a fresh one too: no such layer"),
        (lambda *_: 1.5, "between 0 and 1"),
        (lambda *_: float("nan"), "a fresh one too: .*score"),
    ],
    ids=["harmful", "useless", "out of bounds", "not a number"],
)
def test_refrains_from_an_evaluation_that_fails_on_everything(stage, validator, judge, reason):
    validator.evaluate = judge
    stage.publish()
    stage.play_until(Phase.COMMIT)
    found = examine(validator)
    stage.play_out()

    assert stage.verdict() is Verdict.REQUESTER_MALICIOUS
    assert stage.job().committee[validator.account].refrained
    assert re.search(reason, found.reason_to_refrain)


@pytest.mark.parametrize(
    ("training", "evaluation", "reason"),
    [
        (TRAINING, EVALUATION.replace("[2]", "[3]"), "for another model than was trained"),
        (TRAINING, "kind = ", "cannot be used: .*not valid TOML"),
    ],
)
def test_refrains_from_a_job_that_cannot_score_any_honest_model(
    stage, validator, training, evaluation, reason
):
    (stage.training_job / "job.toml").write_text(training)
    (stage.evaluation_job / "job.toml").write_text(evaluation)
    stage.publish_unchecked()
    stage.join_by_hand()
    stage.play_until(Phase.COMMIT)
    found = examine(validator)
    stage.play_out()

    assert re.search(reason, found.reason_to_refrain)
    assert stage.verdict() is Verdict.REQUESTER_MALICIOUS
    assert all(node.earned > 0 for node in stage.trainers)


@pytest.mark.parametrize("breaking", [fail, find_unfit, lambda *_: 7.0])
def test_does_not_refrain_when_one_model_alone_breaks_the_evaluation(stage, validator, breaking):
    culprit = stage.trainers[0].account

    def judge(name, path, task):
        return breaking(name, path, task) if name == culprit else evaluate(name, path, task)

    validator.evaluate = judge
    stage.publish()
    stage.play_out()

    assert revealed(validator) == (0, 8_000, 7_500)


def test_does_not_refrain_when_a_fresh_model_can_be_scored(stage, validator):
    def judge(name, path, task):
        return 0.1 if name == "fresh" else fail(name, path, task)

    validator.evaluate = judge
    stage.publish()
    stage.play_out()

    assert revealed(validator) == (0, 0, 0)
    assert stage.verdict() is Verdict.NO_MODEL_ACCEPTED


@pytest.mark.parametrize("judge", [fail, evaluate])
def test_tries_the_evaluation_even_when_no_model_can_be_opened(stage, validator, judge):
    for trainer in stage.trainers:
        forge(0.9, 0.9, 0.9)(trainer)
    validator.evaluate = judge
    stage.publish()
    stage.play_out()

    assert [list(task.models) for task in validator.sandbox.tasks] == [["fresh"]]
    assert stage.job().committee[validator.account].refrained == (judge is fail)


def test_a_runtime_that_is_not_allowed_here_is_no_cause_to_refrain(stage, validator):
    in_torch = EVALUATION.replace('runtime = "numpy"', 'runtime = "torch"')
    (stage.evaluation_job / "job.toml").write_text(in_torch)
    stage.publish()
    stage.join_by_hand()
    stage.play_out()

    assert stage.verdict() is Verdict.VALIDATORS_FAILED
    assert not stage.job().committee[validator.account].refrained
    assert "Job 1 cannot be evaluated here. The runtime 'torch'" in str(validator.errors[0])


def test_does_not_score_a_strangers_job_in_a_weak_sandbox(stage, validator):
    stage.publish()
    stage.play_until(Phase.COMMIT)
    validator.sandbox.isolation = Isolation.NAMESPACES

    with pytest.raises(JobNotAllowed, match="weaker than the configured minimum"):
        asyncio.run(validator.duty.advance(FIRST_JOB))
    assert stage.job().commitments == 0


def test_commits_to_what_nobody_can_guess(stage, validator, tmp_path):
    twin = Stage(tmp_path / "twin", trainers=3, validators=1, challengers=0)
    for each in (stage, twin):
        each.publish()
        each.play_until(Phase.REVEAL)

    commitments = [each.job().committee[validator.account].commitment for each in (stage, twin)]
    assert commitments[0] != commitments[1]


def test_sends_the_same_commitment_again_when_the_chain_was_away(stage, validator):
    sent = []

    async def commit_scores(real, job, commitment):
        sent.append(commitment)
        if len(sent) == 1:
            raise ChainUnreachable
        await real(job, commitment)

    validator.meddle("chain", commit_scores=commit_scores)
    stage.publish()
    stage.play_out()

    assert len(sent) == 2
    assert len(set(sent)) == len(validator.sandbox.tasks) == 1


def test_reveals_after_a_restart_what_it_committed_to(stage, validator):
    stage.publish()
    stage.play_until(Phase.REVEAL)
    validator.evaluate = lambda *_: 0.1
    validator.build()
    stage.play_out()

    assert revealed(validator) == (8_500, 8_000, 7_500)
    assert len(validator.sandbox.tasks) == 1


def test_says_so_when_what_it_committed_to_is_lost(stage, validator):
    stage.publish()
    stage.play_until(Phase.REVEAL)
    validator.store = FakeStore()
    validator.build()

    with pytest.raises(ScatterError, match="committed to from another data directory"):
        asyncio.run(validator.duty.advance(FIRST_JOB))


def test_does_nothing_in_a_job_that_it_was_not_drawn_for(tmp_path):
    stage = Stage(tmp_path, trainers=1, validators=4, challengers=0, parameters=LOCAL_HARDENED)
    stage.publish()
    stage.play_out()

    idle = [node for node in stage.validators if node.account not in stage.job().committee]
    assert [node.sandbox.tasks for node in idle] == [[]]
    assert stage.verdict() is Verdict.NORMAL


@pytest.mark.parametrize(
    ("examples", "width"), [(None, 10), (100, 100), (360, 28), (5_000, 10), (0, 10), ("x", 10)]
)
def test_tolerates_one_example_or_10_basis_points(stage, examples, width):

    job = read_job(stage.evaluation_job)
    job = replace(job, settings={} if examples is None else {"examples": examples})

    assert tolerance(job) == width
