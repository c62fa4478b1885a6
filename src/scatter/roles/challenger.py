"""A challenger's duty: examine everything again, accuse whoever cheated, vote by what it sees.

It examines the models for itself, and judges by `scatter.lifecycle.opinion`.
"""

import json
from dataclasses import dataclass, field

import structlog

from scatter.lifecycle.job import Job, fold, is_settleable, phase
from scatter.lifecycle.keys import post
from scatter.lifecycle.opinion import Finding, opinion, suspects
from scatter.lifecycle.reasons import (
    ACCUSATIONS_CLOSED,
    ALREADY_ACCUSED,
    ALREADY_CONDEMNED,
    VOTE_CLOSED,
)
from scatter.lifecycle.vocabulary import Phase
from scatter.mechanism.errors import BadInput, Refused
from scatter.mechanism.units import WHOLE, Address, JobId, Score, Timestamp
from scatter.ports.chain import Head
from scatter.ports.content import ContentNotFound
from scatter.ports.store import Kind
from scatter.roles.duty import Patience, SandboxPolicy, Surroundings
from scatter.roles.errands import run_errands
from scatter.roles.evidence import keep_evidence, publish_evidence
from scatter.roles.examination import Examination, Examiner, KeysMissing
from scatter.roles.letters import was_kept_from
from scatter.roles.workplace import Workplace

log = structlog.get_logger()

Pairs = frozenset[tuple[Address, Address]]
"""Members and trainers."""

_OWN = "own"
_MISSING = "missing"
_TOO_LATE = {ACCUSATIONS_CLOSED, ALREADY_ACCUSED, ALREADY_CONDEMNED, VOTE_CLOSED}


