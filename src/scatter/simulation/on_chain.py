"""The seven contracts on the embedded chain of `scatter.devnet`, called as the specification is.

Every call is a signed transaction in a block of its own, of the number and time that the caller
says; what it did is read from its receipt, and what everybody has from the contracts' views.
"""

from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from eth.abc import ReceiptAPI
from eth_account import Account
from eth_account.signers.local import LocalAccount
from eth_typing import Address as RawAddress
from eth_utils.address import to_canonical_address, to_checksum_address
from eth_utils.crypto import keccak

from scatter.adapters.contracts import PROTOCOL, TOKEN, load_contract, plan_deployment
from scatter.adapters.evm import EVENTS, PAYMENTS
from scatter.adapters.interface import Calls, Log, Logs
from scatter.devnet.chain import EmbeddedChain
from scatter.devnet.execution import MOST_TRANSACTION_GAS, Call, RpcError
from scatter.devnet.faucet import CHAIN_ID
from scatter.lifecycle.deployment import Block
from scatter.lifecycle.events import Event, JobCreated
from scatter.lifecycle.job import Job
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

GENESIS = Timestamp(1_800_000_000)
GAS_MONEY = 10**24
FEE = 10**10
"""Wei per unit of gas; above the base fee of a chain that is nearly empty."""
TREASURY = "treasury"


@dataclass(frozen=True)
class Mark:
    """A moment to which a deployment can be brought back."""

    height: int
    nonces: Mapping[Address, int]
    jobs: Mapping[JobId, Job]


