"""The chain in memory: the executable specification behind the port, with a clock moved by hand.

`FakeWorld` is the chain that all accounts share, `FakeChain` one account's access to it. Every act
is in a block of its own; a refused one leaves no block.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Final, TypeVar

from eth_hash.auto import keccak

from scatter.lifecycle import reasons
from scatter.lifecycle.deployment import Block
from scatter.lifecycle.events import Event, Logged
from scatter.lifecycle.job import fold
from scatter.lifecycle.keys import KeyAnswered, KeyRequested, Letter, Letters, may_ask_for_key
from scatter.lifecycle.ledger import Ledger
from scatter.lifecycle.payments import Payment
from scatter.lifecycle.vocabulary import Role
from scatter.mechanism.errors import Refused
from scatter.mechanism.parameters import Parameters
from scatter.mechanism.units import (
    Address,
    BlockNumber,
    Digest,
    JobId,
    Score,
    Seconds,
    Timestamp,
    Tokens,
)
from scatter.ports.chain import MOST_LETTERS, Crowd, Head, Holdings, JobOrder

LEAST_PUBLIC_KEY: Final = 33
"""Bytes, as `requestKey` wants them."""
FIRST_TIME = Timestamp(1_800_000_000)

T = TypeVar("T")


def hash_of(number: BlockNumber) -> bytes:
    """The hash of a fake block, which nothing ever replaces."""
    return bytes(keccak(number.to_bytes(32, "big")))


class FakeWorld:
    """A chain with the protocol on it; the whole supply is the treasury's."""

    def __init__(
        self, parameters: Parameters, treasury: Address, time: Timestamp = FIRST_TIME
    ) -> None:
        self.ledger = Ledger(parameters, treasury, hash_of)
        self.time = time
        self.letters: list[Letter] = []
        """About keys, in chain order."""
        self._times = [time]
        """Of every block, by number."""

    @property
    def number(self) -> BlockNumber:
        """Of the newest block."""
        return BlockNumber(len(self._times) - 1)

    def access(self, account: Address) -> "FakeChain":
        """The chain as this account sees it."""
        return FakeChain(self, account)

    def pass_time(self, seconds: int) -> None:
        """Moves the clock, and makes one empty block at the new time."""
        self.time = Timestamp(self.time + Seconds(seconds))
        self.mine()

    def mine(self, blocks: int = 1) -> None:
        """Makes empty blocks, for seed blocks to be reached."""
        self._times += [self.time] * blocks

    def time_of(self, number: BlockNumber) -> Timestamp:
        return self._times[number]

    def act(self, call: Callable[[Block], T]) -> T:
        """Runs a call of the ledger in a new block; raises Refused, and then there is none."""
        block = Block(BlockNumber(self.number + 1), self.time)
        answer = call(block)
        self.mine()
        return answer


