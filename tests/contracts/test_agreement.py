"""Contracts and specification agree: on hand-worked jobs, and on whatever hostile hands try."""

from contextlib import ExitStack

import pytest
from hypothesis import HealthCheck, event, settings
from hypothesis import Phase as Stage
from hypothesis import strategies as st
from hypothesis.stateful import rule
from tests.contracts.twins import twins
from tests.unit.test_lifecycle_walks import EVERYBODY, HardenedWalk, PaperWalk, Walk
from tests.unit.vectors.reading import (
    DATASET,
    SALT,
    START,
    Vector,
    address_of,
    order,
    read_vectors,
)

from scatter.adapters.contracts import TOKEN
from scatter.lifecycle.deployment import Block
from scatter.lifecycle.vocabulary import Role
from scatter.mechanism.errors import Refused
from scatter.mechanism.units import (
    MOST_STAKE,
    UNIT,
    Address,
    BlockNumber,
    JobId,
    Timestamp,
    Tokens,
)

CALLS = [
    *("create", "join", "start", "cancel", "submit", "close", "draw", "publish"),
    *("commit", "refrain", "reveal", "accuse", "vote", "settle"),
    *("register", "unstake", "withdraw"),
]

ORDERS = st.fixed_dictionaries(
    {},
    optional={
        "topic": st.sampled_from(["", "a" * 64, "A", "two words", "x_y", "z-9", "{", "\x00"]),
        "reward": st.sampled_from([0, 1, 99 * UNIT, 100 * UNIT, MOST_STAKE, MOST_STAKE + 1]),
        "threshold": st.sampled_from([0, 5_000, 10_000, 10_001]),
        "floor": st.sampled_from([0, 4_999, 5_000, 5_001, 2**255]),
        "most_trainers": st.sampled_from([0, 1, 64, 65]),
        "least_stake": st.sampled_from([0, 1, MOST_STAKE, MOST_STAKE + 1]),
        "training_time": st.sampled_from([0, 1, 3_600, 3_601, 2**256 - 1]),
        "training_job": st.sampled_from([DATASET, bytes(32)]),
    },
)


@pytest.mark.parametrize("vector", read_vectors(), ids=lambda v: v.name)
def test_ends_as_worked_out_by_hand(vector: Vector) -> None:
    with twins(vector.parameters) as both:
        number = 100
        for call in vector.calls:
            if call.name == "wait":
                number += call.arguments[0]
                continue
            number += 1
            block = Block(BlockNumber(number), Timestamp(START + call.second))
            if call.name == "transfer":
                both.transfer(call.caller, *call.arguments)
            elif call.name == "create":
                both.create(call.caller, block, **vector.order)
            else:
                getattr(both, call.name)(call.caller, *call.arguments, block)
        both.compare(block)

        holdings = {
            name: both.contracts.read(TOKEN, "holdings", address_of(name))
            for name in vector.balances
        }
        assert {name: held[0] for name, held in holdings.items()} == vector.balances
        assert {name: held[2] for name, held in holdings.items()} == vector.stakes
        assert both.contracts.read(TOKEN, "lottery") == vector.lottery
        assert both.job(1).verdict is vector.verdict


class Together(Walk):
    """A walk of the specification, every step also taken by the contracts.

    The walk's own rules make calls that succeed. One rule more makes any call by anybody at all;
    what is refused must be refused by both, in the same words.
    """

    def __init__(self) -> None:
        super().__init__()
        self.opened = ExitStack()
        self.ledger = self.opened.enter_context(twins(self.parameters))

    @rule(
        data=st.data(),
        caller=st.sampled_from(EVERYBODY),
        other=st.sampled_from(EVERYBODY),
        number=st.sampled_from([1, 1, 1, 2, 9]),
        call=st.sampled_from(CALLS),
    )
    def try_anything(
        self, data: st.DataObject, caller: Address, other: Address, number: int, call: str
    ) -> None:
        job = JobId(number)
        ledger, block = self.ledger, self.block
        amount = data.draw(st.sampled_from([0, 1, UNIT, 30_000 * UNIT, MOST_STAKE, MOST_STAKE + 1]))
        digest = data.draw(st.sampled_from([DATASET, bytes(32), SALT]))
        scores = data.draw(st.sampled_from([(), (1, 2, 3), (10_001, 0, 0), (1,)]))
        role = data.draw(st.sampled_from(list(Role)))
        attempts = {
            "create": lambda: ledger.create(caller, block, **order(**data.draw(ORDERS))),
            "join": lambda: ledger.join(caller, job, Tokens(amount), block),
            "start": lambda: ledger.start(caller, job, block),
            "cancel": lambda: ledger.cancel(caller, job, block),
            "submit": lambda: ledger.submit_model(caller, job, digest, DATASET, block),
            "close": lambda: ledger.close_training(caller, job, block),
            "draw": lambda: ledger.draw_committee(caller, job, block),
            "publish": lambda: ledger.publish_dataset(caller, job, digest, SALT, block),
            "commit": lambda: ledger.commit_scores(caller, job, digest, block),
            "refrain": lambda: ledger.refrain(caller, job, block),
            "reveal": lambda: ledger.reveal_scores(caller, job, other, scores, SALT, block),
            "accuse": lambda: ledger.accuse(caller, job, other, block),
            "vote": lambda: ledger.vote(caller, job, other, True, block),
            "settle": lambda: ledger.settle(caller, job, block),
            "register": lambda: ledger.register(caller, role, Tokens(amount), block),
            "unstake": lambda: ledger.request_unstake(caller, block),
            "withdraw": lambda: ledger.withdraw(caller, block),
        }
        try:
            attempts[call]()
        except Refused:
            event(f"{call} refused by both")

    @rule()
    def compare(self) -> None:
        self.ledger.compare(self.block)

    def teardown(self) -> None:
        try:
            super().teardown()
        finally:
            self.opened.close()


class PaperTogether(Together):
    parameters = PaperWalk.parameters


class HardenedTogether(Together):
    parameters = HardenedWalk.parameters


WALKS = settings(
    max_examples=8,
    stateful_step_count=40,
    phases=[Stage.explicit, Stage.generate],
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
PaperTogether.TestCase.settings = WALKS
HardenedTogether.TestCase.settings = WALKS
TestPaperTogether = PaperTogether.TestCase
TestHardenedTogether = HardenedTogether.TestCase
