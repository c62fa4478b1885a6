"""The token's own root is the root of the specification, for every stake."""

from math import isqrt
from pathlib import Path
from typing import Any

import boa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tests.contracts.deployed import DEPLOYER

from scatter.adapters.contracts import constructor_settings
from scatter.mechanism.parameters import PAPER
from scatter.mechanism.units import MOST_STAKE


@pytest.fixture(scope="module")
def token() -> Any:
    source = Path(__file__).parents[2] / "contracts" / "ScatterToken.vy"
    contract: Any = boa.load(str(source), DEPLOYER, DEPLOYER, constructor_settings(PAPER))
    return contract.internal


# The first call compiles.
@given(stake=st.integers(0, MOST_STAKE))
@example(stake=0)
@example(stake=1)
@example(stake=MOST_STAKE)
def test_a_root_is_rounded_down(token: Any, stake: int) -> None:
    assert token._root(stake) == isqrt(stake)


@given(root=st.integers(1, 2**48 - 1))
def test_a_square_has_its_root_and_the_number_before_it_one_less(token: Any, root: int) -> None:
    assert token._root(root**2) == root
    assert token._root(root**2 - 1) == root - 1
