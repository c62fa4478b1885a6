"""A requester shows its dataset to nobody too early, and gets every model it paid for."""

import asyncio
import shutil

import numpy as np
import pytest
from safetensors.numpy import save_file
from tests.scenarios.stage import EVALUATION, FIRST_JOB, INITIAL, LOCAL_PAPER, TRAINING, Stage, run

from scatter.fakes.store import FakeStore
from scatter.lifecycle.vocabulary import Phase, Verdict
from scatter.mechanism.errors import BadInput, Refused, ScatterError
from scatter.mechanism.units import UNIT
from scatter.ports.store import Kind, StoreDamaged
from scatter.roles.duty import Patience


@pytest.fixture
def stage(tmp_path):
    return Stage(tmp_path, trainers=3, validators=1, challengers=0)


def result(stage):
    return asyncio.run(stage.requester.duty.result(FIRST_JOB))


def nothing_happened(stage):
    return not stage.world.ledger.jobs and stage.requester.earned == 0


@pytest.mark.parametrize(
    ("training", "evaluation", "sentence"),
    [
        (TRAINING, EVALUATION.replace("[2]", "[3]"), "make their \\[model\\] tables equal"),
        (TRAINING, EVALUATION.replace("pictures", "sounds"), "has another topic"),
        (EVALUATION, EVALUATION, "'train' is wanted here"),
        (TRAINING, TRAINING, "'evaluate' is wanted here"),
        ("kind", EVALUATION, "not valid TOML"),
        (TRAINING.replace('"numpy"', '"jax"'), EVALUATION, "'jax' .* known: numpy, torch"),
        (TRAINING, EVALUATION.replace('"numpy"', '"nmpy"'), "'nmpy' .* known: numpy, torch"),
    ],
)
def test_publishes_no_jobs_that_do_not_fit_together(stage, training, evaluation, sentence):
    (stage.training_job / "job.toml").write_text(training)
    (stage.evaluation_job / "job.toml").write_text(evaluation)

    with pytest.raises(BadInput, match=sentence):
        stage.publish()
    assert nothing_happened(stage)


def test_publishes_no_job_with_weights_of_another_model_to_start_from(stage):
    save_file({"w": np.zeros(3, np.float32)}, stage.training_job / "base.safetensors")

    with pytest.raises(BadInput, match="weights to start from do not fit"):
        stage.publish()
    assert nothing_happened(stage)


def test_publishes_no_job_without_a_dataset(stage):
    with pytest.raises(BadInput, match=r"The dataset .* cannot be copied"):
        stage.publish(dataset=stage.folder / "nowhere")
    assert nothing_happened(stage)


def test_what_the_protocol_refuses_is_told(stage):
    with pytest.raises(Refused, match="token: balance too low"):
        stage.publish(reward=INITIAL + UNIT)
    assert nothing_happened(stage)


def test_the_dataset_is_served_to_nobody_before_training_has_closed(stage):
    home = stage.published.published[stage.requester.content.address]
    stage.publish()
    dataset = asyncio.run(stage.requester.content.name(stage.dataset))

    stage.play_until(Phase.TRAINING)
    assert dataset not in home
    stage.play_until(Phase.DATASET)
    assert dataset not in home
    stage.play_until(Phase.COMMIT)
    assert dataset in home


def test_the_dataset_is_the_one_of_the_day_of_publishing(stage):
    stage.publish()
    committed = asyncio.run(stage.requester.content.name(stage.dataset))
    shutil.rmtree(stage.dataset)
    stage.play_out()

    assert stage.job().dataset == committed
    assert stage.verdict() is Verdict.NORMAL


def test_the_same_dataset_is_committed_to_differently_each_time(stage):
    stage.publish()
    stage.publish()

    first, second = (job.created for job in stage.world.ledger.jobs.values())
    assert first.dataset_commitment != second.dataset_commitment


@pytest.fixture
def awaiting_the_dataset(stage):
    stage.publish()
    stage.play_until(Phase.DATASET)
    stage.world.mine(3)
    return stage


def test_publishes_no_dataset_that_was_changed(awaiting_the_dataset):
    stage = awaiting_the_dataset
    copy = next((stage.requester.folder / "datasets").iterdir())
    (copy / "pictures.txt").write_text("easier pictures")

    with pytest.raises(ScatterError, match="was changed after job 1 committed to it"):
        asyncio.run(stage.requester.duty.advance(FIRST_JOB))
    assert stage.job().dataset is None


def test_says_so_when_the_salt_is_lost(awaiting_the_dataset):
    stage = awaiting_the_dataset
    stage.requester.store = FakeStore()
    stage.requester.build()

    with pytest.raises(ScatterError, match="published from another data directory"):
        asyncio.run(stage.requester.duty.advance(FIRST_JOB))


def test_one_call_publishes_the_dataset_and_draws(awaiting_the_dataset):
    stage = awaiting_the_dataset
    before = stage.world.transactions
    stage.requester.advance()

    assert stage.phase() is Phase.COMMIT
    assert stage.world.transactions == before + 1


def test_publishes_without_a_draw_rather_than_too_late(stage):
    stage.publish()
    stage.play_until(Phase.DATASET)
    stage.world.time += LOCAL_PAPER.dataset_window // 2
    stage.world._times[-1] = stage.world.time
    assert stage.world.number <= stage.job().seed_block
    stage.requester.advance()

    assert stage.job().dataset is not None
    assert not stage.job().drawn


