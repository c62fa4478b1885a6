"""Participants that cheat in the ways of the paper's section 4.

Each is the honest duty with one step replaced. Nothing tells the others that it cheats: they find
out by evaluating.
"""

import asyncio
from dataclasses import dataclass, replace
from pathlib import Path

from scatter.learning.job_file import JobFile
from scatter.lifecycle.job import Job
from scatter.mechanism.units import WHOLE, Score
from scatter.roles.challenger import Challenger
from scatter.roles.examination import Examination, write_fresh_model
from scatter.roles.trainer import Trainer
from scatter.roles.validator import Validator
from scatter.roles.workplace import MODEL, Workplace


@dataclass(frozen=True)
class RandomWeightsTrainer(Trainer):
    """Saves itself the training: it submits random weights of the right shape (4.2)."""

    async def train(self, job: Job, training: JobFile, workplace: Workplace) -> Path:
        """Draws the weights; each account draws others, or they would count as copies."""
        await self._inspect(job, workplace)
        folder = workplace.fresh("trained")
        folder.mkdir()
        seed = (training.seed + int(self.surroundings.chain.account, 16)) % 2**64
        await asyncio.to_thread(write_fresh_model, folder / MODEL, training.model, seed)
        return folder / MODEL


@dataclass(frozen=True)
class SwappingValidator(Validator):
    """Gives the good models the bad scores, and the bad ones the good (4.3)."""

    async def examine(self, job: Job, *, give_up_on_keys: bool) -> Examination:
        """The honest examination, turned upside down."""
        honest = await super().examine(job, give_up_on_keys=give_up_on_keys)
        return _turn_around(honest)


@dataclass(frozen=True)
class FalseChallenger(Challenger):
    """Accuses and votes by the opposite of what it sees."""

    async def examine(self, job: Job, *, give_up_on_keys: bool) -> Examination:
        """The honest examination, turned upside down."""
        honest = await super().examine(job, give_up_on_keys=give_up_on_keys)
        return _turn_around(honest)


def _turn_around(honest: Examination) -> Examination:
    return replace(honest, scores=tuple(Score(WHOLE - score) for score in honest.scores))
