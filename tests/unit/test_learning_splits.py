"""Everybody's data comes from one set; nobody shares a row; the held-out part is nobody's."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scatter.learning.examples import find_examples
from scatter.learning.splits import split_examples, write_shares
from scatter.mechanism.errors import BadInput

DIGITS = find_examples() / "digits" / "data" / "digits.npz"


@settings(max_examples=50)
@given(
    seed=st.integers(0, 2**32), trainers=st.integers(1, 10), alpha=st.sampled_from([0.5, 1, 100])
)
def test_every_row_belongs_to_exactly_one_part(seed, trainers, alpha):
    labels = np.random.default_rng(0).integers(0, 10, 1000)

    split = split_examples(labels, trainers, seed=seed, alpha=alpha)

    rows = np.concatenate([*split.shares, split.held_out])
    assert sorted(rows) == list(range(1000))
    assert len(split.held_out) == 200
    assert min(map(len, split.shares)) >= 10


def test_is_decided_by_the_seed_alone():
    labels = np.arange(1000) % 10
    one, again, other = (split_examples(labels, 3, seed=seed) for seed in (1, 1, 2))

    assert all(map(np.array_equal, one.shares, again.shares))
    assert not np.array_equal(one.held_out, other.held_out)


@pytest.mark.parametrize(
    ("rows", "trainers", "alpha"), [(50, 6, 1.0), (100, 0, 1.0), (100, 2, 0.0), (100, 8, 1e-6)]
)
def test_refuses_a_split_that_cannot_be(rows, trainers, alpha):
    with pytest.raises(BadInput):
        split_examples(np.arange(rows) % 10, trainers, seed=0, alpha=alpha)


def test_lays_out_a_folder_for_everybody(tmp_path):
    split = write_shares(DIGITS, tmp_path / "shares", 2, seed=3)

    assert sorted(p.name for p in (tmp_path / "shares").iterdir()) == [
        "eval",
        "trainer-1",
        "trainer-2",
    ]
    with np.load(tmp_path / "shares" / "trainer-2" / "digits.npz", allow_pickle=False) as mine:
        assert len(mine["labels"]) == len(mine["features"]) == len(split.shares[1])


def test_writes_the_same_bytes_every_time(tmp_path):
    for name in ("one", "two"):
        write_shares(DIGITS, tmp_path / name, 2, seed=3)

    one, two = (tmp_path / name / "eval" / "digits.npz" for name in ("one", "two"))
    assert one.read_bytes() == two.read_bytes()


def test_does_not_write_over_a_folder(tmp_path):
    with pytest.raises(BadInput, match="exists already"):
        write_shares(DIGITS, tmp_path, 2, seed=3)