def test_starts_as_soon_as_nobody_else_can_join(stage):
    stage.publish()
    opened = stage.world.time
    stage.play_until(Phase.TRAINING)

    assert stage.world.time == opened


def test_waits_for_more_trainers_until_the_join_deadline(stage):
    stage.publish(most_trainers=4)
    stage.play_until(Phase.TRAINING)

    assert stage.job().started_at == stage.job().join_deadline


def test_leaves_the_jobs_of_others_alone(stage):
    stage.publish()
    other = stage.trainers[0]
    other.duty = type(stage.requester.duty)(other.surroundings, Patience())
    stage.world.pass_time(LOCAL_PAPER.join_window)

    assert asyncio.run(other.duty.advance(FIRST_JOB)) is None
    assert stage.phase() is Phase.OPEN


def test_buys_keys_from_validators_when_the_trainers_are_silent(stage):
    stage.publish()
    stage.play_until(Phase.SETTLED)
    for node in stage.trainers:
        node.leave()
    stage.play_out()

    assert [share.problem for share in result(stage).shares] == ["", "", ""]


def test_weighs_the_models_by_their_squared_scores(stage):
    stage.publish()
    stage.play_out()

    squares = {score: score**2 for score in (8_500, 8_000, 7_500)}
    for share in result(stage).shares:
        assert share.weight == pytest.approx(squares[share.score] / sum(squares.values()))


def test_the_aggregate_does_not_depend_on_the_order_of_submission(tmp_path):
    def play(name, order):
        stage = Stage(tmp_path / name, trainers=3, validators=1, challengers=0)
        stage.publish()
        stage.play_until(Phase.TRAINING)
        for place in order:
            stage.trainers[place].advance()
        stage.play_out()
        return stage

    one, other = play("one", [0, 1, 2]), play("other", [2, 0, 1])
    assert [t.account for t in one.job().models] != [t.account for t in other.job().models]
    assert result(one).model.read_bytes() == result(other).model.read_bytes()


def test_takes_only_what_was_accepted(tmp_path):
    stage = Stage(tmp_path, trainers=2, validators=1, challengers=0)
    (stage.trainers[1].folder / "data/data.txt").write_text("0.2 9")
    stage.publish()
    stage.play_out()

    assert [share.trainer for share in result(stage).shares] == [stage.trainers[0].account]
    assert all(trainer != stage.trainers[1].account for trainer in bought(stage))


def bought(stage):
    return [t for _, t, asker, _ in stage.handed_over if asker == stage.requester.account]


def test_waits_for_a_bought_model_and_opens_none_twice(stage):
    stage.publish()
    stage.play_until(Phase.SETTLED)
    last = max(stage.trainers, key=lambda node: node.account)
    stage.validators[0].peers.is_online = last.peers.is_online = False
    stage.requester.advance()
    assert result(stage) is None
    assert len(bought(stage)) == 2
    opened = {path: path.stat().st_ino for path in stage.requester.folder.glob("jobs/**/0x*")}
    stage.requester.advance()
    assert {path: path.stat().st_ino for path in opened} == opened

    last.peers.is_online = True
    stage.play_out()
    assert [share.problem for share in result(stage).shares] == ["", "", ""]
    assert sorted(bought(stage)) == sorted(node.account for node in stage.trainers)


def test_a_result_without_any_model_says_why(stage):
    stage.publish()
    stage.play_until(Phase.SETTLED)
    for node in [*stage.trainers, *stage.validators]:
        node.leave()
    stage.play_out()

    assert result(stage).model is None
    assert all("no peer knows" in share.problem for share in result(stage).shares)


def test_there_is_no_result_where_nothing_was_bought(stage):
    stage.validators[0].evaluate = lambda *_: 0.3
    stage.publish()
    stage.play_out()

    assert stage.verdict() is Verdict.NO_MODEL_ACCEPTED
    assert result(stage) is None
    assert bought(stage) == []


def test_the_salt_is_kept_before_the_job_exists(stage):
    async def create(real, order):
        name = order.dataset_commitment.hex()
        assert await stage.requester.store.recall(Kind.DATASET, 0, name) is not None
        return await real(order)

    stage.requester.meddle("chain", create=create)

    assert stage.publish() == FIRST_JOB


def copies(stage):
    return list((stage.requester.folder / "datasets").iterdir())


def test_the_copy_of_a_dataset_goes_when_its_job_is_over(stage):
    stage.publish()
    other = stage.publish()
    assert len(copies(stage)) == 2
    stage.play_out()

    (left,) = copies(stage)
    run(stage.requester.duty.sweep())
    assert copies(stage) == [left], "the other job needs it"
    stage.world.pass_time(stage.job(other).join_deadline - stage.world.time)
    run(stage.requester.chain.cancel(other))
    stage.requester.advance(other)
    assert copies(stage) == []


def test_what_a_publication_cut_short_has_left_is_swept(stage):
    async def keep(real, kind, *rest):
        raise StoreDamaged("The power went out.")

    stage.requester.meddle("store", keep=keep)
    with pytest.raises(StoreDamaged):
        stage.publish()
    assert len(copies(stage)) == 1

    run(stage.requester.duty.sweep())
    assert copies(stage) == []
