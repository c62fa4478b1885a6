"""A sealed file opens with its key, for its trainer, unchanged, or not at all."""

import os
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scatter.mechanism.errors import BadInput
from scatter.mechanism.units import Address, Digest, JobId
from scatter.sealing import (
    Key,
    SealBroken,
    WrongKey,
    context,
    derive_storage_key,
    key_commitment,
    new_key,
    open_record,
    open_sealed,
    seal,
    seal_record,
)
from scatter.sealing.files import CHUNK_BYTES, HEADER_BYTES, TAG_BYTES

CONTRACT = Address("0x" + "11" * 20)
TRAINER = Address("0x" + "22" * 20)
THIEF = Address("0x" + "33" * 20)
CONTEXT = context(1337, CONTRACT, JobId(1), TRAINER)
KEY = Key(bytes(range(32)))
COMMITMENT = key_commitment(KEY, CONTEXT)
PLAIN = Random(1).randbytes(2 * CHUNK_BYTES + 5)

Open = Callable[..., bytes]


@pytest.fixture
def sealed(tmp_path: Path) -> Path:
    """A sealed file of three chunks."""
    (tmp_path / "plain").write_bytes(PLAIN)
    seal(tmp_path / "plain", tmp_path / "sealed", KEY, CONTEXT)
    return tmp_path / "sealed"


@pytest.fixture
def opened(sealed: Path) -> Open:
    """Opens it, as others would."""

    def opened(
        key: Key = KEY,
        whose: bytes = CONTEXT,
        commitment: Digest = COMMITMENT,
        most_bytes: int = len(PLAIN),
    ) -> bytes:
        target = sealed.with_name("opened")
        open_sealed(sealed, target, key, whose, commitment, most_bytes=most_bytes)
        return target.read_bytes()

    return opened


def nothing_is_left(sealed: Path) -> bool:
    return {path.name for path in sealed.parent.iterdir()} == {"plain", "sealed"}


