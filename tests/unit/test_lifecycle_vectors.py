"""Every row of the verdict table, call by call, ends in the balances worked out by hand."""

import pytest
from tests.unit.vectors.reading import START, Vector, address_of, read_vectors

from scatter.lifecycle.deployment import Block
from scatter.lifecycle.job import fold
from scatter.lifecycle.ledger import Ledger
from scatter.lifecycle.vocabulary import Verdict
from scatter.mechanism.units import BlockNumber, Timestamp

VECTORS = read_vectors()


def play(vector: Vector) -> Ledger:
    ledger = Ledger(vector.parameters, address_of("treasury"), lambda n: n.to_bytes(32, "big"))
    number = 100
    for call in vector.calls:
        if call.name == "wait":
            number += call.arguments[0]
            continue
        number += 1
        block = Block(BlockNumber(number), Timestamp(START + call.second))
        if call.name == "transfer":
            ledger.transfer(call.caller, *call.arguments)
        elif call.name == "create":
            ledger.create(call.caller, block, **vector.order)
        else:
            getattr(ledger, call.name)(call.caller, *call.arguments, block)
    return ledger


@pytest.mark.parametrize("vector", VECTORS, ids=lambda v: v.name)
def test_ends_as_worked_out_by_hand(vector: Vector) -> None:
    ledger = play(vector)

    funds = ledger.funds
    names = vector.balances
    assert ledger.job(1).verdict is vector.verdict
    assert {n: funds.balance(address_of(n)) for n in names} == vector.balances
    assert funds.lottery == vector.lottery
    bonds = {n: funds.bonds.of(address_of(n)) for n in names}
    assert {n: b.stake if b else 0 for n, b in bonds.items()} == vector.stakes
    assert funds.owed() == funds.held
    assert fold(ledger.history(1), vector.parameters) == ledger.job(1)


def test_every_verdict_has_a_vector() -> None:
    assert {vector.verdict for vector in VECTORS} == set(Verdict)
