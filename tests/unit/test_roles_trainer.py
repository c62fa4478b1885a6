"""A trainer risks its stake by its own terms only, trains once, and never loses its key."""

import asyncio
from dataclasses import replace

import numpy as np
import pytest
from safetensors.numpy import save_file
from tests.scenarios.stage import EVALUATION, FIRST_JOB, INITIAL, REWARD, TOPIC, TRAINING, Stage

from scatter.fakes.sandbox import JobFailed
from scatter.lifecycle.vocabulary import Phase, Role, Verdict
from scatter.mechanism.errors import BadInput, Refused
from scatter.mechanism.units import UNIT, JobId
from scatter.ports.chain import ChainUnreachable
from scatter.ports.sandbox import Isolation
from scatter.ports.store import Kind
from scatter.roles.duty import SandboxPolicy
from scatter.roles.trainer import TrainingFailed


@pytest.fixture
def stage(tmp_path):
    return Stage(tmp_path, trainers=2, validators=1, challengers=0)


@pytest.fixture
def trainer(stage):
    return stage.trainers[0]


@pytest.fixture
def offering(trainer):
    """Changes the trainer's offer."""

    def offering(topic=TOPIC, **changes):
        offer = replace(trainer.duty.offers[TOPIC], **changes)
        trainer.duty = replace(trainer.duty, offers={topic: offer})

    return offering


def has_joined(trainer):
    return trainer.account in trainer.stage.job().trainers


@pytest.mark.parametrize(
    "terms",
    [
        {"topic": "sounds"},
        {"least_reward": REWARD + 1},
        {"longest_training": 599},
        {"stake": 2 * UNIT - 1},
        {"stake": INITIAL + 1},
        {"join_unasked": False},
    ],
    ids=lambda terms: next(iter(terms)),
)
def test_joins_nothing_outside_its_terms(stage, trainer, offering, terms):
    offering(**terms)
    stage.publish(least_stake=2 * UNIT)
    trainer.advance()

    assert not has_joined(trainer)
    assert trainer.errors == []


def test_joins_what_its_terms_just_allow(stage, trainer, offering):
    offering(least_reward=REWARD, longest_training=600, stake=2 * UNIT)
    stage.publish(least_stake=2 * UNIT)
    trainer.advance()

    assert stage.job().trainers[trainer.account].stake == 2 * UNIT


def test_joins_nothing_with_a_role_stake(stage, trainer):
    asyncio.run(trainer.chain.register(Role.CHALLENGER, 20_000 * UNIT))
    stage.publish()
    trainer.advance()

    assert not has_joined(trainer)
    assert trainer.errors == []


def test_does_not_run_a_strangers_job_in_a_weak_sandbox(stage, trainer):
    trainer.sandbox.isolation = Isolation.NAMESPACES
    stage.publish()
    trainer.advance()

    assert not has_joined(trainer)
    assert "weaker than the configured minimum (guest_kernel)" in str(trainer.errors[0])
    assert "Install gVisor (package runsc" in str(trainer.errors[0])


def test_runs_a_trusted_job_in_a_weak_sandbox(stage, trainer):
    trainer.sandbox.isolation = Isolation.NONE
    stage.publish()
    trusted = frozenset({stage.job().created.training_job})
    trainer.duty = replace(trainer.duty, policy=SandboxPolicy(trusted_jobs=trusted))
    trainer.advance()

    assert has_joined(trainer)


@pytest.mark.parametrize(
    ("training", "evaluation", "sentence"),
    [
        ("kind = ", EVALUATION, "is not valid TOML"),
        (EVALUATION, EVALUATION, "'train' is wanted here"),
        (TRAINING.replace(TOPIC, "sounds"), EVALUATION, "its training job says 'sounds'"),
        (TRAINING, EVALUATION.replace("[2]", "[3]"), "is for another model than its training"),
        (TRAINING, "", "kind is missing"),
    ],
)
def test_joins_no_job_that_is_malformed(stage, trainer, training, evaluation, sentence):
    (stage.training_job / "job.toml").write_text(training)
    (stage.evaluation_job / "job.toml").write_text(evaluation)
    stage.publish_unchecked()
    trainer.advance()

    assert not has_joined(trainer)
    assert len(trainer.errors) == 1
    assert sentence in str(trainer.errors[0])


IN_TORCH = ('runtime = "numpy"', 'runtime = "torch"')


