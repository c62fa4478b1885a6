"""A key kept back is asked for over the chain, and then it is plain whose fault a 0 is."""

import asyncio
from dataclasses import replace

import pytest
from tests.scenarios.stage import FIRST_JOB, TOPIC, Stage

from scatter.lifecycle.keys import KeyAnswered, KeyRequested
from scatter.lifecycle.vocabulary import Phase, Verdict
from scatter.mechanism.units import Score
from scatter.ports.peers import KeyRefused
from scatter.ports.store import Kind
from scatter.roles.challenger import decode_finding
from scatter.roles.letters import model_context, was_kept_from
from scatter.sealing import new_key
from scatter.sealing.letters import (
    encode_disclosure,
    encode_request,
    new_letter_key,
    read_request,
    seal_letter,
)


@pytest.fixture
def stage(tmp_path):
    stage = Stage(tmp_path, trainers=2, validators=3, challengers=3)
    stage.publish()
    return stage


def keep_from(node, *others):
    """`node` does not hand its own key to these."""
    serve, refused = node.peers._keeper, {other.account for other in others}

    async def keeper(job, trainer, asker):
        if asker in refused and trainer == node.account:
            raise KeyRefused("not to you")
        return await serve(job, trainer, asker)

    node.peers.serve_keys(keeper)


def silence(node):
    """It reads no letters, or pretends not to."""

    async def answer_key(real, job, asker, sealed_key):
        pass

    node.meddle("chain", answer_key=answer_key)


def scores_of(stage, trainer):
    place = stage.job().trainers[trainer.account].place
    return [member.scores[place] for member in stage.job().committee.values()]


def requests(stage):
    return [one for one in stage.world.letters if isinstance(one, KeyRequested)]


def answers(stage):
    return [one for one in stage.world.letters if isinstance(one, KeyAnswered)]


class TestPassingOn:
    def test_a_key_kept_from_one_member_comes_from_another(self, stage):
        stage.play_until(Phase.DATASET)
        keep_from(stage.trainers[0], stage.validators[0])
        stage.play_until(Phase.CHALLENGE)

        assert len(set(scores_of(stage, stage.trainers[0]))) == 1
        assert not stage.world.letters, "nothing had to be asked over the chain"

    def test_a_key_kept_from_the_challengers_comes_from_a_member(self, stage):
        stage.play_until(Phase.DATASET)
        keep_from(stage.trainers[0], *stage.challengers)
        liar = stage.validators[2]
        real = liar.duty.examine
        stage.play_until(Phase.COMMIT)

        async def flatter(job, *, give_up_on_keys):
            found = await real(job, give_up_on_keys=give_up_on_keys)
            place = job.trainers[stage.trainers[0].account].place
            scores = list(found.scores)
            scores[place] = Score(10_000)
            return replace(found, scores=tuple(scores))

        object.__setattr__(liar.duty, "examine", flatter)
        stage.play_out()

        assert stage.job().condemned == {liar.account}


class TestAskingOverTheChain:
    def test_a_trainer_that_no_peer_reaches_answers_there(self, stage):
        stage.play_until(Phase.DATASET)
        stage.trainers[0].peers.is_online = False
        stage.play_until(Phase.CHALLENGE)

        assert 1 <= len(answers(stage)) == len(requests(stage)) <= 3
        assert min(scores_of(stage, stage.trainers[0])) > 0

    def test_the_trainer_that_keeps_its_key_from_the_committee_pays_for_it(self, stage):
        stage.play_until(Phase.DATASET)
        cheat = stage.trainers[0]
        keep_from(cheat, *stage.validators)
        silence(cheat)
        stage.play_out()

        assert scores_of(stage, cheat) == [0, 0, 0]
        assert not stage.job().accusations
        assert stage.job().verdict is Verdict.NORMAL
        assert cheat.earned == -cheat.duty.offers[TOPIC].stake
        assert all(node.earned > 0 for node in stage.validators)

    def test_a_wrong_key_in_a_letter_is_shown_to_everybody(self, stage):
        stage.play_until(Phase.DATASET)
        cheat = stage.trainers[0]
        keep_from(cheat, *stage.validators)

        async def answer_key(real, job, asker, sealed_key):
            await real(job, asker, sealed_key[::-1])

        cheat.meddle("chain", answer_key=answer_key)
        stage.play_out()

        assert len(answers(stage)) == 3
        assert len(requests(stage)) == 6, "each asked once, and showed the wrong key once"
        assert not stage.job().accusations
        assert cheat.earned == -cheat.duty.offers[TOPIC].stake

    def test_nobody_is_asked_twice_by_a_node_that_was_killed(self, stage):
        stage.play_until(Phase.DATASET)
        keep_from(stage.trainers[0], *stage.validators)
        silence(stage.trainers[0])
        stage.play_until(Phase.COMMIT)
        while len(requests(stage)) < 3:
            stage._step(FIRST_JOB)
        for node in stage.validators:
            node.build()
        stage.play_out()

        assert len(requests(stage)) == 3


