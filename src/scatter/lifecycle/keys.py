"""Who is entitled to the key of a submitted model, and when to ask for it over the chain.

`docs/protocol.md`, section 8.
"""

from dataclasses import dataclass

from scatter.lifecycle.entry import entry
from scatter.lifecycle.events import Logged
from scatter.lifecycle.job import Job, phase
from scatter.lifecycle.verdict import judge
from scatter.lifecycle.vocabulary import Phase, Verdict
from scatter.mechanism.units import Address, Timestamp


@entry
class Letter(Logged):
    """What was written about a key on chain. No part of a job's history: it pays nobody."""

    trainer: Address
    asker: Address


@entry
class KeyRequested(Letter):
    public_key: bytes
    """What the asker wrote, 33 to 64 bytes; `scatter.sealing.letters` reads it."""


@entry
class KeyAnswered(Letter):
    sealed_key: bytes
    """What the trainer wrote, at most 256 bytes."""


@dataclass(frozen=True)
class Letters:
    """What one asker and one trainer wrote to each other, in chain order, the first few of each."""

    requests: tuple[KeyRequested, ...] = ()
    answers: tuple[KeyAnswered, ...] = ()


@dataclass(frozen=True)
class Post:
    """When a member of the committee and a trainer have to write to be heard."""

    ask_from: Timestamp
    """A quarter of the commit window: before, a silent peer may just be slow."""
    ask_by: Timestamp
    """Three eighths: an answer must still be possible."""
    answer_by: Timestamp
    """Half: the other half is for the evaluation."""


def post(job: Job) -> Post:
    """The hours of the post, while a job is scored or afterwards."""
    opened = job.scoring_opened_at
    assert opened is not None, "scoring has opened"
    window = job.parameters.commit_window
    ask_from, ask_by, answer_by = (Timestamp(opened + n * window // 8) for n in (2, 3, 4))
    return Post(ask_from, ask_by, answer_by)


def may_ask_for_key(
    job: Job, trainer: Address, asker: Address, now: Timestamp, *, is_elector: bool
) -> bool:
    """Committee members from the draw on, electors during CHALLENGE, and the requester once paid.

    `is_elector` tells whether the asker may accuse and vote in this job, which depends on its role
    stake and not on the job's history. False for a trainer without a model.
    """
    if trainer not in job.trainers or job.trainers[trainer].model is None:
        return False
    if asker in job.committee:
        return True
    if asker == job.requester:
        paid = job.verdict is Verdict.NORMAL
        return paid and any(t.account == trainer for t in judge(job).accepted)
    return is_elector and phase(job, now) is Phase.CHALLENGE
