"""The ledger call by call: who may do what, when, and what each refusal says."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from eth_abi.abi import encode
from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.vectors.reading import DATASET, SALT, START, address_of, order

from scatter.lifecycle import reasons
from scatter.lifecycle.commitments import commit_to_dataset, commit_to_scores, draw
from scatter.lifecycle.deployment import Block
from scatter.lifecycle.events import CommitteeDrawn, ScoresRevealed
from scatter.lifecycle.job import deadline, fold, phase, settleable_at
from scatter.lifecycle.ledger import Ledger
from scatter.lifecycle.payments import Penalised
from scatter.lifecycle.verdict import standing
from scatter.lifecycle.vocabulary import Phase, Role, Standing, Verdict
from scatter.mechanism.errors import BadInput, Refused
from scatter.mechanism.parameters import HARDENED, PAPER, Parameters, local
from scatter.mechanism.units import (
    UNIT,
    Address,
    BlockNumber,
    Digest,
    JobId,
    Score,
    Timestamp,
    Tokens,
)

TREASURY = address_of("treasury")
REQUESTER = address_of("requester")
STRANGER = address_of("stranger")
TRAINERS = [address_of(f"trainer_{i}") for i in (1, 2, 3)]
VALIDATORS = [address_of(f"validator_{i}") for i in (1, 2, 3)]
CHALLENGERS = [address_of(f"challenger_{i}") for i in (1, 2, 3)]
MODEL = Digest(b"\1" * 32)
NOTHING = Digest(bytes(32))
JOB = JobId(1)
GOOD = (Score(9_000), Score(8_000), Score(7_000))


class Stage:
    """A ledger with a clock: seconds since the start, one block per call."""

    def __init__(self, parameters: Parameters) -> None:
        self.parameters = parameters
        self.ledger = Ledger(parameters, TREASURY, lambda n: n.to_bytes(32, "big"))
        self.number = 100
        self.second = 0
        for account in (REQUESTER, STRANGER, *TRAINERS, *VALIDATORS, *CHALLENGERS):
            self.ledger.transfer(TREASURY, account, Tokens(100_000 * UNIT))

    @property
    def now(self) -> Timestamp:
        return Timestamp(START + self.second)

    def at(self, second: int, blocks: int = 1) -> Block:
        self.second = second
        self.number += blocks
        return Block(BlockNumber(self.number), self.now)

    def next(self) -> Block:
        return self.at(self.second)

    def same_block(self) -> Block:
        return Block(BlockNumber(self.number), self.now)

    def refuses(self, reason: str, call: Callable[..., Any], *arguments: Any, **named: Any) -> None:
        """The call is refused for this reason, and changes nothing."""
        payments = len(self.ledger.funds.payments)
        with pytest.raises(Refused) as refusal:
            call(*arguments, **named)
        assert str(refusal.value) == reason
        assert len(self.ledger.funds.payments) == payments

    def enrol(self) -> None:
        for account in VALIDATORS:
            self.ledger.register(
                account, Role.VALIDATOR, self.parameters.validator_stake, self.next()
            )
        for account in CHALLENGERS:
            self.ledger.register(
                account, Role.CHALLENGER, self.parameters.challenger_stake, self.next()
            )

    def open(self, **changes: Any) -> JobId:
        return self.ledger.create(REQUESTER, self.next(), **order(**changes))

    def train(self, **changes: Any) -> JobId:
        job = self.open(**changes)
        for account in TRAINERS:
            self.ledger.join(account, job, Tokens(UNIT), self.next())
        self.ledger.start(REQUESTER, job, self.next())
        return job

    def close(self, **changes: Any) -> JobId:
        job = self.train(**changes)
        for account in TRAINERS:
            self.ledger.submit_model(account, job, MODEL, MODEL, self.next())
        return job

    def score(self, **changes: Any) -> JobId:
        """Opens SCORING."""
        job = self.close(**changes)
        self.number += self.parameters.seed_delay
        self.ledger.publish_dataset(REQUESTER, job, DATASET, SALT, self.next())
        return job

    def commit(self, job: JobId, member: Address, scores: tuple[Score, ...] = GOOD) -> None:
        commitment = commit_to_scores(job, member, scores, SALT)
        self.ledger.commit_scores(member, job, commitment, self.next())

    def reveal(self, job: JobId, member: Address, scores: tuple[Score, ...] = GOOD) -> None:
        self.ledger.reveal_scores(STRANGER, job, member, scores, SALT, self.next())

    def challenge(self, **changes: Any) -> JobId:
        job = self.score(**changes)
        for member in VALIDATORS:
            self.commit(job, member)
        for member in VALIDATORS:
            self.reveal(job, member)
        return job


@pytest.fixture(params=[PAPER, HARDENED], ids=["paper", "hardened"])
def stage(request: pytest.FixtureRequest) -> Stage:
    made = Stage(local(request.param))
    made.enrol()
    return made


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"training_job": NOTHING}, reasons.EMPTY_DIGEST),
        ({"evaluation_job": NOTHING}, reasons.EMPTY_DIGEST),
        ({"dataset_commitment": NOTHING}, reasons.EMPTY_DIGEST),
        ({"topic": ""}, reasons.TOPIC_NOT_A_SLUG),
        ({"topic": "Digits"}, reasons.TOPIC_NOT_A_SLUG),
        ({"topic": "d" * 65}, reasons.TOPIC_NOT_A_SLUG),
        ({"reward": 0}, reasons.REWARD_OUT_OF_BOUNDS),
        ({"reward": 2**96}, reasons.REWARD_OUT_OF_BOUNDS),
        ({"threshold": 10_001}, reasons.THRESHOLD_OUT_OF_BOUNDS),
        ({"floor": 5_001}, reasons.FLOOR_OUT_OF_BOUNDS),
        ({"most_trainers": 0}, reasons.TRAINERS_OUT_OF_BOUNDS),
        ({"most_trainers": 65}, reasons.TRAINERS_OUT_OF_BOUNDS),
        ({"least_stake": 0}, reasons.LEAST_STAKE_OUT_OF_BOUNDS),
        ({"least_stake": 2**96}, reasons.LEAST_STAKE_OUT_OF_BOUNDS),
        ({"training_time": 0}, reasons.TRAINING_TIME_OUT_OF_BOUNDS),
        ({"training_time": 3_601}, reasons.TRAINING_TIME_OUT_OF_BOUNDS),
        ({"reward": 100_001 * UNIT}, reasons.BALANCE_TOO_LOW),
    ],
    ids=str,
)
def test_no_job_has(stage: Stage, change: dict[str, Any], reason: str) -> None:
    stage.refuses(reason, stage.open, **change)


def test_only_some_profiles_allow_a_floor_below_the_threshold() -> None:
    strict, lenient = Stage(local(PAPER)), Stage(local(HARDENED))

    strict.refuses(reasons.FLOOR_OUT_OF_BOUNDS, strict.open, floor=4_999)
    assert lenient.open(floor=4_999) == JOB


def test_every_call_refuses_a_job_that_does_not_exist(stage: Stage) -> None:
    ledger, block = stage.ledger, stage.next()
    for call, arguments in (
        (ledger.start, ()),
        (ledger.cancel, ()),
        (ledger.join, (UNIT,)),
        (ledger.submit_model, (MODEL, MODEL)),
        (ledger.close_training, ()),
        (ledger.draw_committee, ()),
        (ledger.publish_dataset, (DATASET, SALT)),
        (ledger.commit_scores, (MODEL,)),
        (ledger.refrain, ()),
        (ledger.reveal_scores, (STRANGER, GOOD, SALT)),
        (ledger.accuse, (STRANGER,)),
        (ledger.vote, (STRANGER, True)),
        (ledger.settle, ()),
    ):
        stage.refuses(reasons.NO_SUCH_JOB, call, STRANGER, JobId(9), *arguments, block)
    assert ledger.phase(JobId(9), stage.now) is Phase.NONE


class TestOpen:
    def test_join_refuses(self, stage: Stage) -> None:
        job, join = stage.open(most_trainers=2, least_stake=10), stage.ledger.join

        stage.refuses(reasons.REQUESTER_CANNOT_JOIN, join, REQUESTER, job, 10, stage.next())
        stage.refuses(reasons.STAKE_BELOW_THE_LEAST, join, TRAINERS[0], job, 9, stage.next())
        stage.refuses(reasons.STAKE_TOO_LARGE, join, TRAINERS[0], job, 2**96, stage.next())
        stage.refuses(reasons.HAS_A_ROLE, join, VALIDATORS[0], job, 10, stage.next())
        stage.refuses(reasons.BALANCE_TOO_LOW, join, TRAINERS[0], job, 100_001 * UNIT, stage.next())
        join(TRAINERS[0], job, 10, stage.next())
        stage.refuses(reasons.ALREADY_JOINED, join, TRAINERS[0], job, 10, stage.next())
        join(TRAINERS[1], job, 10, stage.at(59))
        stage.refuses(reasons.FULL, join, TRAINERS[2], job, 10, stage.next())
        stage.refuses(reasons.TOO_LATE, join, TRAINERS[2], job, 10, stage.at(60))
        stage.ledger.start(STRANGER, job, stage.next())
        stage.refuses(reasons.NOT_OPEN, join, TRAINERS[2], job, 10, stage.next())

    def test_only_the_requester_starts_before_the_deadline(self, stage: Stage) -> None:
        job, start = stage.open(), stage.ledger.start

        stage.refuses(reasons.NOBODY_JOINED, start, REQUESTER, job, stage.next())
        stage.ledger.join(TRAINERS[0], job, 1, stage.next())
        stage.refuses(reasons.ONLY_THE_REQUESTER, start, STRANGER, job, stage.at(59))
        start(STRANGER, job, stage.at(60))
        stage.refuses(reasons.NOT_OPEN, start, REQUESTER, job, stage.next())

    def test_a_job_that_nobody_joined_is_cancelled_once(self, stage: Stage) -> None:
        job, cancel = stage.open(), stage.ledger.cancel

        stage.refuses(reasons.TOO_EARLY, cancel, REQUESTER, job, stage.at(59))
        cancel(STRANGER, job, stage.at(60))
        stage.refuses(reasons.NOT_OPEN, cancel, STRANGER, job, stage.next())
        stage.refuses(reasons.ALREADY_OVER, stage.ledger.settle, STRANGER, job, stage.next())
        assert stage.ledger.phase(job, stage.now) is Phase.CANCELLED
        assert not stage.ledger.is_running(REQUESTER)

    def test_a_job_that_somebody_joined_is_not_cancelled(self, stage: Stage) -> None:
        job = stage.open()
        stage.ledger.join(TRAINERS[0], job, 1, stage.next())

        stage.refuses(reasons.SOMEBODY_JOINED, stage.ledger.cancel, STRANGER, job, stage.at(60))


class TestTraining:
    def test_submit_refuses(self, stage: Stage) -> None:
        job, submit = stage.train(), stage.ledger.submit_model

        stage.refuses(reasons.NOT_A_TRAINER, submit, STRANGER, job, MODEL, MODEL, stage.next())
        stage.refuses(reasons.EMPTY_DIGEST, submit, TRAINERS[0], job, NOTHING, MODEL, stage.next())
        stage.refuses(reasons.EMPTY_DIGEST, submit, TRAINERS[0], job, MODEL, NOTHING, stage.next())
        submit(TRAINERS[0], job, MODEL, MODEL, stage.at(99))
        stage.refuses(
            reasons.ALREADY_SUBMITTED, submit, TRAINERS[0], job, MODEL, MODEL, stage.next()
        )
        stage.refuses(reasons.TOO_LATE, submit, TRAINERS[1], job, MODEL, MODEL, stage.at(100))

    def test_closes_at_its_deadline_by_anybody(self, stage: Stage) -> None:
        job, close = stage.train(), stage.ledger.close_training
        stage.ledger.submit_model(TRAINERS[0], job, MODEL, MODEL, stage.next())

        stage.refuses(reasons.TOO_EARLY, close, STRANGER, job, stage.at(99))
        stage.refuses(reasons.TOO_EARLY, stage.ledger.settle, STRANGER, job, stage.next())
        close(STRANGER, job, stage.at(100))
        stage.refuses(reasons.NOT_IN_TRAINING, close, STRANGER, job, stage.next())
        assert stage.ledger.phase(job, stage.now) is Phase.DATASET

    def test_who_comes_or_goes_in_the_closing_block_changes_nothing(self, stage: Stage) -> None:
        job = stage.train()
        for account in TRAINERS[:2]:
            stage.ledger.submit_model(account, job, MODEL, MODEL, stage.next())
        block = stage.next()
        stage.ledger.request_unstake(VALIDATORS[0], block)
        stage.ledger.request_unstake(CHALLENGERS[0], block)
        stage.ledger.register(STRANGER, Role.CHALLENGER, 20_000 * UNIT, block)
        stage.ledger.submit_model(TRAINERS[2], job, MODEL, MODEL, block)

        closed = stage.ledger.job(job)
        assert (closed.electorate, closed.eligible_validators) == (3, 3)
        assert stage.ledger.is_elector(job, CHALLENGERS[0])
        assert not stage.ledger.is_elector(job, STRANGER)


class TestDataset:
    def test_publish_refuses(self, stage: Stage) -> None:
        job, publish = stage.close(), stage.ledger.publish_dataset

        stage.refuses(
            reasons.ONLY_THE_REQUESTER, publish, STRANGER, job, DATASET, SALT, stage.same_block()
        )
        block = stage.same_block()
        stage.refuses(reasons.EMPTY_DIGEST, publish, REQUESTER, job, NOTHING, SALT, block)
        stage.refuses(
            reasons.DATASET_NOT_AS_COMMITTED, publish, REQUESTER, job, DATASET, MODEL, block
        )
        stage.refuses(reasons.TOO_LATE, publish, REQUESTER, job, DATASET, SALT, stage.at(60, 0))
        stage.second = 0
        publish(REQUESTER, job, DATASET, SALT, block)
        stage.refuses(reasons.ALREADY_PUBLISHED, publish, REQUESTER, job, DATASET, SALT, block)
        stage.ledger.draw_committee(STRANGER, job, stage.at(0, 2))
        stage.refuses(
            reasons.NOT_AWAITING_THE_DATASET, publish, REQUESTER, job, DATASET, SALT, stage.next()
        )

    def test_draw_refuses(self, stage: Stage) -> None:
        job, draw_committee = stage.close(), stage.ledger.draw_committee

        stage.refuses(reasons.TOO_EARLY, draw_committee, STRANGER, job, stage.next())
        stage.refuses(reasons.TOO_LATE, draw_committee, STRANGER, job, stage.at(60))
        stage.second = 0
        draw_committee(STRANGER, job, stage.next())
        stage.refuses(reasons.ALREADY_DRAWN, draw_committee, STRANGER, job, stage.next())

    def test_no_committee_without_validators(self) -> None:
        stage = Stage(local(PAPER))
        job = stage.close()

        stage.refuses(
            reasons.TOO_FEW_VALIDATORS, stage.ledger.draw_committee, STRANGER, job, stage.at(0, 5)
        )

    def test_an_expired_hash_gives_a_new_seed_block(self, stage: Stage) -> None:
        job = stage.close()

        stage.ledger.draw_committee(STRANGER, job, stage.at(0, 1 + 257))

        assert not stage.ledger.job(job).drawn
        assert stage.ledger.job(job).seed_block == stage.number + 1
        stage.ledger.draw_committee(STRANGER, job, stage.at(0, 1 + 256))
        assert stage.ledger.job(job).drawn

    def test_the_draw_is_a_shuffle_by_the_seed(self) -> None:
        # Worked with a separate keccak-256: see the definition in docs/protocol.md.
        eligible = [address_of(f"validator_{i}") for i in range(1, 8)]

        members = draw(eligible, 3, bytes(32), JOB)

        assert len(set(members)) == 3
        assert set(members) <= set(eligible)
        assert members == draw(eligible, 7, bytes(32), JOB)[:3]
        assert members != draw(eligible, 3, bytes(32), JobId(2))

    def test_a_dataset_commitment_hashes_digest_and_salt(self) -> None:
        # keccak-256 of 64 zero bytes, a constant known from Solidity's empty mappings.
        assert commit_to_dataset(NOTHING, bytes(32)).hex() == (
            "ad3228b676f7d3cd4284a5443f17f1962b36e491b30a40b2405849e597ba5fb5"
        )


@given(
    st.integers(1, 2**256 - 1),
    st.binary(min_size=20, max_size=20),
    st.lists(st.integers(0, 10_000), max_size=64),
    st.binary(min_size=32, max_size=32),
)
def test_a_score_commitment_hashes_the_abi_encoding(
    job: int, member: bytes, scores: list[int], salt: bytes
) -> None:
    types = ("uint256", "address", "uint256[]", "bytes32")
    account = Address(to_checksum_address(member))

    commitment = commit_to_scores(JobId(job), account, [Score(s) for s in scores], salt)

    assert commitment == keccak(encode(types, (job, account, scores, salt)))


class TestScoring:
    def test_a_member_decides_once(self, stage: Stage) -> None:
        job, ledger = stage.score(), stage.ledger

        stage.refuses(
            reasons.EMPTY_COMMITMENT,
            ledger.commit_scores,
            VALIDATORS[0],
            job,
            NOTHING,
            stage.next(),
        )
        stage.refuses(reasons.NOT_A_MEMBER, ledger.refrain, STRANGER, job, stage.next())
        stage.commit(job, VALIDATORS[0])
        stage.refuses(reasons.ALREADY_ACTED, ledger.refrain, VALIDATORS[0], job, stage.next())
        ledger.refrain(VALIDATORS[1], job, stage.next())
        stage.refuses(
            reasons.ALREADY_ACTED, ledger.commit_scores, VALIDATORS[1], job, MODEL, stage.next()
        )
        stage.second = 60
        stage.refuses(
            reasons.NOT_IN_THE_COMMIT_WINDOW, ledger.refrain, VALIDATORS[2], job, stage.next()
        )

    def test_reveal_refuses(self, stage: Stage) -> None:
        job, reveal = stage.score(), stage.ledger.reveal_scores
        stage.commit(job, VALIDATORS[0])
        too_high = (Score(10_001), Score(0), Score(0))
        stage.commit(job, VALIDATORS[1], too_high)
        first = (STRANGER, job, VALIDATORS[0])
        stage.refuses(reasons.NOT_IN_THE_REVEAL_WINDOW, reveal, *first, GOOD, SALT, stage.at(59))

        block = stage.at(60)
        stage.refuses(reasons.NOT_A_MEMBER, reveal, STRANGER, job, STRANGER, GOOD, SALT, block)
        stage.refuses(
            reasons.NOTHING_COMMITTED, reveal, STRANGER, job, VALIDATORS[2], GOOD, SALT, block
        )
        stage.refuses(reasons.WRONG_NUMBER_OF_SCORES, reveal, *first, GOOD[:2], SALT, block)
        stage.refuses(reasons.SCORES_NOT_AS_COMMITTED, reveal, *first, GOOD, MODEL, block)
        stage.refuses(
            reasons.SCORE_TOO_HIGH, reveal, STRANGER, job, VALIDATORS[1], too_high, SALT, block
        )
        reveal(*first, GOOD, SALT, block)
        stage.refuses(reasons.ALREADY_REVEALED, reveal, *first, GOOD, SALT, block)
        stage.refuses(reasons.NOT_IN_THE_REVEAL_WINDOW, reveal, *first, GOOD, SALT, stage.at(120))

    def test_nobody_reveals_anothers_commitment_as_its_own(self, stage: Stage) -> None:
        job = stage.score()
        copied = commit_to_scores(job, VALIDATORS[0], GOOD, SALT)
        stage.commit(job, VALIDATORS[0])
        stage.ledger.commit_scores(VALIDATORS[1], job, copied, stage.next())
        stage.commit(job, VALIDATORS[2])

        copier = (STRANGER, job, VALIDATORS[1])
        stage.refuses(
            reasons.SCORES_NOT_AS_COMMITTED,
            stage.ledger.reveal_scores,
            *copier,
            GOOD,
            SALT,
            stage.next(),
        )

    def test_windows_close_as_soon_as_all_have_acted(self, stage: Stage) -> None:
        job = stage.score()
        seen = [stage.ledger.phase(job, stage.now)]
        stage.second = 7
        for member in VALIDATORS:
            stage.commit(job, member)
        seen.append(stage.ledger.phase(job, stage.now))
        stage.second = 9
        for member in VALIDATORS:
            stage.reveal(job, member)
        seen.append(stage.ledger.phase(job, stage.now))

        assert seen == [Phase.COMMIT, Phase.REVEAL, Phase.CHALLENGE]
        assert settleable_at(stage.ledger.job(job)) == START + 9 + 10

    def test_the_reveal_window_is_skipped_without_commitments(self, stage: Stage) -> None:
        job = stage.ledger.job(stage.score())

        assert phase(job, Timestamp(START + 59)) is Phase.COMMIT
        assert phase(job, Timestamp(START + 60)) is Phase.CHALLENGE
        assert deadline(job, Timestamp(START + 60)) == START + 70


class TestChallenge:
    def test_accuse_refuses(self, stage: Stage) -> None:
        job, accuse = stage.challenge(), stage.ledger.accuse
        first, second = CHALLENGERS[:2]

        stage.refuses(reasons.NOT_AN_ELECTOR, accuse, STRANGER, job, TRAINERS[0], stage.next())
        stage.refuses(reasons.ACCUSING_ONESELF, accuse, first, job, first, stage.next())
        stage.refuses(reasons.NOT_ACCUSABLE, accuse, first, job, REQUESTER, stage.next())
        stage.refuses(reasons.NOT_ACCUSABLE, accuse, first, job, second, stage.next())
        accuse(first, job, TRAINERS[0], stage.at(9))
        stage.refuses(reasons.ALREADY_ACCUSED, accuse, second, job, TRAINERS[0], stage.next())
        stage.refuses(reasons.ACCUSATIONS_CLOSED, accuse, second, job, TRAINERS[1], stage.at(10))
        accuse(second, job, first, stage.at(14))
        stage.refuses(reasons.ACCUSATIONS_CLOSED, accuse, first, job, second, stage.at(15))

    def test_silence_is_not_accused_but_fined(self, stage: Stage) -> None:
        job = stage.score()
        stage.commit(job, VALIDATORS[0])
        stage.at(130)

        stage.refuses(
            reasons.ACCUSATIONS_CLOSED,
            stage.ledger.accuse,
            CHALLENGERS[0],
            job,
            VALIDATORS[1],
            stage.same_block(),
        )
        stage.at(129)
        for silent in VALIDATORS:
            stage.refuses(
                reasons.ALREADY_CONDEMNED,
                stage.ledger.accuse,
                CHALLENGERS[0],
                job,
                silent,
                stage.same_block(),
            )

    def test_accusing_needs_an_electorate(self, stage: Stage) -> None:
        for account in CHALLENGERS[1:]:
            stage.ledger.request_unstake(account, stage.next())
        job = stage.challenge()

        stage.refuses(
            reasons.ELECTORATE_TOO_SMALL,
            stage.ledger.accuse,
            CHALLENGERS[0],
            job,
            TRAINERS[0],
            stage.next(),
        )

    def test_vote_refuses(self, stage: Stage) -> None:
        job, ledger = stage.challenge(), stage.ledger
        first, second, third = CHALLENGERS
        vote = ledger.vote

        stage.refuses(reasons.NO_ACCUSATION, vote, first, job, TRAINERS[0], True, stage.next())
        ledger.accuse(first, job, TRAINERS[0], stage.next())
        stage.refuses(reasons.NOT_AN_ELECTOR, vote, STRANGER, job, TRAINERS[0], True, stage.next())
        stage.refuses(reasons.ALREADY_VOTED, vote, first, job, TRAINERS[0], True, stage.next())
        vote(second, job, TRAINERS[0], False, stage.next())
        stage.refuses(reasons.ALREADY_VOTED, vote, second, job, TRAINERS[0], True, stage.next())
        ledger.accuse(second, job, first, stage.next())
        stage.refuses(reasons.TARGET_CANNOT_VOTE, vote, first, job, first, False, stage.next())
        vote(third, job, first, True, stage.next())
        stage.refuses(reasons.VOTE_CLOSED, vote, third, job, first, True, stage.next())
        stage.refuses(reasons.NOT_AN_ELECTOR, vote, first, job, TRAINERS[0], True, stage.next())
        stage.refuses(reasons.VOTE_CLOSED, vote, third, job, TRAINERS[0], True, stage.at(15))

    def test_an_elector_may_be_leaving(self, stage: Stage) -> None:
        job = stage.challenge()
        stage.ledger.request_unstake(CHALLENGERS[0], stage.next())

        stage.ledger.accuse(CHALLENGERS[0], job, TRAINERS[0], stage.next())

    def test_settles_at_the_time_that_the_accusations_leave(self, stage: Stage) -> None:
        job, ledger = stage.challenge(), stage.ledger
        times = [settleable_at(ledger.job(job))]
        ledger.accuse(CHALLENGERS[0], job, TRAINERS[0], stage.next())
        times.append(settleable_at(ledger.job(job)))
        ledger.accuse(CHALLENGERS[1], job, CHALLENGERS[0], stage.next())
        times.append(settleable_at(ledger.job(job)))

        assert times == [START + 10, START + 15, START + 20]
        stage.refuses(reasons.TOO_EARLY, ledger.settle, STRANGER, job, stage.at(19))
        ledger.settle(STRANGER, job, stage.at(20))
        stage.refuses(reasons.ALREADY_OVER, ledger.settle, STRANGER, job, stage.next())

    def test_everybody_has_a_standing_in_the_end(self, stage: Stage) -> None:
        job, ledger = stage.challenge(), stage.ledger
        ledger.accuse(CHALLENGERS[0], job, VALIDATORS[0], stage.next())
        assert standing(ledger.job(job), VALIDATORS[0], stage.now) is Standing.UNKNOWN
        ledger.vote(CHALLENGERS[1], job, VALIDATORS[0], True, stage.next())
        ledger.settle(STRANGER, job, stage.at(15))

        held = {a: standing(ledger.job(job), a, stage.now) for a in (REQUESTER, STRANGER)}
        assert held == {REQUESTER: Standing.BENEVOLENT, STRANGER: Standing.UNKNOWN}
        assert standing(ledger.job(job), VALIDATORS[0], stage.now) is Standing.MALICIOUS
        assert standing(ledger.job(job), VALIDATORS[1], stage.now) is Standing.BENEVOLENT
        assert standing(ledger.job(job), TRAINERS[0], stage.now) is Standing.BENEVOLENT
        assert standing(ledger.job(job), CHALLENGERS[0], stage.now) is Standing.BENEVOLENT

    def test_keys_go_to_whom_they_are_due(self, stage: Stage) -> None:
        job, ledger, trainer = stage.score(), stage.ledger, TRAINERS[0]
        askers = (VALIDATORS[0], CHALLENGERS[0], REQUESTER, STRANGER)

        def entitled() -> list[bool]:
            return [ledger.may_ask_for_key(job, trainer, a, stage.now) for a in askers]

        during_scoring = entitled()
        for member in VALIDATORS:
            stage.commit(job, member)
        for member in VALIDATORS:
            stage.reveal(job, member)
        during_challenge = entitled()
        ledger.settle(STRANGER, job, stage.at(10))
        assert during_scoring == [True, False, False, False]
        assert during_challenge == [True, True, False, False]
        assert entitled() == [True, False, True, False]


class TestRoleStakes:
    def test_register_refuses(self, stage: Stage) -> None:
        register = stage.ledger.register
        stage.refuses(reasons.NO_SUCH_ROLE, register, STRANGER, Role.NONE, 1, stage.next())
        stage.refuses(reasons.HAS_A_ROLE, register, VALIDATORS[0], Role.CHALLENGER, 1, stage.next())
        for role, least in ((Role.VALIDATOR, 25_000), (Role.CHALLENGER, 20_000)):
            for amount in (least * UNIT - 1, 2**96):
                stage.refuses(
                    reasons.ROLE_STAKE_OUT_OF_BOUNDS, register, STRANGER, role, amount, stage.next()
                )
        stage.refuses(
            reasons.BALANCE_TOO_LOW,
            register,
            STRANGER,
            Role.VALIDATOR,
            100_001 * UNIT,
            stage.next(),
        )

    def test_one_account_plays_one_part(self, stage: Stage) -> None:
        job, register = stage.train(), stage.ledger.register

        for account in (REQUESTER, TRAINERS[0]):
            stage.refuses(
                reasons.IN_A_RUNNING_JOB,
                register,
                account,
                Role.VALIDATOR,
                25_000 * UNIT,
                stage.next(),
            )
        stage.refuses(
            reasons.HAS_A_ROLE, stage.ledger.create, VALIDATORS[0], stage.next(), **order()
        )
        stage.ledger.close_training(STRANGER, job, stage.at(100))
        register(TRAINERS[0], Role.VALIDATOR, 25_000 * UNIT, stage.next())

    def test_a_stake_comes_back_after_unbonding(self, stage: Stage) -> None:
        ledger, account = stage.ledger, VALIDATORS[0]
        unbonding = stage.parameters.validator_unbonding

        stage.refuses(reasons.NO_ROLE, ledger.request_unstake, STRANGER, stage.next())
        stage.refuses(reasons.NO_ROLE, ledger.withdraw, STRANGER, stage.next())
        stage.refuses(reasons.NOT_LEAVING, ledger.withdraw, account, stage.next())
        ledger.request_unstake(account, stage.next())
        stage.refuses(reasons.ALREADY_LEAVING, ledger.request_unstake, account, stage.next())
        stage.refuses(reasons.STILL_UNBONDING, ledger.withdraw, account, stage.at(unbonding - 1))
        ledger.withdraw(account, stage.at(unbonding))
        assert ledger.funds.balance(account) == 100_000 * UNIT

    def test_fines_double_until_nothing_is_left_and_the_role_ends(self) -> None:
        stage = Stage(local(PAPER))
        for account in VALIDATORS[:1]:
            stage.ledger.register(account, Role.VALIDATOR, Tokens(25_000 * UNIT), stage.next())
        for _ in range(7):
            job = stage.score()
            stage.ledger.settle(STRANGER, job, stage.at(stage.second + 70))
            assert stage.ledger.job(job).verdict is Verdict.VALIDATORS_FAILED

        fines = [p for p in stage.ledger.funds.payments if isinstance(p, Penalised)]
        taken = [p.amount // UNIT for p in fines]
        # 200 x (1 + 2 + ... + 32) = 12600; the seventh would be 12800, and 12400 are left.
        assert taken == [200, 400, 800, 1_600, 3_200, 6_400, 12_400]
        assert [p.offences for p in fines] == list(range(7))
        stage.refuses(
            reasons.ALREADY_LEAVING, stage.ledger.request_unstake, VALIDATORS[0], stage.next()
        )
        assert stage.ledger.funds.bonds.eligible(Role.VALIDATOR, stage.next().number) == ()


def test_a_broken_history_is_refused(stage: Stage) -> None:
    history = stage.ledger.history(stage.close())

    with pytest.raises(BadInput, match="must begin with JobCreated"):
        fold(history[1:], stage.parameters)
    with pytest.raises(BadInput, match="has no part"):
        fold((history[0], history[-2]), stage.parameters)
    with pytest.raises(BadInput, match="cannot be told of job"):
        fold((history[0], replace(history[1], job=JobId(7))), stage.parameters)
    with pytest.raises(BadInput, match="cannot continue with JobCreated"):
        fold((history[0], history[0]), stage.parameters)


def test_a_history_with_lists_of_unequal_length_is_refused(stage: Stage) -> None:
    history = stage.ledger.history(stage.challenge())

    drawn = next(i for i, e in enumerate(history) if isinstance(e, CommitteeDrawn))
    with pytest.raises(BadInput, match="one stake per member"):
        fold((*history[:drawn], replace(history[drawn], stakes=())), stage.parameters)
    revealed = next(i for i, e in enumerate(history) if isinstance(e, ScoresRevealed))
    with pytest.raises(BadInput, match="one score per model"):
        fold((*history[:revealed], replace(history[revealed], scores=())), stage.parameters)


def test_every_reason_fits_into_a_word_and_says_something_else() -> None:
    texts = [text for name, text in vars(reasons).items() if name.isupper()]

    assert len(set(texts)) == len(texts)
    assert max(len(text.encode()) for text in texts) <= 32
