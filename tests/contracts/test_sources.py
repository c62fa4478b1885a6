"""What every contract's source must say, and must not."""

import re
from pathlib import Path

import pytest

from scatter.adapters.contracts import DEPLOYMENT_ORDER, EVALUATION_JOBS, MODELS
from scatter.lifecycle import reasons

FOLDER = Path(__file__).parents[2] / "contracts"
BORROWERS = (EVALUATION_JOBS, MODELS)
"""They answer for ERC-721 with the code of the third title contract."""


@pytest.mark.parametrize("name", DEPLOYMENT_ORDER)
def test_a_head_states_invariant_and_trust(name: str) -> None:
    head = (FOLDER / f"{name}.vy").read_text().split('"""')[1]
    assert "Invariant:" in head
    assert "Trusts:" in head


@pytest.mark.parametrize("name", DEPLOYMENT_ORDER)
def test_nobody_owns_upgrades_or_destroys(name: str) -> None:
    source = (FOLDER / f"{name}.vy").read_text()
    assert not re.search(r"selfdestruct|delegatecall|create_|\bowner\b: public", source)


@pytest.mark.parametrize("name", DEPLOYMENT_ORDER)
def test_other_code_runs_in_a_contract_s_name_only_if_fixed_at_construction(name: str) -> None:
    source = (FOLDER / f"{name}.vy").read_text()
    lent = "raw_call(TITLES, msg.data, max_outsize=160, is_delegate_call=True)"
    borrows = name in BORROWERS
    assert source.count(lent) == source.count("raw_call") == borrows
    assert ("TITLES: immutable(address)" in source) == borrows


def spelled() -> dict[str, str]:
    """The reasons that `refusals.vy` names, as a revert spells them."""
    source = (FOLDER / "refusals.vy").read_text()
    table = re.search(r"LETTERS: constant\(uint256\) = \(\s+(\d+)\s+\)", source)
    assert table is not None
    letters = int(table[1]).to_bytes(32, "little").decode()
    found = {}
    for name, number in re.findall(r"^([A-Z_]+): constant\(uint256\) = (\d+)$", source, re.M):
        rest, text = int(number), ""
        while rest:
            text = letters[rest % 32] + text
            rest //= 32
        found[name] = text
    return found


def test_the_contracts_refuse_in_the_specification_s_words() -> None:
    sources = "".join(path.read_text() for path in FOLDER.glob("*.vy"))
    used = set(re.findall(r"refusals\.([A-Z][A-Z_]+)", sources))
    known = {k: v for k, v in vars(reasons).items() if k.isupper()}

    assert spelled().keys() == used
    assert spelled().items() <= known.items()
    assert {*spelled().values(), *re.findall(r'"([a-z]+: [^"]+)"', sources)} == {*known.values()}


def test_a_number_stands_under_the_words_that_it_spells() -> None:
    source = (FOLDER / "refusals.vy").read_text()
    remarks = dict(re.findall(r"^# (\S.*)\n([A-Z_]+): constant\(uint256\) = \d+$", source, re.M))
    assert {name: text for text, name in remarks.items()} == spelled()


def test_a_reason_fits_into_a_word() -> None:
    assert max(len(v) for k, v in vars(reasons).items() if k.isupper()) <= 32
