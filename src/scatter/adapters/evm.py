"""The chain port on any EVM chain, through its JSON-RPC endpoint.

Histories are read from logs alone, kept per job and only extended; when a block that they rest on
is no longer part of the chain, they are read anew.
"""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final, TypeVar

from eth_account.signers.local import LocalAccount

from scatter.adapters.blocks import Blocks, ChainMoved
from scatter.adapters.contracts import PROTOCOL, TOKEN, load_contract
from scatter.adapters.deployment import Deployment, check_chain, check_deployment
from scatter.adapters.interface import Calls, Log, Logs, parse_log, reason_of
from scatter.adapters.receipts import Receipt
from scatter.adapters.rpc import BadAnswer, Rpc, RpcRefused, data
from scatter.adapters.transactions import PATIENCE, REVERTED, Patience, Sender
from scatter.lifecycle.events import Event, JobCreated
from scatter.lifecycle.keys import KeyAnswered, KeyRequested, Letter, Letters
from scatter.lifecycle.payments import Payment
from scatter.lifecycle.vocabulary import Role
from scatter.mechanism.errors import Refused
from scatter.mechanism.parameters import Parameters
from scatter.mechanism.units import Address, BlockNumber, Digest, JobId, Score, Timestamp, Tokens
from scatter.ports.chain import MOST_LETTERS, Crowd, Head, Holdings, JobOrder

MOST_HISTORIES = 1_000
"""Jobs whose events are remembered."""

MOST_JOBS = 1 << 32
"""A number that no chain's blocks have room for."""

MOST_OF_A_ROLE = 1 << 32
"""The same of validators or challengers."""

MOST_READINGS = 5
"""Of one history, while the chain replaces blocks."""

EVENTS: Final = tuple(Event.__subclasses__())
PAYMENTS: Final = tuple(Payment.__subclasses__())
LETTERS: Final = tuple(Letter.__subclasses__())

MOST_POST = 1_024
"""Blocks searched for letters at once; fewer where they are buried under others."""


L = TypeVar("L", bound=Letter)


@dataclass
class _History:
    events: list[Event] = field(default_factory=list)
    head: Head | None = None
    """The head up to which the events were read."""
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


