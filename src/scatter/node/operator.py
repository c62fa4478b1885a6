"""What the operator of a node may ask of it: the acts behind the HTTP interface.

Knows ports and duties only. Every act returns when its effect is on chain, and raises `Refused`
with the contract's reason when the protocol does not allow it.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from scatter.learning.inspection import Inspection
from scatter.lifecycle.job import Job, fold, phase
from scatter.lifecycle.vocabulary import Phase, Role
from scatter.mechanism.errors import ScatterError
from scatter.mechanism.parameters import Parameters
from scatter.mechanism.units import Address, JobId, Timestamp, Tokens
from scatter.node.queue import Workbench
from scatter.ports.chain import Chain, Crowd, Head, Holdings
from scatter.ports.peers import Peers
from scatter.ports.sandbox import Isolation, Sandbox
from scatter.ports.store import Work
from scatter.roles.duty import Approval
from scatter.roles.evidence import Report
from scatter.roles.requester import Proposal, Result

MOST_LISTED = 100
"""Jobs on one page."""
MOST_LOOKED_AT = 400
"""Jobs read for one page, however rare the phase asked for is."""
AT_ONCE = 16
"""Histories read at the same time."""


class NoSuchJob(ScatterError):
    """There is no job of this number. `scatter job list` shows those that exist."""


class NotThisRole(ScatterError):
    """The node does not have the role that this act needs; the message says which."""


class NoFindings(ScatterError):
    """This node has evaluated nothing in that job. Members of its committee and challengers do."""


class NoResult(ScatterError):
    """There is no result yet: the job is not settled, or its models are still being fetched."""


class Buyer(Protocol):
    """The requester's duty, as far as its operator uses it."""

    async def publish(self, proposal: Proposal) -> JobId: ...

    async def result(self, job: JobId) -> Result | None: ...


class Seller(Protocol):
    """The trainer's duty, as far as its operator uses it."""

    async def agree(self, job: JobId, stake: Tokens) -> None:
        """Joins by hand."""
        ...


class Reviewer(Protocol):
    """Who shows the operator what a job holds, and remembers what it decided."""

    async def inspect(self, job: Job) -> tuple[Inspection, Inspection]: ...

    async def approve(self, job: Job) -> None: ...

    async def is_approved(self, job: Job) -> bool: ...

    async def findings(self, job: Job) -> Sequence[Report]: ...


@dataclass(frozen=True)
class Seen:
    """What a job holds, and whether it is approved already."""

    job: JobId
    training: Inspection
    evaluation: Inspection
    approved: bool


@dataclass(frozen=True)
class Identity:
    """What a node is, fixed from its start on."""

    name: str
    roles: tuple[str, ...]
    chain_name: str
    """The deployment's profile and endpoint, as shown to people."""
    chain_id: int
    protocol: Address
    """Of the contract ScatterProtocol."""
    http: str
    """Where the operator's interface listens, host:port."""
    peer_addresses: tuple[str, ...]
    """Fit to be another's bootstrap peer."""
    gateway: str
    """The base address by which others fetch from this node."""
    minimum: Isolation
    approval: Approval = Approval.NEVER


@dataclass(frozen=True)
class Standpoint:
    """A job as it stands at a time."""

    job: Job
    now: Timestamp


@dataclass(frozen=True)
class Page:
    """Some jobs, the newest first; `following` is where the next page begins, if there is one."""

    jobs: tuple[Standpoint, ...]
    following: JobId | None


