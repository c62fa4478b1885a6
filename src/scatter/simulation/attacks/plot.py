"""One job from the offer to the settlement, in which everybody does its duty.

An attack is a subclass that replaces a step; its docstring says what the gang does.
"""

from collections.abc import Callable, Mapping
from enum import Enum
from types import MappingProxyType
from typing import ClassVar

from scatter.economy.challenge import speak_out
from scatter.economy.play import NOTHING_WRONG, TOLERANCE
from scatter.lifecycle.commitments import commit_to_dataset, commit_to_scores
from scatter.lifecycle.deployment import Block
from scatter.lifecycle.job import Job, settleable_at
from scatter.lifecycle.opinion import Finding
from scatter.mechanism.units import WHOLE, Address, Digest, JobId, Score, Seconds, Tokens
from scatter.simulation.attacks.stage import REQUESTER, Setting, Stage

GOOD = Score(8_000)
"""What an honest evaluation makes of an honest model."""
BAD = Score(2_000)
"""And of one that nobody took trouble with."""
NOTHING = Score(0)
BEST = Score(WHOLE)

THE_THIRD_IS_BAD: Mapping[str, Score] = MappingProxyType({"trainer 3": BAD})

DATASET = Digest(bytes(31) + b"\x01")
SALT = bytes(31) + b"\x02"
OTHER = Digest(bytes(31) + b"\x03")


class Deed(Enum):
    """What a member does in place of scoring."""

    REFRAIN = "refrain"
    SILENT = "silent"


Card = tuple[Score, ...] | Deed
"""A member's scores, one per model in the order of submission."""


