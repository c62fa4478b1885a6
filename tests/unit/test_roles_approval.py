"""A job waits for its operator where the operator says so, and for nobody else."""

from dataclasses import replace

import pytest
from tests.scenarios.stage import FIRST_JOB, Stage, run

from scatter.lifecycle.vocabulary import Phase, Verdict
from scatter.mechanism.units import Digest
from scatter.ports.content import ContentNotFound
from scatter.roles.approval import ApprovalNeeded
from scatter.roles.duty import Approval, SandboxPolicy
from scatter.roles.review import Review

SUSPICIOUS = "import socket\n"


@pytest.fixture
def stage(tmp_path):
    return Stage(tmp_path, trainers=1, validators=1, challengers=2)


def demand(node, rule: Approval, **policy: object) -> None:
    made = node.make_duty
    node.make_duty = lambda surroundings: replace(
        made(surroundings), policy=SandboxPolicy(approval=rule, **policy)
    )
    node.build()


def approve(node) -> None:
    run(Review(node.surroundings).approve(node.stage.job()))


def test_a_trainer_that_asks_joins_nothing_before_it_is_told_and_remembers_over_a_restart(stage):
    (trainer,) = stage.trainers
    demand(trainer, Approval.ALWAYS)
    stage.publish()
    trainer.advance()
    trainer.build()
    trainer.advance()

    assert trainer.account not in stage.job().trainers
    assert [type(error) for error in trainer.errors] == [ApprovalNeeded] * 2
    assert str(trainer.errors[0]) == (
        "Job 1 waits (the operator approves every job by hand): look with `scatter job inspect 1`, "
        "then `scatter job approve 1`."
    )
    approve(trainer)
    trainer.build()
    stage.play_out()
    assert stage.verdict() is Verdict.NORMAL
    assert trainer.earned > 0


def test_joining_by_hand_is_no_approval(stage):
    (trainer,) = stage.trainers
    demand(trainer, Approval.ALWAYS)
    stage.publish()

    with pytest.raises(ApprovalNeeded):
        run(trainer.duty.agree(FIRST_JOB, 3))


@pytest.mark.parametrize("part", ["training_job", "evaluation_job"])
def test_only_what_is_suspicious_waits_where_that_is_the_rule(stage, part):
    (trainer,) = stage.trainers
    demand(trainer, Approval.SUSPICIOUS)
    name = "train.py" if part == "training_job" else "evaluate.py"
    (getattr(stage, part) / name).write_text(SUSPICIOUS)
    stage.publish()
    trainer.advance()

    assert trainer.account not in stage.job().trainers
    assert f"1 suspicious places, the first in {name}, line 1" in str(trainer.errors[0])


def test_what_is_not_suspicious_is_joined_unasked(stage):
    (trainer,) = stage.trainers
    demand(trainer, Approval.SUSPICIOUS)
    stage.publish()
    trainer.advance()

    assert trainer.account in stage.job().trainers


def test_what_the_operator_trusts_needs_no_approval(stage):
    (trainer,) = stage.trainers
    stage.publish()
    terms = stage.job().created
    trusted = frozenset({terms.training_job, terms.evaluation_job})
    demand(trainer, Approval.ALWAYS, trusted_jobs=trusted)
    trainer.advance()

    assert trainer.account in stage.job().trainers


@pytest.mark.parametrize("part", ["validators", "challengers"])
def test_nobody_runs_an_evaluation_before_it_is_told(stage, part):
    for node in getattr(stage, part):
        demand(node, Approval.ALWAYS)
    asking = getattr(stage, part)[0]
    stage.publish()
    stage.play_until(Phase.COMMIT if part == "validators" else Phase.CHALLENGE)
    asking.advance()

    assert isinstance(asking.errors[-1], ApprovalNeeded)
    assert asking.sandbox.tasks == []
    approve(asking)
    asking.advance()
    assert [task.verb for task in asking.sandbox.tasks] == ["evaluate"]


def test_a_validator_that_is_never_told_does_not_hold_the_job_up(stage):
    (validator,) = stage.validators
    demand(validator, Approval.ALWAYS)
    stage.publish()
    stage.play_out()

    assert stage.verdict() is Verdict.VALIDATORS_FAILED
    assert validator.sandbox.tasks == []


def test_another_job_under_the_same_number_is_not_approved(stage):
    (trainer,) = stage.trainers
    demand(trainer, Approval.ALWAYS)
    stage.publish()
    job = stage.job()
    other = replace(job, created=replace(job.created, evaluation_job=Digest(bytes(32))))
    review = Review(trainer.surroundings)

    run(review.approve(other))

    assert not run(review.is_approved(job))
    trainer.advance()
    assert isinstance(trainer.errors[0], ApprovalNeeded)


def test_a_review_fetches_both_jobs_and_keeps_neither(stage):
    (trainer,) = stage.trainers
    stage.publish()

    training, evaluation = run(Review(trainer.surroundings).inspect(stage.job()))

    assert [one.name for one in training.files] == ["job.toml", "train.py"]
    assert [one.name for one in evaluation.files] == ["evaluate.py", "job.toml"]
    assert list(trainer.folder.rglob("train.py")) == []


def test_a_review_of_what_nobody_has_says_so(stage):
    stage.publish()
    stage.requester.leave()

    with pytest.raises(ContentNotFound):
        run(Review(stage.trainers[0].surroundings).inspect(stage.job()))