@dataclass(frozen=True)
class Challenger:
    """The duty of a node that holds a challenger's stake."""

    surroundings: Surroundings
    policy: SandboxPolicy
    patience: Patience = field(default_factory=Patience)

    @property
    def name(self) -> str:
        return "challenger"

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
        if now is Phase.COMMIT and await chain.is_elector(job, chain.account):
            return await self._look_ahead(view, head) or view.challenge_start
        if now in (Phase.COMMIT, Phase.REVEAL):
            return view.challenge_start
        if now is not Phase.CHALLENGE:
            return None
        if _is_open_to_accusations(view, head) and await chain.is_elector(job, chain.account):
            again = await self._speak(view, head)
            if again is not None:
                return again
            view, head = fold(await chain.history(job), chain.parameters), await chain.head()
        return await run_errands(chain, view, head, self.patience)

    async def examine(self, job: Job, *, give_up_on_keys: bool) -> Examination:
        """What this node makes of the models; see `Examiner.examine`."""
        return await self._examiner(job).examine(job, give_up_on_keys=give_up_on_keys)

    def _examiner(self, job: Job) -> Examiner:
        workplace = Workplace(self.surroundings, job, self.name)
        return Examiner(self.surroundings, self.policy, workplace)

    async def _look_ahead(self, job: Job, head: Head) -> Timestamp | None:
        """Sees which models the committee can have, as long as it waits for them.

        Returns when to try again for those that are missing.
        """
        if head.time > post(job).answer_by:
            return None
        try:
            missing = await self._examiner(job).fetch_ahead(job)
        except (ContentNotFound, BadInput) as problem:
            log.info("cannot look at the models yet", job=job.number, why=str(problem))
            return Timestamp(head.time + self.patience.retry)
        record = json.dumps(sorted(missing)).encode()
        await self.surroundings.store.keep(Kind.FINDING, job.number, _MISSING, record)
        return Timestamp(head.time + self.patience.retry) if missing else None

    async def _speak(self, job: Job, head: Head) -> Timestamp | None:
        """Accuses and votes by what was found; returns when to try again while it waits."""
        chain = self.surroundings.chain
        try:
            finding = await self._find(job, head)
        except KeysMissing as missing:
            log.info("waiting for keys", job=job.number, why=str(missing))
            return Timestamp(head.time + self.patience.retry)
        if finding is None:
            return None
        turn = Timestamp((job.challenge_start or head.time) + self.patience.accuse)
        if head.time >= turn:
            await self._accuse(job, finding, head)
            job = fold(await chain.history(job.number), chain.parameters)
        # A vote waits for nobody's turn: it wins nothing, and accusations end early.
        await self._vote(job, finding, await chain.head())
        return turn if head.time < turn else None

    async def _find(self, job: Job, head: Head) -> Finding | None:
        """This node's own view of the job; None when there was nothing that could be scored."""
        if job.dataset is None or not job.models:
            return None
        store = self.surroundings.store
        kept = await store.recall(Kind.FINDING, job.number, _OWN)
        if kept is not None:
            return decode_finding(kept)
        opens, closes = job.challenge_start, job.challenge_deadline
        assert opens is not None and closes is not None, "CHALLENGE is open"
        give_up = head.time >= opens + (closes - opens) * self.patience.keys // WHOLE
        found = await self.examine(job, give_up_on_keys=give_up)
        await keep_evidence(self.surroundings, job, self.name, found)
        excused, doubtful = await self._excuses(job, found)
        finding = Finding(
            scores=found.scores,
            unseen=found.unseen,
            duplicates=found.duplicates,
            reason_to_refrain=found.reason_to_refrain,
            tolerance=found.tolerance,
            excused=excused,
            doubtful=doubtful,
        )
        await store.keep(Kind.FINDING, job.number, _OWN, encode_finding(finding))
        log.info("examined", job=job.number, scores=list(finding.scores))
        return finding

    async def _excuses(self, job: Job, found: Examination) -> tuple[Pairs, Pairs]:
        """Of the 0s for models that are worth something: which are no lie, and which may be none.

        They are none where the member asked for the key over the chain and had no right answer,
        or where it waited for a model that could not be had.
        """
        kept = await self.surroundings.store.recall(Kind.FINDING, job.number, _MISSING)
        missing = set() if kept is None else set(json.loads(kept))
        excused, doubtful = set(), set()
        for member in job.committee.values():
            waited = (member.committed_at or 0) >= post(job).answer_by
            scored = zip(job.models, member.scores or (), found.scores, strict=False)
            for trainer, theirs, ours in scored:
                if theirs > 0 or ours == 0 or not waited:
                    continue
                pair = member.account, trainer.account
                if (
                    await was_kept_from(self.surroundings, job, trainer, member)
                    or trainer.account in missing
                ):
                    excused.add(pair)
                elif kept is None:
                    doubtful.add(pair)
        return frozenset(excused), frozenset(doubtful)

    async def _accuse(self, job: Job, finding: Finding, head: Head) -> None:
        for target in suspects(job, finding, self.surroundings.chain.account):
            deadline = job.accusation_deadline(target)
            if deadline is None or head.time >= deadline:
                continue
            workplace = Workplace(self.surroundings, job, self.name)
            evidence = await publish_evidence(workplace, self.name)
            try:
                await self.surroundings.chain.accuse(job.number, target)
                log.warning("accused", job=job.number, target=target, evidence=evidence)
            except Refused as refusal:
                _pass_over(refusal)

    async def _vote(self, job: Job, finding: Finding, head: Head) -> None:
        own = self.surroundings.chain.account
        # Members first: without the scores of one that lied, the rest may condemn a trainer by
        # themselves, and then no friend of the trainer's wins the stake by accusing it.
        members_first = sorted(job.accusations.items(), key=lambda item: item[0] in job.trainers)
        for target, accusation in members_first:
            if (
                own in (target, *accusation.yes, *accusation.no)
                or accusation.upheld
                or head.time >= accusation.vote_deadline
                or own in job.condemned
            ):
                continue
            guilty = opinion(job, finding, target)
            if guilty is None:
                continue
            try:
                await self.surroundings.chain.vote(job.number, target, guilty)
                log.info("voted", job=job.number, target=target, guilty=guilty)
            except Refused as refusal:
                _pass_over(refusal)


def _is_open_to_accusations(job: Job, head: Head) -> bool:
    """Whether an accusation or a vote can still change anything.

    If not, nothing is examined: whatever keeps this node from it must not keep the job from ending.
    """
    enough = job.electorate >= job.parameters.least_electorate
    return enough and not is_settleable(job, head.time)


def encode_finding(finding: Finding) -> bytes:
    return json.dumps(
        {
            "scores": list(finding.scores),
            "unseen": sorted(finding.unseen),
            "duplicates": sorted(finding.duplicates),
            "reason": finding.reason_to_refrain,
            "tolerance": finding.tolerance,
            "excused": sorted(finding.excused),
            "doubtful": sorted(finding.doubtful),
        }
    ).encode()


def decode_finding(record: bytes) -> Finding:
    table = json.loads(record)
    return Finding(
        scores=tuple(Score(int(score)) for score in table["scores"]),
        unseen=frozenset(Address(account) for account in table["unseen"]),
        duplicates=frozenset(Address(account) for account in table["duplicates"]),
        reason_to_refrain=str(table["reason"]),
        tolerance=Score(int(table["tolerance"])),
        excused=_pairs(table.get("excused", [])),
        doubtful=_pairs(table.get("doubtful", [])),
    )


def _pairs(listed: list[list[str]]) -> Pairs:
    return frozenset((Address(member), Address(trainer)) for member, trainer in listed)


def _pass_over(refusal: Refused) -> None:
    """Another was quicker, or it is too late; any other refusal is an error of ours."""
    if str(refusal) not in _TOO_LATE:
        raise refusal
