"""Attacks by challengers, and on what they decide."""

from scatter.lifecycle import reasons
from scatter.lifecycle.vocabulary import Role
from scatter.mechanism.units import Timestamp
from scatter.simulation.attacks.plot import BEST, NOTHING, THE_THIRD_IS_BAD, Card, Deed, Plot
from scatter.simulation.attacks.stage import NEWCOMERS, Setting

SIX = Setting(challengers=6)
"""Two of them are a third, and four are needed to condemn."""


class LotteryFarming(Plot):
    """An own validator lies, an own challenger is the first to accuse it."""

    name = "lottery farming"
    gang = ("validator 3", "challenger 1")
    stopped_by = "an accuser wins half of the fine"

    def card(self, member: str) -> Card:
        return self.with_scores({}, NOTHING) if member == "validator 3" else super().card(member)

    def strike(self) -> None:
        self.accuse("challenger 1", "validator 3")


class ShamAccusation(Plot):
    """An own validator lies a bad model above the floor; an own challenger accuses its trainer
    first, to win half of the stake or to let the accusation fail.
    """

    name = "immunity by a sham accusation"
    gang = ("trainer 3", "validator 3", "challenger 1")
    stopped_by = "all may vote until C + V, on members first; then the scores condemn, for no prize"
    scores = THE_THIRD_IS_BAD

    def card(self, member: str) -> Card:
        lie = {"trainer 3": BEST} if member == "validator 3" else {}
        return self.with_scores(lie)

    def strike(self) -> None:
        self.accuse("challenger 1", "trainer 3")


class LowScoreRemoved(Plot):
    """One own validator holds a bad model under the floor, so that no accuser wins by it, another
    above it once the first is condemned.
    """

    name = "immunity by a low score later removed"
    gang = ("trainer 3", "validator 2", "validator 3")
    stopped_by = "whoever is under the floor can be accused; both liars are condemned"
    scores = THE_THIRD_IS_BAD

    def card(self, member: str) -> Card:
        lies = {"validator 2": {"trainer 3": BEST}, "validator 3": {"trainer 3": NOTHING}}
        return self.with_scores(lies.get(member, {}))


class Lynching(Plot):
    """Two challengers condemn an honest trainer while the others sleep; they do not."""

    name = "two-challenger lynching"
    gang = ("challenger 1", "challenger 2")
    stopped_by = "two thirds of the whole electorate, not of the votes cast"
    setting = SIX

    def strike(self) -> None:
        self.accuse("challenger 1", "trainer 1")
        self.vote_guilty("challenger 2", "trainer 1")


class SerialAccusation(Plot):
    """The same innocent is accused again and again, until somebody gives in."""

    name = "serial accusation"
    gang = ("challenger 1",)
    stopped_by = "one accusation per target and job; false accusers are accused"

    def strike(self) -> None:
        self.accuse("challenger 1", "trainer 1")
        target = self.stage.account("trainer 1")
        again = (self.rules.accuse, "challenger 1", self.number, target)
        self.stage.fail(reasons.ALREADY_ACCUSED, *again)


class LastSecondAccusation(Plot):
    """An innocent is accused in the last second, when nobody can answer."""

    name = "last-second accusation"
    gang = ("challenger 1",)
    stopped_by = "a whole vote window follows, and accusers are accusable in it"

    def strike(self) -> None:
        self.stage.clock.wait_until(_second_before(self.job.challenge_deadline))
        self.accuse("challenger 1", "trainer 1")


class Delay(Plot):
    """An accusation in the last second, then one against a challenger in the last second of that:
    everybody's money waits for two more vote windows.
    """

    name = "delay"
    gang = ("challenger 1", "challenger 2")
    stopped_by = "it ends at C + 2V; the first accuser pays, the second cannot be accused"
    setting = SIX
    known = True

    def strike(self) -> None:
        self.stage.clock.wait_until(_second_before(self.job.challenge_deadline))
        self.accuse("challenger 1", "trainer 1")

    def strike_again(self) -> None:
        self.stage.clock.wait_until(
            _second_before(self.job.accusation_deadline(self.stage.account("challenger 3")))
        )
        self.accuse("challenger 2", "challenger 3")


class AfterTheSettlement(Plot):
    """A trainer is accused when its stake has been returned already."""

    name = "acting after the settlement"
    gang = ("challenger 1",)
    stopped_by = "every vote is closed by then"

    def settle(self) -> None:
        super().settle()
        target = self.stage.account("trainer 1")
        late = (self.rules.accuse, "challenger 1", self.number, target)
        self.stage.fail(reasons.ACCUSATIONS_CLOSED, *late)


