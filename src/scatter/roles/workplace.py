"""Where a node works on one job: what it fetched, opened and made, on its own disk."""

import asyncio
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from scatter.learning.job_file import JobFile, JobKind, read_job
from scatter.learning.model_file import ModelRefused, check_model
from scatter.lifecycle.job import Job, Trainer
from scatter.mechanism.errors import BadInput
from scatter.mechanism.units import Address, Digest
from scatter.roles.duty import Surroundings

SEALED_MODEL = "model.sealed"
"""The one file of the folder that a trainer publishes."""
MODEL = "model.safetensors"
BASE_MODEL = "base.safetensors"
"""In a training job's folder: the weights to start from, if the job has any."""
MOST_JOB_BYTES = 64 << 20
"""Of a job's folder: code and description, no data."""
MOST_DATASET_BYTES = 16 << 30
SEAL_SLACK = 2 << 20
"""What header, tags and the safetensors header may add to a model's tensors."""


@dataclass(frozen=True)
class Workplace:
    """One part's folder for one job; everything in it can be made again."""

    surroundings: Surroundings
    job: Job
    part: str
    """`trainer`, `validator`, ...: a node may play two parts in different jobs, never in one."""

    @property
    def folder(self) -> Path:
        return self.surroundings.folder / "jobs" / str(self.job.number) / self.part

    async def training_job(self) -> Path:
        return await self._fetched(
            "training-job", self.job.created.training_job, MOST_JOB_BYTES, [self.job.requester]
        )

    async def evaluation_job(self) -> Path:
        return await self._fetched(
            "evaluation-job", self.job.created.evaluation_job, MOST_JOB_BYTES, [self.job.requester]
        )

    async def dataset(self, digest: Digest) -> Path:
        return await self._fetched("dataset", digest, MOST_DATASET_BYTES, [self.job.requester])

    async def sealed_model(self, trainer: Trainer, most_bytes: int) -> Path:
        """The sealed file of a submitted model."""
        digest = trainer.model
        assert digest is not None, "only submitted models are fetched"
        name = f"sealed-{trainer.account}"
        folder = await self._fetched(name, digest, most_bytes, [trainer.account])
        return folder / SEALED_MODEL

    def fresh(self, name: str) -> Path:
        """A path of that name at which nothing is; what a killed run left there is removed."""
        path = self.folder / name
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
        return path

    async def clear(self) -> None:
        """Removes everything; opened models do not outlive their job here."""
        await asyncio.to_thread(shutil.rmtree, self.folder, ignore_errors=True)

    async def _fetched(
        self, name: str, digest: Digest, most_bytes: int, owners: Sequence[Address]
    ) -> Path:
        path = self.folder / name
        if not path.exists():
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            sources = self.surroundings.peers.gateways(owners)
            await self.surroundings.content.fetch(
                digest, path, most_bytes=most_bytes, sources=sources
            )
        return path


def read_training_job(folder: Path) -> JobFile:
    """The training job in this folder, whatever its runtime.

    Raises BadInput, also for weights of another model.
    """
    training = read_job(folder, JobKind.TRAIN, runtimes=None)
    base = folder / BASE_MODEL
    if base.exists():
        try:
            check_model(base, training.model)
        except ModelRefused as problem:
            raise BadInput(f"The weights to start from do not fit the job: {problem}") from problem
    return training
