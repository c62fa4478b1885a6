"""A deployment with people in their roles, undone after each test."""

from collections.abc import Iterator

import pytest
from tests.contracts.scene import Scene, Tick
from tests.contracts.twins import Twins, twins
from tests.unit.vectors.reading import DATASET, SALT, START, address_of, order

from scatter.lifecycle.commitments import commit_to_scores
from scatter.lifecycle.deployment import Block
from scatter.lifecycle.vocabulary import Role
from scatter.mechanism.parameters import PAPER, Parameters, local
from scatter.mechanism.units import UNIT, Address, BlockNumber, JobId, Timestamp, Tokens


@pytest.fixture
def parameters() -> Parameters:
    return local(PAPER)


@pytest.fixture
def both(parameters: Parameters) -> Iterator[Twins]:
    """Contracts and specification: whatever a test does to one happens to the other."""
    with twins(parameters) as opened:
        yield opened


@pytest.fixture
def tick() -> Tick:
    """The next block; `seconds` later, after `blocks` empty ones."""
    now = Block(BlockNumber(1_000), Timestamp(START))

    def step(seconds: int = 0, blocks: int = 0) -> Block:
        nonlocal now
        now = Block(BlockNumber(now.number + blocks + 1), Timestamp(now.time + seconds))
        return now

    return step


def _rich(both: Twins, name: str) -> Address:
    account = address_of(name)
    both.transfer(address_of("treasury"), account, Tokens(100_000 * UNIT))
    return account


@pytest.fixture
def requester(both: Twins) -> Address:
    return _rich(both, "requester")


@pytest.fixture
def trainers(both: Twins) -> list[Address]:
    return [_rich(both, f"trainer {i}") for i in (1, 2, 3)]


@pytest.fixture
def stranger(both: Twins) -> Address:
    return _rich(both, "stranger")


@pytest.fixture
def validators(both: Twins, tick: Tick) -> list[Address]:
    accounts = [_rich(both, f"validator {i}") for i in (1, 2, 3)]
    for account in accounts:
        both.register(account, Role.VALIDATOR, Tokens(25_000 * UNIT), tick())
    return accounts


@pytest.fixture
def challengers(both: Twins, tick: Tick) -> list[Address]:
    accounts = [_rich(both, f"challenger {i}") for i in (1, 2, 3)]
    for account in accounts:
        both.register(account, Role.CHALLENGER, Tokens(20_000 * UNIT), tick())
    return accounts


@pytest.fixture
def open_job(both: Twins, tick: Tick, requester: Address) -> JobId:
    return both.create(requester, tick(), **order())


@pytest.fixture
def trained_job(
    both: Twins,
    tick: Tick,
    validators: list[Address],
    challengers: list[Address],
    open_job: JobId,
    requester: Address,
    trainers: list[Address],
) -> JobId:
    """Three models are there; the seed block is not."""
    for trainer in trainers:
        both.join(trainer, open_job, Tokens(1_000 * UNIT), tick())
    both.start(requester, open_job, tick())
    for trainer in trainers:
        both.submit_model(trainer, open_job, DATASET, DATASET, tick())
    return open_job


@pytest.fixture
def scored_job(
    both: Twins, tick: Tick, trained_job: JobId, requester: Address, validators: list[Address]
) -> JobId:
    """In CHALLENGE: scores of 90, 80 and 40 percent; the last trainer is under the threshold."""
    both.publish_dataset(requester, trained_job, DATASET, SALT, tick(blocks=3))
    scores = (9_000, 8_000, 4_000)
    for member in validators:
        commitment = commit_to_scores(trained_job, member, scores, SALT)
        both.commit_scores(member, trained_job, commitment, tick())
    for member in validators:
        both.reveal_scores(requester, trained_job, member, scores, SALT, tick())
    return trained_job


@pytest.fixture
def scene(
    both: Twins,
    tick: Tick,
    requester: Address,
    stranger: Address,
    trainers: list[Address],
    validators: list[Address],
    challengers: list[Address],
) -> Scene:
    return Scene(both, tick, requester, stranger, trainers, validators, challengers)
