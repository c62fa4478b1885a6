"""Contracts and specification agree on jobs worked out by hand; `test_machine.py` has the rest."""

import pytest
from tests.contracts.twins import twins
from tests.unit.vectors.reading import START, Vector, address_of, read_vectors

from scatter.adapters.contracts import TOKEN
from scatter.lifecycle.deployment import Block
from scatter.mechanism.units import BlockNumber, Timestamp


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
