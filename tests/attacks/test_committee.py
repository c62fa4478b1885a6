"""Attacks on the draw, the scores and the dataset, under the hardened profile."""

from collections.abc import Callable

import boa
import pytest
from eth_abi.abi import encode
from eth_utils.crypto import keccak
from tests.attacks.conftest import Wealth
from tests.contracts.scene import Tick
from tests.contracts.twins import Twins
from tests.unit.vectors.reading import DATASET, SALT, address_of, order

from scatter.adapters.contracts import PROTOCOL, VOTES
from scatter.lifecycle import reasons
from scatter.lifecycle.commitments import commit_to_scores
from scatter.lifecycle.deployment import Block
from scatter.lifecycle.vocabulary import Role, Verdict
from scatter.mechanism.errors import Refused
from scatter.mechanism.units import UNIT, Address, JobId, Score, Tokens

HONEST = (Score(9_000), Score(8_000), Score(4_000))

GRINDER = """
interface Protocol:
    def drawCommittee(job: uint256): nonpayable

interface Votes:
    def mayAskKey(job: uint256, account: address, scoring: bool) -> uint256: view

@external
def grind(protocol: address, votes: address, job: uint256, own: address):
    extcall Protocol(protocol).drawCommittee(job)
    assert staticcall Votes(votes).mayAskKey(job, own, False) == 1, "not this time"
"""


@pytest.fixture
def more_validators(both: Twins, tick: Tick, validators: list[Address]) -> list[Address]:
    """Seven, of whom three are drawn."""
    more = [address_of(f"validator {i}") for i in (4, 5, 6, 7)]
    for account in more:
        join_as_validator(both, tick, account)
    return [*validators, *more]


@pytest.fixture
def undrawn_job(more_validators: list[Address], trained_job: JobId) -> JobId:
    return trained_job


@pytest.fixture
def commit_job(both: Twins, tick: Tick, trained_job: JobId, requester: Address) -> JobId:
    both.publish_dataset(requester, trained_job, DATASET, SALT, tick(blocks=3))
    return trained_job


def join_as_validator(
    both: Twins, tick: Tick, account: Address, stake: int = 25_000 * UNIT
) -> None:
    both.transfer(address_of("treasury"), account, Tokens(stake))
    both.register(account, Role.VALIDATOR, Tokens(stake), tick())


def drawn_by(both: Twins, job: JobId, caller: Address, block: Block) -> tuple[str, ...]:
    """The committee that this caller would draw in this block; undone afterwards."""
    with both.contracts.env.anchor():
        both.contracts.move_to(block)
        [log] = both.contracts.call(caller, "drawCommittee", job)
        return tuple(log.values["members"])


