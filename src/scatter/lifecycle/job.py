"""A job, rebuilt from its events: who did what, which phase it is in, until when.

`fold(events, parameters)` is a pure function of the history. What follows from time alone takes
the time as an argument, because no call moves those phases. A window is open while
`now < deadline`; the act or the deadline that ends one window opens the next at that very second.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from scatter.lifecycle.events import (
    Accused,
    CommitteeDrawn,
    Condemned,
    DatasetPublished,
    Event,
    JobCancelled,
    JobCreated,
    JobSettled,
    ModelSubmitted,
    Refrained,
    ScoresCommitted,
    ScoresRevealed,
    SeedRenewed,
    TrainerJoined,
    TrainingClosed,
    TrainingStarted,
    Voted,
)
from scatter.lifecycle.vocabulary import Phase, Verdict
from scatter.mechanism.equations import two_thirds
from scatter.mechanism.errors import BadInput
from scatter.mechanism.parameters import Parameters
from scatter.mechanism.units import Address, BlockNumber, Digest, JobId, Score, Timestamp, Tokens


@dataclass(slots=True)
class Trainer:
    """One that joined."""

    account: Address
    stake: Tokens
    model: Digest | None = None
    key_commitment: Digest | None = None
    place: int | None = None
    """Of its model in the order of submission, from 0: the index of its score in every reveal."""


@dataclass(slots=True)
class Member:
    """One of the committee."""

    account: Address
    stake: Tokens
    """As recorded at the draw, for equation 6."""
    commitment: Digest | None = None
    committed_at: Timestamp | None = None
    scores: tuple[Score, ...] | None = None
    """Once revealed; one per model, in order of submission."""
    refrained: bool = False

    @property
    def acted(self) -> bool:
        """Revealed or refrained: whoever did neither by the end of SCORING is malicious."""
        return self.refrained or self.scores is not None


@dataclass(slots=True)
class Accusation:
    """One against `target`, and the votes on it."""

    accuser: Address
    target: Address
    against_a_challenger: bool
    vote_deadline: Timestamp
    yes: list[Address] = field(default_factory=list)
    """The accuser first."""
    no: list[Address] = field(default_factory=list)
    upheld: bool = False


@dataclass(slots=True)
class Job:
    """Everything known of one job. Built by `fold`; only `record` changes it."""

    created: JobCreated
    parameters: Parameters
    number: JobId = field(init=False)
    """That of `created`, as is the requester: both are asked for a hundred times per job."""
    requester: Address = field(init=False)
    trainers: dict[Address, Trainer] = field(default_factory=dict)
    """In the order of joining."""
    models: list[Trainer] = field(default_factory=list)
    """The trainers that submitted, in the order of submission."""
    committee: dict[Address, Member] = field(default_factory=dict)
    """In the order of the draw."""
    accusations: dict[Address, Accusation] = field(default_factory=dict)
    """By target."""
    condemned: set[Address] = field(default_factory=set)
    """By an upheld accusation."""
    outspoken: set[Address] = field(default_factory=set)
    """The challengers that accused or voted, and so can be accused themselves."""
    started_at: Timestamp | None = None
    closed_at: Timestamp | None = None
    closing_block: BlockNumber | None = None
    seed_block: BlockNumber | None = None
    electorate: int = 0
    eligible_validators: int = 0
    drawn: bool = False
    dataset: Digest | None = None
    scoring_opened_at: Timestamp | None = None
    all_acted_at: Timestamp | None = None
    """When the last member committed or refrained."""
    all_revealed_at: Timestamp | None = None
    """When the last commitment was opened, after all acted or the commit window ended."""
    decided: int = 0
    """Members that committed or refrained."""
    commitments: int = 0
    reveals: int = 0
    verdict: Verdict = Verdict.NONE
    ended_at: Timestamp | None = None

    def __post_init__(self) -> None:
        self.number = self.created.job
        self.requester = self.created.requester

    @property
    def over(self) -> bool:
        """Settled or cancelled: nothing changes any more."""
        return self.ended_at is not None

    @property
    def cancelled(self) -> bool:
        return self.over and self.verdict is Verdict.NONE

    @property
    def full(self) -> bool:
        return len(self.trainers) >= self.created.most_trainers

    @property
    def join_deadline(self) -> Timestamp:
        return Timestamp(self.created.time + self.parameters.join_window)

    @property
    def training_deadline(self) -> Timestamp | None:
        """From the start on."""
        if self.started_at is None:
            return None
        return Timestamp(self.started_at + self.created.training_time)

    @property
    def dataset_deadline(self) -> Timestamp | None:
        """From the close of training on; it bounds the draw, too."""
        if self.closed_at is None:
            return None
        return Timestamp(self.closed_at + self.parameters.dataset_window)

    @property
    def reveal_start(self) -> Timestamp | None:
        """Once SCORING is open: when its second window opens, if nothing more happens."""
        if self.scoring_opened_at is None:
            return None
        if self.all_acted_at is not None:
            return self.all_acted_at
        return Timestamp(self.scoring_opened_at + self.parameters.commit_window)

    @property
    def challenge_start(self) -> Timestamp | None:
        """Once SCORING is open: when CHALLENGE opens, if nothing more happens.

        Without a commitment the reveal window is skipped.
        """
        start = self.reveal_start
        if start is None or self.commitments == 0:
            return start
        if self.all_revealed_at is not None:
            return self.all_revealed_at
        return Timestamp(start + self.parameters.reveal_window)

    @property
    def challenge_deadline(self) -> Timestamp | None:
        """C: until then trainers and members can be accused."""
        start = self.challenge_start
        return None if start is None else Timestamp(start + self.parameters.challenge_window)

    def record(self, event: Event) -> None:
        """Takes in the next event; raises BadInput if it is not one of this job's."""
        if event.job != self.number:
            raise BadInput(f"An event of job {event.job} cannot be told of job {self.number}.")
        recorder = _RECORDERS.get(type(event))
        if recorder is None:
            raise BadInput(f"A job's history cannot continue with {type(event).__name__}.")
        try:
            recorder(self, event)
        except KeyError as missing:
            raise BadInput(
                f"{type(event).__name__} of job {self.number} names {missing}, who has no part."
            ) from missing

    def is_silent(self, account: Address, now: Timestamp) -> bool:
        """Whether a member let SCORING pass without revealing or refraining."""
        member = self.committee.get(account)
        start = self.challenge_start
        return member is not None and not member.acted and start is not None and now >= start

    def is_malicious(self, account: Address, now: Timestamp) -> bool:
        """Condemned by an upheld accusation or for silence; scores condemn at settlement only."""
        return account in self.condemned or self.is_silent(account, now)

    def is_accusable(self, account: Address) -> bool:
        """Has done something here that can be checked.

        A trainer with a model, a member that acted, or a challenger that accused or voted.
        """
        trainer = self.trainers.get(account)
        if trainer is not None:
            return trainer.model is not None
        member = self.committee.get(account)
        return member.acted if member is not None else account in self.outspoken

    def is_against_a_challenger(self, target: Address) -> bool:
        """Neither trainer nor member: one account plays one part in a job."""
        return target not in self.trainers and target not in self.committee

    def accusation_deadline(self, target: Address) -> Timestamp | None:
        """Once SCORING is open: C for trainers and members, C + V for challengers."""
        end = self.challenge_deadline
        if end is None or not self.is_against_a_challenger(target):
            return end
        return Timestamp(end + self.parameters.vote_window)

    @property
    def votes_needed(self) -> int:
        """Two thirds of the whole electorate, rounded up."""
        return two_thirds(self.electorate)

    @property
    def quorum(self) -> int:
        """Two thirds of the committee as drawn, rounded up (Q_c)."""
        return two_thirds(len(self.committee))