class EvmChain:
    """One account's access to one deployment; made by `open_chain`."""

    def __init__(self, rpc: Rpc, deployment: Deployment, sender: Sender) -> None:
        self._rpc = rpc
        self._deployment = deployment
        self._sender = sender
        self._blocks = Blocks(rpc, partial(check_chain, rpc, deployment))
        self._protocol = deployment.contracts[PROTOCOL]
        self._token = deployment.contracts[TOKEN]
        protocol, token = load_contract(PROTOCOL), load_contract(TOKEN)
        self._calls = {self._protocol: Calls(protocol), self._token: Calls(token)}
        self._events: Logs[Event] = Logs(protocol, EVENTS)
        self._payments: Logs[Payment] = Logs(token, PAYMENTS)
        self._letters: Logs[Letter] = Logs(protocol, LETTERS)
        self._histories: OrderedDict[JobId, _History] = OrderedDict()

    @property
    def account(self) -> Address:
        return self._sender.address

    @property
    def first_block(self) -> BlockNumber:
        """No event is in an older block; where a follower starts."""
        return self._deployment.block

    @property
    def parameters(self) -> Parameters:
        return self._deployment.parameters

    # Reading

    async def head(self) -> Head:
        return await self._blocks.head()

    async def block(self, number: BlockNumber) -> Head | None:
        return await self._blocks.at(number)

    async def history(self, job: JobId) -> tuple[Event, ...]:
        history = self._histories.setdefault(job, _History())
        self._histories.move_to_end(job)
        while len(self._histories) > MOST_HISTORIES:
            self._histories.popitem(last=False)
        async with history.lock:
            for _ in range(MOST_READINGS - 1):
                try:
                    return await self._extend(job, history)
                except ChainMoved:
                    history.events, history.head = [], None
            return await self._extend(job, history)

    async def payments(self, job: JobId) -> tuple[Payment, ...]:
        """What happened to money because of a job, in chain order."""
        head = await self.head()
        topics = (self._payments.topics_with("job"), _topic(job))
        logs = await self._blocks.logs(self._token, topics, self._deployment.block, head.number)
        decoded = (self._payments.decode(log) for log in logs)
        return tuple(payment for payment in decoded if payment is not None)

    async def jobs_touched(self, since: BlockNumber, until: BlockNumber) -> Sequence[JobId]:
        logs = await self._blocks.logs(self._protocol, (), since, until)
        return list(dict.fromkeys(_job_of(log) for log in logs))

    async def job_count(self) -> int:
        (count,) = await self._view(self._protocol, "jobCount")
        if count > MOST_JOBS:
            raise BadAnswer(f"the endpoint says that there are {str(count)[:40]} jobs")
        return int(count)

    async def holdings(self, account: Address) -> Holdings:
        balance, role, stake, until, offences = await self._view(self._token, "holdings", account)
        try:
            held = Role(role)
        except ValueError as error:
            raise BadAnswer(f"there is no role {role}") from error
        return Holdings(Tokens(balance), held, Tokens(stake), Timestamp(until), offences)

    async def crowd(self) -> Crowd:
        validators, challengers = await self._view(self._token, "sizesBefore")
        if max(validators, challengers) > MOST_OF_A_ROLE:
            raise BadAnswer("the endpoint says that there are more role holders than there can be")
        return Crowd(int(validators), int(challengers))

    async def is_elector(self, job: JobId, account: Address) -> bool:
        (answer,) = await self._view(self._protocol, "isElector", job, account)
        return bool(answer)

    async def letters(
        self, job: JobId, trainer: Address, asker: Address, since: BlockNumber
    ) -> Letters:
        head = await self.head()
        about = (_topic(job), _word(trainer), _word(asker))
        requests = await self._post(KeyRequested, about, since, head.number)
        answers = await self._post(KeyAnswered, about, since, head.number)
        return Letters(requests, answers)

    async def _post(
        self, kind: type[L], about: Sequence[str], since: BlockNumber, until: BlockNumber
    ) -> tuple[L, ...]:
        """The first letters of one hand, in steps that become small where there are many."""
        topics = (self._letters.topic_of(kind), *about)
        found: list[L] = []
        first, step = since, MOST_POST
        while first <= until and len(found) < MOST_LETTERS:
            last = BlockNumber(min(until, first + step - 1))
            try:
                logs = await self._blocks.logs(self._protocol, topics, first, last)
            except BadAnswer:
                if first == last:
                    raise
                step = max(1, (last - first + 1) // 8)
                continue
            logs = logs[: MOST_LETTERS - len(found)]
            times = await self._blocks.times(logs)
            for log in logs:
                letter = self._letters.decode(log, time=times[log.block_hash], block=log.block)
                assert isinstance(letter, kind), "its topic was asked for"
                found.append(letter)
            first = BlockNumber(last + 1)
        return tuple(found)

    # Acts of the requester

    async def create(self, order: JobOrder) -> JobId:
        receipt = await self._act(
            "createJob",
            order.training_job,
            order.evaluation_job,
            order.dataset_commitment,
            order.topic,
            order.reward,
            order.threshold,
            order.floor,
            order.most_trainers,
            order.least_stake,
            order.training_time,
        )
        for log in map(parse_log, receipt.logs):
            if log.address == self._protocol:
                event = self._events.decode(log, time=Timestamp(0), block=log.block)
                if isinstance(event, JobCreated):
                    return event.job
        raise BadAnswer("the receipt of a created job has no JobCreated")

    async def start(self, job: JobId) -> None:
        await self._act("startJob", job)

    async def cancel(self, job: JobId) -> None:
        await self._act("cancelJob", job)

    async def publish_dataset(self, job: JobId, dataset: Digest, salt: bytes) -> None:
        await self._act("publishDataset", job, dataset, salt)

    # Acts of trainers

    async def join(self, job: JobId, stake: Tokens) -> None:
        await self._act("joinJob", job, stake)

    async def submit_model(self, job: JobId, model: Digest, key_commitment: Digest) -> None:
        await self._act("submitModel", job, model, key_commitment)

    async def answer_key(self, job: JobId, asker: Address, sealed_key: bytes) -> None:
        await self._act("answerKey", job, asker, sealed_key)

    # Acts of validators

    async def request_key(self, job: JobId, trainer: Address, public_key: bytes) -> None:
        await self._act("requestKey", job, trainer, public_key)

    async def commit_scores(self, job: JobId, commitment: Digest) -> None:
        await self._act("commitScores", job, commitment)

    async def refrain(self, job: JobId) -> None:
        await self._act("refrain", job)

    async def reveal_scores(
        self, job: JobId, member: Address, scores: Sequence[Score], salt: bytes
    ) -> None:
        await self._act("revealScores", job, member, list(scores), salt)

    # Acts of challengers

    async def accuse(self, job: JobId, target: Address) -> None:
        await self._act("accuse", job, target)

    async def vote(self, job: JobId, target: Address, guilty: bool) -> None:
        await self._act("vote", job, target, guilty)

    # Acts that anybody may do

    async def close_training(self, job: JobId) -> None:
        await self._act("closeTraining", job)

    async def draw_committee(self, job: JobId) -> None:
        await self._act("drawCommittee", job)

    async def settle(self, job: JobId) -> None:
        await self._act("settle", job)

    # Acts on role stakes

    async def register(self, role: Role, amount: Tokens) -> None:
        await self._act("register", role, amount)

    async def request_unstake(self) -> None:
        await self._act("requestUnstake")

    async def withdraw(self) -> None:
        await self._act("withdraw")

    async def transfer(self, to: Address, amount: Tokens) -> None:
        await self._act("transfer", to, amount, contract=self._token)

    async def _act(self, name: str, *arguments: Any, contract: Address | None = None) -> Receipt:
        contract = contract or self._protocol
        return await self._sender.send(contract, self._calls[contract].encode(name, *arguments))

    async def _view(self, contract: Address, name: str, *arguments: Any) -> tuple[Any, ...]:
        calls = self._calls[contract]
        call = {
            "from": self.account,
            "to": contract,
            "data": "0x" + calls.encode(name, *arguments).hex(),
        }
        try:
            output = await self._rpc.ask("eth_call", call, "latest")
        except RpcRefused as error:
            if error.code != REVERTED and not error.data:
                raise
            raise Refused(reason_of(error.message, error.data)) from error
        return calls.decode(name, data(output))

    async def _extend(self, job: JobId, history: _History) -> tuple[Event, ...]:
        """Reads what is new; raises ChainMoved if what was read before is no longer so."""
        head = await self.head()
        known = history.head
        if known is None or known.hash != head.hash:
            if known is not None and await self._blocks.at(known.number) != known:
                raise ChainMoved
            since = self._deployment.block if known is None else BlockNumber(known.number + 1)
            # By name, for anybody with a part in a job may write letters, as many as he pays for.
            topics = (self._events.topics_with("job"), _topic(job))
            logs = await self._blocks.logs(self._protocol, topics, since, head.number)
            times = await self._blocks.times(logs)
            decoded = [
                self._events.decode(log, time=times[log.block_hash], block=log.block)
                for log in logs
            ]
            history.events += [event for event in decoded if event is not None]
            history.head = head
        return tuple(history.events)


@asynccontextmanager
async def open_chain(
    deployment: Deployment,
    account: LocalAccount,
    *,
    rpc_url: str | None = None,
    patience: Patience = PATIENCE,
) -> AsyncIterator[EvmChain]:
    """Connects an account to a deployment, at `rpc_url` or else where the deployment says.

    Raises ChainUnreachable, or WrongChain if the endpoint serves another one.
    """
    async with Rpc(rpc_url or deployment.rpc_url) as rpc:
        await check_deployment(rpc, deployment)
        sender = Sender(rpc, account, deployment.chain_id, patience)
        yield EvmChain(rpc, deployment, sender)


def _word(account: Address) -> str:
    return "0x" + account[2:].lower().rjust(64, "0")


def _topic(job: JobId) -> str:
    return "0x" + job.to_bytes(32, "big").hex()


def _job_of(log: Log) -> JobId:
    if len(log.topics) < 2:
        raise BadAnswer(f"a log of the protocol in block {log.block} names no job")
    job = int.from_bytes(log.topics[1], "big")
    if job > MOST_JOBS:
        raise BadAnswer(f"a log of the protocol in block {log.block} is of no job")
    return JobId(job)
