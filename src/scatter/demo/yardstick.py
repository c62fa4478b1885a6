"""What the federated model is measured against: one model trained on everybody's data.

Nobody could really train it, since no trainer's data leaves its node. How long this machine needs
to evaluate it also says how long the windows of a demo must be here.
"""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from scatter.adapters.blockstore import cut_folder
from scatter.learning.job_file import JobKind, read_job
from scatter.learning.scores import Failed, read_scores
from scatter.mechanism.errors import ScatterError
from scatter.mechanism.units import WHOLE, Digest
from scatter.ports.sandbox import Limits, Sandbox, Task, bound_limits
from scatter.roles.workplace import MOST_JOB_BYTES
from scatter.unixfs.building import drop


class MeasureFailed(ScatterError):
    """The demo's own jobs did not run here; the message says why."""


@dataclass(frozen=True)
class Lesson:
    """The federated job: its folders, and everybody's data."""

    training_job: Path
    evaluation_job: Path
    shares: Path

    @property
    def dataset(self) -> Path:
        """What the models are scored on; no trainer has any of it."""
        return self.shares / "eval"

    def trusted(self) -> tuple[Digest, Digest]:
        """The names of the two job folders, which ship with the package."""
        folders = (self.training_job, self.evaluation_job)
        training, evaluation = (cut_folder(folder, drop, MOST_JOB_BYTES) for folder in folders)
        return training, evaluation


@dataclass(frozen=True)
class Yardstick:
    """A model trained on all data at one place."""

    accuracy: float
    """On the held-out examples, 0..1."""
    seconds: float
    """What one run of the evaluation job took here, start of the sandbox included."""


async def make_yardstick(lesson: Lesson, sandbox: Sandbox, work: Path) -> Yardstick:
    """Trains on the data of all trainers together, and evaluates. Raises MeasureFailed."""
    model = await _train_on_everything(lesson, sandbox, work)
    began = time.monotonic()
    accuracy = await evaluate(lesson, sandbox, model, work)
    return Yardstick(accuracy, time.monotonic() - began)


async def evaluate(lesson: Lesson, sandbox: Sandbox, model: Path, work: Path) -> float:
    """The score of one model, 0..1, by the evaluation job. Raises MeasureFailed."""
    job = read_job(lesson.evaluation_job, JobKind.EVALUATE)
    output = work / "evaluated" / model.stem
    task = Task(
        verb="evaluate",
        job=lesson.evaluation_job,
        data=lesson.dataset,
        output=output,
        models={"model": model},
        limits=bound_limits(job.limits, Limits()),
        seed=job.seed,
    )
    outcome = await sandbox.run(task)
    if not outcome.ok:
        raise MeasureFailed(f"Evaluating {model.name} failed: {outcome.reason}")
    score = read_scores(output / "scores.json", ["model"])["model"]
    if isinstance(score, Failed):
        raise MeasureFailed(f"Evaluating {model.name} failed: {score.reason}")
    return score / WHOLE


async def _train_on_everything(lesson: Lesson, sandbox: Sandbox, work: Path) -> Path:
    data = work / "everything"
    await asyncio.to_thread(_pool, lesson.shares, data)
    job = read_job(lesson.training_job, JobKind.TRAIN)
    output = work / "centralised"
    task = Task(
        verb="train",
        job=lesson.training_job,
        data=data,
        output=output,
        limits=bound_limits(job.limits, Limits()),
        seed=job.seed,
    )
    outcome = await sandbox.run(task)
    if not outcome.ok:
        raise MeasureFailed(f"Training on all data failed: {outcome.reason}")
    return output / "model.safetensors"


def _pool(shares: Path, target: Path) -> None:
    """Puts the shares together, in the order of the trainers' numbers."""
    target.mkdir(parents=True)
    folders = sorted(shares.glob("trainer-*"), key=lambda share: int(share.name.split("-")[1]))
    pooled: dict[str, list[Any]] = {}
    for share in folders:
        with np.load(share / "digits.npz", allow_pickle=False) as file:
            for name in file.files:
                pooled.setdefault(name, []).append(file[name])
    arrays: Mapping[str, Any] = {name: np.concatenate(parts) for name, parts in pooled.items()}
    np.savez_compressed(target / "digits.npz", **arrays)