def fold(events: Iterable[Event], parameters: Parameters) -> Job:
    """The job that this history tells; raises BadInput unless it begins with JobCreated."""
    history = iter(events)
    first = next(history, None)
    if not isinstance(first, JobCreated):
        raise BadInput("A job's history must begin with JobCreated; fetch its events from there.")
    job = Job(first, parameters)
    for event in history:
        job.record(event)
    return job


def phase(job: Job, now: Timestamp) -> Phase:
    """Where the job is. OPEN, TRAINING and DATASET outlast their deadlines until somebody calls."""
    if job.over:
        return Phase.CANCELLED if job.cancelled else Phase.SETTLED
    if job.started_at is None:
        return Phase.OPEN
    if job.closed_at is None:
        return Phase.TRAINING
    reveal, challenge = job.reveal_start, job.challenge_start
    if reveal is None or challenge is None:
        return Phase.DATASET
    if now < reveal:
        return Phase.COMMIT
    return Phase.REVEAL if now < challenge else Phase.CHALLENGE


def deadline(job: Job, now: Timestamp) -> Timestamp | None:
    """When the present phase stops taking its acts, if nothing more happens; None once over.

    In CHALLENGE it is the time from which the job can be settled. A time not after `now` means
    that anybody may move the job on (start, cancel, close training, settle).
    """
    match phase(job, now):
        case Phase.OPEN:
            return job.join_deadline
        case Phase.TRAINING:
            return job.training_deadline
        case Phase.DATASET:
            return job.dataset_deadline
        case Phase.COMMIT:
            return job.reveal_start
        case Phase.REVEAL:
            return job.challenge_start
        case Phase.CHALLENGE:
            return settleable_at(job)
        case _:
            return None