class TestCommitteeGrinding:
    def test_by_a_wrapper_contract(
        self,
        both: Twins,
        tick: Tick,
        undrawn_job: JobId,
        more_validators: list[Address],
        stranger: Address,
    ) -> None:
        """Undoing a draw that one dislikes and drawing again yields the same committee."""
        now = tick(blocks=3)
        members = drawn_by(both, undrawn_job, stranger, now)
        left_out = next(a for a in more_validators if a.lower() not in members)
        with boa.swap_env(both.contracts.env):
            grinder = boa.loads(GRINDER).address
        at = both.contracts.at

        for blocks in range(0, 250, 50):
            both.contracts.move_to(Block(now.number + blocks, now.time))
            wrapped = both.contracts.env.execute_code(
                to_address=grinder,
                sender=stranger,
                data=grind_call(at[PROTOCOL], at[VOTES], undrawn_job, left_out),
            )
            assert not wrapped.is_success
        assert drawn_by(both, undrawn_job, stranger, Block(now.number + 249, now.time)) == members

    def test_by_choosing_who_draws_and_when(
        self, both: Twins, tick: Tick, undrawn_job: JobId, stranger: Address, requester: Address
    ) -> None:
        now = tick(blocks=3)

        found = {
            drawn_by(both, undrawn_job, caller, Block(now.number + blocks, now.time + seconds))
            for caller in (stranger, requester)
            for blocks, seconds in ((0, 0), (1, 3), (100, 9), (250, 50))
        }

        assert len(found) == 1

    def test_by_joining_or_leaving_before_the_draw(
        self,
        both: Twins,
        tick: Tick,
        undrawn_job: JobId,
        more_validators: list[Address],
        stranger: Address,
    ) -> None:
        """The seed's hash is known, the draw not made: whoever moves now moves nothing."""
        members = drawn_by(both, undrawn_job, stranger, tick(blocks=3))
        for account in (more_validators[0], more_validators[4]):
            both.request_unstake(account, tick())
        join_as_validator(both, tick, address_of("late"))

        assert drawn_by(both, undrawn_job, stranger, tick()) == members

    def test_by_drawing_before_the_seed_is_known(
        self, both: Twins, tick: Tick, undrawn_job: JobId, stranger: Address
    ) -> None:
        with pytest.raises(Refused, match=reasons.TOO_EARLY):
            both.draw_committee(stranger, undrawn_job, tick())

    def test_by_joining_in_the_block_that_closes(
        self,
        both: Twins,
        tick: Tick,
        more_validators: list[Address],
        open_job: JobId,
        requester: Address,
        trainers: list[Address],
        challengers: list[Address],
    ) -> None:
        """Whoever sees the last model in the pool of transactions and goes first is too late."""
        both.join(trainers[0], open_job, Tokens(1), tick())
        both.start(requester, open_job, tick())
        closing = tick()
        packed = [address_of(f"packed {i}") for i in range(8)]
        for account in packed:
            both.transfer(address_of("treasury"), account, Tokens(25_000 * UNIT))
            both.register(account, Role.VALIDATOR, Tokens(25_000 * UNIT), closing)
        for account in more_validators:
            both.request_unstake(account, closing)

        both.submit_model(trainers[0], open_job, DATASET, DATASET, closing)
        both.draw_committee(requester, open_job, tick(blocks=3))

        assert both.job(open_job).eligible_validators == 7
        assert both.job(open_job).committee.keys() <= set(more_validators)


def grind_call(protocol: str, votes: str, job: int, own: str) -> bytes:
    types = ["address", "address", "uint256", "address"]
    selector = keccak(text=f"grind({','.join(types)})")[:4]
    return selector + encode(types, [protocol, votes, job, own])


def commit_all(both: Twins, tick: Tick, job: JobId, members: list[Address]) -> None:
    for member in members:
        both.commit_scores(member, job, commit_to_scores(job, member, HONEST, SALT), tick())


class TestScoreCopying:
    def test_a_copied_commitment_cannot_be_opened(
        self, both: Twins, tick: Tick, commit_job: JobId, validators: list[Address]
    ) -> None:
        """The copier stays silent, and is fined."""
        honest, copier, third = validators
        copied = commit_to_scores(commit_job, honest, HONEST, SALT)
        both.commit_scores(honest, commit_job, copied, tick())
        both.commit_scores(copier, commit_job, copied, tick())
        both.refrain(third, commit_job, tick())
        both.reveal_scores(honest, commit_job, honest, HONEST, SALT, tick())

        with pytest.raises(Refused, match=reasons.SCORES_NOT_AS_COMMITTED):
            both.reveal_scores(copier, commit_job, copier, HONEST, SALT, tick())
        both.settle(honest, commit_job, tick(seconds=70))
        assert both.funds.bonds.offences(copier, Role.VALIDATOR) == 1

    def test_revealed_scores_come_too_late_to_copy(
        self, both: Twins, tick: Tick, commit_job: JobId, validators: list[Address]
    ) -> None:
        honest, copier, _ = validators
        committed = commit_to_scores(commit_job, honest, HONEST, SALT)
        both.commit_scores(honest, commit_job, committed, tick())
        with pytest.raises(Refused, match=reasons.NOT_IN_THE_REVEAL_WINDOW):
            both.reveal_scores(honest, commit_job, honest, HONEST, SALT, tick())
        both.reveal_scores(honest, commit_job, honest, HONEST, SALT, tick(seconds=60))

        copied = commit_to_scores(commit_job, copier, HONEST, SALT)
        with pytest.raises(Refused, match=reasons.NOT_IN_THE_COMMIT_WINDOW):
            both.commit_scores(copier, commit_job, copied, tick())