def test_joins_no_job_in_a_runtime_that_is_not_allowed_here(stage, trainer):
    (stage.training_job / "job.toml").write_text(TRAINING.replace(*IN_TORCH))
    stage.publish()
    trainer.advance()

    assert not has_joined(trainer)
    assert str(trainer.errors[0]) == (
        "Job 1 cannot be trained here. The runtime 'torch' is not allowed here, only numpy; build "
        "it with `scatter runtime build torch`, and name it in [sandbox] runtimes of node.toml."
    )


def test_trains_in_the_runtime_that_the_job_names(stage, trainer):
    for node in stage.nodes:
        node.sandbox.runtimes = frozenset({"numpy", "torch"})
    (stage.training_job / "job.toml").write_text(TRAINING.replace(*IN_TORCH))
    (stage.evaluation_job / "job.toml").write_text(EVALUATION.replace(*IN_TORCH))
    stage.publish()
    stage.play_out()

    assert stage.verdict() is Verdict.NORMAL
    for node in (trainer, stage.validators[0]):
        assert {task.runtime for task in node.sandbox.tasks} == {"torch"}


def test_joins_no_job_that_starts_from_weights_of_another_model(stage, trainer):
    save_file({"w": np.zeros(3, np.float32)}, stage.training_job / "base.safetensors")
    stage.publish_unchecked()
    trainer.advance()

    assert not has_joined(trainer)
    assert "weights to start from do not fit" in str(trainer.errors[0])


def test_starts_from_the_weights_that_the_job_brings(stage, trainer):
    base = stage.training_job / "base.safetensors"
    save_file({"w": np.array([0.25, 7], np.float32)}, base)
    stage.publish()
    stage.play_until(Phase.DATASET)

    assert [list(task.models) for task in trainer.sandbox.tasks] == [["base"]]


def test_is_passed_over_when_others_fill_the_job_first(stage, trainer):
    async def join_late(join, job, stake):
        await stage.trainers[1].chain.join(job, stake)
        await join(job, stake)

    trainer.meddle("chain", join=join_late)
    stage.publish(most_trainers=1)
    trainer.advance()

    assert not has_joined(trainer)
    assert trainer.errors == []


def test_a_refusal_that_is_its_own_fault_is_told(stage, trainer):
    async def spend_first(join, job, stake):
        await trainer.chain.transfer(stage.treasury, INITIAL)
        await join(job, stake)

    trainer.meddle("chain", join=spend_first)
    stage.publish()
    trainer.advance()

    assert [str(error) for error in trainer.errors] == ["token: balance too low"]


def test_joins_by_hand_what_it_would_not_join_unasked(stage, trainer, offering):
    offering(join_unasked=False)
    stage.publish()
    asyncio.run(trainer.duty.agree(FIRST_JOB, 3 * UNIT))

    assert stage.job().trainers[trainer.account].stake == 3 * UNIT


def test_joins_nothing_by_hand_that_it_has_no_data_for(stage, trainer, offering):
    offering(topic="sounds")
    stage.publish()

    with pytest.raises(BadInput, match="No data is configured for the topic 'pictures'"):
        asyncio.run(trainer.duty.agree(FIRST_JOB, 3 * UNIT))
    with pytest.raises(BadInput, match="There is no job 7"):
        asyncio.run(trainer.duty.agree(JobId(7), 3 * UNIT))


def test_joins_nothing_by_hand_that_its_sandbox_is_too_weak_for(stage, trainer):
    trainer.sandbox.isolation = Isolation.NONE
    stage.publish()

    with pytest.raises(BadInput, match="weaker than the configured minimum"):
        asyncio.run(trainer.duty.agree(FIRST_JOB, 3 * UNIT))


def test_keeps_its_key_before_the_model_leaves(stage, trainer):
    seen = []

    async def add(real, folder):
        seen.append(await trainer.store.recall(Kind.MODEL_KEY, FIRST_JOB, trainer.account))
        return await real(folder)

    trainer.meddle("content", add=add)
    stage.publish()
    stage.play_until(Phase.DATASET)

    assert seen
    assert all(seen)