def settleable_at(job: Job) -> Timestamp | None:
    """From when on `settle` works, if nothing more happens; None before DATASET and once over.

    C if nobody was accused, C + 2V if a challenger was, else C + V. A job that lacks its dataset
    or committee at the dataset deadline is settled from there.
    """
    if job.over:
        return None
    end = job.challenge_deadline
    if end is None:
        return job.dataset_deadline
    if not job.accusations:
        return end
    accused_challenger = any(a.against_a_challenger for a in job.accusations.values())
    return Timestamp(end + job.parameters.vote_window * (2 if accused_challenger else 1))


def is_settleable(job: Job, now: Timestamp) -> bool:
    at = settleable_at(job)
    return at is not None and now >= at


def _joined(job: Job, event: TrainerJoined) -> None:
    job.trainers[event.trainer] = Trainer(event.trainer, event.stake)


def _started(job: Job, event: TrainingStarted) -> None:
    job.started_at = event.time


def _cancelled(job: Job, event: JobCancelled) -> None:
    job.ended_at = event.time


def _submitted(job: Job, event: ModelSubmitted) -> None:
    trainer = job.trainers[event.trainer]
    trainer.model = event.model
    trainer.key_commitment = event.key_commitment
    trainer.place = len(job.models)
    job.models.append(trainer)


def _closed(job: Job, event: TrainingClosed) -> None:
    job.closed_at = event.time
    job.closing_block = event.block
    job.seed_block = event.seed_block
    job.electorate = event.electorate
    job.eligible_validators = event.eligible_validators


def _renewed(job: Job, event: SeedRenewed) -> None:
    job.seed_block = event.seed_block


def _drawn(job: Job, event: CommitteeDrawn) -> None:
    if len(event.members) != len(event.stakes):
        raise BadInput(f"The committee of job {job.number} has not one stake per member.")
    job.drawn = True
    for account, stake in zip(event.members, event.stakes, strict=True):
        job.committee[account] = Member(account, stake)
    if job.dataset is not None:
        job.scoring_opened_at = event.time


def _published(job: Job, event: DatasetPublished) -> None:
    job.dataset = event.dataset
    if job.drawn:
        job.scoring_opened_at = event.time


def _committed(job: Job, event: ScoresCommitted) -> None:
    member = job.committee[event.member]
    member.commitment, member.committed_at = event.commitment, event.time
    job.commitments += 1
    _decided(job, event.time)


def _refrained(job: Job, event: Refrained) -> None:
    job.committee[event.member].refrained = True
    _decided(job, event.time)


def _decided(job: Job, time: Timestamp) -> None:
    job.decided += 1
    if job.decided == len(job.committee):
        job.all_acted_at = time


def _revealed(job: Job, event: ScoresRevealed) -> None:
    if len(event.scores) != len(job.models):
        raise BadInput(f"A reveal in job {job.number} has not one score per model.")
    job.committee[event.member].scores = event.scores
    job.reveals += 1
    if job.reveals == job.commitments:
        job.all_revealed_at = event.time


def _accused(job: Job, event: Accused) -> None:
    deadline = job.accusation_deadline(event.target)
    if deadline is None:
        raise BadInput(f"Job {job.number} has an accusation before SCORING; its history is broken.")
    job.accusations[event.target] = Accusation(
        accuser=event.accuser,
        target=event.target,
        against_a_challenger=job.is_against_a_challenger(event.target),
        vote_deadline=Timestamp(deadline + job.parameters.vote_window),
        yes=[event.accuser],
    )
    job.outspoken.add(event.accuser)


def _voted(job: Job, event: Voted) -> None:
    accusation = job.accusations[event.target]
    (accusation.yes if event.guilty else accusation.no).append(event.voter)
    job.outspoken.add(event.voter)


def _condemned(job: Job, event: Condemned) -> None:
    job.accusations[event.target].upheld = True
    job.condemned.add(event.target)


def _settled(job: Job, event: JobSettled) -> None:
    job.verdict = event.verdict
    job.ended_at = event.time


_RECORDERS: dict[type[Event], Callable[[Job, Any], None]] = {
    TrainerJoined: _joined,
    TrainingStarted: _started,
    JobCancelled: _cancelled,
    ModelSubmitted: _submitted,
    TrainingClosed: _closed,
    SeedRenewed: _renewed,
    CommitteeDrawn: _drawn,
    DatasetPublished: _published,
    ScoresCommitted: _committed,
    Refrained: _refrained,
    ScoresRevealed: _revealed,
    Accused: _accused,
    Voted: _voted,
    Condemned: _condemned,
    JobSettled: _settled,
}
