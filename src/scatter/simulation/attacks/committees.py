"""Attacks by committee members, and on the draw."""

from typing import ClassVar

from scatter.lifecycle import reasons
from scatter.lifecycle.vocabulary import Role
from scatter.mechanism.units import Digest, JobId, Score
from scatter.simulation.attacks.accusations import lie_for_the_third
from scatter.simulation.attacks.plot import (
    GOOD,
    NOTHING,
    THE_THIRD_IS_BAD,
    Card,
    Deed,
    Plot,
)
from scatter.simulation.attacks.stage import NEWCOMERS, REQUESTER, Setting

WIDTH = 10
"""The tolerance of challengers, in basis points."""


class Grinding(Plot):
    """Three accounts become validators once training has closed, and draw until they are in."""

    name = "committee grinding"
    gang = NEWCOMERS
    stopped_by = "who is eligible is fixed before the seed block, the seed before its hash"

    def publish(self) -> None:
        for name in NEWCOMERS:
            self.stage.register(name, Role.VALIDATOR)
        self.stage.clock.pass_blocks(self.rules.parameters.seed_delay)
        self.stage.do(self.rules.draw_committee, NEWCOMERS[0], self.number)
        again = (self.rules.draw_committee, NEWCOMERS[0], self.number)
        self.stage.fail(reasons.ALREADY_DRAWN, *again)
        super().publish()


class ScoreCopying(Plot):
    """A validator saves itself the work and commits to what another has committed to."""

    name = "score copying"
    gang = ("validator 3",)
    stopped_by = "a commitment names its member; the copy cannot be opened"

    def hide(self, member: str, card: tuple[Score, ...]) -> Digest:
        return super().hide("validator 1" if member == "validator 3" else member, card)

    def reveals(self, member: str) -> bool:
        return member != "validator 3"


class QuorumStuffing(Plot):
    """A refrain that keeps the others from the quorum, so that a bad model goes unpunished."""

    name = "quorum stuffing"
    gang = ("trainer 3", "validator 3")
    stopped_by = "a refrain counts as acting"
    scores = THE_THIRD_IS_BAD

    def card(self, member: str) -> Card:
        return Deed.REFRAIN if member == "validator 3" else super().card(member)


class FalseRefrain(Plot):
    """Two of three members call an honest requester malicious: a bad model is paid like a good
    one.
    """

    name = "false refrain"
    gang = ("trainer 3", "validator 2", "validator 3")
    stopped_by = "refraining members are accused"
    scores = THE_THIRD_IS_BAD

    def card(self, member: str) -> Card:
        return super().card(member) if member == "validator 1" else Deed.REFRAIN


class Sleepers(Plot):
    """Two honest members are asleep."""

    name = "two members are asleep"

    def card(self, member: str) -> Card:
        return super().card(member) if member == "validator 3" else Deed.SILENT


class ScoresThatDoNotCount(Sleepers):
    """The only member awake gives every trainer 0."""

    name = "scores that do not count"
    gang = ("validator 3",)
    stopped_by = "no quorum, no averages; and challengers look at every score"

    @classmethod
    def alternative(cls) -> tuple[type[Plot], Setting]:
        return Sleepers, cls.setting

    def card(self, member: str) -> Card:
        return self.with_scores({}, NOTHING) if member == "validator 3" else super().card(member)


class OneLiar(Plot):
    """A member gives its own trainer the best score and all others 0."""

    name = "one lying member"
    gang = ("trainer 3", "validator 3")
    stopped_by = "challengers condemn it; condemned scores leave the average"

    def card(self, member: str) -> Card:
        return lie_for_the_third(self, member)


class CapturedCommittee(Plot):
    """Two of three members do."""

    name = "captured committee"
    gang = ("trainer 3", "validator 2", "validator 3")
    stopped_by = "challengers condemn both; the third member's scores are left"

    def card(self, member: str) -> Card:
        return self.quality() if member == "validator 1" else lie_for_the_third(self, "validator 3")


class Shading(Plot):
    """A member shades its scores by no more than two honest evaluations may differ."""

    name = "shading within the tolerance"
    gang = ("trainer 3", "validator 3")
    stopped_by = "nothing: within the tolerance nobody can tell"
    known = True

    def card(self, member: str) -> Card:
        up, down = Score(GOOD + WIDTH), Score(GOOD - WIDTH)
        shaded = self.with_scores({"trainer 3": up}, down)
        return shaded if member == "validator 3" else super().card(member)


class LastRevealer(Plot):
    """A member that lied for its own trainer sees the others' scores first, and does not reveal."""

    name = "last revealer's option"
    gang = ("trainer 3", "validator 3")
    stopped_by = "silence costs what a lie does, and saves no trainer"
    scores = THE_THIRD_IS_BAD

    def card(self, member: str) -> Card:
        return lie_for_the_third(self, member)

    def reveals(self, member: str) -> bool:
        return member != "validator 3"


class SilentMember(Plot):
    """A member saves itself the work."""

    name = "silence of a member"
    gang = ("validator 3",)
    stopped_by = "equation 8 at settlement, and no pay"

    def card(self, member: str) -> Card:
        return Deed.SILENT if member == "validator 3" else super().card(member)


class SilentCommittee(Plot):
    """Two of three members stay silent, and the job fails."""

    name = "silent third of a committee"
    gang: ClassVar[tuple[str, ...]] = ("validator 2", "validator 3")
    stopped_by = "equation 8 for each, every time dearer"

    def card(self, member: str) -> Card:
        return super().card(member) if member == "validator 1" else Deed.SILENT


class FailedJob(SilentCommittee):
    """The same two members, paid by the requester: they hand it the models, and it has its reward
    back.
    """

    name = "requester that lets its job fail"
    gang = (REQUESTER, "validator 2", "validator 3")
    stopped_by = "two of three members drawn by luck, and fines that double"
    known = True


class TwoJobs(Plot):
    """Two jobs, one after the other."""

    name = "two honest jobs"

    def carry_out(self) -> None:
        super().carry_out()
        self.number = JobId(self.number + 1)
        self.move_over()
        self.prepare()
        super().carry_out()

    def move_over(self) -> None:
        """Between the two."""


class NewAccount(TwoJobs):
    """A validator lies, leaves, and lies again from a new account, whose first fine is a small
    one.
    """

    name = "a new account resets the count of offences"
    gang = ("validator 3", "newcomer 1")
    stopped_by = "even the first fine costs more than a lie brings"

    @classmethod
    def alternative(cls) -> tuple[type[Plot], Setting]:
        return TwoJobs, cls.setting

    def move_over(self) -> None:
        self.stage.do(self.rules.request_unstake, "validator 3")
        self.stage.register("newcomer 1", Role.VALIDATOR)

    def card(self, member: str) -> Card:
        return self.with_scores({}, NOTHING) if member in self.gang else super().card(member)


class LateTopUp(Plot):
    """A member adds to its stake when it knows that it is drawn."""

    name = "late top-up"
    gang = ("validator 3",)
    stopped_by = "the amount of a role is fixed for its life"

    def publish(self) -> None:
        super().publish()
        attempt = (self.rules.register, "validator 3", Role.VALIDATOR, 2 * 10**22)
        self.stage.fail(reasons.HAS_A_ROLE, *attempt)
