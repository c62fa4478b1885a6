"""The whole protocol as one state machine in memory: the twin of the seven contracts.

One method per call of the contracts. A call either does everything it says or raises Refused and
changes nothing; its docstring lists the refusals in the order in which they are checked, and the
contracts check in the same order. `block` is the block that holds the call; blocks never go back.
The docstrings are normative for the order only; what each call means is in `docs/protocol.md`.
"""

from collections.abc import Sequence
from string import ascii_lowercase, digits

from scatter.lifecycle import reasons
from scatter.lifecycle.commitments import commit_to_dataset, commit_to_scores
from scatter.lifecycle.deployment import Block, Deployment, seed_block_of, stamp
from scatter.lifecycle.events import (
    Accused,
    DatasetPublished,
    JobCancelled,
    JobCreated,
    ModelSubmitted,
    Refrained,
    ScoresCommitted,
    ScoresRevealed,
    SeedRenewed,
    TrainerJoined,
    TrainingStarted,
    Voted,
)
from scatter.lifecycle.job import Job, Member, is_settleable, phase
from scatter.lifecycle.payments import (
    RewardEscrowed,
    RewardReturned,
    RoleRegistered,
    RoleWithdrawn,
    StakeLocked,
    TaxPaid,
)
from scatter.lifecycle.vocabulary import Phase, Role
from scatter.mechanism.equations import committee_size, divide_reward
from scatter.mechanism.errors import Refused
from scatter.mechanism.parameters import MOST_TRAINERS
from scatter.mechanism.units import (
    MOST_STAKE,
    WHOLE,
    Address,
    BlockNumber,
    Digest,
    JobId,
    Score,
    Seconds,
    Timestamp,
    Tokens,
)

MOST_TOPIC = 64
"""Bytes of a topic."""

SLUG = frozenset(ascii_lowercase + digits + "-")

NO_DIGEST = Digest(bytes(32))


