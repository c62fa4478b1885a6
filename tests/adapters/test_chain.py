"""The chain port: one suite for its fake, the embedded chain and anvil."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from tests.adapters.chain_networks import PARAMETERS, RICH, Network, open_network

from scatter.lifecycle import events, reasons
from scatter.lifecycle.commitments import commit_to_dataset, commit_to_scores
from scatter.lifecycle.events import Event
from scatter.lifecycle.keys import Letters
from scatter.lifecycle.payments import TaxPaid, TrainerPaid, ValidatorPaid
from scatter.lifecycle.vocabulary import Role, Verdict
from scatter.mechanism.errors import Refused
from scatter.mechanism.units import UNIT, BlockNumber, Digest, JobId, Score, Seconds, Tokens
from scatter.ports.chain import MOST_LETTERS, Chain, Crowd, Holdings, JobOrder

pytestmark = pytest.mark.anyio

DATASET, SALT = Digest(b"d" * 32), b"s" * 32
MODEL, KEY_COMMITMENT = Digest(b"m" * 32), Digest(b"k" * 32)
STAKE = Tokens(5 * UNIT)
ORDER = JobOrder(
    training_job=Digest(b"t" * 32),
    evaluation_job=Digest(b"e" * 32),
    dataset_commitment=commit_to_dataset(DATASET, SALT),
    topic="digits",
    reward=Tokens(100 * UNIT),
    threshold=Score(5_000),
    floor=Score(5_000),
    most_trainers=1,
    least_stake=Tokens(UNIT),
    training_time=Seconds(60),
)


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(
    scope="module",
    params=["fake", "embedded", pytest.param("anvil", marks=pytest.mark.needs_anvil)],
)
async def network(request: pytest.FixtureRequest) -> AsyncIterator[Network]:
    async with open_network(request.param) as opened:
        yield opened


@pytest.fixture
async def requester(network: Network) -> Chain:
    return await network.join()


@pytest.fixture
async def trainer(network: Network) -> Chain:
    return await network.join()


async def play_until_scoring(network: Network, requester: Chain, trainer: Chain) -> JobId:
    """A job of one trainer, up to its committee."""
    job = await requester.create(ORDER)
    await trainer.join(job, STAKE)
    await requester.start(job)
    await trainer.submit_model(job, MODEL, KEY_COMMITMENT)
    for _ in range(PARAMETERS.seed_delay + 1):
        await network.mine()
    await requester.publish_dataset(job, DATASET, SALT)
    return job


async def test_an_unknown_job_has_no_history(requester: Chain) -> None:
    assert await requester.history(JobId(10**9)) == ()


async def test_a_created_job_is_in_its_history_as_ordered(requester: Chain) -> None:
    before = await requester.head()

    job = await requester.create(ORDER)

    (created,) = await requester.history(job)
    assert isinstance(created, events.JobCreated)
    assert created.requester == requester.account
    assert {name: getattr(created, name) for name in vars(ORDER)} == vars(ORDER)
    assert created.block > before.number
    assert await requester.job_count() == job


async def test_the_jobs_touched_are_those_with_an_event_in_the_range(requester: Chain) -> None:
    first, second = await requester.create(ORDER), await requester.create(ORDER)
    blocks = [(await requester.history(job))[0].block for job in (first, second)]

    touched = await requester.jobs_touched(blocks[0], blocks[1])
    before = await requester.jobs_touched(BlockNumber(0), BlockNumber(blocks[0] - 1))

    assert touched == [first, second]
    assert first not in before


async def test_a_refusal_says_the_contracts_reason(requester: Chain) -> None:
    job = await requester.create(ORDER)
    with pytest.raises(Refused, match=f"^{reasons.REQUESTER_CANNOT_JOIN}$"):
        await requester.join(job, STAKE)
    with pytest.raises(Refused, match=f"^{reasons.TOPIC_NOT_A_SLUG}$"):
        await requester.create(replace(ORDER, topic="Not A Slug"))


async def test_a_history_only_grows(requester: Chain, trainer: Chain) -> None:
    job = await requester.create(ORDER)
    before = await trainer.history(job)

    await trainer.join(job, STAKE)

    after = await trainer.history(job)
    assert after[: len(before)] == before
    joined = after[-1]
    assert isinstance(joined, events.TrainerJoined)
    assert (joined.trainer, joined.stake) == (trainer.account, STAKE)


async def test_a_role_is_held_asked_back_and_withdrawn(network: Network, trainer: Chain) -> None:
    stake = PARAMETERS.challenger_stake
    await trainer.register(Role.CHALLENGER, stake)
    held = await trainer.holdings(trainer.account)
    await trainer.request_unstake()
    with pytest.raises(Refused, match=reasons.STILL_UNBONDING):
        await trainer.withdraw()
    leaving = await trainer.holdings(trainer.account)
    await network.pass_time(PARAMETERS.challenger_unbonding)
    await trainer.withdraw()

    assert held == Holdings(
        Tokens(RICH - stake), Role.CHALLENGER, stake, leaving_until=0, offences=0
    )
    assert leaving.leaving_until > 0
    assert (await trainer.holdings(trainer.account)).balance == RICH


async def test_many_sends_of_one_account_at_once_all_arrive(
    requester: Chain, trainer: Chain
) -> None:
    await asyncio.gather(*(requester.transfer(trainer.account, Tokens(1)) for _ in range(10)))

    assert (await trainer.holdings(trainer.account)).balance == RICH + 10


async def test_the_block_at_the_head_is_the_head_and_none_is_beyond(requester: Chain) -> None:
    head = await requester.head()
    assert await requester.block(head.number) == head
    assert await requester.block(BlockNumber(head.number + 10_000)) is None


async def test_letters_about_a_key_are_kept_apart_from_the_history(
    network: Network, requester: Chain, trainer: Chain
) -> None:
    validator, stranger = await network.join(), await network.join()
    await validator.register(Role.VALIDATOR, PARAMETERS.validator_stake)
    job = await play_until_scoring(network, requester, trainer)
    before = await requester.history(job)
    since, member = BlockNumber(before[0].block), validator.account
    assert await trainer.letters(job, trainer.account, member, since) == Letters()

    for number in range(MOST_LETTERS + 1):
        await validator.request_key(job, trainer.account, bytes([1, number]) + bytes(31))
    await trainer.answer_key(job, member, b"sealed")
    with pytest.raises(Refused, match=reasons.NOT_ENTITLED):
        await stranger.request_key(job, trainer.account, bytes(33))
    with pytest.raises(Refused, match=reasons.KEY_OF_WRONG_LENGTH):
        await validator.request_key(job, trainer.account, bytes(32))

    letters = await requester.letters(job, trainer.account, member, since)
    assert [letter.public_key[1] for letter in letters.requests] == list(range(MOST_LETTERS))
    (answer,) = letters.answers
    assert (answer.trainer, answer.asker, answer.sealed_key) == (trainer.account, member, b"sealed")
    assert letters.requests[0].time <= answer.time
    assert await requester.history(job) == before, "letters pay nobody"
    touched = await requester.jobs_touched(answer.block, answer.block)
    assert touched == [job], "but a node is woken by them"
    assert await stranger.letters(job, trainer.account, stranger.account, since) == Letters()
    assert await stranger.letters(job, trainer.account, member, answer.block) == Letters(
        answers=(answer,)
    )
    await validator.request_unstake()


async def test_a_job_runs_to_its_settlement(
    network: Network, requester: Chain, trainer: Chain
) -> None:
    validator, challenger = await network.join(), await network.join()
    before = await requester.crowd()
    await validator.register(Role.VALIDATOR, PARAMETERS.validator_stake)
    await challenger.register(Role.CHALLENGER, PARAMETERS.challenger_stake)
    job = await play_until_scoring(network, requester, trainer)
    crowd = await requester.crowd()
    assert crowd == Crowd(before.validators + 1, before.challengers + 1)
    scores = (Score(9_000),)
    await validator.commit_scores(job, commit_to_scores(job, validator.account, scores, SALT))
    await challenger.reveal_scores(job, validator.account, scores, SALT)
    assert await challenger.is_elector(job, challenger.account)
    assert not await challenger.is_elector(job, trainer.account)
    await network.pass_time(PARAMETERS.challenge_window)
    await challenger.settle(job)

    history = await requester.history(job)
    assert [type(event) for event in history] == [
        events.JobCreated,
        events.TrainerJoined,
        events.TrainingStarted,
        events.ModelSubmitted,
        events.TrainingClosed,
        events.DatasetPublished,
        events.CommitteeDrawn,
        events.ScoresCommitted,
        events.ScoresRevealed,
        events.JobSettled,
    ]
    assert history[6].members == (validator.account,)  # type: ignore[attr-defined]
    assert history[-1].verdict is Verdict.NORMAL  # type: ignore[attr-defined]
    assert _is_in_chain_order(history)
    payments = await requester.payments(job)  # type: ignore[attr-defined]
    paid = {type(payment): payment for payment in payments}
    assert paid[TaxPaid].amount == 10 * UNIT
    assert paid[TrainerPaid].amount == 70 * UNIT
    assert paid[ValidatorPaid].amount == 20 * UNIT
    assert (await trainer.holdings(trainer.account)).balance == RICH + 70 * UNIT


def _is_in_chain_order(history: tuple[Event, ...]) -> bool:
    places = [(event.block, event.time) for event in history]
    return places == sorted(places)
