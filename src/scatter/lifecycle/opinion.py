"""What an honest challenger makes of a job: whom it accuses, and how it votes.

It compares with its own evaluation, never with anybody's word. Whom the scores already condemn it
leaves alone: validators have priority, and the accuser would win nothing.
"""

from dataclasses import dataclass, replace

from scatter.lifecycle.job import Job, Member
from scatter.lifecycle.verdict import is_condemned_by_score
from scatter.mechanism.units import Address, Score


@dataclass(frozen=True)
class Finding:
    """What this challenger saw for itself, kept as evidence."""

    scores: tuple[Score, ...]
    """One per model, in the order of submission."""
    unseen: frozenset[Address]
    """Trainers whose model this challenger could not get: it judges no score of theirs."""
    duplicates: frozenset[Address]
    reason_to_refrain: str
    tolerance: Score
    excused: frozenset[tuple[Address, Address]] = frozenset()
    """Members that could not get a trainer's key or model while they scored, and that trainer."""
    doubtful: frozenset[tuple[Address, Address]] = frozenset()
    """The same where this challenger cannot tell, because it was not there."""


def suspects(job: Job, finding: Finding, own: Address) -> list[Address]:
    """Whom to accuse: guilty by the finding, accusable, not yet accused or condemned."""
    candidates = [*job.committee, *job.trainers, *sorted(job.outspoken)]
    return [
        target
        for target in candidates
        if target != own
        and target not in job.accusations
        and target not in job.condemned
        and job.is_accusable(target)
        and opinion(job, finding, target) is True
        and not is_condemned_by_score(job, target)
    ]


def opinion(job: Job, finding: Finding, target: Address) -> bool | None:
    """Whether `target` did in this job what an honest participant would not have done.

    None when this challenger cannot tell: then it neither accuses nor votes.
    """
    if target in job.committee:
        return _is_false(job, job.committee[target], finding)
    if target in job.trainers:
        return _is_bad_model(job, finding, target)
    return _is_false_accuser(job, finding, target)


def _is_false(job: Job, member: Member, finding: Finding) -> bool | None:
    """Refrained without cause, or revealed a score that is off by more than the tolerance.

    A 0 for a model that was kept from the member is not off.
    """
    if member.refrained:
        return not finding.reason_to_refrain
    if member.scores is None:
        return False
    if finding.reason_to_refrain:
        return True
    off = {
        (member.account, trainer.account)
        for trainer, theirs, ours in zip(job.models, member.scores, finding.scores, strict=True)
        if abs(theirs - ours) > finding.tolerance and trainer.account not in finding.unseen
        if theirs or (member.account, trainer.account) not in finding.excused
    }
    if off - finding.doubtful:
        return True
    return None if off or finding.unseen else False


def _is_bad_model(job: Job, finding: Finding, target: Address) -> bool | None:
    """Under the floor, at 0, or a copy, by our own evaluation."""
    place = job.trainers[target].place
    if place is None:
        return False
    if target in finding.unseen or finding.reason_to_refrain:
        return None
    own = finding.scores[place]
    under = own == 0 or own + finding.tolerance < job.created.floor
    return under or target in finding.duplicates


def _is_false_accuser(job: Job, finding: Finding, target: Address) -> bool | None:
    """Accused or voted against what everybody can see.

    Whom the one condemns and the other spares by a hair, both honest, is no ground: only what
    half the tolerance and twice the tolerance show alike is plain to everybody.
    """
    half, twice = finding.tolerance // 2, finding.tolerance * 2
    readings = [replace(finding, tolerance=Score(width)) for width in (half, twice)]
    doubtful = False
    for accused, accusation in job.accusations.items():
        spoke = target in accusation.yes or target in accusation.no
        if not spoke or job.is_against_a_challenger(accused):
            continue
        one, other = (opinion(job, reading, accused) for reading in readings)
        if one is None or one is not other:
            doubtful = True
        elif one is not (target in accusation.yes):
            return True
    return None if doubtful else False
