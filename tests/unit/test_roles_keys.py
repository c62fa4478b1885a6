"""A key goes to whom the chain entitles, when it entitles, and is believed only if it fits."""

import asyncio

import pytest
from tests.scenarios.stage import FIRST_JOB, Stage

from scatter.lifecycle.vocabulary import Phase
from scatter.mechanism.units import JobId
from scatter.ports.peers import KeyRefused, PeerUnreachable
from scatter.ports.store import Kind
from scatter.roles.keys import obtain_key


@pytest.fixture
def stage(tmp_path):
    stage = Stage(tmp_path, trainers=2, validators=1, challengers=2)
    (stage.trainers[1].folder / "data/data.txt").write_text("0.2 9")
    stage.publish()
    return stage


def ask(asker, holder, trainer=None, job=FIRST_JOB):
    owner = (trainer or holder).account
    return asyncio.run(asker.peers.request_key(job, owner, holder.account)).key


def test_nobody_has_it_before_the_draw(stage):
    stage.play_until(Phase.DATASET)
    for asker in (stage.validators[0], stage.challengers[0], stage.requester, stage.trainers[1]):
        with pytest.raises(KeyRefused, match="may not have the key"):
            ask(asker, stage.trainers[0])


def test_members_have_it_from_the_draw_on_and_electors_in_challenge_only(stage):
    stage.play_until(Phase.COMMIT)
    assert len(ask(stage.validators[0], stage.trainers[0])) == 32
    for phase in (Phase.COMMIT, Phase.REVEAL):
        stage.play_until(phase)
        with pytest.raises(KeyRefused, match="may not have the key"):
            ask(stage.challengers[0], stage.trainers[0])
    stage.play_until(Phase.CHALLENGE)
    assert len(ask(stage.challengers[0], stage.trainers[0])) == 32
    stage.play_until(Phase.SETTLED)
    with pytest.raises(KeyRefused, match="may not have the key"):
        ask(stage.challengers[1], stage.trainers[0])


def test_the_requester_has_the_key_of_what_it_paid_for_and_no_other(stage):
    stage.play_until(Phase.CHALLENGE)
    with pytest.raises(KeyRefused, match="may not have the key"):
        ask(stage.requester, stage.trainers[0])
    stage.play_until(Phase.SETTLED)

    assert len(ask(stage.requester, stage.trainers[0])) == 32
    with pytest.raises(KeyRefused, match="may not have the key"):
        ask(stage.requester, stage.trainers[1])


def test_whoever_verified_a_key_passes_it_on_to_whom_the_trainer_owes_it(stage):
    stage.play_until(Phase.REVEAL)
    for asker in (stage.challengers[0], stage.requester):
        with pytest.raises(KeyRefused, match="may not have the key"):
            ask(asker, stage.validators[0], stage.trainers[0])
    stage.play_until(Phase.CHALLENGE)
    with pytest.raises(KeyRefused, match="may not have the key"):
        ask(stage.requester, stage.validators[0], stage.trainers[0])
    key = ask(stage.challengers[0], stage.validators[0], stage.trainers[0])
    stage.play_until(Phase.SETTLED)

    assert key == ask(stage.requester, stage.validators[0], stage.trainers[0])
    assert key == ask(stage.requester, stage.trainers[0])


def test_a_holder_says_what_it_does_not_have(stage):
    with pytest.raises(KeyRefused, match="There is no job 8"):
        ask(stage.requester, stage.trainers[0], job=JobId(8))
    with pytest.raises(KeyRefused, match="has no model in job 1"):
        ask(stage.requester, stage.trainers[0])
    stage.play_until(Phase.SETTLED)
    with pytest.raises(KeyRefused, match="is not here"):
        ask(stage.requester, stage.trainers[1], stage.trainers[0])


@pytest.fixture
def buying(stage):
    """How the requester gets the first trainer's key from these holders."""
    stage.play_until(Phase.SETTLED)

    def buying(*holders):
        entry = stage.job().trainers[stage.trainers[0].account]
        accounts = [node.account for node in holders]
        return asyncio.run(obtain_key(stage.requester.surroundings, stage.job(), entry, accounts))

    return buying


def test_a_wrong_key_is_not_believed_and_the_next_holder_is_asked(stage, buying):
    liar, honest = stage.trainers[0], stage.validators[0]
    right = asyncio.run(liar.store.recall(Kind.MODEL_KEY, FIRST_JOB, liar.account))
    asyncio.run(liar.store.keep(Kind.MODEL_KEY, FIRST_JOB, liar.account, bytes(32)))

    assert buying(liar, honest) == right
    honest.leave()
    assert buying(honest) == right, "what was verified is kept"


def test_without_a_right_key_nothing_is_kept(stage, buying):
    liar = stage.trainers[0]
    asyncio.run(liar.store.keep(Kind.MODEL_KEY, FIRST_JOB, liar.account, bytes(32)))

    with pytest.raises(KeyRefused, match="does not match its commitment"):
        buying(liar)
    kept = stage.requester.store.recall(Kind.MODEL_KEY, FIRST_JOB, liar.account)
    assert asyncio.run(kept) is None


def test_says_what_the_first_holder_said(stage, buying):
    stage.validators[0].leave()
    stage.trainers[0].leave()
    with pytest.raises(PeerUnreachable, match="no peer knows where it is"):
        buying(stage.trainers[0], stage.validators[0])
    with pytest.raises(KeyRefused, match="Nobody is known to hold"):
        buying()
