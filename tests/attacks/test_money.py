"""Attacks on escrow, stakes, deadlines, titles: to be paid twice, to lock others out, to spam."""

import pytest
from tests.attacks.conftest import Wealth, score
from tests.contracts.scene import Tick
from tests.contracts.twins import Twins
from tests.unit.vectors.reading import DATASET, SALT, order

from scatter.adapters.contracts import PROTOCOL, TOKEN, TRAINING_JOBS
from scatter.lifecycle import reasons
from scatter.lifecycle.vocabulary import Role, Verdict
from scatter.mechanism.equations import penalty
from scatter.mechanism.errors import Refused
from scatter.mechanism.parameters import HARDENED
from scatter.mechanism.units import UNIT, Address, JobId, Score, Tokens


class TestBeingPaidTwice:
    def test_by_settling_again(
        self, both: Twins, tick: Tick, wealth: Wealth, scored_job: JobId, trainers: list[Address]
    ) -> None:
        both.settle(trainers[0], scored_job, tick(seconds=10))
        before = wealth(*trainers)

        with pytest.raises(Refused, match=reasons.ALREADY_OVER):
            both.settle(trainers[0], scored_job, tick(seconds=100))
        assert wealth(*trainers) == before

    def test_by_settling_what_was_cancelled(
        self, both: Twins, tick: Tick, wealth: Wealth, open_job: JobId, requester: Address
    ) -> None:
        both.cancel(requester, open_job, tick(seconds=60))

        for call in (both.settle, both.cancel):
            with pytest.raises(Refused):
                call(requester, open_job, tick(seconds=100))
        assert wealth(requester) == 100_000 * UNIT - 100 * UNIT  # the tax

    def test_by_a_stake_forfeited_first_and_settled_later(
        self,
        both: Twins,
        tick: Tick,
        wealth: Wealth,
        scored_job: JobId,
        trainers: list[Address],
        challengers: list[Address],
    ) -> None:
        both.accuse(challengers[0], scored_job, trainers[0], tick())
        both.vote(challengers[1], scored_job, trainers[0], True, tick())
        both.settle(trainers[0], scored_job, tick(seconds=15))

        assert wealth(trainers[0]) == 99_000 * UNIT

    def test_by_selling_the_title_of_the_job(
        self,
        both: Twins,
        tick: Tick,
        wealth: Wealth,
        scored_job: JobId,
        requester: Address,
        stranger: Address,
    ) -> None:
        """The buyer gets a title; what the job returns goes to who paid for it."""
        both.contracts.call(
            requester, "transferFrom", requester, stranger, scored_job, contract=TRAINING_JOBS
        )
        both.settle(stranger, scored_job, tick(seconds=10))

        assert wealth(stranger) == 100_000 * UNIT
        assert both.contracts.read(PROTOCOL, "requesterOf", scored_job) == requester.lower()


class TestLockingOthersOut:
    def test_a_settled_job_frees_its_people(
        self,
        both: Twins,
        tick: Tick,
        scored_job: JobId,
        requester: Address,
        trainers: list[Address],
    ) -> None:
        for account in (requester, *trainers):
            with pytest.raises(Refused, match=reasons.IN_A_RUNNING_JOB):
                both.register(account, Role.VALIDATOR, Tokens(25_000 * UNIT), tick())
        both.settle(requester, scored_job, tick(seconds=10))

        for account in (requester, *trainers):
            both.register(account, Role.VALIDATOR, Tokens(25_000 * UNIT), tick())

    def test_a_cancelled_job_frees_its_requester(
        self, both: Twins, tick: Tick, open_job: JobId, requester: Address
    ) -> None:
        both.cancel(requester, open_job, tick(seconds=60))
        both.register(requester, Role.CHALLENGER, Tokens(20_000 * UNIT), tick())

    def test_a_role_given_up_in_the_same_block_does_not_free_the_way_to_a_job(
        self, both: Twins, tick: Tick, open_job: JobId, validators: list[Address]
    ) -> None:
        block = tick()
        both.request_unstake(validators[0], block)

        for call in (both.withdraw, lambda who, b: both.join(who, open_job, Tokens(1), b)):
            with pytest.raises(Refused):
                call(validators[0], block)


