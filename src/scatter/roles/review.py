"""What an operator is shown of a job: what it holds before it runs here, and what was found."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

from scatter.learning.inspection import Inspection
from scatter.lifecycle.job import Job
from scatter.roles.approval import approve, is_approved
from scatter.roles.duty import Surroundings
from scatter.roles.evidence import Report, recall_evidence
from scatter.roles.workplace import Workplace


@dataclass(frozen=True)
class Review:
    """What an operator needs to decide about a job."""

    surroundings: Surroundings
    _one: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def inspect(self, job: Job) -> tuple[Inspection, Inspection]:
        """What the training job and the evaluation job hold; both are fetched and removed again.

        Raises ContentNotFound and ContentRefused.
        """
        workplace = Workplace(self.surroundings, job, "inspection")
        async with self._one:
            try:
                training = await self.surroundings.inspect(await workplace.training_job())
                evaluation = await self.surroundings.inspect(await workplace.evaluation_job())
            finally:
                await workplace.clear()
        return training, evaluation

    async def approve(self, job: Job) -> None:
        await approve(self.surroundings.store, job)

    async def findings(self, job: Job) -> Sequence[Report]:
        """What this node found in a job that it evaluated, by role."""
        store = self.surroundings.store
        found = [await recall_evidence(store, job, role) for role in ("validator", "challenger")]
        return [report for report in found if report is not None]

    async def is_approved(self, job: Job) -> bool:
        return await is_approved(self.surroundings.store, job)
