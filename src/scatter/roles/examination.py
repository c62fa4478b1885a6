"""Scoring every model of a job, as a validator must and a challenger does again.

A model scores 0 when its key cannot be got, when it does not open, does not fit the schema, or
equals an earlier model of the same job. The evaluation job is harmful or useless, and a validator
refrains, when it breaks the sandbox's limits or fails on every model, a fresh one of the right
shape included (`docs/protocol.md`, "What an honest node does").
"""

import asyncio
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
import structlog

from scatter.learning.job_file import JobFile, JobKind, read_job
from scatter.learning.model_file import ModelRefused, Write, model_digest, write_model
from scatter.learning.model_schema import ModelSchema
from scatter.learning.scores import Failed, read_scores
from scatter.lifecycle.job import Job, Trainer
from scatter.mechanism.errors import BadInput, ScatterError
from scatter.mechanism.units import Address, Score
from scatter.ports.content import ContentNotFound, ContentRefused
from scatter.ports.peers import KeyRefused, PeerUnreachable
from scatter.ports.sandbox import Outcome, Task, bound_limits, lack_of_runtime
from scatter.roles.approval import demand_approval
from scatter.roles.duty import SandboxPolicy, Surroundings
from scatter.roles.keys import likely_holders
from scatter.roles.opening import open_model
from scatter.roles.workplace import SEAL_SLACK, Workplace
from scatter.sealing import SealBroken, WrongKey

log = structlog.get_logger()

_FRESH = "fresh"
LEAST_TOLERANCE: Final = 10
"""Basis points; evaluations of the same weights differ by far less between machines."""
MOST_TOLERANCE: Final = 500
"""Basis points, one example of twenty: a requester that claims fewer would license any score."""
MOST_LOG: Final = 2_000
"""Characters of a run's output that are kept as evidence."""


class KeysMissing(ScatterError):
    """Some trainers have not handed over their key yet; asking again may help."""


class JobNotAllowed(ScatterError):
    """The sandbox is weaker than the operator's minimum, or lacks the job's runtime."""


@dataclass(frozen=True)
class Run:
    """One run of the evaluation job."""

    models: int
    ok: bool
    reason: str
    """Why it failed, one sentence; empty when ok."""
    seconds: float
    backend: str
    log: str
    """The last part of what the job printed."""


@dataclass(frozen=True)
class Examination:
    """What one node found out by its own means."""

    scores: tuple[Score, ...]
    """One per model, in the order of submission."""
    remarks: tuple[str, ...]
    """Per model: why it scores 0 unseen, or empty."""
    unseen: frozenset[Address]
    """Trainers whose key or model this node could not get; others may have."""
    duplicates: frozenset[Address]
    """Trainers whose model equals an earlier one."""
    reason_to_refrain: str
    """Why the evaluation job is harmful or useless; empty when it is neither."""
    tolerance: Score
    """How far another's score may lie off: the larger of one example and 10 basis points."""
    runs: tuple[Run, ...] = ()
    """At most two more than models: all at once, each alone, a fresh one."""