class Ledger(Deployment):
    """The calls, by who makes them."""

    # The token

    def transfer(self, caller: Address, to: Address, amount: Tokens) -> None:
        """Refuses: BALANCE_TOO_LOW."""
        self.funds.transfer(caller, to, amount)

    # The requester

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
        """Publishes a job; the tax goes to the lottery, the rest into escrow.

        Refuses: EMPTY_DIGEST (any of the three), TOPIC_NOT_A_SLUG, REWARD_OUT_OF_BOUNDS,
        THRESHOLD_OUT_OF_BOUNDS, FLOOR_OUT_OF_BOUNDS, TRAINERS_OUT_OF_BOUNDS,
        LEAST_STAKE_OUT_OF_BOUNDS, TRAINING_TIME_OUT_OF_BOUNDS, HAS_A_ROLE, BALANCE_TOO_LOW.
        """
        p = self.parameters
        digests = (training_job, evaluation_job, dataset_commitment)
        _require(NO_DIGEST not in digests, reasons.EMPTY_DIGEST)
        _require(0 < len(topic) <= MOST_TOPIC and SLUG.issuperset(topic), reasons.TOPIC_NOT_A_SLUG)
        _require(p.least_reward <= reward <= MOST_STAKE, reasons.REWARD_OUT_OF_BOUNDS)
        _require(threshold <= WHOLE, reasons.THRESHOLD_OUT_OF_BOUNDS)
        floor_fits = floor <= threshold if p.floor_allowed else floor == threshold
        _require(floor_fits, reasons.FLOOR_OUT_OF_BOUNDS)
        _require(1 <= most_trainers <= MOST_TRAINERS, reasons.TRAINERS_OUT_OF_BOUNDS)
        _require(1 <= least_stake <= MOST_STAKE, reasons.LEAST_STAKE_OUT_OF_BOUNDS)
        _require(
            p.least_training <= training_time <= p.most_training,
            reasons.TRAINING_TIME_OUT_OF_BOUNDS,
        )
        _require(self.funds.bonds.of(caller) is None, reasons.HAS_A_ROLE)
        self.funds.require(caller, reward)

        number = JobId(len(self.jobs) + 1)
        created = JobCreated(
            **stamp(number, block),
            requester=caller,
            training_job=training_job,
            evaluation_job=evaluation_job,
            dataset_commitment=dataset_commitment,
            topic=topic,
            reward=reward,
            threshold=threshold,
            floor=floor,
            most_trainers=most_trainers,
            least_stake=least_stake,
            training_time=training_time,
        )
        self.jobs[number] = Job(created, p)
        self.histories[number] = [created]
        self._running[caller] = self._running.get(caller, 0) + 1
        parts = divide_reward(reward, p)
        self.funds.pay(TaxPaid(job=number, requester=caller, amount=parts.tax))
        self.funds.pay(
            RewardEscrowed(
                job=number,
                requester=caller,
                trainers_part=parts.trainers,
                validators_part=parts.validators,
            )
        )
        return number

    def start(self, caller: Address, number: JobId, block: Block) -> None:
        """Begins training: the requester at any time, anybody from the join deadline on.

        Refuses: NO_SUCH_JOB, NOT_OPEN, NOBODY_JOINED, ONLY_THE_REQUESTER (before the deadline).
        """
        job = self.job(number)
        _require(phase(job, block.time) is Phase.OPEN, reasons.NOT_OPEN)
        _require(bool(job.trainers), reasons.NOBODY_JOINED)
        may_start = caller == job.requester or block.time >= job.join_deadline
        _require(may_start, reasons.ONLY_THE_REQUESTER)
        self._tell(job, TrainingStarted(**stamp(number, block), actor=caller))

    def cancel(self, caller: Address, number: JobId, block: Block) -> None:
        """Ends a job that nobody joined; the escrow goes back, the tax stays. By anybody.

        Refuses: NO_SUCH_JOB, NOT_OPEN, SOMEBODY_JOINED, TOO_EARLY (before the join deadline).
        """
        job = self.job(number)
        _require(phase(job, block.time) is Phase.OPEN, reasons.NOT_OPEN)
        _require(not job.trainers, reasons.SOMEBODY_JOINED)
        _require(block.time >= job.join_deadline, reasons.TOO_EARLY)
        parts = divide_reward(job.created.reward, self.parameters)
        if parts.trainers or parts.validators:
            self.funds.pay(
                RewardReturned(
                    job=number,
                    requester=job.requester,
                    trainers_part=parts.trainers,
                    validators_part=parts.validators,
                )
            )
        self._tell(job, JobCancelled(**stamp(number, block), actor=caller))
        self._end(job)

    def publish_dataset(
        self, caller: Address, number: JobId, dataset: Digest, salt: bytes, block: Block
    ) -> None:
        """Opens the dataset commitment, and draws the committee too if that can be done now.

        Refuses: NO_SUCH_JOB, ONLY_THE_REQUESTER, NOT_AWAITING_THE_DATASET, ALREADY_PUBLISHED,
        TOO_LATE, EMPTY_DIGEST, DATASET_NOT_AS_COMMITTED.
        """
        job = self.job(number)
        _require(caller == job.requester, reasons.ONLY_THE_REQUESTER)
        _require(phase(job, block.time) is Phase.DATASET, reasons.NOT_AWAITING_THE_DATASET)
        _require(job.dataset is None, reasons.ALREADY_PUBLISHED)
        _require(_is_before(block.time, job.dataset_deadline), reasons.TOO_LATE)
        _require(dataset != NO_DIGEST, reasons.EMPTY_DIGEST)
        committed = commit_to_dataset(dataset, salt) == job.created.dataset_commitment
        _require(committed, reasons.DATASET_NOT_AS_COMMITTED)
        self._tell(job, DatasetPublished(**stamp(number, block), requester=caller, dataset=dataset))
        enough = committee_size(job.eligible_validators, self.parameters) > 0
        if not job.drawn and enough and self._has_seed(job, block):
            self._draw(job, caller, block)

    # Trainers

    def join(self, caller: Address, number: JobId, stake: Tokens, block: Block) -> None:
        """Locks a stake on an open job.

        Refuses: NO_SUCH_JOB, NOT_OPEN, TOO_LATE, REQUESTER_CANNOT_JOIN, ALREADY_JOINED, FULL,
        STAKE_BELOW_THE_LEAST, STAKE_TOO_LARGE, HAS_A_ROLE, BALANCE_TOO_LOW.
        """
        job = self.job(number)
        _require(phase(job, block.time) is Phase.OPEN, reasons.NOT_OPEN)
        _require(block.time < job.join_deadline, reasons.TOO_LATE)
        _require(caller != job.requester, reasons.REQUESTER_CANNOT_JOIN)
        _require(caller not in job.trainers, reasons.ALREADY_JOINED)
        _require(not job.full, reasons.FULL)
        _require(stake >= job.created.least_stake, reasons.STAKE_BELOW_THE_LEAST)
        _require(stake <= MOST_STAKE, reasons.STAKE_TOO_LARGE)
        _require(self.funds.bonds.of(caller) is None, reasons.HAS_A_ROLE)
        self.funds.pay(StakeLocked(job=number, trainer=caller, stake=stake))
        self._running[caller] = self._running.get(caller, 0) + 1
        self._tell(job, TrainerJoined(**stamp(number, block), trainer=caller, stake=stake))

    def submit_model(
        self, caller: Address, number: JobId, model: Digest, key_commitment: Digest, block: Block
    ) -> None:
        """Submits the sealed model; the last trainer's closes training.

        Refuses: NO_SUCH_JOB, NOT_IN_TRAINING, TOO_LATE, NOT_A_TRAINER, ALREADY_SUBMITTED,
        EMPTY_DIGEST (either).
        """
        job = self.job(number)
        _require(phase(job, block.time) is Phase.TRAINING, reasons.NOT_IN_TRAINING)
        _require(_is_before(block.time, job.training_deadline), reasons.TOO_LATE)
        _require(caller in job.trainers, reasons.NOT_A_TRAINER)
        _require(job.trainers[caller].model is None, reasons.ALREADY_SUBMITTED)
        _require(NO_DIGEST not in (model, key_commitment), reasons.EMPTY_DIGEST)
        self._tell(
            job,
            ModelSubmitted(
                **stamp(number, block), trainer=caller, model=model, key_commitment=key_commitment
            ),
        )
        if len(job.models) == len(job.trainers):
            self._close(job, caller, block)

    # Committee members

    def commit_scores(
        self, caller: Address, number: JobId, commitment: Digest, block: Block
    ) -> None:
        """Refuses: NO_SUCH_JOB, NOT_IN_THE_COMMIT_WINDOW, NOT_A_MEMBER, ALREADY_ACTED,
        EMPTY_COMMITMENT.
        """
        job = self._undecided(caller, number, block)
        _require(commitment != NO_DIGEST, reasons.EMPTY_COMMITMENT)
        self._tell(
            job, ScoresCommitted(**stamp(number, block), member=caller, commitment=commitment)
        )

    def refrain(self, caller: Address, number: JobId, block: Block) -> None:
        """Refuses: NO_SUCH_JOB, NOT_IN_THE_COMMIT_WINDOW, NOT_A_MEMBER, ALREADY_ACTED."""
        job = self._undecided(caller, number, block)
        self._tell(job, Refrained(**stamp(number, block), member=caller))

    def reveal_scores(  # noqa: PLR0917 -- the contract's own arguments
        self,
        caller: Address,
        number: JobId,
        member: Address,
        scores: Sequence[Score],
        salt: bytes,
        block: Block,
    ) -> None:
        """Opens a member's commitment; anybody may send it, the hash names the member.

        Refuses: NO_SUCH_JOB, NOT_IN_THE_REVEAL_WINDOW, NOT_A_MEMBER, NOTHING_COMMITTED,
        ALREADY_REVEALED, WRONG_NUMBER_OF_SCORES, SCORE_TOO_HIGH, SCORES_NOT_AS_COMMITTED.
        """
        job = self.job(number)
        _require(phase(job, block.time) is Phase.REVEAL, reasons.NOT_IN_THE_REVEAL_WINDOW)
        entry = _member(job, member)
        _require(entry.commitment is not None, reasons.NOTHING_COMMITTED)
        _require(entry.scores is None, reasons.ALREADY_REVEALED)
        _require(len(scores) == len(job.models), reasons.WRONG_NUMBER_OF_SCORES)
        _require(max(scores, default=0) <= WHOLE, reasons.SCORE_TOO_HIGH)
        committed = commit_to_scores(number, member, scores, salt) == entry.commitment
        _require(committed, reasons.SCORES_NOT_AS_COMMITTED)
        self._tell(job, ScoresRevealed(**stamp(number, block), member=member, scores=tuple(scores)))

    # Challengers

    def accuse(self, caller: Address, number: JobId, target: Address, block: Block) -> None:
        """Accuses a trainer with a model, a member that acted, or a challenger that spoke here.

        Refuses: NO_SUCH_JOB, ACCUSATIONS_CLOSED (not in CHALLENGE, or past the target's deadline:
        C for trainers and members, C + V for everybody else), ELECTORATE_TOO_SMALL,
        NOT_AN_ELECTOR, ACCUSING_ONESELF, ALREADY_ACCUSED, ALREADY_CONDEMNED (for silence),
        NOT_ACCUSABLE.
        """
        job = self.job(number)
        open_until = job.accusation_deadline(target)
        in_challenge = phase(job, block.time) is Phase.CHALLENGE
        _require(in_challenge and _is_before(block.time, open_until), reasons.ACCUSATIONS_CLOSED)
        _require(job.electorate >= self.parameters.least_electorate, reasons.ELECTORATE_TOO_SMALL)
        _require(self.is_elector(number, caller), reasons.NOT_AN_ELECTOR)
        _require(caller != target, reasons.ACCUSING_ONESELF)
        _require(target not in job.accusations, reasons.ALREADY_ACCUSED)
        _require(not job.is_silent(target, block.time), reasons.ALREADY_CONDEMNED)
        _require(job.is_accusable(target), reasons.NOT_ACCUSABLE)
        self._tell(job, Accused(**stamp(number, block), accuser=caller, target=target))

    def vote(
        self, caller: Address, number: JobId, target: Address, guilty: bool, block: Block
    ) -> None:
        """Votes on an accusation; upheld at once when yes reaches two thirds of the electorate.

        Refuses: NO_SUCH_JOB, NO_ACCUSATION, VOTE_CLOSED (upheld, or past its deadline),
        NOT_AN_ELECTOR, TARGET_CANNOT_VOTE, ALREADY_VOTED (the accuser has).
        """
        job = self.job(number)
        accusation = job.accusations.get(target)
        if accusation is None:
            raise Refused(reasons.NO_ACCUSATION)
        is_open = not accusation.upheld and block.time < accusation.vote_deadline
        _require(is_open, reasons.VOTE_CLOSED)
        _require(self.is_elector(number, caller), reasons.NOT_AN_ELECTOR)
        _require(caller != target, reasons.TARGET_CANNOT_VOTE)
        cast = caller in accusation.yes or caller in accusation.no
        _require(not cast, reasons.ALREADY_VOTED)
        self._tell(job, Voted(**stamp(number, block), voter=caller, target=target, guilty=guilty))
        if len(accusation.yes) >= job.votes_needed:
            self._condemn(job, target, accusation.accuser, block)

    # Anybody

    def close_training(self, caller: Address, number: JobId, block: Block) -> None:
        """Ends training at its deadline; a job without any model is settled at once.

        Refuses: NO_SUCH_JOB, NOT_IN_TRAINING, TOO_EARLY.
        """
        job = self.job(number)
        _require(phase(job, block.time) is Phase.TRAINING, reasons.NOT_IN_TRAINING)
        _require(not _is_before(block.time, job.training_deadline), reasons.TOO_EARLY)
        if job.models:
            self._close(job, caller, block)
        else:
            self._settle(job, caller, block)

    def draw_committee(self, caller: Address, number: JobId, block: Block) -> None:
        """Draws the committee, or fixes a new seed block when the hash is no longer available.

        Refuses: NO_SUCH_JOB, NOT_AWAITING_THE_DATASET, ALREADY_DRAWN, TOO_LATE,
        TOO_FEW_VALIDATORS, TOO_EARLY (not after the seed block).
        """
        job = self.job(number)
        _require(phase(job, block.time) is Phase.DATASET, reasons.NOT_AWAITING_THE_DATASET)
        _require(not job.drawn, reasons.ALREADY_DRAWN)
        _require(_is_before(block.time, job.dataset_deadline), reasons.TOO_LATE)
        enough = committee_size(job.eligible_validators, self.parameters) > 0
        _require(enough, reasons.TOO_FEW_VALIDATORS)
        _require(seed_block_of(job) < block.number, reasons.TOO_EARLY)
        if self._has_seed(job, block):
            self._draw(job, caller, block)
            return
        self._tell(
            job,
            SeedRenewed(
                **stamp(number, block),
                actor=caller,
                seed_block=BlockNumber(block.number + self.parameters.seed_delay),
            ),
        )

    def settle(self, caller: Address, number: JobId, block: Block) -> None:
        """Pays everybody and ends the job.

        Refuses: NO_SUCH_JOB, ALREADY_OVER, TOO_EARLY.
        """
        job = self.job(number)
        _require(not job.over, reasons.ALREADY_OVER)
        _require(is_settleable(job, block.time), reasons.TOO_EARLY)
        self._settle(job, caller, block)

    # Role stakes

    def register(self, caller: Address, role: Role, amount: Tokens, block: Block) -> None:
        """Takes up a role with a stake whose amount is fixed for its life.

        Refuses: NO_SUCH_ROLE, HAS_A_ROLE, IN_A_RUNNING_JOB, ROLE_STAKE_OUT_OF_BOUNDS,
        BALANCE_TOO_LOW.
        """
        _require(role in (Role.VALIDATOR, Role.CHALLENGER), reasons.NO_SUCH_ROLE)
        _require(self.funds.bonds.of(caller) is None, reasons.HAS_A_ROLE)
        _require(not self.is_running(caller), reasons.IN_A_RUNNING_JOB)
        p = self.parameters
        least = p.validator_stake if role is Role.VALIDATOR else p.challenger_stake
        _require(least <= amount <= MOST_STAKE, reasons.ROLE_STAKE_OUT_OF_BOUNDS)
        self.funds.pay(RoleRegistered(account=caller, role=role, stake=amount))
        self.funds.bonds.add(caller, role, amount, block.number)

    def request_unstake(self, caller: Address, block: Block) -> None:
        """Gives the role up: in no committee or electorate from the next block on.

        Refuses: NO_ROLE, ALREADY_LEAVING.
        """
        bond = self.funds.bonds.of(caller)
        if bond is None:
            raise Refused(reasons.NO_ROLE)
        _require(bond.left_in is None, reasons.ALREADY_LEAVING)
        self._leave(caller, block)

    def withdraw(self, caller: Address, block: Block) -> None:
        """Takes back what is left of the stake after the unbonding time.

        Refuses: NO_ROLE, NOT_LEAVING, STILL_UNBONDING.
        """
        bond = self.funds.bonds.of(caller)
        if bond is None:
            raise Refused(reasons.NO_ROLE)
        _require(bond.left_in is not None, reasons.NOT_LEAVING)
        _require(block.time >= bond.free_at, reasons.STILL_UNBONDING)
        self.funds.bonds.remove(caller)
        self.funds.pay(RoleWithdrawn(account=caller, role=bond.role, stake=bond.stake))

    def _undecided(self, caller: Address, number: JobId, block: Block) -> Job:
        job = self.job(number)
        _require(phase(job, block.time) is Phase.COMMIT, reasons.NOT_IN_THE_COMMIT_WINDOW)
        member = _member(job, caller)
        undecided = member.commitment is None and not member.refrained
        _require(undecided, reasons.ALREADY_ACTED)
        return job


def _require(condition: bool, reason: str) -> None:
    if not condition:
        raise Refused(reason)


def _is_before(now: Timestamp, deadline: Timestamp | None) -> bool:
    return deadline is not None and now < deadline


def _member(job: Job, account: Address) -> Member:
    member = job.committee.get(account)
    if member is None:
        raise Refused(reasons.NOT_A_MEMBER)
    return member
