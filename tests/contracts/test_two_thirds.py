"""The super-majority of the contracts is that of the specification, for every size."""

from pathlib import Path

import boa
from tests.contracts.deployed import DEPLOYER

from scatter.adapters.contracts import constructor_settings
from scatter.mechanism.equations import two_thirds
from scatter.mechanism.parameters import PAPER


def test_two_thirds_are_rounded_up() -> None:
    source = Path(__file__).parents[2] / "contracts" / "VoteManager.vy"
    votes = boa.load(str(source), *[DEPLOYER] * 4, constructor_settings(PAPER))

    assert [votes.internal._two_thirds(n) for n in range(100)] == [
        two_thirds(n) for n in range(100)
    ]
