"""What one deployment holds, and what its calls do to it: closing, drawing, fining, settling.

`scatter.lifecycle.ledger` has the calls themselves and decides whether they are allowed.
"""

from collections.abc import Callable
from typing import NamedTuple, TypedDict

from scatter.lifecycle import reasons
from scatter.lifecycle.commitments import draw
from scatter.lifecycle.events import (
    CommitteeDrawn,
    Condemned,
    Event,
    JobSettled,
    TrainingClosed,
)
from scatter.lifecycle.funds import Funds
from scatter.lifecycle.job import Job, phase
from scatter.lifecycle.keys import may_ask_for_key
from scatter.lifecycle.payments import (
    LotteryWon,
    Penalised,
    StakeForfeited,
    UnstakeRequested,
)
from scatter.lifecycle.settlement import Bond, Settlement, settle
from scatter.lifecycle.verdict import is_condemned_by_score
from scatter.lifecycle.vocabulary import Phase, Role
from scatter.mechanism.equations import committee_size, lottery_win, penalty
from scatter.mechanism.errors import Refused
from scatter.mechanism.parameters import Parameters
from scatter.mechanism.units import (
    Address,
    BlockNumber,
    JobId,
    Timestamp,
    Tokens,
)

HASHES_KEPT = 256
"""How many blocks back a contract can read a hash."""


class Block(NamedTuple):
    """When a call happens."""

    number: BlockNumber
    time: Timestamp


class Stamp(TypedDict):
    """What every event says: of which job, and when."""

    job: JobId
    time: Timestamp
    block: BlockNumber


