"""What can happen to a job, one value per event of the contracts, in the same words.

`ScatterProtocol` emits these (names in CamelCase, fields in camelCase). A job's history is the
tuple of its events, and everything else about the job follows from it and the time
(`scatter.lifecycle.job`). `time` and `block` are those of the block that holds the event.
"""

from dataclasses import dataclass

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


@dataclass(frozen=True, kw_only=True)
class Logged:
    """Something that the contracts logged about a job."""

    job: JobId
    time: Timestamp
    block: BlockNumber


class Event(Logged):
    """An entry of a job's history."""


@dataclass(frozen=True, kw_only=True)
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


@dataclass(frozen=True, kw_only=True)
class TrainerJoined(Event):
    trainer: Address
    stake: Tokens


@dataclass(frozen=True, kw_only=True)
class TrainingStarted(Event):
    actor: Address


@dataclass(frozen=True, kw_only=True)
class JobCancelled(Event):
    actor: Address


@dataclass(frozen=True, kw_only=True)
class ModelSubmitted(Event):
    trainer: Address
    model: Digest
    key_commitment: Digest


@dataclass(frozen=True, kw_only=True)
class TrainingClosed(Event):
    actor: Address
    seed_block: BlockNumber
    electorate: int
    """How many challengers are eligible, requester and trainers taken out."""
    eligible_validators: int
    """How many validators are eligible, requester and trainers taken out."""


@dataclass(frozen=True, kw_only=True)
class SeedRenewed(Event):
    actor: Address
    seed_block: BlockNumber


@dataclass(frozen=True, kw_only=True)
class CommitteeDrawn(Event):
    actor: Address
    members: tuple[Address, ...]
    stakes: tuple[Tokens, ...]


@dataclass(frozen=True, kw_only=True)
class DatasetPublished(Event):
    requester: Address
    dataset: Digest


@dataclass(frozen=True, kw_only=True)
class ScoresCommitted(Event):
    member: Address
    commitment: Digest


@dataclass(frozen=True, kw_only=True)
class Refrained(Event):
    member: Address


@dataclass(frozen=True, kw_only=True)
class ScoresRevealed(Event):
    member: Address
    scores: tuple[Score, ...]
    """One per submitted model, in the order of submission."""


@dataclass(frozen=True, kw_only=True)
class Accused(Event):
    accuser: Address
    target: Address


@dataclass(frozen=True, kw_only=True)
class Voted(Event):
    voter: Address
    target: Address
    guilty: bool


@dataclass(frozen=True, kw_only=True)
class Condemned(Event):
    """An accusation was upheld; the token's events say what it cost and who won."""

    target: Address
    accuser: Address


@dataclass(frozen=True, kw_only=True)
class JobSettled(Event):
    actor: Address
    verdict: Verdict
