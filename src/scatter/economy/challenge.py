"""What challengers say in a job: accusations in the order of their turns, each with its votes."""

from collections.abc import Sequence

from scatter.economy.clock import Clock
from scatter.lifecycle.job import Job
from scatter.lifecycle.opinion import Finding, opinion, suspects
from scatter.mechanism.units import Address

NOBODY = Address("")

Speakers = Sequence[tuple[Address, bool]]
"""Challengers, the quickest first, and whether each opposes what it sees."""


def speak_out(clock: Clock, job: Job, finding: Finding, speakers: Speakers) -> None:
    """Everybody accuses whom it suspects and votes on the others' accusations, until all is said.

    All see the same, `finding`. Votes on accusations that stood there before come last, those on
    members before those on trainers, as a node casts them.
    """
    if job.electorate < clock.rules.parameters.least_electorate:
        return
    before = sorted(job.accusations, key=lambda target: target in job.trainers)
    accused = -1
    while accused < len(job.accusations):
        accused = len(job.accusations)
        # Looked at anew once somebody has spoken.
        seen: dict[bool, list[Address]] = {}
        for accuser, bad in speakers:
            if bad not in seen:
                seen[bad] = _suspects(job, finding, bad)
            suspected = seen[bad]
            for target in suspected:
                if target != accuser and clock.rules.is_elector(job.number, accuser):
                    clock.do(clock.rules.accuse, accuser, job.number, target)
                    _vote(clock, job, finding, target, speakers)
                    seen = {}
    for target in before:
        _vote(clock, job, finding, target, speakers)


def _vote(clock: Clock, job: Job, finding: Finding, target: Address, speakers: Speakers) -> None:
    accusation = job.accusations[target]
    guilty = opinion(job, finding, target)
    for voter, bad in speakers:
        if voter in (target, *accusation.yes, *accusation.no) or accusation.upheld:
            continue
        if guilty is not None and clock.rules.is_elector(job.number, voter):
            clock.do(clock.rules.vote, voter, job.number, target, guilty is not bad)


def _suspects(job: Job, finding: Finding, bad: bool) -> list[Address]:
    """Whom a challenger accuses; a bad one the innocent that have done something."""
    if not bad:
        return suspects(job, finding, NOBODY)
    return [
        target
        for target in (*job.committee, *job.trainers, *sorted(job.outspoken))
        if target not in job.accusations
        and target not in job.condemned
        and job.is_accusable(target)
        and opinion(job, finding, target) is False
    ]
