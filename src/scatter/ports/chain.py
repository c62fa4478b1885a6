"""The chain, as a node sees it: what happened, what holds now, and the acts of one account.

Reading answers with the executable specification's own types, so that a node reasons with
`scatter.lifecycle` and never with the contracts' storage. Every act returns when its effect is in
a block, and raises `Refused` with the contract's reason when the protocol does not allow it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from scatter.lifecycle.events import Event
from scatter.lifecycle.keys import Letters
from scatter.lifecycle.vocabulary import Role
from scatter.mechanism.errors import ScatterError
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

MOST_LETTERS: Final = 8
"""Of one hand in one correspondence; two are enough for an honest one."""


class ChainUnreachable(ScatterError):
    """The chain's RPC endpoint gives no answer that can be used. Check the address and try again.

    Nothing was learned, and what was sent may have arrived all the same: wait and ask again.
    """


class WrongChain(ChainUnreachable):
    """The endpoint serves another chain than the deployment file names."""


@dataclass(frozen=True)
class Head:
    """A block, most often the newest."""

    number: BlockNumber
    hash: bytes
    time: Timestamp


@dataclass(frozen=True)
class Holdings:
    """What an account owns and where it stands, outside of any one job."""

    balance: Tokens
    role: Role
    stake: Tokens
    """The role stake still at risk."""
    leaving_until: Timestamp
    """When a stake asked back may be withdrawn; 0 while active."""
    offences: int
    """Penalties paid in this role so far (the exponent of eq. 8)."""


@dataclass(frozen=True)
class Crowd:
    """How many accounts held each long-term role at the end of the block before the newest."""

    validators: int
    challengers: int


@dataclass(frozen=True)
class JobOrder:
    """What a requester publishes (`create` of `docs/protocol.md`, section 4)."""

    training_job: Digest
    evaluation_job: Digest
    dataset_commitment: Digest
    topic: str
    reward: Tokens
    threshold: Score
    floor: Score
    most_trainers: int
    least_stake: Tokens
    training_time: Seconds


class Chain(Protocol):
    """One account's access to the seven contracts."""

    @property
    def account(self) -> Address: ...

    @property
    def parameters(self) -> Parameters:
        """Table 1 and the windows, as deployed."""
        ...

    # Reading

    async def head(self) -> Head: ...

    async def block(self, number: BlockNumber) -> Head | None:
        """The block at this height, as the chain is now; None beyond the head."""
        ...

    async def history(self, job: JobId) -> tuple[Event, ...]:
        """All events of a job so far, in chain order; empty when there is no such job."""
        ...

    async def jobs_touched(self, since: BlockNumber, until: BlockNumber) -> Sequence[JobId]:
        """The jobs with an event in the blocks `since`..`until`, both included, each once."""
        ...

    async def job_count(self) -> int:
        """Jobs are numbered 1..count."""
        ...

    async def holdings(self, account: Address) -> Holdings: ...

    async def crowd(self) -> Crowd:
        """Who could be drawn into a committee, and who could accuse, if training closed now."""
        ...

    async def is_elector(self, job: JobId, account: Address) -> bool:
        """Whether the account may accuse and vote in this job, now."""
        ...

    async def letters(
        self, job: JobId, trainer: Address, asker: Address, since: BlockNumber
    ) -> Letters:
        """What the two wrote to each other about the trainer's key, from the block `since` on.

        At most MOST_LETTERS of each hand, the first: nobody can bury what counts.
        """
        ...

    # Acts of the requester

    async def create(self, order: JobOrder) -> JobId: ...

    async def start(self, job: JobId) -> None: ...

    async def cancel(self, job: JobId) -> None: ...

    async def publish_dataset(self, job: JobId, dataset: Digest, salt: bytes) -> None: ...

    # Acts of trainers

    async def join(self, job: JobId, stake: Tokens) -> None: ...

    async def submit_model(self, job: JobId, model: Digest, key_commitment: Digest) -> None: ...

    async def answer_key(self, job: JobId, asker: Address, sealed_key: bytes) -> None: ...

    # Acts of validators

    async def request_key(self, job: JobId, trainer: Address, public_key: bytes) -> None: ...

    async def commit_scores(self, job: JobId, commitment: Digest) -> None: ...

    async def refrain(self, job: JobId) -> None: ...

    async def reveal_scores(
        self, job: JobId, member: Address, scores: Sequence[Score], salt: bytes
    ) -> None: ...

    # Acts of challengers

    async def accuse(self, job: JobId, target: Address) -> None: ...

    async def vote(self, job: JobId, target: Address, guilty: bool) -> None: ...

    # Acts that anybody may do

    async def close_training(self, job: JobId) -> None: ...

    async def draw_committee(self, job: JobId) -> None: ...

    async def settle(self, job: JobId) -> None: ...

    # Acts on role stakes

    async def register(self, role: Role, amount: Tokens) -> None: ...

    async def request_unstake(self) -> None: ...

    async def withdraw(self) -> None: ...

    async def transfer(self, to: Address, amount: Tokens) -> None: ...
