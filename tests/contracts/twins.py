"""The specification and the contracts side by side: every call goes to both, and they must agree.

Agreement means the same refusal in the same words, or the same events and the same payments in the
same order, and the same holdings of everybody afterwards.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from copy import deepcopy
from functools import cache
from typing import Any

from tests.contracts.books import Books
from tests.contracts.deployed import Contracts, Log, paid, told
from tests.unit.vectors.reading import address_of

from scatter.adapters.contracts import PROTOCOL, REPUTATION, TOKEN
from scatter.lifecycle.deployment import Block
from scatter.lifecycle.job import deadline
from scatter.lifecycle.ledger import Ledger
from scatter.lifecycle.verdict import standing
from scatter.lifecycle.vocabulary import Role
from scatter.mechanism.errors import Refused
from scatter.mechanism.parameters import Parameters
from scatter.mechanism.units import Address, JobId

TREASURY = address_of("treasury")


def hash_of(number: int) -> bytes:
    return number.to_bytes(32, "big")


class Twins(Ledger):
    """A `Ledger` whose every call is also made on the contracts."""

    def __init__(self, contracts: Contracts) -> None:
        super().__init__(contracts.parameters, TREASURY, hash_of)
        self.contracts = contracts
        self.books = Books(contracts, TREASURY)
        self.accepted = 0
        """How many calls were made on both."""

    def __deepcopy__(self, memo: dict[int, Any]) -> Ledger:
        """The specification's half alone: what is tried on a copy never reaches the contracts."""
        copy = Ledger(self.parameters, TREASURY, hash_of)
        for name, value in vars(self).items():
            if name not in ("contracts", "books", "accepted"):
                setattr(copy, name, deepcopy(value, memo) if name != "_hash_of" else value)
        return copy

    def transfer(self, caller: Address, to: Address, amount: int) -> None:
        arguments = [to, amount]
        try:
            super().transfer(caller, to, amount)
        except Refused as refusal:
            _same([self._refusal(caller, "transfer", arguments, TOKEN)], [str(refusal)])
            raise
        logs = self._accept(caller, "transfer", arguments, TOKEN)
        self.books.record(caller, [caller.lower()], logs)
        self.accepted += 1

    def create(self, caller: Address, block: Block, **order: Any) -> JobId:
        names = (
            "training_job evaluation_job dataset_commitment topic reward threshold floor "
            "most_trainers least_stake training_time"
        )
        arguments = [order[name] for name in names.split()]
        return self._both(
            lambda: super(Twins, self).create(caller, block, **order),
            caller,
            "createJob",
            arguments,
            block,
        )

    def join(self, caller: Address, number: JobId, stake: int, block: Block) -> None:
        self._both(
            lambda: super(Twins, self).join(caller, number, stake, block),
            caller,
            "joinJob",
            [number, stake],
            block,
        )

    def start(self, caller: Address, number: JobId, block: Block) -> None:
        self._both(
            lambda: super(Twins, self).start(caller, number, block),
            caller,
            "startJob",
            [number],
            block,
        )

    def cancel(self, caller: Address, number: JobId, block: Block) -> None:
        self._both(
            lambda: super(Twins, self).cancel(caller, number, block),
            caller,
            "cancelJob",
            [number],
            block,
        )

    def publish_dataset(
        self, caller: Address, number: JobId, dataset: bytes, salt: bytes, block: Block
    ) -> None:
        self._both(
            lambda: super(Twins, self).publish_dataset(caller, number, dataset, salt, block),
            caller,
            "publishDataset",
            [number, dataset, salt],
            block,
        )

    def submit_model(
        self, caller: Address, number: JobId, model: bytes, key_commitment: bytes, block: Block
    ) -> None:
        self._both(
            lambda: super(Twins, self).submit_model(caller, number, model, key_commitment, block),
            caller,
            "submitModel",
            [number, model, key_commitment],
            block,
        )

    def commit_scores(
        self, caller: Address, number: JobId, commitment: bytes, block: Block
    ) -> None:
        self._both(
            lambda: super(Twins, self).commit_scores(caller, number, commitment, block),
            caller,
            "commitScores",
            [number, commitment],
            block,
        )

    def refrain(self, caller: Address, number: JobId, block: Block) -> None:
        self._both(
            lambda: super(Twins, self).refrain(caller, number, block),
            caller,
            "refrain",
            [number],
            block,
        )

    def reveal_scores(
        self,
        caller: Address,
        number: JobId,
        member: Address,
        scores: Any,
        salt: bytes,
        block: Block,
    ) -> None:
        self._both(
            lambda: super(Twins, self).reveal_scores(caller, number, member, scores, salt, block),
            caller,
            "revealScores",
            [number, member, list(scores), salt],
            block,
        )

    def accuse(self, caller: Address, number: JobId, target: Address, block: Block) -> None:
        self._both(
            lambda: super(Twins, self).accuse(caller, number, target, block),
            caller,
            "accuse",
            [number, target],
            block,
        )

    def vote(
        self, caller: Address, number: JobId, target: Address, guilty: bool, block: Block
    ) -> None:
        self._both(
            lambda: super(Twins, self).vote(caller, number, target, guilty, block),
            caller,
            "vote",
            [number, target, guilty],
            block,
        )

    def close_training(self, caller: Address, number: JobId, block: Block) -> None:
        self._both(
            lambda: super(Twins, self).close_training(caller, number, block),
            caller,
            "closeTraining",
            [number],
            block,
        )

    def draw_committee(self, caller: Address, number: JobId, block: Block) -> None:
        self._both(
            lambda: super(Twins, self).draw_committee(caller, number, block),
            caller,
            "drawCommittee",
            [number],
            block,
        )

    def settle(self, caller: Address, number: JobId, block: Block) -> None:
        self._both(
            lambda: super(Twins, self).settle(caller, number, block),
            caller,
            "settle",
            [number],
            block,
        )

    def register(self, caller: Address, role: Role, amount: int, block: Block) -> None:
        self._both(
            lambda: super(Twins, self).register(caller, role, amount, block),
            caller,
            "register",
            [role, amount],
            block,
        )

    def request_unstake(self, caller: Address, block: Block) -> None:
        self._both(
            lambda: super(Twins, self).request_unstake(caller, block),
            caller,
            "requestUnstake",
            [],
            block,
        )

    def withdraw(self, caller: Address, block: Block) -> None:
        self._both(
            lambda: super(Twins, self).withdraw(caller, block), caller, "withdraw", [], block
        )

    def compare(self, block: Block) -> None:
        """What the contracts' views say, all of them, beside the specification."""
        self.contracts.move_to(block)
        token = self.contracts.at[TOKEN]
        assert self.contracts.read(TOKEN, "balanceOf", token) == self.funds.held
        assert self.contracts.read(TOKEN, "lottery") == self.funds.lottery
        assert self.contracts.read(PROTOCOL, "jobCount") == len(self.jobs)
        for account in self.funds.balances:
            self.compare_account(account)
            for number in self.jobs:
                self.compare_part(number, account, block)

    def compare_account(self, account: Address) -> None:
        bond = self.funds.bonds.of(account)
        role = bond.role if bond else Role.NONE
        assert self.contracts.read(TOKEN, "holdings", account) == (
            self.funds.balance(account),
            role,
            bond.stake if bond else 0,
            bond.free_at if bond else 0,
            self.funds.bonds.offences(account, role),
        )

    def compare_part(self, number: JobId, account: Address, block: Block) -> None:
        """Where a job stands, and what an account is in it."""
        self.contracts.move_to(block)
        read, job = self.contracts.read, self.job(number)
        until = deadline(job, block.time) or 0
        assert read(PROTOCOL, "phase", number) == (self.phase(number, block.time), until)
        if job.closing_block is not None:
            elector = read(PROTOCOL, "isElector", number, account)
            assert elector == self.is_elector(number, account)
        assert read(REPUTATION, "standing", number, account) == standing(job, account, block.time)
        for trainer in job.trainers:
            may_ask = read(PROTOCOL, "mayAskKey", number, trainer, account)
            assert may_ask == self.may_ask_for_key(number, trainer, account, block.time)

    def _both(
        self,
        specified: Callable[[], Any],
        caller: Address,
        function: str,
        arguments: list[Any],
        block: Block,
    ) -> Any:
        self.contracts.move_to(block)
        told_before = {number: len(history) for number, history in self.histories.items()}
        self.funds.payments.clear()
        try:
            result = specified()
        except Refused as refusal:
            _same([function, self._refusal(caller, function, arguments)], [function, str(refusal)])
            raise
        logs = self._accept(caller, function, arguments)
        news = [
            event
            for number, history in self.histories.items()
            for event in history[told_before.get(number, 0) :]
        ]
        _same(told(logs, block), news)
        _same(paid(logs), self.funds.payments)
        self.books.record(caller, [], logs)
        self.accepted += 1
        return result

    def _accept(
        self, caller: Address, function: str, arguments: list[Any], contract: str = PROTOCOL
    ) -> list[Log]:
        """A refusal by the contracts alone is no refusal to whoever expects one of both."""
        try:
            return self.contracts.call(caller, function, *arguments, contract=contract)
        except Refused as refusal:
            raise AssertionError(f"the contracts alone refuse {function}: {refusal}") from refusal

    def _refusal(
        self, caller: Address, function: str, arguments: list[Any], contract: str = PROTOCOL
    ) -> str:
        try:
            self.contracts.call(caller, function, *arguments, contract=contract)
        except Refused as refusal:
            return str(refusal)
        return "allowed"


def _same(found: Sequence[Any], expected: Sequence[Any]) -> None:
    assert list(found) == list(expected), f"the contracts tell {found}, not {expected}"


@cache
def _contracts(parameters: Parameters) -> Contracts:
    return Contracts(parameters, TREASURY, hash_of)


@contextmanager
def twins(parameters: Parameters) -> Iterator[Twins]:
    """Both, as just deployed; what happens inside is undone afterwards."""
    contracts = _contracts(parameters)
    with contracts.env.anchor():
        yield Twins(contracts)