class TestDatasetChosenAfterwards:
    def test_another_dataset_is_refused(
        self, both: Twins, tick: Tick, trained_job: JobId, requester: Address
    ) -> None:
        with pytest.raises(Refused, match=reasons.DATASET_NOT_AS_COMMITTED):
            both.publish_dataset(requester, trained_job, JUNK, SALT, tick(blocks=3))

    def test_none_at_all_costs_the_reward(
        self,
        both: Twins,
        tick: Tick,
        wealth: Wealth,
        trained_job: JobId,
        requester: Address,
        trainers: list[Address],
        stranger: Address,
    ) -> None:
        """Who dislikes the committee and withholds the dataset pays every trainer."""
        before = wealth(requester)
        both.draw_committee(stranger, trained_job, tick(blocks=3))
        both.settle(stranger, trained_job, tick(seconds=60))

        assert both.job(trained_job).verdict is Verdict.REQUESTER_MALICIOUS
        assert wealth(requester) == before
        assert wealth(*trainers) == 300_000 * UNIT + 700 * UNIT - 700 * UNIT % 3


JUNK = bytes(31) + b"\x01"


class TestStakesOfEquationSix:
    def test_late_top_up(
        self, both: Twins, tick: Tick, commit_job: JobId, validators: list[Address]
    ) -> None:
        """A member cannot add to its stake, whether it stays or is leaving."""
        both.transfer(address_of("treasury"), validators[0], Tokens(10**6 * UNIT))
        for prepare in (lambda: None, lambda: both.request_unstake(validators[0], tick())):
            prepare()
            with pytest.raises(Refused, match=reasons.HAS_A_ROLE):
                both.register(validators[0], Role.VALIDATOR, Tokens(10**6 * UNIT), tick())

    def test_zero_stake_shares(
        self, both: Twins, tick: Tick, stranger: Address, requester: Address
    ) -> None:
        """A role with nothing at stake, and a job with nothing at stake, are refused."""
        for role in (Role.VALIDATOR, Role.CHALLENGER):
            with pytest.raises(Refused, match=reasons.ROLE_STAKE_OUT_OF_BOUNDS):
                both.register(stranger, role, Tokens(0), tick())
        with pytest.raises(Refused, match=reasons.LEAST_STAKE_OUT_OF_BOUNDS):
            both.create(requester, tick(), **order(least_stake=Tokens(0)))


@pytest.mark.parametrize("asleep", ["requester", "drawers", "members", "revealers"])
def test_silence_of_anyone_at_any_step(
    both: Twins,
    tick: Tick,
    wealth: Wealth,
    trained_job: JobId,
    requester: Address,
    validators: list[Address],
    trainers: list[Address],
    stranger: Address,
    asleep: str,
) -> None:
    """A stranger ends the job when time is up, and the trainers have their stakes."""
    steps: dict[str, Callable[[], None]] = {
        "drawers": lambda: both.draw_committee(stranger, trained_job, tick(blocks=3)),
        "requester": lambda: both.publish_dataset(requester, trained_job, DATASET, SALT, tick()),
        "members": lambda: commit_all(both, tick, trained_job, validators),
        "revealers": lambda: None,
    }
    for name, act in steps.items():
        if name == asleep:
            break
        act()

    both.settle(stranger, trained_job, tick(seconds=200))

    assert both.job(trained_job).over
    assert not any(both.is_running(account) for account in (requester, *trainers))
    assert wealth(*trainers) >= 300_000 * UNIT
    for account in (requester, *trainers):
        both.register(account, Role.CHALLENGER, Tokens(20_000 * UNIT), tick())
