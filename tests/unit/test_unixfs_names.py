"""Files and folders get the names that kubo gives them.

The expected names were made by `ipfs-unixfs-importer` 17.1.1 with CIDv1, raw leaves, chunks of
256 KiB and 174 links to a node; the contents are `random.Random(seed).randbytes(size)`.
"""

import hashlib
import io
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scatter.mechanism.errors import BadInput
from scatter.mechanism.units import Digest
from scatter.unixfs.building import CHUNK_BYTES, Named, name_directory, name_file
from scatter.unixfs.cid import Cid, Codec, folder_digest, folder_text

CHUNK = 262_144


def contents(size: int, seed: int) -> io.BytesIO:
    return io.BytesIO(Random(seed).randbytes(size))


def name(size: int, seed: int) -> Named:
    return name_file(contents(size, seed))


@pytest.mark.parametrize(
    ("size", "seed", "expected"),
    [
        (0, 1, "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku"),
        (1, 2, "bafkreibac77tiyjzkzzkucve6zejj7jpswslcihcnehisulfnv423qxo2i"),
        (CHUNK, 3, "bafkreiewu3vd7ferh5n4sk66rutonrar7ozh3gd5mmrw7kciacfcgyhyuy"),
        (CHUNK + 1, 4, "bafybeicscschhchriysjmikzajms6nicduo4mtjp2lwebhtbi7cim5ffby"),
        (CHUNK * 174, 5, "bafybeiaysbzd6all43gekz3gfya5q2n36o6v34qq5m4udelbrj7r4ebbje"),
        (CHUNK * 174 + 1, 6, "bafybeidj2ixzap3f7d3x3wnzfincw7h7tvxfprqcis6lujpa35usu7vb4a"),
        (10_000_000, 7, "bafybeiavzrd2ovm3y5a5qhjcm4gf4avwz6wolvjcrq6siia7yvhtem7mva"),
        (100_000_000, 8, "bafybeieioifiqeup5s2opntt4vaxywlygnq4std5gpk5uv53dx2bhljdtm"),
    ],
)
def test_a_file_is_named_as_kubo_names_it(size: int, seed: int, expected: str) -> None:
    named = name(size, seed)

    assert str(named.cid) == expected
    assert named.content == size


def test_a_folder_is_named_as_kubo_names_it() -> None:
    sub = name_directory({"a.txt": name(1_234, 9), "b.bin": name(300_000, 10)})
    vide = name_directory({"empty": name(0, 1)})

    folder = name_directory(
        {
            "vide": vide,
            "sub": sub,
            "one": name(1, 2),
            "m10": name(10_000_000, 7),
            "c256p1": name(CHUNK + 1, 4),
        }
    )

    assert str(folder.cid) == "bafybeifexx3ors6xssa7b5rjqyxl6cywnota3oacye4hzgwd3uajq62xba"
    assert folder.content == 1_234 + 300_000 + 1 + 10_000_000 + CHUNK + 1


def test_an_empty_folder_has_its_well_known_name() -> None:
    empty = name_directory({})

    assert str(empty.cid) == "bafybeiczsscdsbs7ffqz55asqdf3smv6klcw3gofszvwlyarci47bgf354"


def test_a_source_that_reads_in_short_pieces_gets_the_same_name() -> None:
    class Dribble(io.BytesIO):
        def readinto(self, buffer: memoryview, /) -> int:  # type: ignore[override]
            return super().readinto(buffer[:1_000])

    assert name_file(Dribble(Random(4).randbytes(CHUNK + 1))) == name(CHUNK + 1, 4)


def test_blocks_come_children_first_and_each_bears_its_own_name() -> None:
    blocks: dict[Cid, bytes] = {}

    named = name_file(
        contents(3 * CHUNK_BYTES, 1), lambda cid, block: blocks.update({cid: bytes(block)})
    )

    assert list(blocks)[-1] == named.cid
    assert all(cid.names(block) for cid, block in blocks.items())
    assert sum(map(len, blocks.values())) == named.total


@pytest.mark.parametrize("bad", ["", ".", "..", "a/b", "nul\0", "x" * 256, "\udcff"])
def test_a_name_that_cannot_be_published_is_refused(bad: str) -> None:
    with pytest.raises(BadInput):
        name_directory({bad: name(1, 2)})


def test_a_folder_that_kubo_would_shard_is_refused() -> None:
    one = name(1, 2)

    with pytest.raises(BadInput, match="subfolders"):
        name_directory({f"{n:0>32}": one for n in range(4_000)})


@given(digest=st.binary(min_size=32, max_size=32))
def test_a_digest_and_its_text_say_the_same(digest: bytes) -> None:
    assert folder_digest(folder_text(Digest(digest))) == digest


@pytest.mark.parametrize(
    "text",
    [
        "",
        "bafybeiczsscdsbs7ffqz55asqdf3smv6klcw3gofszvwlyarci47bgf35",
        "BAFYBEICZSSCDSBS7FFQZ55ASQDF3SMV6KLCW3GOFSZVWLYARCI47BGF354",
        "bafybeiczsscdsbs7ffqz55asqdf3smv6klcw3gofszvwlyarci47bgf355",
        "bafybeiczsscdsbs7ffqz55asqdf3smv6klcw3gofszvwlyarci47bgf35=",
        "bafybeiczsscdsbs7ffqz55asqdf3smv6klcw3gofszvwlyarci47bgf318",
        "QmUNLLsPACCz1vLxQVkXqqLX5R1X345qqfHbsf67hvA3Nn",
    ],
)
def test_an_identifier_spelt_otherwise_is_refused(text: str) -> None:
    with pytest.raises(BadInput):
        Cid.from_text(text)


def test_the_name_of_a_bare_file_is_not_that_of_a_folder() -> None:
    with pytest.raises(BadInput, match="bare file"):
        folder_digest(str(Cid.of(Codec.RAW, b"")))


def test_an_identifier_of_another_hash_or_codec_is_refused() -> None:
    digest = hashlib.sha256(b"").digest()
    for front in (b"\x01\x71\x12\x20", b"\x01\x55\x1b\x20", b"\x00\x55\x12\x20", b""):
        with pytest.raises(BadInput):
            Cid.from_bytes(front + digest)
