"""Attacks on settlement by its price: participants that make it do the most it can.

Sixty-four trainers, sixteen members, five of them silent and fined to nothing, which swaps each out
of the array of validators; a trainer condemned while all scores stand.
"""

from dataclasses import replace

import pytest
from eth_utils.crypto import keccak
from tests.contracts import test_gas as gas
from tests.unit.vectors.reading import DATASET, SALT, address_of, order

from scatter.lifecycle.commitments import commit_to_scores
from scatter.mechanism.units import JobId, Score

pytestmark = gas.pytestmark
anvil = gas.anvil

TRAINERS, MEMBERS, SILENT = 64, 16, 5


@pytest.fixture
def _one_fine_takes_all(monkeypatch: pytest.MonkeyPatch) -> None:
    p = gas.PARAMETERS
    monkeypatch.setattr(gas, "PARAMETERS", replace(p, base_penalty=p.validator_stake))


@pytest.mark.usefixtures("_one_fine_takes_all")
def test_unbounded_settlement(anvil: gas.Anvil) -> None:
    gas.deploy(anvil)
    gas.people(anvil, TRAINERS, MEMBERS, challengers=2)
    anvil.call("requester", "createJob", *order(most_trainers=TRAINERS).values())
    for i in range(TRAINERS):
        anvil.call(f"trainer {i}", "joinJob", 1, 10**18 + i)
    anvil.call("requester", "startJob", 1)
    for i in reversed(range(TRAINERS)):
        anvil.call(f"trainer {i}", "submitModel", 1, keccak(text=f"model {i}"), DATASET)
    anvil.pass_time(1, blocks=2)
    anvil.call("requester", "publishDataset", 1, DATASET, SALT)
    # The last seats stay in the array; the first ones are swapped out of it.
    awake = [f"validator {i}" for i in range(SILENT, MEMBERS)]
    scores = [Score(5_000 + i) for i in range(TRAINERS)]
    for name in awake:
        hashed = commit_to_scores(JobId(1), address_of(name), scores, SALT)
        anvil.call(name, "commitScores", 1, hashed)
    anvil.pass_time(gas.PARAMETERS.commit_window)
    for name in awake:
        anvil.call(name, "revealScores", 1, address_of(name), scores, SALT)
    anvil.call("challenger 0", "accuse", 1, address_of("trainer 0"))
    condemning = anvil.call("challenger 1", "vote", 1, address_of("trainer 0"), True)
    anvil.pass_time(gas.PARAMETERS.challenge_window + gas.PARAMETERS.vote_window)

    settling = anvil.call("requester", "settle", 1)

    print(f"the condemning vote {condemning:,}, the settlement {settling:,}")
    assert condemning <= 1_500_000
    assert settling <= 4_000_000
