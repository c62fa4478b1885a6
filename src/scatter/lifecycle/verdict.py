"""How a job ends, and what its scores say, by the table of `docs/protocol.md`, section 6.

Pure functions of a job's history: the same whether it is asked before settlement (how would it
end) or at it.
"""

from dataclasses import dataclass

from scatter.lifecycle.job import Job, Member, Trainer
from scatter.lifecycle.vocabulary import Standing, Verdict
from scatter.mechanism.equations import two_thirds
from scatter.mechanism.units import Address, Score, Timestamp


@dataclass(frozen=True, slots=True)
class Judgement:
    """What settlement acts upon."""

    verdict: Verdict
    averages: tuple[Score, ...] | None
    """One per model, in order of submission; None when the scores do not count."""
    accepted: tuple[Trainer, ...]
    """In order of submission."""
    malicious_trainers: frozenset[Address]
    paid_members: tuple[Member, ...]
    """The receivers of equation 6, in the order of the draw."""
    silent_members: tuple[Address, ...]
    """To be fined at settlement, in the order of the draw."""


def judge(job: Job) -> Judgement:
    """The verdict as if the job were settled now, everybody that has not acted being silent."""
    scores = averages(job)
    malicious = frozenset(
        t.account for t in job.trainers.values() if _is_malicious_trainer(job, t, scores)
    )
    accepted = _accepted(job, scores, malicious)
    verdict = _verdict(job, scores, accepted)
    if verdict is Verdict.REQUESTER_MALICIOUS:
        paid = tuple(m for m in job.committee.values() if m.acted and _stands(job, m))
    elif verdict in (Verdict.NO_MODEL_ACCEPTED, Verdict.NORMAL):
        paid = valid_members(job)
    else:
        paid = ()
    silent: tuple[Address, ...] = ()
    if job.scoring_opened_at is not None:
        silent = tuple(m.account for m in job.committee.values() if not m.acted)
    return Judgement(verdict, scores, accepted, malicious, paid, silent)


def valid_members(job: Job) -> tuple[Member, ...]:
    """The members whose scores count: revealed, and not malicious."""
    return tuple(m for m in job.committee.values() if m.scores is not None and _stands(job, m))


def is_requester_malicious(job: Job) -> bool:
    """No dataset in time, or refrains that stand reach two thirds of the committee as drawn.

    Without the dataset it is the requester's fault unless no committee could have been drawn.
    """
    if job.dataset is None:
        return job.drawn or job.eligible_validators >= job.parameters.least_committee
    refrained = sum(1 for m in job.committee.values() if m.refrained and _stands(job, m))
    return job.drawn and refrained >= two_thirds(len(job.committee))


def averages(job: Job) -> tuple[Score, ...] | None:
    """Each model's average over the valid members, rounded down; None when no scores exist.

    They exist when the members that acted, condemned since or not, reach the quorum, at least one
    valid member is left, and the requester is not malicious.
    """
    valid = valid_members(job)
    acted = sum(1 for m in job.committee.values() if m.acted)
    if not valid or acted < job.quorum or is_requester_malicious(job):
        return None
    columns = zip(*(m.scores for m in valid if m.scores is not None), strict=True)
    return tuple(Score(sum(column) // len(valid)) for column in columns)


def is_under_the_floor(job: Job, score: Score) -> bool:
    """Whether a score makes its trainer malicious: under the floor, or 0."""
    return score < job.created.floor or score == 0


def is_condemned_by_score(job: Job, account: Address) -> bool:
    """Whether the scores alone make this trainer malicious; then an accuser wins nothing."""
    trainer = job.trainers.get(account)
    scores = averages(job)
    if trainer is None or trainer.place is None or scores is None:
        return False
    return is_under_the_floor(job, scores[trainer.place])


def standing(job: Job, account: Address, now: Timestamp) -> Standing:
    """What the protocol holds of a participant: unknown until condemned, or until the job ends.

    At the end whoever did the part it had taken and was not found malicious is benevolent.
    """
    if job.is_malicious(account, now):
        return Standing.MALICIOUS
    if not job.over or job.cancelled:
        return Standing.UNKNOWN
    if account == job.requester:
        guilty = job.verdict is Verdict.REQUESTER_MALICIOUS
    elif account in job.trainers:
        guilty = account in judge(job).malicious_trainers
    elif account in job.committee:
        if job.scoring_opened_at is None:
            return Standing.UNKNOWN
        guilty = False
    elif account in job.outspoken:
        guilty = False
    else:
        return Standing.UNKNOWN
    return Standing.MALICIOUS if guilty else Standing.BENEVOLENT


def _stands(job: Job, member: Member) -> bool:
    return member.account not in job.condemned


def _is_malicious_trainer(job: Job, trainer: Trainer, scores: tuple[Score, ...] | None) -> bool:
    if trainer.place is None or trainer.account in job.condemned:
        return True
    return scores is not None and is_under_the_floor(job, scores[trainer.place])


def _accepted(
    job: Job, scores: tuple[Score, ...] | None, malicious: frozenset[Address]
) -> tuple[Trainer, ...]:
    if scores is None:
        return ()
    return tuple(
        trainer
        for trainer, score in zip(job.models, scores, strict=True)
        if score >= job.created.threshold and trainer.account not in malicious
    )


def _verdict(job: Job, scores: tuple[Score, ...] | None, accepted: tuple[Trainer, ...]) -> Verdict:
    if not job.models:
        return Verdict.NOBODY_SUBMITTED
    if is_requester_malicious(job):
        return Verdict.REQUESTER_MALICIOUS
    if not job.drawn:
        return Verdict.NO_COMMITTEE
    if scores is None:
        return Verdict.VALIDATORS_FAILED
    return Verdict.NORMAL if accepted else Verdict.NO_MODEL_ACCEPTED
