"""Whatever hostile participants do, in any order and at any time: no unit appears or is lost, the
ledger can pay what it owes, and strangers can end every job so that nothing stays locked.

Each rule makes a call that must succeed; none swallows a refusal.
"""

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import replace

from hypothesis import HealthCheck, settings
from hypothesis import Phase as Stage
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from tests.unit.vectors.reading import DATASET, SALT, address_of, order

from scatter.lifecycle.commitments import commit_to_scores
from scatter.lifecycle.deployment import Block
from scatter.lifecycle.job import Job, deadline, fold, is_settleable, phase, settleable_at
from scatter.lifecycle.ledger import Ledger
from scatter.lifecycle.vocabulary import Phase, Role
from scatter.mechanism.equations import committee_size
from scatter.mechanism.parameters import HARDENED, PAPER, Parameters, local
from scatter.mechanism.units import UNIT, Address, BlockNumber, JobId, Score, Timestamp, Tokens

TREASURY = address_of("treasury")
STRANGER = address_of("stranger")
REQUESTERS = [address_of(f"requester_{i}") for i in (1, 2)]
TRAINERS = [address_of(f"trainer_{i}") for i in (1, 2, 3)]
VALIDATORS = [address_of(f"validator_{i}") for i in (1, 2, 3, 4)]
CHALLENGERS = [address_of(f"challenger_{i}") for i in (1, 2, 3, 4)]
EVERYBODY = [STRANGER, *REQUESTERS, *TRAINERS, *VALIDATORS, *CHALLENGERS]
STAKES = [1, 3, 10**18 + 1]
SCORES = [0, 1, 4_999, 5_000, 9_000, 10_000]


