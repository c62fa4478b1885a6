"""A validator's duty: when drawn, score every model; commit, then reveal; or refrain with cause.

Scores and salt are on disk before their commitment is sent, so that what was committed to can
always be revealed.
"""

import json
import secrets
from dataclasses import dataclass, field

import structlog

from scatter.lifecycle.commitments import commit_to_scores
from scatter.lifecycle.job import Job, Member, fold, phase
from scatter.lifecycle.keys import post
from scatter.lifecycle.vocabulary import Phase
from scatter.mechanism.errors import ScatterError
from scatter.mechanism.units import WHOLE, JobId, Score, Timestamp
from scatter.ports.chain import Head
from scatter.ports.content import ContentNotFound
from scatter.ports.store import Kind
from scatter.roles.duty import Patience, SandboxPolicy, Surroundings
from scatter.roles.errands import run_errands
from scatter.roles.evidence import keep_evidence, publish_evidence
from scatter.roles.examination import Examination, Examiner, KeysMissing, refraining
from scatter.roles.workplace import Workplace

log = structlog.get_logger()

_OWN = "own"


@dataclass(frozen=True)
class Validator:
    """The duty of a node that holds a validator's stake."""

    surroundings: Surroundings
    policy: SandboxPolicy
    patience: Patience = field(default_factory=Patience)

    @property
    def name(self) -> str:
        return "validator"

    async def advance(self, job: JobId) -> Timestamp | None:
        """Does what is due; see `Duty`."""
        chain = self.surroundings.chain
        head = await chain.head()
        history = await chain.history(job)
        if not history:
            return None
        view = fold(history, chain.parameters)
        if view.over:
            await Workplace(self.surroundings, view, self.name).clear()
            return None
        now = phase(view, head.time)
        member = view.committee.get(chain.account)
        if now is Phase.COMMIT and member is not None and _has_to_act(member):
            again = await self._commit(view, head)
            if again is not None:
                return again
        if now is Phase.REVEAL and member is not None and member.commitment and not member.acted:
            await self._reveal(view)
        if now is Phase.DATASET or member is not None:
            due = await run_errands(chain, view, head, self.patience)
            return _sooner(due, view.reveal_start if member is not None else None, head)
        return None

    async def examine(self, job: Job, *, give_up_on_keys: bool) -> Examination:
        """What this node makes of the models; see `Examiner.examine`."""
        workplace = Workplace(self.surroundings, job, self.name)
        examiner = Examiner(self.surroundings, self.policy, workplace)
        return await examiner.examine(job, give_up_on_keys=give_up_on_keys)

    async def _commit(self, job: Job, head: Head) -> Timestamp | None:
        """Commits or refrains; returns when to try again while keys are outstanding."""
        chain, store = self.surroundings.chain, self.surroundings.store
        kept = await store.recall(Kind.SCORES, job.number, _OWN)
        if kept is None:
            opened, closes = job.scoring_opened_at, job.reveal_start
            assert opened is not None and closes is not None, "COMMIT is open"
            give_up = head.time >= opened + (closes - opened) * self.patience.keys // WHOLE
            try:
                # A 0 for want of a key is no lie only from the end of the post on.
                unanswered = give_up and head.time >= post(job).answer_by
                found = await self.examine(job, give_up_on_keys=unanswered)
            except KeysMissing as missing:
                log.info("waiting for keys", job=job.number, why=str(missing))
                return Timestamp(head.time + self.patience.retry)
            except ContentNotFound as problem:
                if not give_up:
                    log.info("waiting for the dataset", job=job.number, why=str(problem))
                    return Timestamp(head.time + self.patience.retry)
                # Silence would be fined, too, and would give the requester its reward back.
                found = refraining(job, f"The evaluation cannot be had: {problem}")
            await keep_evidence(self.surroundings, job, self.name, found)
            kept = _encode(found, secrets.token_bytes(32))
            await store.keep(Kind.SCORES, job.number, _OWN, kept)
        scores, salt, reason = decode_scores(kept)
        if reason:
            workplace = Workplace(self.surroundings, job, self.name)
            evidence = await publish_evidence(workplace, self.name)
            log.warning("refrains from scoring", job=job.number, why=reason, evidence=evidence)
            await chain.refrain(job.number)
            return None
        commitment = commit_to_scores(job.number, chain.account, scores, salt)
        await chain.commit_scores(job.number, commitment)
        log.info("committed to scores", job=job.number)
        return None

    async def _reveal(self, job: Job) -> None:
        chain = self.surroundings.chain
        kept = await self.surroundings.store.recall(Kind.SCORES, job.number, _OWN)
        if kept is None:
            raise ScatterError(
                f"The scores of job {job.number} are not in this node's store; "
                "they were committed to from another data directory."
            )
        scores, salt, _ = decode_scores(kept)
        await chain.reveal_scores(job.number, chain.account, scores, salt)
        log.info("revealed scores", job=job.number, scores=list(scores))


def _has_to_act(member: Member) -> bool:
    return member.commitment is None and not member.refrained


def _sooner(first: Timestamp | None, second: Timestamp | None, head: Head) -> Timestamp | None:
    """The earlier of two times that are still to come."""
    times = [time for time in (first, second) if time is not None and time > head.time]
    return min(times, default=first)


def _encode(found: Examination, salt: bytes) -> bytes:
    return json.dumps(
        {
            "scores": list(found.scores),
            "remarks": list(found.remarks),
            "reason": found.reason_to_refrain,
            "salt": salt.hex(),
        }
    ).encode()


def decode_scores(record: bytes) -> tuple[tuple[Score, ...], bytes, str]:
    """Scores, salt, and the reason to refrain (empty when there is none) of a stored record."""
    table = json.loads(record)
    scores = tuple(Score(int(score)) for score in table["scores"])
    return scores, bytes.fromhex(table["salt"]), str(table["reason"])
