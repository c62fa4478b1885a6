"""A field of a word keeps what was put there, and its neighbours keep theirs."""

from pathlib import Path
from typing import Any

import boa
import pytest
from hypothesis import given
from hypothesis import strategies as st

WORDS = st.integers(0, 2**256 - 1)
FIELDS = st.integers(1, 255).flatmap(
    lambda width: st.tuples(st.integers(0, 256 - width), st.just(width))
)


@pytest.fixture(scope="module")
def words() -> Any:
    return boa.load(str(Path(__file__).parents[2] / "contracts" / "words.vy")).internal


@given(word=WORDS, field=FIELDS, data=st.data())
def test_put_replaces_a_field_and_nothing_else(
    words: Any, word: int, field: tuple[int, int], data: st.DataObject
) -> None:
    low, width = field
    content = data.draw(st.integers(0, 2**width - 1))

    changed = words._put(word, low, width, content)

    mask = (2**width - 1) << low
    assert (changed & mask) >> low == content
    assert changed & ~mask == word & ~mask


@given(word=WORDS, field=FIELDS)
def test_put_refuses_what_is_wider_than_the_field(
    words: Any, word: int, field: tuple[int, int]
) -> None:
    low, width = field
    with pytest.raises(boa.BoaError):
        words._put(word, low, width, 2**width)


@given(account=st.binary(min_size=20, max_size=20), amount=st.integers(0, 2**96 - 1))
def test_a_pair_gives_back_both(words: Any, account: bytes, amount: int) -> None:
    address = boa.util.abi.Address(account)

    word = words._pair(address, amount)

    assert words._account(word) == address
    assert word >> 160 == amount


def test_a_pair_refuses_an_amount_of_97_bits(words: Any) -> None:
    with pytest.raises(boa.BoaError):
        words._pair(boa.util.abi.Address(bytes(20)), 2**96)


@given(bits=WORDS)
def test_count_counts_the_low_64_bits(words: Any, bits: int) -> None:
    assert words._count(bits) == (bits & (2**64 - 1)).bit_count()