class Walk(RuleBasedStateMachine):
    """One ledger, many hands."""

    parameters: Parameters

    def __init__(self) -> None:
        super().__init__()
        self.ledger = Ledger(self.parameters, TREASURY, lambda n: n.to_bytes(32, "big"))
        self.block = Block(BlockNumber(100), Timestamp(1_800_000_000))
        self.secrets: dict[tuple[JobId, Address], tuple[Score, ...]] = {}

    # The way to an interesting state

    @initialize(
        stage=st.sampled_from(
            ["open", "training", "dataset", "commit", "commit", "challenge", "challenge"]
        ),
        validators=st.sampled_from([0, 2, 3, 4, 4, 4]),
        challengers=st.sampled_from([2, 3, 3, 4]),
        scores=st.lists(st.sampled_from(SCORES), min_size=3, max_size=3),
        reward=st.integers(HARDENED.least_reward, HARDENED.least_reward + 99),
    )
    def begin(
        self,
        stage: str,
        validators: int,
        challengers: int,
        scores: list[int],
        reward: int,
    ) -> None:
        for account in EVERYBODY:
            self.ledger.transfer(TREASURY, account, Tokens(100_000 * UNIT))
        for account in VALIDATORS[:validators]:
            self.ledger.register(
                account, Role.VALIDATOR, self.parameters.validator_stake, self.tick()
            )
        for account in CHALLENGERS[:challengers]:
            self.ledger.register(
                account, Role.CHALLENGER, self.parameters.challenger_stake, self.tick()
            )
        if stage == "open":
            return
        job = self.ledger.create(REQUESTERS[0], self.tick(), **order(reward=Tokens(reward)))
        for i, account in enumerate(TRAINERS):
            self.ledger.join(account, job, Tokens(10 ** (7 * i)), self.tick())
        self.ledger.start(REQUESTERS[0], job, self.tick())
        if stage == "training":
            return
        for account in TRAINERS:
            self.ledger.submit_model(account, job, DATASET, DATASET, self.tick())
        if stage == "dataset":
            return
        self.tick()
        self.tick()
        self.ledger.publish_dataset(REQUESTERS[0], job, DATASET, SALT, self.tick())
        if stage == "commit":
            return
        for member in self.job(job).committee:
            self.commit(job, member, tuple(Score(s) for s in scores))
        for member in self.job(job).committee:
            self.ledger.reveal_scores(
                STRANGER, job, member, self.secrets[job, member], SALT, self.tick()
            )

    # Time

    @rule(seconds=st.sampled_from([0, 1, 4]), blocks=st.sampled_from([1, 1, 3, 300]))
    def pass_time(self, seconds: int, blocks: int) -> None:
        self.block = Block(
            BlockNumber(self.block.number + blocks), Timestamp(self.block.time + seconds)
        )

    @precondition(lambda self: self.deadlines())
    @rule(data=st.data(), before=st.booleans())
    def pass_time_to_a_deadline(self, data: st.DataObject, before: bool) -> None:
        until = data.draw(st.sampled_from(self.deadlines()))
        self.block = Block(
            BlockNumber(self.block.number + 1), max(self.block.time, Timestamp(until - before))
        )

    # Role stakes

    @precondition(lambda self: self.free_for_a_role())
    @rule(data=st.data(), role=st.sampled_from([Role.VALIDATOR, Role.CHALLENGER]))
    def register(self, data: st.DataObject, role: Role) -> None:
        account = data.draw(st.sampled_from(self.free_for_a_role()))
        self.ledger.register(account, role, self.parameters.validator_stake, self.block)

    # Rarer than the rest, so that walks keep a network.
    @precondition(lambda self: self.block.number % 4 == 0 and self.active())
    @rule(data=st.data())
    def request_unstake(self, data: st.DataObject) -> None:
        self.ledger.request_unstake(data.draw(st.sampled_from(self.active())), self.block)

    @precondition(lambda self: self.withdrawable())
    @rule(data=st.data())
    def withdraw(self, data: st.DataObject) -> None:
        self.ledger.withdraw(data.draw(st.sampled_from(self.withdrawable())), self.block)

    # Requester and trainers

    @precondition(lambda self: self.without_role(REQUESTERS) and len(self.ledger.jobs) < 3)
    @rule(data=st.data(), threshold=st.sampled_from([0, 5_000]), most=st.integers(1, 3))
    def create(self, data: st.DataObject, threshold: int, most: int) -> None:
        requester = data.draw(st.sampled_from(self.without_role(REQUESTERS)))
        floor = threshold // 2 if self.parameters.floor_allowed else threshold
        reward = self.parameters.least_reward + 7
        changes = order(threshold=threshold, floor=floor, most_trainers=most, reward=reward)
        self.ledger.create(requester, self.block, **changes)

    @precondition(lambda self: self.joins())
    @rule(data=st.data())
    def join(self, data: st.DataObject) -> None:
        job, trainer = data.draw(st.sampled_from(self.joins()))
        least = self.job(job).created.least_stake
        stake = data.draw(st.sampled_from([stake for stake in STAKES if stake >= least]))
        self.ledger.join(trainer, job, Tokens(stake), self.block)

    @precondition(lambda self: self.startable())
    @rule(data=st.data())
    def start(self, data: st.DataObject) -> None:
        job = data.draw(st.sampled_from(self.startable()))
        self.ledger.start(job.requester, job.number, self.block)

    @precondition(lambda self: self.submissions())
    @rule(data=st.data())
    def submit(self, data: st.DataObject) -> None:
        job, trainer = data.draw(st.sampled_from(self.submissions()))
        self.ledger.submit_model(trainer, job, DATASET, DATASET, self.block)

    @precondition(lambda self: self.publishable())
    @rule(data=st.data())
    def publish(self, data: st.DataObject) -> None:
        job = data.draw(st.sampled_from(self.publishable()))
        self.ledger.publish_dataset(job.requester, job.number, DATASET, SALT, self.block)

    # Members

    @precondition(lambda self: self.undecided())
    @rule(data=st.data(), scores=st.lists(st.sampled_from(SCORES), min_size=3, max_size=3))
    def commit_scores(self, data: st.DataObject, scores: list[int]) -> None:
        job, member = data.draw(st.sampled_from(self.undecided()))
        count = len(self.job(job).models)
        self.commit(job, member, tuple(Score(s) for s in scores[:count]))

    @precondition(lambda self: self.undecided())
    @rule(data=st.data())
    def refrain(self, data: st.DataObject) -> None:
        job, member = data.draw(st.sampled_from(self.undecided()))
        self.ledger.refrain(member, job, self.block)

    @precondition(lambda self: self.revealable())
    @rule(data=st.data())
    def reveal(self, data: st.DataObject) -> None:
        job, member = data.draw(st.sampled_from(self.revealable()))
        self.ledger.reveal_scores(
            STRANGER, job, member, self.secrets[job, member], SALT, self.block
        )

    # Challengers

    @precondition(lambda self: self.accusations())
    @rule(data=st.data())
    def accuse(self, data: st.DataObject) -> None:
        job, accuser, target = data.draw(st.sampled_from(self.accusations()))
        self.ledger.accuse(accuser, job, target, self.block)

    @precondition(lambda self: self.votes())
    @rule(data=st.data(), guilty=st.sampled_from([True, True, False]))
    def vote(self, data: st.DataObject, guilty: bool) -> None:
        job, voter, target = data.draw(st.sampled_from(self.votes()))
        self.ledger.vote(voter, job, target, guilty, self.block)

    # Anybody

    @precondition(lambda self: self.drawable())
    @rule(data=st.data())
    def draw(self, data: st.DataObject) -> None:
        job = data.draw(st.sampled_from(self.drawable()))
        self.ledger.draw_committee(STRANGER, job.number, self.block)

    @precondition(lambda self: self.due())
    @rule(data=st.data())
    def strangers_move_a_job_on(self, data: st.DataObject) -> None:
        move_on(self.ledger, data.draw(st.sampled_from(self.due())), self.block)

    @rule()
    def strangers_can_end_everything(self) -> None:
        end_everything(deepcopy(self.ledger), self.block)

    def teardown(self) -> None:
        end_everything(self.ledger, self.block)

    # What always holds

    @invariant()
    def the_supply_is_conserved(self) -> None:
        assert self.ledger.funds.in_circulation() == self.parameters.supply

    @invariant()
    def what_is_held_is_what_is_owed(self) -> None:
        assert self.ledger.funds.held == self.ledger.funds.owed()

    @invariant()
    def no_amount_is_negative(self) -> None:
        funds = self.ledger.funds
        assert min(funds.balances.values()) >= 0
        assert funds.lottery >= 0
        assert min(funds.escrow.values(), default=0) >= 0

    @invariant()
    def one_account_has_one_part(self) -> None:
        for job in self.ledger.jobs.values():
            doers = {job.requester, *job.trainers}
            assert not doers & job.committee.keys()
            assert not (doers | job.committee.keys()) & job.outspoken
            if not job.over:
                assert not any(self.ledger.funds.bonds.of(account) for account in doers)

    @invariant()
    def a_history_tells_the_whole_job(self) -> None:
        for number, job in self.ledger.jobs.items():
            assert fold(self.ledger.history(number), self.parameters) == job

    # What can be done now

    def tick(self) -> Block:
        self.block = Block(BlockNumber(self.block.number + 1), self.block.time)
        return self.block

    def job(self, number: JobId) -> Job:
        return self.ledger.job(number)

    def commit(self, job: JobId, member: Address, scores: tuple[Score, ...]) -> None:
        self.secrets[job, member] = scores
        commitment = commit_to_scores(job, member, scores, SALT)
        self.ledger.commit_scores(member, job, commitment, self.block)

    def jobs_in(self, wanted: Phase) -> list[Job]:
        now = self.block.time
        return [job for job in self.ledger.jobs.values() if phase(job, now) is wanted]

    def deadlines(self) -> list[Timestamp]:
        found = [deadline(job, self.block.time) for job in self.ledger.jobs.values()]
        return [at for at in found if at is not None and at > self.block.time]

    def without_role(self, accounts: Sequence[Address]) -> list[Address]:
        return [a for a in accounts if self.ledger.funds.bonds.of(a) is None]

    def free_for_a_role(self) -> list[Address]:
        least = self.parameters.validator_stake
        return [
            account
            for account in self.without_role(EVERYBODY)
            if not self.ledger.is_running(account) and self.ledger.funds.balance(account) >= least
        ]

    def active(self) -> list[Address]:
        return [a for a, bond in self.ledger.funds.bonds.held.items() if bond.left_in is None]

    def withdrawable(self) -> list[Address]:
        return [
            account
            for account, bond in self.ledger.funds.bonds.held.items()
            if bond.left_in is not None and self.block.time >= bond.free_at
        ]

    def joins(self) -> list[tuple[JobId, Address]]:
        return [
            (job.number, account)
            for job in self.jobs_in(Phase.OPEN)
            if self.block.time < job.join_deadline and not job.full
            if job.created.least_stake <= STAKES[-1]
            for account in self.without_role([*TRAINERS, *REQUESTERS, *VALIDATORS, *CHALLENGERS])
            if account != job.requester and account not in job.trainers
        ]

    def startable(self) -> list[Job]:
        return [job for job in self.jobs_in(Phase.OPEN) if job.trainers]

    def submissions(self) -> list[tuple[JobId, Address]]:
        return [
            (job.number, trainer.account)
            for job in self.jobs_in(Phase.TRAINING)
            if self.block.time < (job.training_deadline or 0)
            for trainer in job.trainers.values()
            if trainer.model is None
        ]

    def publishable(self) -> list[Job]:
        return [job for job in self.awaiting() if job.dataset is None]

    def drawable(self) -> list[Job]:
        return [
            job
            for job in self.awaiting()
            if not job.drawn
            and committee_size(job.eligible_validators, self.parameters)
            and (job.seed_block or 0) < self.block.number
        ]

    def awaiting(self) -> list[Job]:
        now = self.block.time
        return [job for job in self.jobs_in(Phase.DATASET) if now < (job.dataset_deadline or 0)]

    def undecided(self) -> list[tuple[JobId, Address]]:
        return [
            (job.number, member.account)
            for job in self.jobs_in(Phase.COMMIT)
            for member in job.committee.values()
            if member.commitment is None and not member.refrained
        ]

    def revealable(self) -> list[tuple[JobId, Address]]:
        """Those that committed to scores; a hostile hand commits to what nobody can open."""
        return [
            (job.number, member.account)
            for job in self.jobs_in(Phase.REVEAL)
            for member in job.committee.values()
            if (job.number, member.account) in self.secrets and member.scores is None
        ]

    def electors(self, job: Job) -> list[Address]:
        return [a for a in EVERYBODY if self.ledger.is_elector(job.number, a)]

    def accusations(self) -> list[tuple[JobId, Address, Address]]:
        now = self.block.time
        return [
            (job.number, accuser, target)
            for job in self.jobs_in(Phase.CHALLENGE)
            if job.electorate >= self.parameters.least_electorate
            for accuser in self.electors(job)
            for target in EVERYBODY
            if target != accuser and target not in job.accusations and job.is_accusable(target)
            if now < (job.accusation_deadline(target) or 0)
        ]

    def votes(self) -> list[tuple[JobId, Address, Address]]:
        return [
            (job.number, voter, accusation.target)
            for job in self.jobs_in(Phase.CHALLENGE)
            for accusation in job.accusations.values()
            if not accusation.upheld and self.block.time < accusation.vote_deadline
            for voter in self.electors(job)
            if voter != accusation.target and voter not in accusation.yes + accusation.no
        ]

    def due(self) -> list[Job]:
        return [job for job in self.ledger.jobs.values() if next_call(job, self.block.time)]


