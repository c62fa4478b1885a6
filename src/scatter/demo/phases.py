"""Watches a job from outside, phase by phase, as anybody with the chain's address could."""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from scatter.adapters.evm import EvmChain
from scatter.lifecycle.job import Job, deadline, fold, phase
from scatter.lifecycle.vocabulary import Phase
from scatter.mechanism.units import JobId, Timestamp

POLL_SECONDS = 0.25


@dataclass(frozen=True)
class Sight:
    """Where a job is, and how far."""

    job: JobId
    phase: Phase
    done: int
    of: int
    """How many have done what the phase waits for, of how many."""
    note: str
    left: int | None
    """Seconds to the phase's deadline."""


async def watch(
    chain: EvmChain, job: JobId, show: Callable[[Sight], None], check: Callable[[], None]
) -> tuple[Job, dict[str, float]]:
    """Follows a job to its end; returns it, and how many seconds each phase took here.

    `check` is called at every look, to raise when a node has ended.
    """
    seconds: dict[str, float] = {}
    began = time.monotonic()
    last = Phase.OPEN
    while True:
        check()
        head, history = await chain.head(), await chain.history(job)
        view = fold(history, chain.parameters)
        sight = look(view, head.time)
        if sight.phase is not last:
            now = time.monotonic()
            seconds[last.name.lower()] = now - began
            for passed in _passed(view, last, sight.phase):
                show(Sight(job, passed, *_progress(view, passed), left=None))
            began, last = now, sight.phase
        show(sight)
        if view.over:
            return view, seconds
        await asyncio.sleep(POLL_SECONDS)


def _passed(job: Job, last: Phase, present: Phase) -> Sequence[Phase]:
    """The phases that are over, those too that were shorter than the time between two looks."""
    end: int = present
    if job.over:
        end = Phase.SETTLED if job.scoring_opened_at is not None else last + 1
    return [passed for passed in Phase if last <= passed < end]


def look(job: Job, now: Timestamp) -> Sight:
    """A job at a moment, in the terms of a progress bar."""
    current = phase(job, now)
    until = deadline(job, now)
    left = None if until is None else max(0, until - now)
    done, of, note = _progress(job, current)
    return Sight(job.number, current, done, of, note, left)


def _progress(job: Job, current: Phase) -> tuple[int, int, str]:
    members = len(job.committee)
    match current:
        case Phase.OPEN:
            return len(job.trainers), job.created.most_trainers, "trainers joined"
        case Phase.TRAINING:
            return len(job.models), len(job.trainers), "sealed models submitted"
        case Phase.DATASET:
            steps = (job.dataset is not None) + job.drawn
            return steps, 2, "dataset and committee"
        case Phase.COMMIT:
            return job.decided, members, "members committed to scores"
        case Phase.REVEAL:
            return job.reveals, job.commitments, "scores revealed"
        case Phase.CHALLENGE:
            accusations = len(job.accusations)
            upheld = sum(accusation.upheld for accusation in job.accusations.values())
            return upheld, accusations, "accusations upheld" if accusations else "nobody accused"
        case _:
            return 1, 1, "paid out" if current is Phase.SETTLED else "cancelled"