class Deployment:
    """One deployment. `hash_of` tells the hash of an earlier block."""

    def __init__(
        self,
        parameters: Parameters,
        treasury: Address,
        hash_of: Callable[[BlockNumber], bytes],
    ) -> None:
        self.parameters = parameters
        self.funds = Funds(parameters.supply, treasury)
        self.jobs: dict[JobId, Job] = {}
        self.histories: dict[JobId, list[Event]] = {}
        self._hash_of = hash_of
        self._validators: dict[JobId, tuple[Address, ...]] = {}
        self._running: dict[Address, int] = {}

    # Reading

    def job(self, number: JobId) -> Job:
        """For reading only. Refuses: NO_SUCH_JOB."""
        job = self.jobs.get(number)
        if job is None:
            raise Refused(reasons.NO_SUCH_JOB)
        return job

    def history(self, number: JobId) -> tuple[Event, ...]:
        return tuple(self.histories.get(number, ()))

    def phase(self, number: JobId, now: Timestamp) -> Phase:
        return phase(self.jobs[number], now) if number in self.jobs else Phase.NONE

    def is_running(self, account: Address) -> bool:
        """Whether it is requester or trainer of a job that is not over."""
        return self._running.get(account, 0) > 0

    def is_elector(self, number: JobId, account: Address) -> bool:
        """Whether it may accuse and vote in this job.

        It was an active challenger at the end of the block before training closed, holds that
        same stake still, leaving or not, with something left of it, and is not condemned here.
        """
        job = self.job(number)
        bond = self.funds.bonds.of(account)
        return (
            job.closing_block is not None
            and bond is not None
            and bond.role is Role.CHALLENGER
            and bond.stake > 0
            and bond.was_active_before(job.closing_block)
            and account not in job.condemned
        )

    def may_ask_for_key(
        self, number: JobId, trainer: Address, asker: Address, now: Timestamp
    ) -> bool:
        """Refuses: NO_SUCH_JOB. See `scatter.lifecycle.keys`."""
        is_elector = self.is_elector(number, asker)
        return may_ask_for_key(self.job(number), trainer, asker, now, is_elector=is_elector)

    def foresee(self, number: JobId) -> Settlement:
        """How the job would be settled if nothing more happened."""
        return settle(self.job(number), self._validator_bond)

    # What the calls have in common

    def _tell(self, job: Job, event: Event) -> None:
        self.histories[event.job].append(event)
        job.record(event)

    def _close(self, job: Job, actor: Address, block: Block) -> None:
        bonds = self.funds.bonds
        validators = bonds.eligible(Role.VALIDATOR, block.number)
        self._validators[job.number] = validators
        self._tell(
            job,
            TrainingClosed(
                **stamp(job.number, block),
                actor=actor,
                seed_block=BlockNumber(block.number + self.parameters.seed_delay),
                electorate=len(bonds.eligible(Role.CHALLENGER, block.number)),
                eligible_validators=len(validators),
            ),
        )

    def _has_seed(self, job: Job, block: Block) -> bool:
        return 0 < block.number - seed_block_of(job) <= HASHES_KEPT

    def _draw(self, job: Job, actor: Address, block: Block) -> None:
        eligible = self._validators.pop(job.number)
        size = committee_size(len(eligible), self.parameters)
        members = draw(eligible, size, self._hash_of(seed_block_of(job)), job.number)
        bonds = self.funds.bonds
        self._tell(
            job,
            CommitteeDrawn(
                **stamp(job.number, block),
                actor=actor,
                members=members,
                stakes=tuple(bonds.stake(member, Role.VALIDATOR) for member in members),
            ),
        )

    def _condemn(self, job: Job, target: Address, accuser: Address, block: Block) -> None:
        """Fines the target, then pays the accuser its share, unless it did nothing for it."""
        known_from_scores = is_condemned_by_score(job, target)
        if target in job.trainers:
            fine = job.trainers[target].stake
            self.funds.pay(StakeForfeited(job=job.number, trainer=target, amount=fine))
        else:
            role = Role.VALIDATOR if target in job.committee else Role.CHALLENGER
            fine = self._penalise(job.number, target, role, block)
        self._tell(job, Condemned(**stamp(job.number, block), target=target, accuser=accuser))
        if known_from_scores or accuser in job.condemned:
            return
        pool = self.funds.lottery
        win = lottery_win(pool, fine, self.parameters)
        if win:
            self.funds.pay(LotteryWon(job=job.number, accuser=accuser, amount=win, pool=pool))

    def _penalise(self, number: JobId, account: Address, role: Role, block: Block) -> Tokens:
        bonds = self.funds.bonds
        stake, offences = bonds.stake(account, role), bonds.offences(account, role)
        amount = penalty(offences, stake, self.parameters)
        fined = Penalised(
            job=number,
            account=account,
            role=role,
            amount=amount,
            offences=offences,
            stake_left=Tokens(stake - amount),
        )
        self._fine(fined, block)
        return amount

    def _fine(self, fined: Penalised, block: Block) -> None:
        """Books a fine; one that leaves nothing ends the role."""
        self.funds.pay(fined)
        bond = self.funds.bonds.of(fined.account)
        held = bond is not None and bond.role is fined.role and bond.left_in is None
        if held and fined.stake_left == 0:
            self._leave(fined.account, block)

    def _leave(self, account: Address, block: Block) -> None:
        role = self.funds.bonds.held[account].role
        p = self.parameters
        wait = p.validator_unbonding if role is Role.VALIDATOR else p.challenger_unbonding
        until = Timestamp(block.time + wait)
        self.funds.bonds.leave(account, until, block.number)
        self.funds.pay(UnstakeRequested(account=account, role=role, until=until))

    def _validator_bond(self, account: Address) -> Bond:
        bonds = self.funds.bonds
        return Bond(bonds.stake(account, Role.VALIDATOR), bonds.offences(account, Role.VALIDATOR))

    def _settle(self, job: Job, actor: Address, block: Block) -> None:
        settlement = settle(job, self._validator_bond)
        for payment in settlement.payments:
            if isinstance(payment, Penalised):
                self._fine(payment, block)
            else:
                self.funds.pay(payment)
        self._tell(
            job, JobSettled(**stamp(job.number, block), actor=actor, verdict=settlement.verdict)
        )
        self._end(job)

    def _end(self, job: Job) -> None:
        self._validators.pop(job.number, None)
        for account in (job.requester, *job.trainers):
            left = self._running[account] - 1
            if left:
                self._running[account] = left
            else:
                del self._running[account]


def stamp(number: JobId, block: Block) -> Stamp:
    return {"job": number, "time": block.time, "block": block.number}


def seed_block_of(job: Job) -> BlockNumber:
    if job.seed_block is None:
        raise Refused(reasons.NOT_AWAITING_THE_DATASET)
    return job.seed_block
