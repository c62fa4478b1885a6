"""What a simulation plays on: the calls of the protocol, and what can be seen of it."""

from collections.abc import Callable, Sequence
from copy import deepcopy
from functools import cache
from typing import Any, Protocol

from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak

from scatter.lifecycle.deployment import Block
from scatter.lifecycle.job import Job
from scatter.lifecycle.ledger import Ledger
from scatter.lifecycle.payments import Payment
from scatter.lifecycle.vocabulary import Role
from scatter.mechanism.parameters import Parameters
from scatter.mechanism.units import (
    Address,
    BlockNumber,
    Digest,
    JobId,
    Score,
    Seconds,
    Tokens,
)


class Rules(Protocol):
    """The specification, or the contracts. The calls are those of `Ledger`, and refuse as it does.

    Each call is made in a block of its own, later than all before it.
    """

    @property
    def parameters(self) -> Parameters: ...

    @property
    def first_block(self) -> Block:
        """The block from which on calls can be made."""
        ...

    def account(self, name: str) -> Address:
        """Whom this node is on chain."""
        ...

    def job(self, number: JobId) -> Job: ...

    def is_elector(self, number: JobId, account: Address) -> bool: ...

    def balance(self, account: Address) -> Tokens: ...

    def role_stake(self, account: Address) -> Tokens: ...

    def wealth(self, account: Address) -> Tokens:
        """Balance and role stake together."""
        ...

    def lottery(self) -> Tokens: ...

    def take_payments(self) -> Sequence[Payment]:
        """What was paid since this was last asked."""
        ...

    def endow(self, account: Address, amount: Tokens, block: Block) -> None:
        """Gives an account its first tokens, out of the treasury."""
        ...

    def register(self, caller: Address, role: Role, amount: Tokens, block: Block) -> None: ...

    def request_unstake(self, caller: Address, block: Block) -> None: ...

    def create(
        self,
        caller: Address,
        block: Block,
        *,
        training_job: Digest,
        evaluation_job: Digest,
        dataset_commitment: Digest,
        topic: str,
        reward: Tokens,
        threshold: Score,
        floor: Score,
        most_trainers: int,
        least_stake: Tokens,
        training_time: Seconds,
    ) -> JobId: ...

    def join(self, caller: Address, number: JobId, stake: Tokens, block: Block) -> None: ...

    def start(self, caller: Address, number: JobId, block: Block) -> None: ...

    def cancel(self, caller: Address, number: JobId, block: Block) -> None: ...

    def submit_model(
        self, caller: Address, number: JobId, model: Digest, key_commitment: Digest, block: Block
    ) -> None: ...

    def close_training(self, caller: Address, number: JobId, block: Block) -> None: ...

    def draw_committee(self, caller: Address, number: JobId, block: Block) -> None: ...

    def publish_dataset(
        self, caller: Address, number: JobId, dataset: Digest, salt: bytes, block: Block
    ) -> None: ...

    def commit_scores(
        self, caller: Address, number: JobId, commitment: Digest, block: Block
    ) -> None: ...

    def refrain(self, caller: Address, number: JobId, block: Block) -> None: ...

    def reveal_scores(  # noqa: PLR0917 -- the contract's own arguments
        self,
        caller: Address,
        number: JobId,
        member: Address,
        scores: Sequence[Score],
        salt: bytes,
        block: Block,
    ) -> None: ...

    def accuse(self, caller: Address, number: JobId, target: Address, block: Block) -> None: ...

    def vote(
        self, caller: Address, number: JobId, target: Address, guilty: bool, block: Block
    ) -> None: ...

    def settle(self, caller: Address, number: JobId, block: Block) -> None: ...

    def mark(self) -> Any:
        """A moment for `rewind`."""
        ...

    def rewind(self, mark: Any) -> None:
        """Takes back every call since the mark, which must lie on the way that led here."""
        ...


@cache
def _address(name: str) -> Address:
    return Address(to_checksum_address(keccak(text=name)[-20:]))


def _hash(number: BlockNumber) -> bytes:
    return number.to_bytes(32, "big")


class Specification(Ledger):
    """`scatter.lifecycle` alone, as fast as it goes."""

    first_block: Block

    def __init__(
        self,
        parameters: Parameters,
        *,
        first_block: Block,
        account: Callable[[str], Address] = _address,
        hash_of: Callable[[BlockNumber], bytes] = _hash,
    ) -> None:
        self._treasury = account("treasury")
        super().__init__(parameters, self._treasury, hash_of)
        self.first_block = first_block
        self._account = account

    def account(self, name: str) -> Address:
        return self._account(name)

    def balance(self, account: Address) -> Tokens:
        return self.funds.balance(account)

    def role_stake(self, account: Address) -> Tokens:
        bond = self.funds.bonds.of(account)
        return Tokens(0) if bond is None else bond.stake

    def wealth(self, account: Address) -> Tokens:
        return Tokens(self.balance(account) + self.role_stake(account))

    def lottery(self) -> Tokens:
        return self.funds.lottery

    def take_payments(self) -> Sequence[Payment]:
        taken = list(self.funds.payments)
        self.funds.payments.clear()
        return taken

    def endow(self, account: Address, amount: Tokens, block: Block) -> None:
        self.transfer(self._treasury, account, amount)

    def mark(self) -> dict[str, Any]:
        """A moment to which this can be brought back."""
        return {name: deepcopy(vars(self)[name]) for name in _STATE}

    def rewind(self, mark: dict[str, Any]) -> None:
        vars(self).update(deepcopy(mark))


_STATE = ("funds", "jobs", "histories", "_validators", "_running")
"""Everything of a deployment that calls change."""