@dataclass(frozen=True)
class Examiner:
    """Examines the models of one job in a workplace of its own."""

    surroundings: Surroundings
    policy: SandboxPolicy
    workplace: Workplace
    _runs: list[Run] = field(default_factory=list)

    async def examine(self, job: Job, *, give_up_on_keys: bool) -> Examination:
        """Scores all models, once.

        Raises KeysMissing while keys are outstanding, unless `give_up_on_keys`; then their models
        score 0. Raises ContentNotFound when the dataset or the evaluation job cannot be had,
        JobNotAllowed and ApprovalNeeded.
        """
        assert job.dataset is not None, "scoring opens with the dataset"
        refusal = self._refusal(job)
        if refusal:
            raise JobNotAllowed(refusal)
        try:
            folder = await self.workplace.evaluation_job()
            data = await self.workplace.dataset(job.dataset)
            evaluation = await asyncio.to_thread(read_job, folder, JobKind.EVALUATE, runtimes=None)
        except (BadInput, ContentRefused) as problem:
            return refraining(job, f"The evaluation job cannot be used: {problem}")
        if lack := lack_of_runtime(self.surroundings.sandbox, evaluation.runtime):
            # No fault of the job's, so no ground to refrain: this node cannot judge it.
            raise JobNotAllowed(f"Job {job.number} cannot be evaluated here. {lack}")
        if not await self._fits_the_training(evaluation):
            return refraining(job, "The evaluation job is for another model than was trained.")
        strange = {job.created.evaluation_job: folder}
        await demand_approval(self.surroundings, self.policy, job, strange)

        remarks = dict.fromkeys((trainer.account for trainer in job.models), "")
        unseen: set[Address] = set()
        models, duplicates = await self._open_models(job, evaluation, remarks, unseen)
        if unseen and not give_up_on_keys:
            raise KeysMissing(
                f"{len(unseen)} of {len(job.models)} keys of job {job.number} are "
                f"outstanding, the first of {min(unseen)}."
            )
        scores, reason = await self._score(folder, data, evaluation, models, remarks)
        return Examination(
            scores=tuple(scores.get(trainer.account, Score(0)) for trainer in job.models),
            remarks=tuple(remarks[trainer.account] for trainer in job.models),
            unseen=frozenset(unseen),
            duplicates=duplicates,
            reason_to_refrain=reason,
            tolerance=tolerance(evaluation),
            runs=tuple(self._runs),
        )

    async def fetch_ahead(self, job: Job) -> frozenset[Address]:
        """Fetches the sealed models while the committee does, and serves them on from then on.

        The trainers whose model cannot be had now. Raises ContentNotFound or BadInput when that
        cannot be told.
        """
        folder = await self.workplace.evaluation_job()
        evaluation = await asyncio.to_thread(read_job, folder, JobKind.EVALUATE, runtimes=None)
        most = evaluation.model.size + SEAL_SLACK

        async def fetch(trainer: Trainer) -> Address | None:
            try:
                await self.workplace.sealed_model(trainer, most)
            except ContentNotFound:
                return trainer.account
            except ContentRefused as problem:
                # Nobody can use it, and a 0 is what it is worth.
                log.info("a model cannot be used", trainer=trainer.account, why=str(problem))
            return None

        found = await asyncio.gather(*map(fetch, job.models))
        return frozenset(account for account in found if account is not None)

    def _refusal(self, job: Job) -> str:
        sandbox = self.surroundings.sandbox
        if self.policy.allows(job.created.evaluation_job, sandbox.isolation):
            return ""
        return (
            f"The evaluation job of job {job.number} is a stranger's, and "
            f"{self.policy.weakness(sandbox)}"
        )

    async def _fits_the_training(self, evaluation: JobFile) -> bool:
        folder = await self.workplace.training_job()
        try:
            training = await asyncio.to_thread(read_job, folder, JobKind.TRAIN, runtimes=None)
        except BadInput as problem:
            # Whether it can be run was for the trainers to judge.
            log.info("the training job cannot be read here", why=str(problem))
            return True
        return training.model == evaluation.model

    async def _open_models(
        self, job: Job, evaluation: JobFile, remarks: dict[Address, str], unseen: set[Address]
    ) -> tuple[dict[Address, Path], frozenset[Address]]:
        attempts = await asyncio.gather(
            *(self._open(trainer, evaluation.model, remarks, unseen) for trainer in job.models)
        )
        models: dict[Address, Path] = {}
        duplicates: set[Address] = set()
        seen: dict[bytes, Address] = {}
        for trainer, path in zip(job.models, attempts, strict=True):
            if path is None:
                continue
            digest = await asyncio.to_thread(model_digest, path, evaluation.model)
            if digest in seen:
                remarks[trainer.account] = f"equals the earlier model of {seen[digest]}"
                duplicates.add(trainer.account)
                continue
            seen[digest] = trainer.account
            models[trainer.account] = path
        return models, frozenset(duplicates)

    async def _open(
        self,
        trainer: Trainer,
        schema: ModelSchema,
        remarks: dict[Address, str],
        unseen: set[Address],
    ) -> Path | None:
        try:
            job, own = self.workplace.job, self.surroundings.chain.account
            holders = likely_holders(job, trainer.account, own)
            return await open_model(self.workplace, trainer, schema, holders)
        except (KeyRefused, PeerUnreachable, ContentNotFound) as problem:
            remarks[trainer.account] = str(problem)
            unseen.add(trainer.account)
        except (ContentRefused, SealBroken, WrongKey, ModelRefused) as problem:
            remarks[trainer.account] = str(problem)
        return None

    async def _score(
        self,
        folder: Path,
        data: Path,
        evaluation: JobFile,
        models: dict[Address, Path],
        remarks: dict[Address, str],
    ) -> tuple[dict[Address, Score], str]:
        """Scores by account, and why to refrain. All models in one run; alone if that breaks."""
        if not models:
            return {}, await self._try_fresh(folder, data, evaluation)
        found, outcome = await self._evaluate(folder, data, evaluation, dict(models))
        if found is None and len(models) > 1:
            found = {}
            for account, path in models.items():
                alone, outcome = await self._evaluate(folder, data, evaluation, {account: path})
                found |= alone or {account: Failed(outcome)}
        elif found is None:
            found = {account: Failed(outcome) for account in models}
        scores: dict[Address, Score] = {}
        for account, score in found.items():
            if isinstance(score, Failed):
                remarks[account] = score.reason
            else:
                scores[account] = score
        if scores:
            return scores, ""
        return {}, await self._try_fresh(folder, data, evaluation)

    async def _try_fresh(self, folder: Path, data: Path, evaluation: JobFile) -> str:
        fresh = self.workplace.fresh(f"{_FRESH}.safetensors")
        await asyncio.to_thread(write_fresh_model, fresh, evaluation.model, evaluation.seed)
        name = Address(_FRESH)
        found, outcome = await self._evaluate(folder, data, evaluation, {name: fresh})
        if found is None:
            return f"The evaluation job fails on every model, a fresh one too: {outcome}"
        score = found[name]
        if isinstance(score, Failed):
            return f"The evaluation job fails on every model, a fresh one too: {score.reason}"
        return ""

    async def _evaluate(
        self, folder: Path, data: Path, evaluation: JobFile, models: dict[Address, Path]
    ) -> tuple[dict[Address, Score | Failed] | None, str]:
        """One run; None and a sentence when it did not end well."""
        output = self.workplace.fresh("scores")
        task = Task(
            verb="evaluate",
            job=folder,
            data=data,
            output=output,
            models={str(account): path for account, path in models.items()},
            limits=bound_limits(evaluation.limits, self.policy.caps),
            seed=evaluation.seed,
            runtime=evaluation.runtime,
        )
        outcome: Outcome = await self.surroundings.sandbox.run(task)
        log.info(
            "evaluated",
            models=len(models),
            ok=outcome.ok,
            backend=outcome.backend,
            seconds=round(outcome.seconds, 2),
        )
        found, reason = await self._read_scores(outcome, output, models)
        self._runs.append(
            Run(
                models=len(models),
                ok=found is not None,
                reason=reason,
                seconds=round(outcome.seconds, 3),
                backend=outcome.backend,
                log=outcome.log[-MOST_LOG:],
            )
        )
        return found, reason

    async def _read_scores(
        self, outcome: Outcome, output: Path, models: dict[Address, Path]
    ) -> tuple[dict[Address, Score | Failed] | None, str]:
        if not outcome.ok:
            return None, outcome.reason
        names = [str(account) for account in models]
        try:
            read = await asyncio.to_thread(read_scores, output / "scores.json", names)
        except BadInput as problem:
            return None, str(problem)
        return {Address(name): score for name, score in read.items()}, ""