@pytest.mark.parametrize("seconds", [3_601, 2**40, 2**256 - 1])
def test_overflowing_deadlines(both: Twins, tick: Tick, requester: Address, seconds: int) -> None:
    """No job lasts for ever, and none is over before it begins."""
    with pytest.raises(Refused, match=reasons.TRAINING_TIME_OUT_OF_BOUNDS):
        both.create(requester, tick(), **order(training_time=seconds))


@pytest.mark.parametrize(("profile", "price"), [("paper", 1), ("hardened", 10 * UNIT)])
def test_spam_jobs(both: Twins, tick: Tick, wealth: Wealth, requester: Address, price: int) -> None:
    """The cheapest job, cancelled when nobody joined: its tax is what spam costs."""
    least = both.parameters.least_reward
    with pytest.raises(Refused, match=reasons.REWARD_OUT_OF_BOUNDS):
        both.create(requester, tick(), **order(reward=least - 1))
    before = wealth(requester)

    job = both.create(requester, tick(), **order(reward=least))
    both.cancel(requester, job, tick(seconds=60))

    assert before - wealth(requester) == price


@pytest.mark.parametrize(("profile", "kept"), [("paper", 0), ("hardened", 1_000 * UNIT)])
def test_honest_but_unlucky(
    both: Twins,
    tick: Tick,
    wealth: Wealth,
    requester: Address,
    trainers: list[Address],
    validators: list[Address],
    kept: int,
) -> None:
    """A model between floor and threshold, which the paper's profile does not tell apart."""
    floor = Score(2_000 if both.parameters.floor_allowed else 5_000)
    job = both.create(requester, tick(), **order(floor=floor))
    for trainer in trainers:
        both.join(trainer, job, Tokens(1_000 * UNIT), tick())
    both.start(requester, job, tick())
    for trainer in trainers:
        both.submit_model(trainer, job, DATASET, DATASET, tick())
    both.publish_dataset(requester, job, DATASET, SALT, tick(blocks=3))
    cards = dict.fromkeys(validators, (Score(9_000), Score(8_000), Score(4_000)))
    score(both, tick, job, cards)
    both.settle(requester, job, tick(seconds=10))

    assert wealth(trainers[2]) == 99_000 * UNIT + kept


def test_a_reward_below_what_the_scores_divide_is_not_lost(
    both: Twins, tick: Tick, scored_job: JobId, requester: Address
) -> None:
    """What rounding leaves is in the lottery, to the last unit."""
    both.settle(requester, scored_job, tick(seconds=10))

    held = both.contracts.read(TOKEN, "balanceOf", both.contracts.at[TOKEN])
    roles = 3 * 25_000 * UNIT + 3 * 20_000 * UNIT
    assert held == both.contracts.read(TOKEN, "lottery") + roles


def test_offences_grow_dearer_until_nothing_is_left() -> None:
    """A stake of 25,000 tokens answers for seven offences, in however many jobs at once."""
    stake, offences = 25_000 * UNIT, 0
    while stake:
        stake -= penalty(offences, Tokens(stake), HARDENED)
        offences += 1

    assert offences == 7


@pytest.mark.parametrize("profile", ["paper", "hardened"])
def test_model_copying(
    both: Twins,
    tick: Tick,
    wealth: Wealth,
    requester: Address,
    trainers: list[Address],
    validators: list[Address],
) -> None:
    """Another's sealed model, submitted first: the thief's key opens nothing, the score is 0."""
    thief, honest = trainers[:2]
    job = both.create(requester, tick(), **order(most_trainers=2))
    for trainer in (thief, honest):
        both.join(trainer, job, Tokens(1_000 * UNIT), tick())
    both.start(requester, job, tick())
    for trainer in (thief, honest):
        both.submit_model(trainer, job, DATASET, DATASET, tick())
    both.publish_dataset(requester, job, DATASET, SALT, tick(blocks=3))
    score(both, tick, job, dict.fromkeys(validators, (Score(0), Score(9_000))))
    both.settle(requester, job, tick(seconds=10))

    assert both.job(job).verdict is Verdict.NORMAL
    assert wealth(thief) == 99_000 * UNIT
    assert wealth(honest) == 100_000 * UNIT + 700 * UNIT
