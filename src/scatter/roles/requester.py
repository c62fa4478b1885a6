"""A requester's duty: publish a job, start it, publish the dataset, and aggregate what it bought.

The dataset is copied, named and salted before the job exists, and served to nobody before
training has closed. Aggregation takes the accepted models only, weighted by the square of their
scores.
"""

import asyncio
import json
import secrets
import shutil
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from scatter.learning.aggregation import aggregate, score_weights
from scatter.learning.job_file import RECIPES, JobKind, read_job
from scatter.learning.model_file import ModelRefused
from scatter.learning.model_schema import ModelSchema
from scatter.lifecycle.commitments import commit_to_dataset
from scatter.lifecycle.job import Job, fold, phase
from scatter.lifecycle.verdict import judge
from scatter.lifecycle.vocabulary import Phase, Verdict
from scatter.mechanism.errors import BadInput, ScatterError
from scatter.mechanism.units import Address, Digest, JobId, Score, Seconds, Timestamp, Tokens
from scatter.ports.chain import Head, JobOrder
from scatter.ports.content import ContentNotFound, ContentRefused
from scatter.ports.peers import KeyRefused, PeerUnreachable
from scatter.ports.store import Kind
from scatter.roles.duty import Patience, Surroundings
from scatter.roles.errands import run_errands
from scatter.roles.opening import open_model
from scatter.roles.workplace import Workplace, read_training_job
from scatter.sealing import SealBroken, WrongKey

log = structlog.get_logger()

GLOBAL_MODEL = "global.safetensors"
_OWN = "own"
_BEFORE_CREATION = JobId(0)
"""A dataset is kept under its commitment before its job has a number."""


@dataclass(frozen=True)
class Proposal:
    """What a requester wants trained: three local folders and the terms."""

    training_job: Path
    evaluation_job: Path
    dataset: Path
    reward: Tokens
    threshold: Score
    floor: Score
    most_trainers: int
    least_stake: Tokens
    training_time: Seconds


@dataclass(frozen=True)
class Share:
    """One accepted model in the aggregate, or why it could not be had."""

    trainer: Address
    score: Score
    weight: float
    """0 when it could not be had."""
    problem: str


@dataclass(frozen=True)
class Result:
    """What a requester got for its reward."""

    model: Path | None
    """The aggregate; None when no accepted model could be had."""
    shares: tuple[Share, ...]