class Packing(Plot):
    """Three accounts become challengers when training has closed, to outvote the others."""

    name = "packing the electorate"
    gang = NEWCOMERS
    stopped_by = "the electorate is counted before the close"

    def publish(self) -> None:
        for name in NEWCOMERS:
            self.stage.register(name, Role.CHALLENGER)
        super().publish()

    def strike(self) -> None:
        target = self.stage.account("trainer 1")
        for name in NEWCOMERS:
            attempt = (self.rules.accuse, name, self.number, target)
            self.stage.fail(reasons.NOT_AN_ELECTOR, *attempt)


class Diluting(Plot):
    """The same, to let two thirds become more votes than the honest have; a validator lies."""

    name = "diluting the electorate"
    gang = ("validator 3", *NEWCOMERS)
    stopped_by = "the electorate is counted before the close"

    def publish(self) -> None:
        for name in NEWCOMERS:
            self.stage.register(name, Role.CHALLENGER)
        super().publish()

    def card(self, member: str) -> Card:
        return self.with_scores({}, NOTHING) if member == "validator 3" else super().card(member)


class Leaving(Plot):
    """A challenger accuses an innocent and asks its stake back before anybody can answer."""

    name = "leaving to escape"
    gang = ("challenger 1",)
    stopped_by = "who leaves still answers until unbonding is over"

    def strike(self) -> None:
        self.accuse("challenger 1", "trainer 1")
        self.stage.do(self.rules.request_unstake, "challenger 1")


class VerdictByRemoval(Plot):
    """A refrain, and false accusations of the other members, to make it two thirds of the rest."""

    name = "verdict by removal"
    gang = ("trainer 3", "validator 3", "challenger 1")
    stopped_by = "two thirds of the committee as drawn"
    scores = THE_THIRD_IS_BAD

    def card(self, member: str) -> Card:
        return Deed.REFRAIN if member == "validator 3" else super().card(member)

    def strike(self) -> None:
        for target in ("validator 1", "validator 2"):
            self.accuse("challenger 1", target)


class Collusion(Plot):
    """Three of four challengers condemn every trainer, and win their stakes."""

    name = "two thirds of the electorate collude"
    gang = ("challenger 1", "challenger 2", "challenger 3")
    stopped_by = "nothing"
    known = True

    def strike(self) -> None:
        for target in self.trainers:
            self.accuse("challenger 1", target)
            self.vote_guilty("challenger 2", target)
            self.vote_guilty("challenger 3", target)


class SilentElectorate(Plot):
    """Two of five challengers do nothing, while an own validator lies for an own trainer."""

    name = "silent third of the electorate"
    gang = ("trainer 3", "validator 3", "challenger 1", "challenger 2")
    stopped_by = "nothing: more than a third blocks every accusation"
    setting = Setting(challengers=5)
    known = True

    def card(self, member: str) -> Card:
        return lie_for_the_third(self, member)


class TooFewChallengers(Plot):
    """The same where one honest challenger is all there are."""

    name = "too few challengers"
    gang = ("trainer 3", "validator 3")
    stopped_by = "nothing: below the least electorate nobody can be accused"
    setting = Setting(challengers=1)
    known = True

    def card(self, member: str) -> Card:
        return lie_for_the_third(self, member)


class CaughtLiar(Plot):
    """A validator lies; the first honest challenger wins by it."""

    name = "a liar is caught"

    def card(self, member: str) -> Card:
        return self.with_scores({}, NOTHING) if member == "validator 3" else super().card(member)


class CopiedAccusation(CaughtLiar):
    """A challenger sees another's accusation in the pool of transactions, and pays for a better
    place in the block.
    """

    name = "accusation copied from the mempool"
    gang = ("challenger 4",)
    stopped_by = "nothing: one accuser wins, the prize is the same"
    known = True

    @classmethod
    def alternative(cls) -> tuple[type[Plot], Setting]:
        return CaughtLiar, cls.setting

    def strike(self) -> None:
        self.accuse("challenger 4", "validator 3")


def lie_for_the_third(plot: Plot, member: str) -> Card:
    """The best score for trainer 3, none for the others."""
    return (
        plot.with_scores({"trainer 3": BEST}, NOTHING)
        if member == "validator 3"
        else plot.quality()
    )


def _second_before(moment: Timestamp | None) -> Timestamp:
    assert moment is not None, "SCORING is open"
    return Timestamp(moment - 1)
