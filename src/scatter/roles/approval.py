"""Whether the operator has to look at a job before this node joins or runs it.

What was approved is remembered by its content, so that another job which a reorganised chain puts
under the same number is not approved by it.
"""

from collections.abc import Mapping
from pathlib import Path

from scatter.lifecycle.job import Job
from scatter.mechanism.errors import ScatterError
from scatter.mechanism.units import Digest
from scatter.ports.store import Kind, Store
from scatter.roles.duty import Approval, SandboxPolicy, Surroundings

_APPROVED = "approved"


class ApprovalNeeded(ScatterError):
    """The operator is to look at this job first, and to approve it."""


async def is_approved(store: Store, job: Job) -> bool:
    return await store.recall(Kind.ORDER, job.number, _APPROVED) == _contents(job)


async def demand_approval(
    surroundings: Surroundings, policy: SandboxPolicy, job: Job, folders: Mapping[Digest, Path]
) -> None:
    """Raises ApprovalNeeded when the operator has to look first at one of these folders."""
    strange = [path for digest, path in folders.items() if digest not in policy.trusted_jobs]
    if policy.approval is Approval.NEVER or not strange:
        return
    if await is_approved(surroundings.store, job):
        return
    reason = "the operator approves every job by hand"
    if policy.approval is Approval.SUSPICIOUS:
        seen = [await surroundings.inspect(folder) for folder in strange]
        first = next((one for inspection in seen for one in inspection.suspicions), None)
        if first is None:
            return
        count = sum(len(inspection.suspicions) + inspection.left_out for inspection in seen)
        reason = f"{count} suspicious places, the first in {first.file}, line {first.line}"
    raise ApprovalNeeded(
        f"Job {job.number} waits ({reason}): look with `scatter job inspect {job.number}`, then "
        f"`scatter job approve {job.number}`."
    )


async def approve(store: Store, job: Job) -> None:
    """Remembers that the operator approves this job: what it trains and what it evaluates."""
    await store.keep(Kind.ORDER, job.number, _APPROVED, _contents(job))


def _contents(job: Job) -> bytes:
    return job.created.training_job + job.created.evaluation_job
