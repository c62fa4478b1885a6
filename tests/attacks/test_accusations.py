"""Attacks on accusations and the lottery, by whoever has accounts in several roles.

Every call is made on contracts and specification alike. What an attack earns is counted over all
accounts of the attacker, and set beside what they would have had by acting honestly.
"""

import pytest
from tests.attacks.conftest import Wealth, score
from tests.contracts.scene import Tick
from tests.contracts.twins import Twins
from tests.unit.vectors.reading import DATASET, SALT, address_of, order

from scatter.lifecycle import reasons
from scatter.lifecycle.commitments import commit_to_scores
from scatter.lifecycle.vocabulary import Role, Verdict
from scatter.mechanism.errors import Refused
from scatter.mechanism.units import UNIT, Address, JobId, Score, Tokens

HONEST = (Score(9_000), Score(8_000), Score(4_000))
PARTS = Tokens(200 * UNIT)
"""R_v of the job: 1,000 tokens, of which a fifth."""


@pytest.fixture
def commit_job(both: Twins, tick: Tick, trained_job: JobId, requester: Address) -> JobId:
    """The committee may commit to scores."""
    both.publish_dataset(requester, trained_job, DATASET, SALT, tick(blocks=3))
    return trained_job


class TestLotteryFarming:
    """One's own validator cheats, one's own challengers accuse it, and win."""

    def farm(self, both: Twins, tick: Tick, job: JobId, cheat: Address, own: list[Address]) -> None:
        both.accuse(own[0], job, cheat, tick())
        both.vote(own[1], job, cheat, True, tick())

    @pytest.mark.parametrize(("profile", "profit"), [("paper", 100 * UNIT)])
    def test_pays_under_the_paper_s_profile(
        self,
        both: Twins,
        tick: Tick,
        wealth: Wealth,
        scored_job: JobId,
        validators: list[Address],
        challengers: list[Address],
        profit: int,
    ) -> None:
        gang = [validators[0], *challengers[:2]]
        before = wealth(*gang)

        self.farm(both, tick, scored_job, validators[0], challengers)

        # The fine of 200 comes back, and the tax of this job with it.
        assert wealth(*gang) - before == profit

    def test_loses_half_of_the_fine_under_the_hardened_one(
        self,
        both: Twins,
        tick: Tick,
        wealth: Wealth,
        scored_job: JobId,
        stranger: Address,
        validators: list[Address],
        challengers: list[Address],
    ) -> None:
        gang = [validators[0], *challengers[:2]]
        before = wealth(*gang)

        self.farm(both, tick, scored_job, validators[0], challengers)
        both.settle(stranger, scored_job, tick(seconds=15))

        assert wealth(*gang) - before == -100 * UNIT
        assert wealth(validators[1]) == 100_000 * UNIT + PARTS // 2  # an honest one has this more

    def test_loses_half_of_the_stake_when_the_cheat_is_a_trainer(
        self,
        both: Twins,
        tick: Tick,
        wealth: Wealth,
        scored_job: JobId,
        stranger: Address,
        trainers: list[Address],
        challengers: list[Address],
    ) -> None:
        gang = [trainers[0], *challengers[:2]]
        before = wealth(*gang) + 1_000 * UNIT  # the stake on the job

        self.farm(both, tick, scored_job, trainers[0], challengers)
        both.settle(stranger, scored_job, tick(seconds=15))

        assert wealth(*gang) - before == -500 * UNIT

    @pytest.mark.parametrize("profile", ["paper", "hardened"])
    def test_saves_nothing_of_a_stake_that_the_scores_have_forfeited(
        self,
        both: Twins,
        tick: Tick,
        wealth: Wealth,
        scored_job: JobId,
        trainers: list[Address],
        challengers: list[Address],
    ) -> None:
        gang = [trainers[2], *challengers[:2]]  # the third is under the floor
        before = wealth(*gang)

        self.farm(both, tick, scored_job, trainers[2], challengers)

        assert wealth(*gang) == before


@pytest.mark.parametrize("profile", ["paper", "hardened"])
def test_two_challenger_lynching(
    both: Twins,
    tick: Tick,
    wealth: Wealth,
    trained_job: JobId,
    requester: Address,
    validators: list[Address],
    challengers: list[Address],
    trainers: list[Address],
    stranger: Address,
) -> None:
    """Two accounts of three would do; two of four, the others silent, take nothing."""
    fourth = address_of("challenger 4")
    both.transfer(address_of("treasury"), fourth, Tokens(20_000 * UNIT))
    both.register(fourth, Role.CHALLENGER, Tokens(20_000 * UNIT), tick())
    job = another_job(both, tick, requester, trainers)
    both.publish_dataset(requester, job, DATASET, SALT, tick(blocks=3))
    score(both, tick, job, dict.fromkeys(validators, HONEST))
    before = wealth(*challengers[:2])

    both.accuse(challengers[0], job, trainers[0], tick())
    both.vote(challengers[1], job, trainers[0], True, tick())
    both.settle(stranger, job, tick(seconds=15))

    assert wealth(*challengers[:2]) == before
    assert trainers[0] not in both.job(job).condemned


