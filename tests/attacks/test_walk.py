"""Hostile accounts call the seven contracts directly, at random: no token appears, is lost, moves
without a cause, or stays locked; nobody's are taken but one's own.

Apart from the walks of `tests/contracts`, this knows nothing of the specification: its books are
kept from the events, and compared with the contracts' own views.
"""

from dataclasses import replace
from random import Random

import pytest
from tests.attacks.hostile import Crowd, deploy

from scatter.mechanism.parameters import HARDENED, PAPER, Parameters, local
from scatter.mechanism.units import UNIT, Tokens

HARSH = Tokens(15_000 * UNIT)
"""Two fines leave nothing of a stake."""

PROFILES = {
    name: replace(local(p, join=30, dataset=30, commit=30), base_penalty=HARSH)
    for name, p in {"paper": PAPER, "hardened": HARDENED}.items()
}
MOVES = {
    *("createJob", "joinJob", "startJob", "cancelJob", "submitModel", "closeTraining"),
    *("drawCommittee", "publishDataset", "commitScores", "refrain", "revealScores"),
    *("accuse", "vote", "settle", "register", "requestUnstake", "withdraw"),
    *("transfer", "approve", "transferFrom", "setApprovalForAll"),
    *("Condemned", "LotteryWon", "Penalised", "StakeForfeited", "LotteryFed"),
    *("TrainerPaid", "ValidatorPaid", "RewardReturned", "StakeReturned", "UnstakeRequested"),
}


def walk(parameters: Parameters, seed: int, steps: int) -> Crowd:
    contracts = deploy(parameters)
    crowd = Crowd(contracts, Random(seed))
    for step in range(steps):
        crowd.step()
        if step % 20 == 0:
            crowd.books.check()
    crowd.books.check()
    crowd.end_everything()
    return crowd


def test_no_token_is_made_lost_stolen_or_locked() -> None:
    done: set[str] = set()
    for parameters in PROFILES.values():
        done |= walk(parameters, seed=1, steps=1_500).done.keys()

    # A walk whose calls are all refused would show nothing.
    assert done >= MOVES


@pytest.mark.nightly
@pytest.mark.parametrize("seed", range(2, 22))
@pytest.mark.parametrize("name", PROFILES)
def test_no_token_is_made_lost_stolen_or_locked_in_long_walks(name: str, seed: int) -> None:
    walk(PROFILES[name], seed, steps=6_000)