def next_call(job: Job, now: Timestamp) -> str | None:
    """What a stranger can do to move the job on, now."""
    if is_settleable(job, now):
        return "settle"
    match phase(job, now):
        case Phase.OPEN if now >= job.join_deadline:
            return "start" if job.trainers else "cancel"
        case Phase.TRAINING if now >= (job.training_deadline or now):
            return "close_training"
        case _:
            return None


def move_on(ledger: Ledger, job: Job, block: Block) -> None:
    getattr(ledger, next_call(job, block.time) or "")(STRANGER, job.number, block)


def end_everything(ledger: Ledger, block: Block) -> None:
    """Strangers and time end every job; all roles are given up; only the lottery is left."""
    number, time = block.number, block.time
    for job in ledger.jobs.values():
        for _ in range(4):
            if job.over:
                break
            number = BlockNumber(number + 1)
            time = max(time, settleable_at(job) or deadline(job, time) or time)
            move_on(ledger, job, Block(number, time))
        assert job.over
        assert phase(job, time) in (Phase.SETTLED, Phase.CANCELLED)
    for account, bond in list(ledger.funds.bonds.held.items()):
        if bond.left_in is None:
            ledger.request_unstake(account, Block(number, time))
        ledger.withdraw(account, Block(BlockNumber(number + 1), bond.free_at))
    assert ledger.funds.held == ledger.funds.lottery
    assert not any(ledger.is_running(account) for account in EVERYBODY)


# Two fines leave nothing of a validator's stake.
HARSH = 15_000 * UNIT


class PaperWalk(Walk):
    parameters = replace(local(PAPER, join=30, dataset=30, commit=30), base_penalty=Tokens(HARSH))


class HardenedWalk(Walk):
    parameters = replace(
        local(HARDENED, join=30, dataset=30, commit=30), base_penalty=Tokens(HARSH)
    )


# Shrinking replays a failing walk for minutes and rarely makes it clearer.
WALKS = settings(
    max_examples=200,
    stateful_step_count=40,
    phases=[Stage.explicit, Stage.reuse, Stage.generate],
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
PaperWalk.TestCase.settings = WALKS
HardenedWalk.TestCase.settings = WALKS
TestPaperWalk = PaperWalk.TestCase
TestHardenedWalk = HardenedWalk.TestCase