def another_job(both: Twins, tick: Tick, requester: Address, trainers: list[Address]) -> JobId:
    job = both.create(requester, tick(), **order())
    for trainer in trainers:
        both.join(trainer, job, Tokens(1_000 * UNIT), tick())
    both.start(requester, job, tick())
    for trainer in trainers:
        both.submit_model(trainer, job, DATASET, DATASET, tick())
    return job


def test_serial_accusation(
    both: Twins,
    tick: Tick,
    scored_job: JobId,
    trainers: list[Address],
    challengers: list[Address],
) -> None:
    """Who fails to convince the others cannot try again, nor can a friend."""
    both.accuse(challengers[0], scored_job, trainers[0], tick())
    both.vote(challengers[1], scored_job, trainers[0], False, tick())

    for accuser in challengers:
        with pytest.raises(Refused, match=reasons.ALREADY_ACCUSED):
            both.accuse(accuser, scored_job, trainers[0], tick())


def test_immunity_by_a_sham_accusation(
    both: Twins,
    tick: Tick,
    scored_job: JobId,
    trainers: list[Address],
    challengers: list[Address],
) -> None:
    """A friend accuses first and hopes that the rest sleep: their votes still condemn."""
    both.accuse(challengers[0], scored_job, trainers[0], tick())

    both.vote(challengers[1], scored_job, trainers[0], True, tick(seconds=14))

    assert trainers[0] in both.job(scored_job).condemned


def test_last_second_accusation(
    both: Twins,
    tick: Tick,
    scored_job: JobId,
    trainers: list[Address],
    challengers: list[Address],
    stranger: Address,
) -> None:
    """It leaves everybody a whole vote window, and nobody settles before."""
    both.accuse(challengers[0], scored_job, trainers[0], tick(seconds=9))

    with pytest.raises(Refused, match=reasons.TOO_EARLY):
        both.settle(stranger, scored_job, tick(seconds=5))
    both.vote(challengers[1], scored_job, trainers[0], False, tick())
    both.settle(stranger, scored_job, tick(seconds=1))
    assert both.job(scored_job).verdict is Verdict.NORMAL


def test_counter_accusation_in_the_last_second(
    both: Twins,
    tick: Tick,
    scored_job: JobId,
    trainers: list[Address],
    challengers: list[Address],
    stranger: Address,
) -> None:
    """Accusing the accuser delays the end by one more vote window, and no further."""
    both.accuse(challengers[0], scored_job, trainers[0], tick(seconds=9))
    both.accuse(challengers[1], scored_job, challengers[0], tick(seconds=5))
    with pytest.raises(Refused, match=reasons.ACCUSATIONS_CLOSED):
        both.accuse(challengers[0], scored_job, challengers[1], tick(seconds=1))

    with pytest.raises(Refused, match=reasons.TOO_EARLY):
        both.settle(stranger, scored_job, tick(seconds=4))
    both.settle(stranger, scored_job, tick(seconds=1))


def test_acting_after_the_settlement(
    both: Twins,
    tick: Tick,
    scored_job: JobId,
    trainers: list[Address],
    challengers: list[Address],
    stranger: Address,
) -> None:
    """A stake that was returned is not forfeited once more."""
    both.accuse(challengers[0], scored_job, trainers[0], tick())
    both.settle(stranger, scored_job, tick(seconds=15))

    with pytest.raises(Refused, match=reasons.ACCUSATIONS_CLOSED):
        both.accuse(challengers[1], scored_job, trainers[1], tick())
    with pytest.raises(Refused, match=reasons.VOTE_CLOSED):
        both.vote(challengers[1], scored_job, trainers[0], True, tick())


class TestPackingTheElectorate:
    """Whoever comes after the close neither votes nor counts; whoever leaves still does both."""

    def test_newcomers_have_no_voice(
        self, both: Twins, tick: Tick, scored_job: JobId, trainers: list[Address]
    ) -> None:
        packed = [address_of(f"packed {i}") for i in range(3)]
        for account in packed:
            both.transfer(address_of("treasury"), account, Tokens(20_000 * UNIT))
            both.register(account, Role.CHALLENGER, Tokens(20_000 * UNIT), tick())

        for account in packed:
            with pytest.raises(Refused, match=reasons.NOT_AN_ELECTOR):
                both.accuse(account, scored_job, trainers[0], tick())
        assert both.job(scored_job).votes_needed == 2

    def test_newcomers_do_not_dilute_the_votes(
        self,
        both: Twins,
        tick: Tick,
        scored_job: JobId,
        trainers: list[Address],
        challengers: list[Address],
    ) -> None:
        account = address_of("diluting")
        both.transfer(address_of("treasury"), account, Tokens(20_000 * UNIT))
        both.register(account, Role.CHALLENGER, Tokens(20_000 * UNIT), tick())

        both.accuse(challengers[0], scored_job, trainers[0], tick())
        both.vote(challengers[1], scored_job, trainers[0], True, tick())

        assert trainers[0] in both.job(scored_job).condemned

    def test_who_leaves_votes_and_pays(
        self,
        both: Twins,
        tick: Tick,
        wealth: Wealth,
        scored_job: JobId,
        trainers: list[Address],
        challengers: list[Address],
    ) -> None:
        liar = challengers[2]
        both.accuse(liar, scored_job, trainers[0], tick())
        both.request_unstake(liar, tick())
        both.request_unstake(challengers[1], tick())
        both.accuse(challengers[0], scored_job, liar, tick())

        both.vote(challengers[1], scored_job, liar, True, tick())

        assert wealth(liar) == 100_000 * UNIT - 200 * UNIT