class Correspondence:
    """Letters written by hand while a job is scored, as an honest member or a liar may."""

    def __init__(self, stage):
        stage.play_until(Phase.COMMIT)
        self.stage, self.trainer, self.member = stage, stage.trainers[0], stage.validators[0]
        self.opened = stage.world.time
        self.private = new_letter_key()

    def at(self, share):
        """The clock, at this share of the commit window."""
        window = self.stage.world.ledger.parameters.commit_window
        self.stage.world.pass_time(int(self.opened + share * window) - self.stage.world.time)

    def ask(self, text=None, *, at=0.3):
        self.at(at)
        asked = encode_request(self.private) if text is None else text
        asyncio.run(self.member.chain.request_key(FIRST_JOB, self.trainer.account, asked))

    def answer(self, *, rightly, at=0.4):
        self.at(at)
        recall = self.trainer.store.recall
        kept = asyncio.run(recall(Kind.MODEL_KEY, FIRST_JOB, self.trainer.account))
        key = kept if rightly else new_key()
        sealed_to = model_context(self.trainer.surroundings, self.stage.job(), self.trainer.account)
        request = read_request(encode_request(self.private))
        letter = seal_letter(key, request, sealed_to, self.member.account)
        asyncio.run(self.trainer.chain.answer_key(FIRST_JOB, self.member.account, letter))

    def disclose(self, private=None, *, at=0.45):
        self.ask(encode_disclosure(private or self.private), at=at)

    def commit(self, *, at=0.5):
        self.at(at)
        asyncio.run(self.member.chain.commit_scores(FIRST_JOB, b"\x01" * 32))

    @property
    def excuses(self):
        """Whether all this shows that a 0 of the member's is no lie."""
        job = self.stage.job()
        entry, seat = job.trainers[self.trainer.account], job.committee[self.member.account]
        surroundings = self.stage.challengers[0].surroundings
        return asyncio.run(was_kept_from(surroundings, job, entry, seat))


class TestWhoseFaultItIs:
    @pytest.fixture
    def letters(self, stage):
        return Correspondence(stage)

    def test_the_trainers_if_it_never_answered(self, letters):
        letters.ask()
        letters.commit()
        assert letters.excuses

    def test_the_members_if_it_never_asked(self, letters):
        letters.commit()
        assert not letters.excuses

    def test_the_members_if_it_asked_too_late(self, letters):
        letters.ask(at=0.4)
        letters.commit()
        assert not letters.excuses

    def test_the_members_if_it_did_not_wait_for_the_answer(self, letters):
        letters.ask()
        letters.commit(at=0.3)
        assert not letters.excuses

    @pytest.mark.parametrize("text", [b"\x01" + bytes(32), b"\x02" + b"\x07" * 32, bytes(64)])
    def test_the_members_if_it_asked_for_what_nobody_can_write(self, letters, text):
        letters.ask(text)
        letters.commit()
        assert not letters.excuses

    def test_the_members_if_it_was_answered(self, letters):
        letters.ask()
        letters.answer(rightly=True)
        letters.commit()
        assert not letters.excuses

    def test_the_members_if_it_complains_of_a_right_answer(self, letters):
        letters.ask()
        letters.answer(rightly=True)
        letters.disclose()
        letters.commit()
        assert not letters.excuses

    def test_the_members_if_it_shows_another_pair(self, letters):
        letters.ask()
        letters.answer(rightly=True)
        letters.disclose(new_letter_key())
        letters.commit()
        assert not letters.excuses

    def test_the_trainers_if_its_answer_is_shown_to_be_wrong(self, letters):
        letters.ask()
        letters.answer(rightly=False)
        letters.disclose()
        letters.commit()
        assert letters.excuses

    def test_the_members_if_it_shows_that_after_its_commitment(self, letters):
        letters.ask()
        letters.answer(rightly=False)
        letters.commit()
        letters.disclose(at=0.51)
        assert not letters.excuses

    def test_the_trainers_if_it_answered_too_late(self, letters):
        letters.ask()
        letters.answer(rightly=True, at=0.6)
        letters.commit(at=0.6)
        assert letters.excuses


class TestAModelKeptBack:
    """Its sealed file is not served while the committee scores, and is once it has."""

    def hide(self, stage, trainer, *, until=Phase.CHALLENGE):
        """Plays on until then; whoever has a copy has lost it, too."""
        stage.play_until(Phase.DATASET)
        digest = stage.job().trainers[trainer.account].model
        hidden = stage.published.published[trainer.content.address].pop(digest)
        stage.play_until(until)
        stage.published.published[trainer.content.address][digest] = hidden

    def test_costs_its_trainer_and_nobody_else(self, stage):
        cheat = stage.trainers[0]
        self.hide(stage, cheat)
        stage.play_out()

        assert scores_of(stage, cheat) == [0, 0, 0]
        assert not stage.job().accusations
        assert cheat.earned == -cheat.duty.offers[TOPIC].stake

    def test_is_handed_on_by_whoever_has_it(self, stage):
        cheat, friend = stage.trainers[0], stage.challengers[0]
        stage.play_until(Phase.DATASET)
        digest = stage.job().trainers[cheat.account].model
        published = stage.published.published
        published[friend.content.address][digest] = published[cheat.content.address].pop(digest)
        stage.play_until(Phase.CHALLENGE)

        assert min(scores_of(stage, cheat)) > 0

    def test_whoever_was_not_there_to_see_it_does_not_judge(self, stage):
        cheat = stage.trainers[0]
        for node in stage.challengers:
            node.present = False
        self.hide(stage, cheat)
        for node in stage.challengers:
            node.present = True
            node.wakes[FIRST_JOB] = stage.world.time
        stage.play_out()

        assert not stage.job().accusations
        finding = asyncio.run(stage.challengers[0].store.recall(Kind.FINDING, FIRST_JOB, "own"))
        assert len(decode_finding(finding).doubtful) == 3

    def test_does_not_excuse_a_member_that_did_not_wait(self, stage):
        """Which gave its 0 while others still looked for the model."""
        liar, cheat = stage.validators[0], stage.trainers[0]
        real = liar.duty.examine

        async def examine(job, *, give_up_on_keys):
            return await real(job, give_up_on_keys=True)

        object.__setattr__(liar.duty, "examine", examine)
        self.hide(stage, cheat)
        stage.play_out()

        assert stage.job().condemned == {liar.account}
