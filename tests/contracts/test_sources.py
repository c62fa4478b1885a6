"""What every contract's source must say, and must not."""

import re
from pathlib import Path

import pytest

from scatter.adapters.contracts import DEPLOYMENT_ORDER
from scatter.lifecycle import reasons

FOLDER = Path(__file__).parents[2] / "contracts"


@pytest.mark.parametrize("name", DEPLOYMENT_ORDER)
def test_a_head_states_invariant_and_trust(name: str) -> None:
    head = (FOLDER / f"{name}.vy").read_text().split('"""')[1]
    assert "Invariant:" in head
    assert "Trusts:" in head


@pytest.mark.parametrize("name", DEPLOYMENT_ORDER)
def test_nobody_owns_upgrades_or_destroys(name: str) -> None:
    source = (FOLDER / f"{name}.vy").read_text()
    assert not re.search(r"selfdestruct|delegatecall|create_|raw_call|\bowner\b: public", source)


def test_the_contracts_refuse_in_the_specification_s_words() -> None:
    said = set()
    for path in FOLDER.glob("*.vy"):
        said |= set(re.findall(r'"([a-z]+: [^"]+)"', path.read_text()))
    known = {v for k, v in vars(reasons).items() if k.isupper()}
    assert said == known


def test_a_reason_fits_into_a_word() -> None:
    assert max(len(v) for k, v in vars(reasons).items() if k.isupper()) <= 32
