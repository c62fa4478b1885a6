"""How many honest jobs the executable specification plays in a second, in one process.

Six trainers, three validators. What participants compute for themselves, digests and hidden scores,
is made beforehand; the ledger's own check of it is part of the time.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import count, islice
from pathlib import Path

from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak

from benchmarks.figures import Row, at_least, rates
from benchmarks.running import run_alone
from benchmarks.timing import take_turns
from scatter.economy.gains import play_gains
from scatter.economy.scenario import Scenario
from scatter.lifecycle.commitments import commit_to_dataset, commit_to_scores
from scatter.lifecycle.deployment import Block
from scatter.lifecycle.ledger import Ledger
from scatter.lifecycle.vocabulary import Role, Verdict
from scatter.mechanism.parameters import PAPER, local
from scatter.mechanism.units import (
    UNIT,
    Address,
    BlockNumber,
    Digest,
    JobId,
    Score,
    Seconds,
    Timestamp,
    Tokens,
)

JOBS = 300
TARGET = at_least(2_000)

PARAMETERS = local(PAPER)
SCENARIO = Scenario(name="benevolent", jobs=50)
SALT = keccak(text="a salt for measuring")
DATASET = Digest(keccak(text="a dataset"))
MODEL = Digest(keccak(text="a model"))
SCORES = tuple(Score(9_000 + place) for place in range(6))


def _account(name: str) -> Address:
    return Address(to_checksum_address(keccak(text=name)[-20:]))


TREASURY, REQUESTER = _account("treasury"), _account("requester")
TRAINERS = [_account(f"trainer {number}") for number in range(6)]
VALIDATORS = [_account(f"validator {number}") for number in range(3)]


@dataclass(frozen=True)
class Prepared:
    """What the participants of one job send."""

    dataset_commitment: Digest
    hidden_scores: Sequence[Digest]


def measure(_: Path) -> list[Row]:
    dataset = commit_to_dataset(DATASET, SALT)
    prepared = [
        Prepared(dataset, [commit_to_scores(JobId(job), v, SCORES, SALT) for v in VALIDATORS])
        for job in range(1, JOBS + 1)
    ]
    seeds = count()
    seconds, simulated = take_turns(lambda: play(prepared), lambda: simulate(seeds), repeats=7)
    return [
        Row("specification, honest jobs 6/3", "jobs/s", rates(JOBS, seconds), target=TARGET),
        Row("the same, simulated", "jobs/s", rates(JOBS, simulated), target=TARGET),
    ]


def simulate(seeds: Iterator[int]) -> None:
    """Participants that draw, hash and decide for themselves, as `scatter sweep` plays them.

    Every play has a seed of its own, so that no hash of an earlier one is remembered.
    """
    for seed in islice(seeds, JOBS // SCENARIO.jobs):
        play_gains(replace(SCENARIO, seed=seed))


def play(prepared: Sequence[Prepared]) -> None:
    """Plays the jobs one after the other on a ledger of their own, one block per call."""
    ledger = Ledger(PARAMETERS, TREASURY, lambda number: number.to_bytes(32, "big"))
    for account in (REQUESTER, *TRAINERS, *VALIDATORS):
        ledger.transfer(TREASURY, account, Tokens(1_000_000 * UNIT))
    clock = Block(BlockNumber(100), Timestamp(1_800_000_000))
    for member in VALIDATORS:
        ledger.register(member, Role.VALIDATOR, PARAMETERS.validator_stake, clock)
    clock = Block(BlockNumber(clock.number + 1), clock.time)
    for job in prepared:
        clock = _play_one(ledger, job, clock)
    assert all(job.verdict is Verdict.NORMAL for job in ledger.jobs.values())


def _play_one(ledger: Ledger, job: Prepared, begin: Block) -> Block:
    """From the offer to the settlement; returns the block after it."""
    blocks = (Block(BlockNumber(n), begin.time) for n in count(begin.number))
    number = ledger.create(
        REQUESTER,
        next(blocks),
        training_job=MODEL,
        evaluation_job=MODEL,
        dataset_commitment=job.dataset_commitment,
        topic="handwritten-digits",
        reward=Tokens(1_000 * UNIT),
        threshold=Score(4_000),
        floor=Score(4_000),
        most_trainers=len(TRAINERS),
        least_stake=Tokens(UNIT),
        training_time=Seconds(600),
    )
    for trainer in TRAINERS:
        ledger.join(trainer, number, Tokens(1_000 * UNIT), next(blocks))
    ledger.start(REQUESTER, number, next(blocks))
    for trainer in TRAINERS:
        ledger.submit_model(trainer, number, MODEL, MODEL, next(blocks))
    for _ in range(PARAMETERS.seed_delay):
        next(blocks)
    ledger.publish_dataset(REQUESTER, number, DATASET, SALT, next(blocks))
    for member, hidden in zip(VALIDATORS, job.hidden_scores, strict=True):
        ledger.commit_scores(member, number, hidden, next(blocks))
    for member in VALIDATORS:
        ledger.reveal_scores(member, number, member, SCORES, SALT, next(blocks))
    over = Timestamp(begin.time + PARAMETERS.challenge_window)
    last = Block(next(blocks).number, over)
    ledger.settle(REQUESTER, number, last)
    return Block(BlockNumber(last.number + 1), over)


if __name__ == "__main__":
    run_alone(measure)
