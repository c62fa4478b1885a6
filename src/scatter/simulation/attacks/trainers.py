"""Attacks by trainers."""

from types import MappingProxyType

from scatter.lifecycle import reasons
from scatter.mechanism.units import Tokens
from scatter.simulation.attacks.plot import (
    BAD,
    BEST,
    NOTHING,
    THE_THIRD_IS_BAD,
    Abstention,
    Card,
    Plot,
    model_of,
)
from scatter.simulation.attacks.stage import REQUESTER, STAKE, Setting

THE_OTHERS = (("trainer 1", STAKE), ("trainer 2", STAKE))
FOUR = tuple(f"trainer {n}" for n in (3, 4, 5, 6))


class ModelCopying(Plot):
    """Submits another's sealed model as its own."""

    name = "model copying"
    gang = ("trainer 3",)
    stopped_by = "a seal names its trainer: the key opens nothing, the score is 0"
    scores = MappingProxyType({"trainer 3": NOTHING})

    def train(self) -> None:
        for name in self.trainers:
            self.submit(name, model_of("trainer 1" if name == "trainer 3" else name))


class BadModel(Plot):
    """Saves itself the training."""

    name = "bad model"
    gang = ("trainer 3",)
    stopped_by = "under the floor its stake is lost"
    scores = THE_THIRD_IS_BAD


class SilentTrainer(Plot):
    """Takes a place and submits nothing."""

    name = "silence of a trainer"
    gang = ("trainer 3",)
    stopped_by = "its stake is lost"

    def train(self) -> None:
        for name in self.trainers[:-1]:
            self.submit(name, model_of(name))
        close_training(self)


class PlacesTaken(Plot):
    """Takes every place and submits nothing."""

    name = "all places taken"
    gang = ("trainer 1", "trainer 2", "trainer 3")
    stopped_by = "every stake is lost; a requester asks for one that hurts"

    def train(self) -> None:
        close_training(self)


class CheapPlaces(Plot):
    """Takes every place of a job that asks for next to no stake, and submits rubbish."""

    name = "all places taken for nothing"
    gang = ("trainer 1", "trainer 2", "trainer 3")
    stopped_by = "nothing but the least stake that the requester asks for"
    setting = Setting(trainers=tuple((f"trainer {n}", Tokens(1)) for n in (1, 2, 3)))
    scores = MappingProxyType(dict.fromkeys(gang, BAD))

    @classmethod
    def alternative(cls) -> tuple[type[Plot], Setting]:
        return Abstention, Setting()


class SplitStake(Plot):
    """Four accounts with a quarter of the stake each, and a model each."""

    name = "split stakes"
    gang = FOUR
    stopped_by = "nothing but the least stake: the root pays small stakes better"
    setting = Setting(trainers=(*THE_OTHERS, *((name, Tokens(STAKE // 4)) for name in FOUR)))
    known = True

    @classmethod
    def alternative(cls) -> tuple[type[Plot], Setting]:
        return Plot, Setting()


class ManyNames(Plot):
    """One model with a little noise from four accounts, the whole stake on each."""

    name = "one model under four names"
    gang = FOUR
    stopped_by = "nothing but the number of places: only equal models score 0"
    setting = Setting(trainers=(*THE_OTHERS, *((name, STAKE) for name in FOUR)))
    known = True

    @classmethod
    def alternative(cls) -> tuple[type[Plot], Setting]:
        return Plot, Setting()


class PaidTwice(Plot):
    """Has the job settled again."""

    name = "being paid twice"
    gang = ("trainer 1", "trainer 2", "trainer 3")
    stopped_by = "a job ends once"

    def settle(self) -> None:
        super().settle()
        self.stage.fail(reasons.ALREADY_OVER, self.rules.settle, "trainer 1", self.number)


class KeyKeptFromChallengers(Plot):
    """Hands its key to the committee alone; an own member lies about that model.

    An honest member passes the key on, so the challengers see the model all the same.
    """

    name = "key kept from the challengers"
    gang = ("trainer 3", "validator 3")
    stopped_by = "whoever verified a key passes it on; the liar is condemned"

    def card(self, member: str) -> Card:
        return self.with_scores({"trainer 3": BEST} if member == "validator 3" else {})


class KeyForOneMember(Plot):
    """Hands its key to an own member alone, which lies; nobody else ever sees the model."""

    name = "key for an own member alone"
    gang = ("trainer 3", "validator 3")
    stopped_by = "the others asked over the chain and score 0: it is under the floor"
    unseen = frozenset({"trainer 3"})
    kept_from = MappingProxyType({"trainer 3": ("validator 1", "validator 2")})

    def card(self, member: str) -> Card:
        return self.with_scores({"trainer 3": BEST if member == "validator 3" else NOTHING})


class KeyKeptFromOne(Plot):
    """Keeps its key from one member, for an own challenger to accuse it of a false 0.

    The member has the key from another, and there is nothing to accuse it of.
    """

    name = "key kept from one member"
    gang = ("trainer 3", "challenger 1")
    stopped_by = "whoever verified a key passes it on"


class KeyKeptFromAll(Plot):
    """Keeps its key from the whole committee, but not from the challengers; an own one accuses
    every member of a false 0.
    """

    name = "key kept from the committee"
    gang = ("trainer 3", "challenger 1")
    stopped_by = "the members asked over the chain: their 0 is no lie, and the trainer's loss"
    robbed: tuple[str, ...] = ("validator 1", "validator 2", "validator 3")
    kept_from = MappingProxyType({"trainer 3": robbed})

    def card(self, member: str) -> Card:
        return self.with_scores({"trainer 3": NOTHING})

    def strike(self) -> None:
        for member in self.robbed:
            self.accuse("challenger 1", member)


class ModelKeptFromAll(KeyKeptFromAll):
    """The same with the sealed file, which nobody can fetch until the committee has scored.

    The honest challengers looked for it meanwhile, too.
    """

    name = "model kept from the committee"
    stopped_by = "the challengers could not have it either: a 0 is no lie, and the trainer's loss"


class FalseWantOfAKey(Plot):
    """A member gives a 0 and says that it had no key, which its trainer sent it over the chain."""

    name = "false want of a key"
    gang = ("validator 3",)
    stopped_by = "the trainer's answer is on the chain: the 0 is a lie"

    def card(self, member: str) -> Card:
        return self.with_scores({"trainer 1": NOTHING} if member == "validator 3" else {})


def close_training(plot: Plot) -> None:
    """At the deadline, by the requester."""
    plot.stage.clock.wait_until(plot.job.training_deadline)
    plot.stage.do(plot.rules.close_training, REQUESTER, plot.number)
