"""The stages of a job, each reached by honest calls on contracts and specification."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.contracts.twins import Twins
from tests.unit.vectors.reading import DATASET, SALT, order

from scatter.lifecycle.commitments import commit_to_scores
from scatter.lifecycle.deployment import Block
from scatter.mechanism.units import UNIT, Address, JobId

Tick = Callable[..., Block]

EMPTY = bytes(32)
SCORES = (9_000, 8_000, 4_000)


@dataclass
class Scene:
    """A job, its people, and a clock."""

    both: Twins
    tick: Tick
    requester: Address
    stranger: Address
    trainers: list[Address]
    validators: list[Address]
    challengers: list[Address]
    job: JobId = JobId(1)

    def create(self, **changes: Any) -> None:
        caller = changes.pop("by", self.stranger)
        self.job = self.both.create(caller, self.tick(), **order(**changes))

    def do(
        self, call: str, by: Address, *arguments: Any, seconds: int = 0, blocks: int = 0
    ) -> None:
        getattr(self.both, call)(by, *arguments, self.tick(seconds, blocks))

    def at(
        self, call: str, by: Address, *arguments: Any, seconds: int = 0, blocks: int = 0
    ) -> None:
        """The same, on the newest job."""
        self.do(call, by, self.job, *arguments, seconds=seconds, blocks=blocks)

    # The way to the stages

    def nothing(self) -> None:
        pass

    def opened(self) -> None:
        self.create(by=self.requester)

    def joined(self) -> None:
        self.opened()
        for trainer in self.trainers:
            self.at("join", trainer, UNIT)

    def training(self) -> None:
        self.joined()
        self.at("start", self.requester)

    def already(self) -> None:
        self.training()
        self.at("submit_model", self.trainers[0], DATASET, DATASET)

    def trained(self) -> None:
        self.training()
        for trainer in self.trainers:
            self.at("submit_model", trainer, DATASET, DATASET)

    def unmanned(self) -> None:
        for validator in self.validators:
            self.do("request_unstake", validator)
        self.trained()

    def drawn(self) -> None:
        self.trained()
        self.at("draw_committee", self.stranger, blocks=3)

    def published(self) -> None:
        self.trained()
        self.at("publish_dataset", self.requester, DATASET, SALT)

    def scoring(self) -> None:
        self.drawn()
        self.at("publish_dataset", self.requester, DATASET, SALT)

    def committed(self) -> None:
        self.scoring()
        first, second, third = self.validators
        for member in (first, second):
            self.at("commit_scores", member, commit_to_scores(self.job, member, SCORES, SALT))
        self.at("refrain", third)

    def scored(self) -> None:
        self.committed()
        for member in self.validators[:2]:
            self.at("reveal_scores", self.stranger, member, SCORES, SALT)

    def silenced(self) -> None:
        self.committed()
        self.at("reveal_scores", self.stranger, self.validators[0], SCORES, SALT)
        self.tick(seconds=60)

    def accused(self) -> None:
        self.scored()
        self.at("accuse", self.challengers[0], self.trainers[0])

    def upheld(self) -> None:
        self.accused()
        self.at("vote", self.challengers[1], self.trainers[0], True)

    def lonely(self) -> None:
        for challenger in self.challengers[1:]:
            self.do("request_unstake", challenger)
        self.scored()

    def over(self) -> None:
        self.scored()
        self.at("settle", self.stranger, seconds=10)


def reveal(s: Scene, scores: tuple[int, ...], of: Address | None = None, seconds: int = 0) -> None:
    s.at("reveal_scores", s.stranger, of or s.validators[0], scores, SALT, seconds=seconds)