class Operator:
    """The acts and looks of one node's operator."""

    def __init__(
        self,
        identity: Identity,
        chain: Chain,
        peers: Peers,
        sandbox: Sandbox,
        workbench: Workbench,
        *,
        review: Reviewer,
        requester: Buyer | None = None,
        trainer: Seller | None = None,
    ) -> None:
        self.identity = identity
        self.sandbox = sandbox
        self._chain = chain
        self._peers = peers
        self._workbench = workbench
        self._review = review
        self._requester = requester
        self._trainer = trainer

    @property
    def account(self) -> Address:
        """The account that this node acts for."""
        return self._chain.account

    @property
    def parameters(self) -> Parameters:
        """Those of the deployment."""
        return self._chain.parameters

    @property
    def peers_known(self) -> int:
        """How many other accounts can be reached, as far as their records say."""
        return sum(record.account != self.account for record in self._peers.records())

    # Looking

    async def head(self) -> Head:
        """The newest block of the chain."""
        return await self._chain.head()

    async def crowd(self) -> Crowd:
        """How many validators and challengers the network has."""
        return await self._chain.crowd()

    async def jobs(self, among: Phase | None, newest: JobId | None, most: int) -> Page:
        """The jobs from `newest` down, at most `most`, those in the phase `among` only.

        A page can be shorter, even empty, and still have a following one: a call reads at most
        400 jobs.
        """
        count = await self._chain.job_count()
        now = (await self._chain.head()).time
        number = count if newest is None else min(newest, count)
        last = max(number - MOST_LOOKED_AT, 0)
        found: list[Standpoint] = []
        while number > last:
            batch = range(number, max(number - AT_ONCE, last), -1)
            for job in await asyncio.gather(*(self._fold(JobId(n)) for n in batch)):
                if len(found) == min(most, MOST_LISTED):
                    return Page(tuple(found), JobId(number))
                number -= 1
                if among is None or phase(job, now) is among:
                    found.append(Standpoint(job, now))
        return Page(tuple(found), JobId(number) if number else None)

    async def job(self, number: JobId) -> Standpoint:
        """One job. Raises NoSuchJob."""
        return Standpoint(await self._fold(number), (await self._chain.head()).time)

    async def holdings(self, account: Address | None = None) -> Holdings:
        """What an account owns, by default this node's."""
        return await self._chain.holdings(account or self.account)

    async def works(self) -> Sequence[Work]:
        """The queue: what is in hand, waits, failed or is done."""
        return await self._workbench.works()

    async def questions(self) -> Sequence[str]:
        """Jobs that wait for the operator's approval, a sentence each."""
        return await self._workbench.questions()

    async def inspect(self, number: JobId) -> Seen:
        """What a job holds: fetched, looked at, and removed; nothing of it is run."""
        job = await self._fold(number)
        training, evaluation = await self._review.inspect(job)
        return Seen(number, training, evaluation, await self._review.is_approved(job))

    async def findings(self, number: JobId) -> Sequence[Report]:
        """What this node found in a job that it evaluated, by role. Raises NoFindings."""
        found = await self._review.findings(await self._fold(number))
        if not found:
            raise NoFindings
        return found

    async def result(self, job: JobId) -> Result:
        """Where the aggregate of a job lies and of what it was made. Raises NoResult."""
        if self._requester is None:
            raise NotThisRole('only a requester has results; add "requester" to node.roles')
        await self._fold(job)
        result = await self._requester.result(job)
        if result is None:
            raise NoResult
        return result

    # Acting

    async def publish(self, proposal: Proposal) -> JobId:
        """Publishes a job: its folders go to the content store, its terms on chain."""
        if self._requester is None:
            raise NotThisRole('this node is no requester; add "requester" to node.roles')
        job = await self._requester.publish(proposal)
        self._workbench.touch(job)
        return job

    async def join(self, job: JobId, stake: Tokens) -> None:
        """Joins a job by hand, with a stake."""
        if self._trainer is None:
            raise NotThisRole('this node is no trainer; add "trainer" to node.roles')
        await self._fold(job)
        await self._trainer.agree(job, stake)
        self._workbench.touch(job)

    async def approve(self, job: JobId) -> None:
        """Lets this node join and run a job that waited for it."""
        await self._review.approve(await self._fold(job))
        self._workbench.touch(job)

    async def start(self, job: JobId) -> None:
        """Ends joining and starts training: the requester's, past the join deadline anybody's."""
        await self._fold(job)
        await self._chain.start(job)
        self._workbench.touch(job)

    async def stake(self, role: Role, amount: Tokens) -> None:
        """Registers this account in a role."""
        await self._chain.register(role, amount)

    async def unstake(self) -> None:
        """Asks the role stake back; it is free after the unbonding time."""
        await self._chain.request_unstake()

    async def withdraw(self) -> None:
        """Takes a stake that was asked back, once it is free."""
        await self._chain.withdraw()

    async def _fold(self, number: JobId) -> Job:
        history = await self._chain.history(number) if number > 0 else ()
        if not history:
            raise NoSuchJob(f"job {number} does not exist; `scatter job list` shows those that do")
        return fold(history, self._chain.parameters)