class Plot:
    """Everybody is honest."""

    name: ClassVar[str] = "honesty"
    gang: ClassVar[tuple[str, ...]] = ()
    """Whose tokens count together."""
    stopped_by: ClassVar[str] = ""
    known: ClassVar[bool] = False
    """Whether it is known and not cured, so that it may pay even under `hardened`."""
    setting: Setting = Setting()
    scores: ClassVar[Mapping[str, Score]] = MappingProxyType({})
    """What an honest evaluation makes of the models that are not good, by trainer."""
    unseen: ClassVar[frozenset[str]] = frozenset()
    """Trainers whose key the challengers cannot get, from them or from anybody."""
    kept_from: ClassVar[Mapping[str, tuple[str, ...]]] = MappingProxyType({})
    """By trainer, the members that did not get its key or model, as every challenger can see; what
    shows it, letters on the chain, moves no token."""

    def __init__(self, stage: Stage, setting: Setting) -> None:
        self.stage = stage
        self.rules = stage.rules
        self.setting = setting
        self.number = JobId(1)

    @classmethod
    def alternative(cls) -> tuple["type[Plot]", Setting]:
        """What the same accounts do when they are honest, and who is there then."""
        return Plot, cls.setting

    @classmethod
    def count_in_gang(cls, role: str) -> int:
        return sum(name.startswith(role) for name in cls.gang)

    @classmethod
    def is_of_a_minority(cls) -> bool:
        """At most a third of the validators, and of the challengers."""
        validators, challengers = map(cls.count_in_gang, ("validator", "challenger"))
        setting = cls.setting
        return 3 * validators <= len(setting.validators) and 3 * challengers <= setting.challengers

    @classmethod
    def prologue(cls) -> tuple[Callable[..., None], ...]:
        """What leads to the end of the training: the same for most plots."""
        return cls.prepare, cls.offer, cls.join, cls.train

    @property
    def job(self) -> Job:
        return self.rules.job(self.number)

    @property
    def trainers(self) -> tuple[str, ...]:
        return tuple(name for name, _ in self.setting.trainers)

    def prepare(self) -> None:
        """Until training is over."""
        self.offer()
        self.join()
        self.train()

    def carry_out(self) -> None:
        """From the draw to the settlement."""
        if not self.job.over:
            self.publish()
            if self.job.scoring_opened_at is not None:
                self.score()
                self.stage.clock.wait_until(self.job.challenge_start)
                self.strike()
                self.challenge()
                self.strike_again()
            self.settle()

    # The steps

    def offer(self) -> None:
        self.stage.do(self.order(self.rules.parameters.least_training), REQUESTER)

    def order(self, training_time: int) -> Callable[[Address, Block], None]:
        """The call that makes the offer."""
        setting, p = self.setting, self.rules.parameters

        def create(caller: Address, block: Block) -> None:
            self.rules.create(
                caller,
                block,
                training_job=OTHER,
                evaluation_job=OTHER,
                dataset_commitment=commit_to_dataset(DATASET, SALT),
                topic="attacked",
                reward=p.least_reward if setting.reward is None else setting.reward,
                threshold=setting.threshold,
                floor=setting.threshold,
                most_trainers=len(setting.trainers),
                least_stake=Tokens(1),
                training_time=Seconds(training_time),
            )

        return create

    def join(self) -> None:
        for name, stake in self.setting.trainers:
            self.stage.do(self.rules.join, name, self.number, stake)
        self.stage.do(self.rules.start, REQUESTER, self.number)

    def train(self) -> None:
        for name in self.trainers:
            self.submit(name, model_of(name))

    def submit(self, name: str, model: Digest) -> None:
        self.stage.do(self.rules.submit_model, name, self.number, model, OTHER)

    def publish(self) -> None:
        self.stage.clock.pass_blocks(self.rules.parameters.seed_delay)
        self.stage.do(self.rules.publish_dataset, REQUESTER, self.number, DATASET, SALT)

    def score(self) -> None:
        members = map(self.stage.name, self.job.committee)
        cards = {name: self.card(name) for name in members}
        for name, card in cards.items():
            if card is Deed.REFRAIN:
                self.stage.do(self.rules.refrain, name, self.number)
            elif isinstance(card, tuple):
                hidden = self.hide(name, card)
                self.stage.do(self.rules.commit_scores, name, self.number, hidden)
        self.stage.clock.wait_until(self.job.reveal_start)
        for name, card in cards.items():
            if isinstance(card, tuple) and self.reveals(name):
                member = self.stage.account(name)
                self.stage.do(self.rules.reveal_scores, name, self.number, member, card, SALT)

    def challenge(self) -> None:
        """What the challengers outside the gang say."""
        finding = Finding(
            scores=self.quality(),
            unseen=frozenset(map(self.stage.account, self.unseen)),
            duplicates=frozenset(),
            reason_to_refrain=NOTHING_WRONG,
            tolerance=TOLERANCE,
            excused=frozenset(
                (self.stage.account(member), self.stage.account(trainer))
                for trainer, members in self.kept_from.items()
                for member in members
            ),
        )
        honest = [name for name in self.setting.electorate if name not in self.gang]
        speakers = [(self.stage.account(name), False) for name in honest]
        speak_out(self.stage.clock, self.job, finding, speakers)

    def settle(self) -> None:
        self.stage.clock.wait_until(settleable_at(self.job))
        self.stage.do(self.rules.settle, REQUESTER, self.number)

    # What an attack replaces

    def card(self, member: str) -> Card:
        return self.quality()

    def hide(self, member: str, card: tuple[Score, ...]) -> Digest:
        return commit_to_scores(self.number, self.stage.account(member), card, SALT)

    def reveals(self, member: str) -> bool:
        return True

    def strike(self) -> None:
        """Before the honest challengers speak."""

    def strike_again(self) -> None:
        """After them."""

    # What can be seen and done

    def quality(self) -> tuple[Score, ...]:
        return self.with_scores({})

    def with_scores(
        self, changed: Mapping[str, Score], others: Score | None = None
    ) -> tuple[Score, ...]:
        """The honest scores but for these trainers, and, if given, but for all others."""
        names = [self.stage.name(trainer.account) for trainer in self.job.models]
        return tuple(
            changed.get(name, self.scores.get(name, GOOD) if others is None else others)
            for name in names
        )

    def accuse(self, accuser: str, target: str) -> None:
        self.stage.do(self.rules.accuse, accuser, self.number, self.stage.account(target))

    def vote_guilty(self, voter: str, target: str) -> None:
        self.stage.do(self.rules.vote, voter, self.number, self.stage.account(target), True)


def model_of(name: str) -> Digest:
    return Digest(name.encode().rjust(32, b"\0"))


class Abstention(Plot):
    """Nothing is offered, nobody joins."""

    name = "staying away"

    def prepare(self) -> None:
        pass

    def carry_out(self) -> None:
        pass