class FakeChain:
    """One account's access to a `FakeWorld`."""

    def __init__(self, world: FakeWorld, account: Address) -> None:
        self._world = world
        self._ledger = world.ledger
        self._account = account

    @property
    def account(self) -> Address:
        return self._account

    @property
    def parameters(self) -> Parameters:
        return self._ledger.parameters

    # Reading

    async def head(self) -> Head:
        number = self._world.number
        return Head(number, hash_of(number), self._world.time_of(number))

    async def block(self, number: BlockNumber) -> Head | None:
        if number > self._world.number:
            return None
        return Head(number, hash_of(number), self._world.time_of(number))

    async def history(self, job: JobId) -> tuple[Event, ...]:
        return self._ledger.history(job)

    async def payments(self, job: JobId) -> tuple[Payment, ...]:
        """What happened to money because of a job, in chain order."""
        paid = self._ledger.funds.payments
        return tuple(payment for payment in paid if getattr(payment, "job", None) == job)

    async def jobs_touched(self, since: BlockNumber, until: BlockNumber) -> Sequence[JobId]:
        events: list[Logged] = [*self._world.letters]
        events += [event for history in self._ledger.histories.values() for event in history]
        inside = sorted(
            (event for event in events if since <= event.block <= until),
            key=lambda event: event.block,
        )
        return list(dict.fromkeys(event.job for event in inside))

    async def job_count(self) -> int:
        return len(self._ledger.jobs)

    async def holdings(self, account: Address) -> Holdings:
        funds = self._ledger.funds
        balance, bond = funds.balance(account), funds.bonds.of(account)
        if bond is None:
            return Holdings(balance, Role.NONE, Tokens(0), Timestamp(0), 0)
        offences = funds.bonds.offences(account, bond.role)
        return Holdings(balance, bond.role, bond.stake, bond.free_at, offences)

    async def crowd(self) -> Crowd:
        number = (await self.head()).number
        bonds = self._ledger.funds.bonds
        roles = (Role.VALIDATOR, Role.CHALLENGER)
        return Crowd(*(len(bonds.eligible(role, number)) for role in roles))

    async def is_elector(self, job: JobId, account: Address) -> bool:
        return self._ledger.is_elector(job, account)

    async def letters(
        self, job: JobId, trainer: Address, asker: Address, since: BlockNumber
    ) -> Letters:
        between = [
            letter
            for letter in self._world.letters
            if (letter.job, letter.trainer, letter.asker) == (job, trainer, asker)
            and letter.block >= since
        ]
        requests = [letter for letter in between if isinstance(letter, KeyRequested)]
        answers = [letter for letter in between if isinstance(letter, KeyAnswered)]
        return Letters(tuple(requests[:MOST_LETTERS]), tuple(answers[:MOST_LETTERS]))

    # Acts of the requester

    async def create(self, order: JobOrder) -> JobId:
        return self._world.act(
            lambda block: self._ledger.create(self._account, block, **asdict(order))
        )

    async def start(self, job: JobId) -> None:
        self._world.act(lambda block: self._ledger.start(self._account, job, block))

    async def cancel(self, job: JobId) -> None:
        self._world.act(lambda block: self._ledger.cancel(self._account, job, block))

    async def publish_dataset(self, job: JobId, dataset: Digest, salt: bytes) -> None:
        self._world.act(
            lambda block: self._ledger.publish_dataset(self._account, job, dataset, salt, block)
        )

    # Acts of trainers

    async def join(self, job: JobId, stake: Tokens) -> None:
        self._world.act(lambda block: self._ledger.join(self._account, job, stake, block))

    async def submit_model(self, job: JobId, model: Digest, key_commitment: Digest) -> None:
        self._world.act(
            lambda block: self._ledger.submit_model(
                self._account, job, model, key_commitment, block
            )
        )

    async def answer_key(self, job: JobId, asker: Address, sealed_key: bytes) -> None:
        def answer(block: Block) -> None:
            self._check_entitled(job, self._account, asker, block)
            letter = KeyAnswered(
                job=job,
                trainer=self._account,
                asker=asker,
                time=block.time,
                block=block.number,
                sealed_key=sealed_key,
            )
            self._world.letters.append(letter)

        self._world.act(answer)

    # Acts of validators

    async def request_key(self, job: JobId, trainer: Address, public_key: bytes) -> None:
        def ask(block: Block) -> None:
            self._check_entitled(job, trainer, self._account, block)
            if len(public_key) < LEAST_PUBLIC_KEY:
                raise Refused(reasons.KEY_OF_WRONG_LENGTH)
            letter = KeyRequested(
                job=job,
                trainer=trainer,
                asker=self._account,
                time=block.time,
                block=block.number,
                public_key=public_key,
            )
            self._world.letters.append(letter)

        self._world.act(ask)

    async def commit_scores(self, job: JobId, commitment: Digest) -> None:
        self._world.act(
            lambda block: self._ledger.commit_scores(self._account, job, commitment, block)
        )

    async def refrain(self, job: JobId) -> None:
        self._world.act(lambda block: self._ledger.refrain(self._account, job, block))

    async def reveal_scores(
        self, job: JobId, member: Address, scores: Sequence[Score], salt: bytes
    ) -> None:
        self._world.act(
            lambda block: self._ledger.reveal_scores(
                self._account, job, member, scores, salt, block
            )
        )

    # Acts of challengers

    async def accuse(self, job: JobId, target: Address) -> None:
        self._world.act(lambda block: self._ledger.accuse(self._account, job, target, block))

    async def vote(self, job: JobId, target: Address, guilty: bool) -> None:
        self._world.act(lambda block: self._ledger.vote(self._account, job, target, guilty, block))

    # Acts that anybody may do

    async def close_training(self, job: JobId) -> None:
        self._world.act(lambda block: self._ledger.close_training(self._account, job, block))

    async def draw_committee(self, job: JobId) -> None:
        self._world.act(lambda block: self._ledger.draw_committee(self._account, job, block))

    async def settle(self, job: JobId) -> None:
        self._world.act(lambda block: self._ledger.settle(self._account, job, block))

    # Acts on role stakes

    async def register(self, role: Role, amount: Tokens) -> None:
        self._world.act(lambda block: self._ledger.register(self._account, role, amount, block))

    async def request_unstake(self) -> None:
        self._world.act(lambda block: self._ledger.request_unstake(self._account, block))

    async def withdraw(self) -> None:
        self._world.act(lambda block: self._ledger.withdraw(self._account, block))

    async def transfer(self, to: Address, amount: Tokens) -> None:
        self._world.act(lambda _: self._ledger.transfer(self._account, to, amount))

    def _check_entitled(self, job: JobId, trainer: Address, asker: Address, block: Block) -> None:
        history = self._ledger.history(job)
        if not history:
            raise Refused(reasons.NO_SUCH_JOB)
        view = fold(history, self.parameters)
        is_elector = self._ledger.is_elector(job, asker)
        if not may_ask_for_key(view, trainer, asker, block.time, is_elector=is_elector):
            raise Refused(reasons.NOT_ENTITLED)