def test_keeps_to_one_key_and_one_sealed_model_whatever_fails(stage, trainer):
    failing, keys, published = ["add", "submit_model"], set(), []

    async def add(real, folder):
        keys.add(await trainer.store.recall(Kind.MODEL_KEY, FIRST_JOB, trainer.account))
        if "add" in failing:
            failing.remove("add")
            raise BadInput("The disk is full.")
        published.append(await real(folder))
        return published[-1]

    async def submit_model(real, *args):
        if "submit_model" in failing:
            failing.remove("submit_model")
            raise ChainUnreachable
        await real(*args)

    trainer.meddle("content", add=add)
    trainer.meddle("chain", submit_model=submit_model)
    stage.publish()
    stage.play_out()

    assert len(trainer.errors) == 2
    assert (len(keys), len(published)) == (1, 1)
    assert stage.job().trainers[trainer.account].model == published[0]


def test_does_not_train_again_when_only_publishing_failed(stage, trainer):
    failures = [BadInput("The disk is full.")]

    async def add(real, folder):
        if failures:
            raise failures.pop()
        return await real(folder)

    trainer.meddle("content", add=add)
    stage.publish()
    stage.play_out()

    assert stage.verdict() is Verdict.NORMAL
    assert [str(error) for error in trainer.errors] == ["The disk is full."]
    assert trainer.trained == 1


def test_trains_again_when_the_model_is_gone(stage, trainer):
    async def add(real, folder):
        if trainer.trained == 1:
            (folder.parent / "trained" / "model.safetensors").unlink()
            raise BadInput("The disk is failing.")
        return await real(folder)

    trainer.meddle("content", add=add)
    stage.publish()
    stage.play_out()

    assert trainer.trained == 2
    assert trainer.earned > 0


GOOD = {"w": np.array([0.5, 0.5], np.float32)}
FACTS = {"examples": 10, "metrics": {}}


def break_down(task):
    raise JobFailed("it used more than 512 MiB")


@pytest.mark.parametrize(
    ("train", "sentence"),
    [
        (break_down, "Training for job 1 failed: it used more than 512 MiB"),
        (lambda _: ({"w": np.zeros(3, np.float32)}, FACTS), "Training for job 1: .*bytes"),
        (lambda _: ({"w": GOOD["w"] * np.nan}, FACTS), "Training for job 1: .*not finite"),
        (lambda _: ({"v": GOOD["w"]}, FACTS), "Training for job 1: .*'v' is too many"),
        (lambda _: (GOOD, {}), "Training for job 1: .*examples"),
    ],
)
def test_says_what_was_wrong_with_a_training(stage, trainer, train, sentence):
    trainer.train = train
    stage.publish()
    stage.play_until(Phase.TRAINING)

    with pytest.raises(TrainingFailed, match=sentence):
        asyncio.run(trainer.duty.advance(FIRST_JOB))


def test_submits_nothing_that_failed_and_lets_the_job_go_on(stage, trainer):
    trainer.train = break_down
    stage.publish()
    stage.play_out()

    assert stage.verdict() is Verdict.NORMAL
    assert stage.job().trainers[trainer.account].model is None
    assert trainer.earned == -600 * UNIT


def test_says_that_its_data_are_gone(stage, trainer):
    stage.publish()
    stage.play_until(Phase.TRAINING)
    trainer.duty = replace(trainer.duty, offers={})

    with pytest.raises(BadInput, match="joined, but no data is configured for 'pictures'"):
        asyncio.run(trainer.duty.advance(FIRST_JOB))


def test_trains_nothing_after_the_deadline(stage, trainer):
    stage.publish()
    stage.play_until(Phase.TRAINING)
    stage.world.pass_time(600)
    trainer.advance()

    assert trainer.trained == 0
    assert trainer.errors == []


def test_a_submission_that_comes_too_late_is_told(stage, trainer):
    async def dawdle(submit, *args):
        stage.world.pass_time(600)
        await submit(*args)

    trainer.meddle("chain", submit_model=dawdle)
    stage.publish()
    stage.play_until(Phase.TRAINING)

    with pytest.raises(Refused, match="too late"):
        asyncio.run(trainer.duty.advance(FIRST_JOB))


def test_reports_what_it_trained(stage, trainer):
    stage.publish()
    stage.play_until(Phase.DATASET)

    facts = asyncio.run(trainer.store.recall(Kind.TRAINING, FIRST_JOB, "own"))
    assert b'"examples": 10' in facts
    assert b'"backend": "fake"' in facts


def test_does_nothing_in_a_job_that_does_not_exist(trainer):
    assert asyncio.run(trainer.duty.advance(JobId(9))) is None