def refraining(job: Job, reason: str) -> Examination:
    """What is found when nothing could be scored, for this reason."""
    count = len(job.models)
    nothing = (Score(0),) * count
    return Examination(
        nothing, ("",) * count, frozenset(), frozenset(), reason, Score(LEAST_TOLERANCE)
    )


def tolerance(evaluation: JobFile) -> Score:
    """The larger of one example and 10 basis points.

    The number of examples is what the job states under `[settings] examples`; 0 if it does not.
    """
    examples = evaluation.settings.get("examples", 0)
    one = -(-10_000 // examples) if type(examples) is int and examples > 0 else 0
    return Score(max(LEAST_TOLERANCE, min(one, MOST_TOLERANCE)))


def write_fresh_model(target: Path, schema: ModelSchema, seed: int) -> None:
    """A model of the right shape that nobody trained: small normal numbers, integers 0."""
    rng = np.random.Generator(np.random.PCG64(seed))

    def fill(write: Write) -> None:
        place = 0
        for tensor in schema.tensors.values():
            remaining = tensor.elements
            while remaining:
                count = min(remaining, 1 << 16)
                values = rng.normal(0.0, 0.05, count) if tensor.is_float else np.zeros(count)
                block = memoryview(values.astype(tensor.numpy_dtype).tobytes())
                write(place, block)
                place += len(block)
                remaining -= count

    write_model(target, schema, fill)