@dataclass(frozen=True)
class Requester:
    """The duty of a node that buys models."""

    surroundings: Surroundings
    patience: Patience = field(default_factory=Patience)

    @property
    def name(self) -> str:
        return "requester"

    async def publish(self, proposal: Proposal) -> JobId:
        """Publishes both job folders and creates the job.

        Raises BadInput when a folder is not what it must be, or the two jobs do not fit;
        Refused when the protocol does not allow the terms.
        """
        training = await asyncio.to_thread(read_training_job, proposal.training_job)
        evaluation = await asyncio.to_thread(
            read_job, proposal.evaluation_job, JobKind.EVALUATE, runtimes=None
        )
        known = self.surroundings.sandbox.runtimes.union(RECIPES)
        for part in (training, evaluation):
            if part.runtime not in known:
                raise BadInput(
                    f"The runtime {part.runtime!r} of {part.name!r} is none that trainers and "
                    f"validators can build; known: {', '.join(sorted(known))}."
                )
        if training.model != evaluation.model:
            raise BadInput(
                f"{proposal.evaluation_job} evaluates another model than {proposal.training_job} "
                "trains; make their [model] tables equal."
            )
        if training.topic != evaluation.topic:
            raise BadInput(
                f"{proposal.evaluation_job} has another topic than {proposal.training_job}; "
                "make them equal."
            )
        salt = secrets.token_bytes(32)
        dataset = await self._keep_dataset(proposal.dataset, salt)
        content = self.surroundings.content
        order = JobOrder(
            training_job=await content.add(proposal.training_job),
            evaluation_job=await content.add(proposal.evaluation_job),
            dataset_commitment=commit_to_dataset(dataset, salt),
            topic=training.topic,
            reward=proposal.reward,
            threshold=proposal.threshold,
            floor=proposal.floor,
            most_trainers=proposal.most_trainers,
            least_stake=proposal.least_stake,
            training_time=proposal.training_time,
        )
        job = await self.surroundings.chain.create(order)
        log.info("published", job=job, topic=training.topic)
        return job

    async def result(self, job: JobId) -> Result | None:
        """What was bought; None before the models are fetched."""
        kept = await self.surroundings.store.recall(Kind.RESULT, job, _OWN)
        return None if kept is None else _decode(kept)

    async def advance(self, job: JobId) -> Timestamp | None:
        """Does what is due; see `Duty`."""
        chain = self.surroundings.chain
        head = await chain.head()
        history = await chain.history(job)
        if not history:
            return None
        view = fold(history, chain.parameters)
        if view.requester != chain.account:
            return None
        if view.over:
            await self._drop_dataset(view)
            return await self._collect(view, head)
        now = phase(view, head.time)
        if now is Phase.DATASET and view.dataset is None:
            again = await self._publish_dataset(view, head)
            if again is not None:
                return again
            view = fold(await chain.history(job), chain.parameters)
        return await run_errands(chain, view, await chain.head(), self.patience)

    async def sweep(self) -> None:
        """Removes the copies of datasets that a publication cut short has left: no job needs them.

        To be called before anything is published.
        """
        store = self.surroundings.store
        kept = [
            await store.recall(Kind.DATASET, _BEFORE_CREATION, subject)
            for _, subject in await store.names(Kind.DATASET)
        ]
        needed = {record[32:].hex() for record in kept if record is not None}
        if self._datasets.is_dir():
            for copy in self._datasets.iterdir():
                if copy.name not in needed:
                    await asyncio.to_thread(shutil.rmtree, copy)

    @property
    def _datasets(self) -> Path:
        """Copies as they were on the day of publishing, by their salt."""
        return self.surroundings.folder / "datasets"

    async def _recall_dataset(self, job: Job) -> tuple[Digest, bytes] | None:
        """Digest and salt."""
        commitment = job.created.dataset_commitment.hex()
        kept = await self.surroundings.store.recall(Kind.DATASET, _BEFORE_CREATION, commitment)
        return None if kept is None else (Digest(kept[:32]), kept[32:])

    async def _drop_dataset(self, job: Job) -> None:
        """Removes the copy of a job that is over; what was published of it is served on."""
        kept = await self._recall_dataset(job)
        if kept is not None:
            copy = self._datasets / kept[1].hex()
            await asyncio.to_thread(shutil.rmtree, copy, ignore_errors=True)

    async def _keep_dataset(self, folder: Path, salt: bytes) -> Digest:
        """Copies and names the dataset, and remembers its salt; nothing is served yet."""
        copy = self._datasets / salt.hex()
        try:
            await asyncio.to_thread(shutil.copytree, folder, copy)
        except (OSError, shutil.Error) as error:
            raise BadInput(f"The dataset {folder} cannot be copied: {error}.") from error
        digest = await self.surroundings.content.name(copy)
        commitment = commit_to_dataset(digest, salt)
        await self.surroundings.store.keep(
            Kind.DATASET, _BEFORE_CREATION, commitment.hex(), digest + salt
        )
        return digest

    async def _publish_dataset(self, job: Job, head: Head) -> Timestamp | None:
        """Publishes once the seed block has passed, so that one call also draws the committee.

        Returns when to look again while it has not.
        """
        deadline, seed_block = job.dataset_deadline, job.seed_block
        assert deadline is not None and seed_block is not None, "DATASET is open"
        late = head.time >= deadline - (deadline - (job.closed_at or head.time)) // 2
        if head.time >= deadline:
            return None
        if head.number <= seed_block and not late:
            return Timestamp(head.time + 1)
        kept = await self._recall_dataset(job)
        if kept is None:
            raise ScatterError(
                f"The dataset of job {job.number} is not in this node's store; "
                "the job was published from another data directory."
            )
        digest, salt = kept
        copy = self._datasets / salt.hex()
        added = await self.surroundings.content.add(copy)
        if added != digest:
            raise ScatterError(f"{copy} was changed after job {job.number} committed to it.")
        await self.surroundings.chain.publish_dataset(job.number, digest, salt)
        log.info("published the dataset", job=job.number)
        return None

    async def _collect(self, job: Job, head: Head) -> Timestamp | None:
        """Fetches and aggregates the accepted models, once."""
        if job.verdict is not Verdict.NORMAL or await self.result(job.number) is not None:
            return None
        workplace = Workplace(self.surroundings, job, self.name)
        folder = await workplace.training_job()
        training = await asyncio.to_thread(read_job, folder, JobKind.TRAIN, runtimes=None)
        ended = job.ended_at or head.time
        give_up = head.time >= ended + job.parameters.challenge_window
        judgement = judge(job)
        averages = judgement.averages or ()
        shares: list[Share] = []
        models: list[Path] = []
        scores: list[Score] = []
        # By account, not by submission: the sum of floats depends on the order.
        for trainer in sorted(judgement.accepted, key=lambda accepted: accepted.account):
            assert trainer.place is not None, "only submitted models are accepted"
            score = averages[trainer.place]
            try:
                holders = [trainer.account, *job.committee]
                path = await open_model(workplace, trainer, training.model, holders)
            except (KeyRefused, PeerUnreachable, ContentNotFound) as problem:
                if not give_up:
                    log.info("waiting for a bought model", job=job.number, why=str(problem))
                    return Timestamp(head.time + self.patience.retry)
                shares.append(Share(trainer.account, score, 0.0, str(problem)))
                continue
            except (ContentRefused, SealBroken, WrongKey, ModelRefused) as problem:
                shares.append(Share(trainer.account, score, 0.0, str(problem)))
                continue
            models.append(path)
            scores.append(score)
            shares.append(Share(trainer.account, score, 1.0, ""))
        result = await self._aggregate(job, training.model, models, scores, shares)
        await self.surroundings.store.keep(Kind.RESULT, job.number, _OWN, _encode(result))
        await workplace.clear()
        log.info("aggregated", job=job.number, models=len(models))
        return None

    async def _aggregate(
        self,
        job: Job,
        schema: ModelSchema,
        models: list[Path],
        scores: list[Score],
        shares: list[Share],
    ) -> Result:
        if not models:
            return Result(None, tuple(shares))
        folder = self.surroundings.folder / "results" / str(job.number)
        folder.mkdir(parents=True, exist_ok=True)
        target = folder / GLOBAL_MODEL
        weights = score_weights(scores)
        await asyncio.to_thread(aggregate, list(zip(models, weights, strict=True)), schema, target)
        total = sum(weights)
        weighed = [
            Share(s.trainer, s.score, s.weight * s.score**2 / total, s.problem) for s in shares
        ]
        return Result(target, tuple(weighed))


def _encode(result: Result) -> bytes:
    return json.dumps(
        {
            "model": None if result.model is None else str(result.model),
            "shares": [vars(share) for share in result.shares],
        }
    ).encode()


def _decode(record: bytes) -> Result:
    table = json.loads(record)
    shares = tuple(
        Share(Address(s["trainer"]), Score(s["score"]), float(s["weight"]), str(s["problem"]))
        for s in table["shares"]
    )
    return Result(None if table["model"] is None else Path(table["model"]), shares)
