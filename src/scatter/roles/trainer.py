"""A trainer's duty: join what its operator offers data for, train, seal, submit, hand over the key.

The model is sealed with a key of its own that is on disk before anything sealed with it leaves,
and the sealed folder's digest is on disk before it is submitted: a node killed in between neither
trains twice nor loses the key.
"""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

import structlog

from scatter.learning.job_file import JobFile, JobKind, read_job
from scatter.learning.model_file import ModelRefused, check_model
from scatter.learning.scores import read_training_report
from scatter.lifecycle.job import Job, fold, phase
from scatter.lifecycle.reasons import FULL, NOT_OPEN, TOO_LATE
from scatter.lifecycle.vocabulary import Phase, Role
from scatter.mechanism.errors import BadInput, Refused, ScatterError
from scatter.mechanism.units import Digest, JobId, Timestamp, Tokens
from scatter.ports.chain import Head
from scatter.ports.sandbox import Task, bound_limits, lack_of_runtime
from scatter.ports.store import Kind
from scatter.roles.approval import demand_approval
from scatter.roles.duty import Offer, Patience, SandboxPolicy, Surroundings
from scatter.roles.errands import run_errands
from scatter.roles.letters import answer_letters, model_context
from scatter.roles.workplace import (
    BASE_MODEL,
    MODEL,
    SEALED_MODEL,
    Workplace,
    read_training_job,
)
from scatter.sealing import Key, key_commitment, new_key, seal

log = structlog.get_logger()

_OWN = "own"
_TRAINED = "trained"
_OTHERS_WERE_QUICKER = {FULL, NOT_OPEN, TOO_LATE}


class TrainingFailed(ScatterError):
    """The training job did not leave a model of its own schema; the message says what happened."""


