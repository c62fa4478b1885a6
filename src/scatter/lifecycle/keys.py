"""Who is entitled to the key of a submitted model (`docs/protocol.md`, section 8)."""

from scatter.lifecycle.job import Job, phase
from scatter.lifecycle.verdict import judge
from scatter.lifecycle.vocabulary import Phase, Verdict
from scatter.mechanism.units import Address, Timestamp


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
