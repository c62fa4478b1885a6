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
    """Hands its key to the committee alone; an own member lies about that model, and no challenger
    can tell.
    """

    name = "key kept from the challengers"
    gang = ("trainer 3", "validator 3")
    stopped_by = "nothing: who has not seen a model judges no score of it"
    unseen = frozenset({"trainer 3"})
    known = True

    def card(self, member: str) -> Card:
        return self.with_scores({"trainer 3": BEST} if member == "validator 3" else {})


class KeyKeptFromOne(Plot):
    """Hands its key to all but one member, whose honest 0 then looks false; an own challenger
    accuses it.
    """

    name = "key kept from one member"
    gang = ("trainer 3", "challenger 1")
    stopped_by = "nothing: a 0 for want of a key looks like a lie"
    known = True
    robbed: tuple[str, ...] = ("validator 1",)

    def card(self, member: str) -> Card:
        return self.with_scores({"trainer 3": NOTHING} if member in self.robbed else {})

    def strike(self) -> None:
        for member in self.robbed:
            self.accuse("challenger 1", member)


class KeyKeptFromAll(KeyKeptFromOne):
    """The same with the whole committee: nobody's scores are left, and the stake comes back."""

    name = "key kept from the committee"
    robbed = ("validator 1", "validator 2", "validator 3")


def close_training(plot: Plot) -> None:
    """At the deadline, by the requester."""
    plot.stage.clock.wait_until(plot.job.training_deadline)
    plot.stage.do(plot.rules.close_training, REQUESTER, plot.number)