class OnChain:
    """One deployment on a chain of its own; `scatter.economy.rules` says what the calls promise."""

    def __init__(self, parameters: Parameters, names: Sequence[str]) -> None:
        """Deploys the contracts; `names` are those that will make calls."""
        self.parameters = parameters
        self._signers = {name: _signer(name) for name in (TREASURY, *names)}
        self._by_address = {self.account(name): name for name in self._signers}
        self._nonces = dict.fromkeys(self._by_address, 0)
        balances = {RawAddress(to_canonical_address(a)): GAS_MONEY for a in self._by_address}
        self.chain = EmbeddedChain(balances, clock=lambda: float(GENESIS))
        self._calls = {name: Calls(load_contract(name)) for name in (PROTOCOL, TOKEN)}
        self._events: Logs[Event] = Logs(load_contract(PROTOCOL), EVENTS)
        self._payments: Logs[Payment] = Logs(load_contract(TOKEN), PAYMENTS)
        self._jobs: dict[JobId, Job] = {}
        self._paid: list[Payment] = []
        self._at: dict[str, Address] = {}
        self._deploy()
        head = self.chain.headers
        self.first_block = Block(BlockNumber(head.height), Timestamp(head.time))

    # Seeing

    def account(self, name: str) -> Address:
        return Address(self._signers[name].address)

    def hash_of(self, number: BlockNumber) -> bytes:
        return self.chain.headers.hash_of(number)

    def job(self, number: JobId) -> Job:
        return self._jobs[number]

    def is_elector(self, number: JobId, account: Address) -> bool:
        return bool(self._view(PROTOCOL, "isElector", number, account)[0])

    def balance(self, account: Address) -> Tokens:
        return Tokens(self._view(TOKEN, "balanceOf", account)[0])

    def role_stake(self, account: Address) -> Tokens:
        return Tokens(self._view(TOKEN, "holdings", account)[2])

    def wealth(self, account: Address) -> Tokens:
        balance, _, stake, *_ = self._view(TOKEN, "holdings", account)
        return Tokens(balance + stake)

    def lottery(self) -> Tokens:
        return Tokens(self._view(TOKEN, "lottery")[0])

    def take_payments(self) -> Sequence[Payment]:
        taken, self._paid = self._paid, []
        return taken

    # Calls

    def endow(self, account: Address, amount: Tokens, block: Block) -> None:
        self._send(self.account(TREASURY), TOKEN, "transfer", (account, amount), block)

    def register(self, caller: Address, role: Role, amount: Tokens, block: Block) -> None:
        self._call(caller, "register", (role, amount), block)

    def request_unstake(self, caller: Address, block: Block) -> None:
        self._call(caller, "requestUnstake", (), block)

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
    ) -> JobId:
        digests = (training_job, evaluation_job, dataset_commitment)
        terms = (reward, threshold, floor, most_trainers, least_stake, training_time)
        self._call(caller, "createJob", (*digests, topic, *terms), block)
        return JobId(len(self._jobs))

    def join(self, caller: Address, number: JobId, stake: Tokens, block: Block) -> None:
        self._call(caller, "joinJob", (number, stake), block)

    def start(self, caller: Address, number: JobId, block: Block) -> None:
        self._call(caller, "startJob", (number,), block)

    def cancel(self, caller: Address, number: JobId, block: Block) -> None:
        self._call(caller, "cancelJob", (number,), block)

    def submit_model(
        self, caller: Address, number: JobId, model: Digest, key_commitment: Digest, block: Block
    ) -> None:
        self._call(caller, "submitModel", (number, model, key_commitment), block)

    def close_training(self, caller: Address, number: JobId, block: Block) -> None:
        self._call(caller, "closeTraining", (number,), block)

    def draw_committee(self, caller: Address, number: JobId, block: Block) -> None:
        self._call(caller, "drawCommittee", (number,), block)

    def publish_dataset(
        self, caller: Address, number: JobId, dataset: Digest, salt: bytes, block: Block
    ) -> None:
        self._call(caller, "publishDataset", (number, dataset, salt), block)

    def commit_scores(
        self, caller: Address, number: JobId, commitment: Digest, block: Block
    ) -> None:
        self._call(caller, "commitScores", (number, commitment), block)

    def refrain(self, caller: Address, number: JobId, block: Block) -> None:
        self._call(caller, "refrain", (number,), block)

    def reveal_scores(  # noqa: PLR0917 -- the contract's own arguments
        self,
        caller: Address,
        number: JobId,
        member: Address,
        scores: Sequence[Score],
        salt: bytes,
        block: Block,
    ) -> None:
        self._call(caller, "revealScores", (number, member, list(scores), salt), block)

    def accuse(self, caller: Address, number: JobId, target: Address, block: Block) -> None:
        self._call(caller, "accuse", (number, target), block)

    def vote(
        self, caller: Address, number: JobId, target: Address, guilty: bool, block: Block
    ) -> None:
        self._call(caller, "vote", (number, target, guilty), block)

    def settle(self, caller: Address, number: JobId, block: Block) -> None:
        self._call(caller, "settle", (number,), block)

    # Going back

    def mark(self) -> Mark:
        height = self.chain.headers.height
        return Mark(height, dict(self._nonces), deepcopy(self._jobs))

    def rewind(self, mark: Mark) -> None:
        """Takes back every block since the mark, which must lie on the way that led here."""
        self.chain.cut(mark.height)
        self._nonces = dict(mark.nonces)
        self._jobs = deepcopy(dict(mark.jobs))
        self._paid.clear()

    # The chain

    def _deploy(self) -> None:
        treasury = self.account(TREASURY)
        time = GENESIS
        for planned in plan_deployment(treasury, 0, treasury, self.parameters):
            time = Timestamp(time + 1)
            block = Block(BlockNumber(self.chain.headers.height + 1), time)
            self._mine(treasury, None, planned.init_code, block)
            self._at[planned.name] = planned.address

    def _call(self, caller: Address, function: str, arguments: Sequence[Any], block: Block) -> None:
        self._send(caller, PROTOCOL, function, arguments, block)

    def _send(
        self, caller: Address, contract: str, function: str, arguments: Sequence[Any], block: Block
    ) -> None:
        payload = self._calls[contract].encode(function, *arguments)
        receipt = self._mine(caller, self._at[contract], payload, block)
        for log in _logs(receipt, block):
            if log.address == self._at[PROTOCOL]:
                self._tell(self._events.decode(log, time=block.time, block=block.number))
            elif log.address == self._at[TOKEN]:
                payment = self._payments.decode(log)
                if payment is not None:
                    self._paid.append(payment)

    def _tell(self, event: Event | None) -> None:
        if isinstance(event, JobCreated):
            self._jobs[event.job] = Job(event, self.parameters)
        elif event is not None:
            self._jobs[event.job].record(event)

    def _mine(
        self, caller: Address, to: Address | None, payload: bytes, block: Block
    ) -> ReceiptAPI:
        """Raises Refused with the contract's reason."""
        headers = self.chain.headers
        for number in range(headers.height + 1, block.number):
            self.chain.mine(max(headers.time + 1, block.time - (block.number - number)))
        signed = self._sign(caller, to, payload)
        self.chain.submit(signed)
        self.chain.mine(block.time)
        (receipt,) = self.chain.blocks[block.number].receipts
        if receipt.state_root != b"\x01":
            raise Refused(self._reason(caller, to, payload))
        return receipt

    def _sign(self, caller: Address, to: Address | None, payload: bytes) -> bytes:
        transaction: dict[str, Any] = {
            "type": 2,
            "chainId": CHAIN_ID,
            "nonce": self._nonces[caller],
            "value": 0,
            "gas": MOST_TRANSACTION_GAS,
            "maxFeePerGas": FEE,
            "maxPriorityFeePerGas": 0,
            "data": payload,
        }
        if to is not None:
            transaction["to"] = to
        self._nonces[caller] += 1
        signer = self._signers[self._by_address[caller]]
        return bytes(signer.sign_transaction(transaction).raw_transaction)

    def _view(self, contract: str, function: str, *arguments: Any) -> tuple[Any, ...]:
        payload = self._calls[contract].encode(function, *arguments)
        reader = self.account(TREASURY)
        output = self._run(reader, self._at[contract], payload)
        return self._calls[contract].decode(function, output)

    def _reason(self, caller: Address, to: Address | None, payload: bytes) -> str:
        try:
            self._run(caller, to, payload)
        except RpcError as error:
            return error.message.removeprefix("execution reverted: ")
        return "ran out of gas"

    def _run(self, caller: Address, to: Address | None, payload: bytes) -> bytes:
        call = Call(
            sender=RawAddress(to_canonical_address(caller)),
            to=RawAddress(to_canonical_address(to) if to else b""),
            value=0,
            data=payload,
            gas=MOST_TRANSACTION_GAS,
        )
        return self.chain.machine.call(self.chain.headers.head(), call)


def _signer(name: str) -> LocalAccount:
    signer: LocalAccount = Account.from_key(keccak(text=f"scatter simulate {name}"))
    return signer


def _logs(receipt: ReceiptAPI, block: Block) -> Iterator[Log]:
    for index, log in enumerate(receipt.logs):
        yield Log(
            address=Address(to_checksum_address(log.address)),
            topics=tuple(topic.to_bytes(32, "big") for topic in log.topics),
            data=bytes(log.data),
            block=block.number,
            block_hash=b"",
            index=index,
        )