@dataclass(frozen=True)
class Trainer:
    """The duty of a node that trains."""

    surroundings: Surroundings
    policy: SandboxPolicy
    offers: Mapping[str, Offer] = field(default_factory=dict)
    """By topic."""
    patience: Patience = field(default_factory=Patience)

    @property
    def name(self) -> str:
        return "trainer"

    async def advance(self, job: JobId) -> Timestamp | None:
        """Does what is due; see `Duty`."""
        chain = self.surroundings.chain
        view, head = await self._look(job)
        if view is None:
            return None
        now = phase(view, head.time)
        workplace = Workplace(self.surroundings, view, self.name)
        if view.over:
            await workplace.clear()
            return None
        if now is Phase.OPEN and chain.account not in view.trainers:
            await self._join_unasked(view, head, workplace)
        own = view.trainers.get(chain.account)
        if now is Phase.TRAINING and own is not None and own.model is None:
            deadline = view.training_deadline
            if deadline is not None and head.time < deadline:
                await self._submit(view, workplace)
                view, head = await self._look(job)
        if view is None or chain.account not in view.trainers:
            return None
        if now is Phase.COMMIT:
            await answer_letters(self.surroundings, view)
        return await run_errands(chain, view, head, self.patience)

    async def agree(self, job: JobId, stake: Tokens) -> None:
        """Joins by hand. The operator has seen the job; a sandbox too weak for it still refuses.

        Raises BadInput when no data is configured for the job's topic, or the job cannot run here;
        ApprovalNeeded; Refused when the protocol does not allow it.
        """
        view, _ = await self._look(job)
        if view is None:
            raise BadInput(f"There is no job {job}; `scatter job list` shows those there are.")
        if view.created.topic not in self.offers:
            raise BadInput(
                f"No data is configured for the topic {view.created.topic!r}; "
                "add a [[trainer.topics]] entry to node.toml."
            )
        await self._consider(view, Workplace(self.surroundings, view, self.name))
        await self.surroundings.chain.join(job, stake)

    async def _look(self, job: JobId) -> tuple[Job | None, Head]:
        chain = self.surroundings.chain
        head = await chain.head()
        history = await chain.history(job)
        return (fold(history, chain.parameters) if history else None), head

    async def _join_unasked(self, job: Job, head: Head, workplace: Workplace) -> None:
        offer = self.offers.get(job.created.topic)
        terms = job.created
        if (
            offer is None
            or not offer.join_unasked
            or job.full
            or head.time >= job.join_deadline
            or job.requester == self.surroundings.chain.account
            or terms.reward < offer.least_reward
            or terms.training_time > offer.longest_training
            or terms.least_stake > offer.stake
        ):
            return
        holdings = await self.surroundings.chain.holdings(self.surroundings.chain.account)
        if holdings.role is not Role.NONE:
            log.warning("an account with a role stake cannot join", job=job.number)
            return
        if holdings.balance < offer.stake:
            log.warning("balance too low to join", job=job.number, stake=offer.stake)
            return
        await self._consider(job, workplace)
        try:
            await self.surroundings.chain.join(job.number, offer.stake)
        except Refused as refusal:
            if str(refusal) not in _OTHERS_WERE_QUICKER:
                raise
            log.info("others were quicker", job=job.number)
        else:
            log.info("joined", job=job.number, stake=offer.stake)

    async def _consider(self, job: Job, workplace: Workplace) -> None:
        """Looks at both jobs before a stake is at risk; raises BadInput.

        An evaluation job for another model would score every honest one 0.
        """
        training = await self._inspect(job, workplace)
        folder = await workplace.evaluation_job()
        evaluated = {job.created.evaluation_job: folder}
        await demand_approval(self.surroundings, self.policy, job, evaluated)
        evaluation = await asyncio.to_thread(read_job, folder, JobKind.EVALUATE, runtimes=None)
        if evaluation.model != training.model:
            raise BadInput(
                f"The evaluation job of job {job.number} is for another model than its training "
                "job; it was not joined."
            )

    async def _inspect(self, job: Job, workplace: Workplace) -> JobFile:
        """The training job, if it may run here and is what it was published as; else BadInput."""
        sandbox = self.surroundings.sandbox
        if not self.policy.allows(job.created.training_job, sandbox.isolation):
            raise BadInput(f"Job {job.number} is a stranger's, and {self.policy.weakness(sandbox)}")
        folder = await workplace.training_job()
        training = await asyncio.to_thread(read_training_job, folder)
        if lack := lack_of_runtime(sandbox, training.runtime):
            raise BadInput(f"Job {job.number} cannot be trained here. {lack}")
        if training.topic != job.created.topic:
            raise BadInput(
                f"Job {job.number} is published under {job.created.topic!r}, "
                f"but its training job says {training.topic!r}; it was not joined."
            )
        trained = {job.created.training_job: folder}
        await demand_approval(self.surroundings, self.policy, job, trained)
        return training

    async def _submit(self, job: Job, workplace: Workplace) -> None:
        chain, store = self.surroundings.chain, self.surroundings.store
        published = await store.recall(Kind.MODEL, job.number, _OWN)
        if published is None:
            training = await self._inspect(job, workplace)
            model = await self._trained_before(job, training, workplace)
            if model is None:
                model = await self.train(job, training, workplace)
            published = await self._publish(job, model, workplace)
        key = await store.recall(Kind.MODEL_KEY, job.number, chain.account)
        assert key is not None, "the key is kept before the model is published"
        context = model_context(self.surroundings, job, chain.account)
        await chain.submit_model(job.number, Digest(published), key_commitment(Key(key), context))
        log.info("submitted a model", job=job.number)

    async def train(self, job: Job, training: JobFile, workplace: Workplace) -> Path:
        """Runs the training job on this node's data; the model's file, checked.

        Raises TrainingFailed, or BadInput when no data is configured any more.
        """
        offer = self.offers.get(training.topic)
        if offer is None:
            raise BadInput(
                f"Job {job.number} was joined, but no data is configured for {training.topic!r}; "
                "add a [[trainer.topics]] entry to node.toml before the training deadline."
            )
        output = workplace.fresh(_TRAINED)
        folder = await workplace.training_job()
        base = folder / BASE_MODEL
        task = Task(
            verb="train",
            job=folder,
            data=offer.data,
            output=output,
            models={"base": base} if base.is_file() else {},
            limits=bound_limits(training.limits, self.policy.caps),
            seed=training.seed,
            runtime=training.runtime,
        )
        outcome = await self.surroundings.sandbox.run(task)
        if not outcome.ok:
            raise TrainingFailed(f"Training for job {job.number} failed: {outcome.reason}")
        model = output / MODEL
        try:
            await asyncio.to_thread(check_model, model, training.model)
            report = await asyncio.to_thread(read_training_report, output / "metrics.json")
        except (ModelRefused, BadInput) as problem:
            raise TrainingFailed(f"Training for job {job.number}: {problem}") from problem
        facts = {
            "examples": report.examples,
            "metrics": dict(report.metrics),
            "seconds": round(outcome.seconds, 3),
            "backend": outcome.backend,
            "limits": asdict(task.limits),
        }
        await self.surroundings.store.keep(
            Kind.TRAINING, job.number, _OWN, json.dumps(facts).encode()
        )
        log.info("trained", job=job.number, seconds=round(outcome.seconds, 2))
        return model

    async def _trained_before(
        self, job: Job, training: JobFile, workplace: Workplace
    ) -> Path | None:
        """What an earlier run left, if it ended well and was not published."""
        if await self.surroundings.store.recall(Kind.TRAINING, job.number, _OWN) is None:
            return None
        model = workplace.folder / _TRAINED / MODEL
        try:
            await asyncio.to_thread(check_model, model, training.model)
        except ModelRefused as problem:
            log.warning("trains again", job=job.number, why=str(problem))
            return None
        return model

    async def _publish(self, job: Job, model: Path, workplace: Workplace) -> bytes:
        chain, store = self.surroundings.chain, self.surroundings.store
        stored = await store.recall(Kind.MODEL_KEY, job.number, chain.account)
        key = new_key() if stored is None else Key(stored)
        await store.keep(Kind.MODEL_KEY, job.number, chain.account, key)
        context = model_context(self.surroundings, job, chain.account)
        folder = workplace.fresh("published")
        folder.mkdir()
        await asyncio.to_thread(seal, model, folder / SEALED_MODEL, key, context)
        digest = await self.surroundings.content.add(folder)
        await store.keep(Kind.MODEL, job.number, _OWN, digest)
        return digest
