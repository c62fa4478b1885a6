"""Attacks by requesters."""

from types import MappingProxyType

from scatter.lifecycle import reasons
from scatter.lifecycle.vocabulary import Role
from scatter.mechanism.units import Score, Tokens
from scatter.simulation.attacks.plot import BEST, OTHER, SALT, Abstention, Plot
from scatter.simulation.attacks.stage import REQUESTER, STAKE, Setting

OWN_TRAINER = "newcomer 1"


class DatasetChosenAfterwards(Plot):
    """Publishes another dataset than it has committed to, on which every model fails."""

    name = "dataset chosen afterwards"
    gang = (REQUESTER,)
    stopped_by = "the commitment of the offer"

    def publish(self) -> None:
        self.stage.clock.pass_blocks(self.rules.parameters.seed_delay)
        another = (self.rules.publish_dataset, REQUESTER, self.number, OTHER, SALT)
        self.stage.fail(reasons.DATASET_NOT_AS_COMMITTED, *another)
        super().publish()


class DatasetWithheld(Plot):
    """Publishes none. It has no models for it."""

    name = "silence of the requester"
    gang = (REQUESTER,)
    stopped_by = "the trainers are paid all the same"

    def publish(self) -> None:
        self.stage.clock.pass_blocks(self.rules.parameters.seed_delay)
        self.stage.do(self.rules.draw_committee, "trainer 1", self.number)


class OutOfReach(Plot):
    """Asks for a score that no model reaches. It has no models for it."""

    name = "threshold out of reach"
    gang = (REQUESTER,)
    stopped_by = "tax and validators are paid; trainers read the threshold before they join"
    setting = Setting(threshold=Score(9_999))

    @classmethod
    def alternative(cls) -> tuple[type[Plot], Setting]:
        return Abstention, Setting()


class OwnTrainer(Plot):
    """Joins its own job under another name, knowing the dataset."""

    name = "requester that trains under another name"
    gang = (REQUESTER, OWN_TRAINER)
    stopped_by = "nothing: a new account has no history"
    setting = Setting(trainers=(*Setting().trainers, (OWN_TRAINER, STAKE)))
    scores = MappingProxyType({OWN_TRAINER: BEST})
    known = True

    @classmethod
    def alternative(cls) -> tuple[type[Plot], Setting]:
        return Plot, Setting()


class GarbageData(Plot):
    """Commits to a dataset on which every model fails; an own validator reads the models."""

    name = "requester with garbage data and an own validator"
    gang = (REQUESTER, "validator 3")
    stopped_by = "nothing: it pays tax and validators, 30 % of the reward"
    scores = MappingProxyType({f"trainer {n}": Score(1_000) for n in (1, 2, 3)})
    known = True


class Spam(Plot):
    """The cheapest job that makes validators work, with an own trainer and the least of stakes."""

    name = "spam jobs"
    gang = (REQUESTER, OWN_TRAINER)
    stopped_by = "the least reward: its tax is gone, its validators are paid"
    setting = Setting(trainers=((OWN_TRAINER, Tokens(1)),), reward=None, threshold=Score(1))

    @classmethod
    def alternative(cls) -> tuple[type[Plot], Setting]:
        return Abstention, Setting()


class OverflowingDeadlines(Plot):
    """Offers a job that never ends, so that stakes stay locked."""

    name = "overflowing deadlines"
    gang = (REQUESTER,)
    stopped_by = "bounds on every window and time"

    @classmethod
    def alternative(cls) -> tuple[type[Plot], Setting]:
        return Abstention, Setting()

    def prepare(self) -> None:
        for seconds in (self.rules.parameters.most_training + 1, 2**256 - 1):
            self.stage.fail(reasons.TRAINING_TIME_OUT_OF_BOUNDS, self.order(seconds), REQUESTER)

    def carry_out(self) -> None:
        pass


class ZeroStake(Plot):
    """Takes a role with nothing at stake."""

    name = "zero-stake shares"
    gang = (OWN_TRAINER,)
    stopped_by = "at least the stake of the role, at least one unit on a job"

    def publish(self) -> None:
        attempt = (self.rules.register, OWN_TRAINER, Role.VALIDATOR, 0)
        self.stage.fail(reasons.ROLE_STAKE_OUT_OF_BOUNDS, *attempt)
        super().publish()
