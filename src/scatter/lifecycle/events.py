"""What can happen to a job, one value per event of the contracts, in the same words.

`ScatterProtocol` emits these (names in CamelCase, fields in camelCase). A job's history is the
tuple of its events, and everything else about the job follows from it and the time
(`scatter.lifecycle.job`). `time` and `block` are those of the block that holds the event.
"""

from scatter.lifecycle.entry import entry
from scatter.lifecycle.vocabulary import Verdict
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


@entry
class Logged:
    """Something that the contracts logged about a job."""

    job: JobId
    time: Timestamp
    block: BlockNumber


@entry
class Event(Logged):
    """An entry of a job's history."""


@entry
class JobCreated(Event):
    requester: Address
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


@entry
class TrainerJoined(Event):
    trainer: Address
    stake: Tokens


@entry
class TrainingStarted(Event):
    actor: Address


@entry
class JobCancelled(Event):
    actor: Address


@entry
class ModelSubmitted(Event):
    trainer: Address
    model: Digest
    key_commitment: Digest


@entry
class TrainingClosed(Event):
    actor: Address
    seed_block: BlockNumber
    electorate: int
    """How many challengers are eligible, requester and trainers taken out."""
    eligible_validators: int
    """How many validators are eligible, requester and trainers taken out."""


@entry
class SeedRenewed(Event):
    actor: Address
    seed_block: BlockNumber


@entry
class CommitteeDrawn(Event):
    actor: Address
    members: tuple[Address, ...]
    stakes: tuple[Tokens, ...]


@entry
class DatasetPublished(Event):
    requester: Address
    dataset: Digest


@entry
class ScoresCommitted(Event):
    member: Address
    commitment: Digest


@entry
class Refrained(Event):
    member: Address


@entry
class ScoresRevealed(Event):
    member: Address
    scores: tuple[Score, ...]
    """One per submitted model, in the order of submission."""


@entry
class Accused(Event):
    accuser: Address
    target: Address


@entry
class Voted(Event):
    voter: Address
    target: Address
    guilty: bool


@entry
class Condemned(Event):
    """An accusation was upheld; the token's events say what it cost and who won."""

    target: Address
    accuser: Address


@entry
class JobSettled(Event):
    actor: Address
    verdict: Verdict