class TestFiles:
    @pytest.mark.parametrize("size", [0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1])
    def test_what_is_sealed_opens(self, tmp_path: Path, size: int) -> None:
        plain, sealed, opened = (tmp_path / name for name in ("plain", "sealed", "opened"))
        plain.write_bytes(os.urandom(size))

        seal(plain, sealed, KEY, CONTEXT)
        open_sealed(sealed, opened, KEY, CONTEXT, COMMITMENT, most_bytes=size)

        assert opened.read_bytes() == plain.read_bytes()
        chunks = max(1, -(-size // CHUNK_BYTES))
        assert sealed.stat().st_size == HEADER_BYTES + size + chunks * TAG_BYTES

    def test_no_two_seals_are_alike(self, sealed: Path) -> None:
        first = sealed.read_bytes()
        seal(sealed.with_name("plain"), sealed, KEY, CONTEXT)
        assert sealed.read_bytes()[HEADER_BYTES:] != first[HEADER_BYTES:]

    def test_a_wrong_key_shows_at_once(self, sealed: Path, opened: Open) -> None:
        with pytest.raises(WrongKey):
            opened(key=new_key())
        assert nothing_is_left(sealed)

    def test_a_key_other_than_the_one_on_chain_is_wrong(self, opened: Open) -> None:
        with pytest.raises(WrongKey):
            opened(commitment=key_commitment(new_key(), CONTEXT))

    @pytest.mark.parametrize(
        "other",
        [
            context(1, CONTRACT, JobId(1), TRAINER),
            context(1337, THIEF, JobId(1), TRAINER),
            context(1337, CONTRACT, JobId(2), TRAINER),
            context(1337, CONTRACT, JobId(1), THIEF),
        ],
    )
    def test_a_copy_cannot_be_passed_off_by_another(self, opened: Open, other: bytes) -> None:
        with pytest.raises(SealBroken, match="another trainer"):
            opened(whose=other, commitment=key_commitment(KEY, other))

    @settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
    @given(at=st.integers(0, HEADER_BYTES + len(PLAIN) + 3 * TAG_BYTES - 1), bit=st.integers(0, 7))
    def test_a_flipped_bit_is_seen(self, sealed: Path, opened: Open, at: int, bit: int) -> None:
        good = sealed.read_bytes()
        bad = bytearray(good)
        bad[at] ^= 1 << bit
        sealed.write_bytes(bad)

        with pytest.raises(SealBroken):
            opened()

        assert nothing_is_left(sealed)
        sealed.write_bytes(good)

    @pytest.mark.parametrize("at", range(0, HEADER_BYTES, 7))
    def test_a_changed_header_is_seen(self, sealed: Path, opened: Open, at: int) -> None:
        bad = bytearray(sealed.read_bytes())
        bad[at] ^= 1
        sealed.write_bytes(bad)
        with pytest.raises(SealBroken):
            opened()

    @pytest.mark.parametrize(
        "length", [0, 10, HEADER_BYTES, HEADER_BYTES + CHUNK_BYTES + TAG_BYTES, -1]
    )
    def test_truncation_is_seen(self, sealed: Path, opened: Open, length: int) -> None:
        sealed.write_bytes(sealed.read_bytes()[:length])
        with pytest.raises(SealBroken, match="cut off"):
            opened()

    def test_truncation_with_a_header_that_admits_it_is_seen(
        self, sealed: Path, opened: Open
    ) -> None:
        whole = sealed.read_bytes()[: HEADER_BYTES + CHUNK_BYTES + TAG_BYTES]
        sealed.write_bytes(whole[:12] + CHUNK_BYTES.to_bytes(8, "big") + whole[20:])
        with pytest.raises(SealBroken, match="changed"):
            opened()
        assert nothing_is_left(sealed)

    def test_an_extension_is_seen(self, sealed: Path, opened: Open) -> None:
        sealed.write_bytes(sealed.read_bytes() + b"\0")
        with pytest.raises(SealBroken, match="appended"):
            opened()

    def test_exchanged_chunks_are_seen(self, sealed: Path, opened: Open) -> None:
        whole = sealed.read_bytes()
        step = CHUNK_BYTES + TAG_BYTES
        first, second = (whole[HEADER_BYTES + n * step :][:step] for n in (0, 1))
        sealed.write_bytes(whole[:HEADER_BYTES] + second + first + whole[HEADER_BYTES + 2 * step :])
        with pytest.raises(SealBroken, match="changed"):
            opened()

    def test_more_than_allowed_is_refused_before_it_is_decrypted(
        self, sealed: Path, opened: Open
    ) -> None:
        with pytest.raises(SealBroken, match="at most"):
            opened(most_bytes=len(PLAIN) - 1)
        assert nothing_is_left(sealed)

    def test_what_stood_at_the_target_stays_when_opening_fails(
        self, sealed: Path, opened: Open
    ) -> None:
        sealed.with_name("opened").write_bytes(b"old")
        sealed.write_bytes(sealed.read_bytes()[:-1] + b"\0")
        with pytest.raises(SealBroken):
            opened()
        assert sealed.with_name("opened").read_bytes() == b"old"

    def test_a_missing_file_is_named(self, tmp_path: Path) -> None:
        with pytest.raises(BadInput, match="nowhere"):
            seal(tmp_path / "nowhere", tmp_path / "sealed", KEY, CONTEXT)

    def test_an_address_that_is_none_is_refused(self) -> None:
        for bad in ("0x12", "zz" * 20):
            with pytest.raises(BadInput):
                context(1, Address(bad), JobId(1), TRAINER)

    def test_the_commitment_is_fixed(self) -> None:
        """The numbers stand on chain: changing them breaks every model published before."""
        assert CONTEXT.hex() == "8b9d1ba7d3a4ef0fa80a516374cae8e46573365167fe470101a077656cdab7ea"
        assert (
            COMMITMENT.hex() == "61e647d888c2acaa660ba78cea4f1c115167fad853b5d2b46a52edec0af10b69"
        )


class TestRecords:
    KEY = derive_storage_key(bytes(31) + b"\x01")

    @given(name=st.text(max_size=40), value=st.binary(max_size=200))
    def test_what_is_sealed_opens(self, name: str, value: bytes) -> None:
        assert open_record(self.KEY, name, seal_record(self.KEY, name, value)) == value

    def test_another_account_cannot_open_it(self) -> None:
        sealed = seal_record(self.KEY, "salt", b"secret")
        with pytest.raises(SealBroken):
            open_record(derive_storage_key(bytes(31) + b"\x02"), "salt", sealed)

    def test_records_cannot_be_exchanged(self) -> None:
        with pytest.raises(SealBroken):
            open_record(self.KEY, "job 2", seal_record(self.KEY, "job 1", b"secret"))

    def test_any_changed_byte_is_seen(self) -> None:
        sealed = seal_record(self.KEY, "salt", b"secret")
        for at in range(len(sealed)):
            bad = bytearray(sealed)
            bad[at] ^= 1
            with pytest.raises(SealBroken):
                open_record(self.KEY, "salt", bytes(bad))

    def test_what_is_too_short_is_refused(self) -> None:
        with pytest.raises(SealBroken):
            open_record(self.KEY, "salt", b"\x01short")

    def test_a_private_key_of_another_length_is_refused(self) -> None:
        with pytest.raises(BadInput):
            derive_storage_key(b"short")