class TestVerdicts:
    """Turning the verdict by what the committee does, or by who is taken out of it."""

    def test_quorum_stuffing(
        self,
        both: Twins,
        tick: Tick,
        commit_job: JobId,
        validators: list[Address],
        stranger: Address,
    ) -> None:
        """A refrain does not keep the others from the quorum: their scores stand."""
        both.refrain(validators[0], commit_job, tick())
        score(both, tick, commit_job, dict.fromkeys(validators[1:], HONEST))
        both.settle(stranger, commit_job, tick(seconds=10))

        assert both.job(commit_job).verdict is Verdict.NORMAL

    def test_verdict_by_removal(
        self,
        both: Twins,
        tick: Tick,
        wealth: Wealth,
        commit_job: JobId,
        validators: list[Address],
        challengers: list[Address],
        requester: Address,
        stranger: Address,
    ) -> None:
        """With the honest member condemned, one refrain of three drawn is still no two thirds."""
        both.refrain(validators[0], commit_job, tick())
        score(both, tick, commit_job, dict.fromkeys(validators[1:], HONEST))
        for honest in validators[1:]:
            both.accuse(challengers[0], commit_job, honest, tick())
            both.vote(challengers[1], commit_job, honest, True, tick())
        before = wealth(requester)
        both.settle(stranger, commit_job, tick(seconds=15))

        assert both.job(commit_job).verdict is Verdict.VALIDATORS_FAILED
        assert wealth(requester) - before == 900 * UNIT

    def test_false_refrain(
        self,
        both: Twins,
        tick: Tick,
        wealth: Wealth,
        commit_job: JobId,
        validators: list[Address],
        challengers: list[Address],
        requester: Address,
        stranger: Address,
    ) -> None:
        """Two thirds flag an honest requester to share its reward: challengers undo it."""
        for cheat in validators[:2]:
            both.refrain(cheat, commit_job, tick())
        score(both, tick, commit_job, {validators[2]: HONEST})
        assert both.foresee(commit_job).verdict is Verdict.REQUESTER_MALICIOUS
        before = wealth(*validators[:2])

        both.accuse(challengers[0], commit_job, validators[0], tick())
        both.vote(challengers[1], commit_job, validators[0], True, tick())
        both.settle(stranger, commit_job, tick(seconds=15))

        assert both.job(commit_job).verdict is Verdict.NORMAL
        assert wealth(*validators[:2]) - before == -200 * UNIT
        assert wealth(validators[2]) == 100_000 * UNIT + PARTS

    def test_scores_that_do_not_count(
        self,
        both: Twins,
        tick: Tick,
        wealth: Wealth,
        commit_job: JobId,
        validators: list[Address],
        trainers: list[Address],
        stranger: Address,
    ) -> None:
        """One member's zeros, the quorum missed, cost no trainer its stake."""
        zeros, member = (Score(0), Score(0), Score(0)), validators[0]
        hashed = commit_to_scores(commit_job, member, zeros, SALT)
        both.commit_scores(member, commit_job, hashed, tick())
        both.reveal_scores(member, commit_job, member, zeros, SALT, tick(seconds=60))
        both.settle(stranger, commit_job, tick(seconds=10))

        assert both.job(commit_job).verdict is Verdict.VALIDATORS_FAILED
        assert wealth(*trainers) == 300_000 * UNIT
        assert wealth(*validators[1:]) == 200_000 * UNIT - 400 * UNIT

    def test_a_condemned_member_s_scores_turn_nothing(
        self,
        both: Twins,
        tick: Tick,
        wealth: Wealth,
        commit_job: JobId,
        validators: list[Address],
        challengers: list[Address],
        trainers: list[Address],
        stranger: Address,
    ) -> None:
        """A liar that would sink every trainer is taken out of the average, and pays."""
        zeros = (Score(0), Score(0), Score(0))
        cards = {validators[0]: zeros, validators[1]: HONEST, validators[2]: HONEST}
        score(both, tick, commit_job, cards)

        both.accuse(challengers[0], commit_job, validators[0], tick())
        both.vote(challengers[1], commit_job, validators[0], True, tick())
        both.settle(stranger, commit_job, tick(seconds=15))

        assert both.job(commit_job).verdict is Verdict.NORMAL
        assert wealth(trainers[0]) > 100_000 * UNIT
        assert wealth(validators[0]) == 100_000 * UNIT - 200 * UNIT
