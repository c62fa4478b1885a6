"""The disk that content of others takes: bounded at every moment, whatever a job is made of."""

from pathlib import Path
from random import Random

import pytest
from tests.adapters.test_content import serving

from scatter.adapters.content import StoredContent
from scatter.ports.content import ContentNotFound, ContentRefused
from scatter.unixfs.cid import folder_text

pytestmark = pytest.mark.anyio

KILOBYTE = 1 << 10
QUOTA = 600 * KILOBYTE
FOLDER_BYTES = 250 * KILOBYTE
MOST = 1 << 30


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def make_folder(here: Path, name: str, size: int = FOLDER_BYTES) -> Path:
    folder = here / f"made-{name}"
    folder.mkdir()
    (folder / "data").write_bytes(Random(name).randbytes(size))
    return folder


def disk_of(node: Path) -> int:
    """Bytes of files of others, whole or not."""
    places = (node / "fetched", node / "partial")
    return sum(f.stat().st_size for p in places for f in p.rglob("*") if f.is_file())


def names(node: Path) -> set[str]:
    return {path.name for path in (node / "fetched").iterdir()}


@pytest.fixture
def reader(tmp_path: Path) -> StoredContent:
    return StoredContent(tmp_path / "reader", quota_bytes=QUOTA)


async def test_the_folder_unused_for_longest_makes_room(tmp_path, reader):
    publisher = StoredContent(tmp_path / "publisher")
    one, two, three = [await publisher.add(make_folder(tmp_path, n)) for n in ("1", "2", "3")]
    async with serving(publisher) as source:
        for number, digest in enumerate((one, two)):
            into = tmp_path / f"into-{number}"
            await reader.fetch(digest, into, most_bytes=MOST, sources=[source])
        await reader.fetch(one, tmp_path / "again", most_bytes=MOST)
        await reader.fetch(three, tmp_path / "third", most_bytes=MOST, sources=[source])

        assert names(tmp_path / "reader") == {folder_text(one), folder_text(three)}
        assert disk_of(tmp_path / "reader") <= QUOTA
        # What went can be fetched again.
        await reader.fetch(two, tmp_path / "back", most_bytes=MOST, sources=[source])
    assert (tmp_path / "back" / "data").read_bytes() == Random("2").randbytes(FOLDER_BYTES)


async def test_the_order_of_use_is_known_after_a_restart(tmp_path):
    publisher = StoredContent(tmp_path / "publisher")
    one, two, three = [await publisher.add(make_folder(tmp_path, n)) for n in ("1", "2", "3")]
    async with serving(publisher) as source:
        for number, digest in enumerate((one, two, three)):
            reader = StoredContent(tmp_path / "reader", quota_bytes=QUOTA)
            into = tmp_path / f"into-{number}"
            await reader.fetch(digest, into, most_bytes=MOST, sources=[source])

    assert names(tmp_path / "reader") == {folder_text(two), folder_text(three)}


async def test_a_lower_quota_holds_from_the_start(tmp_path, reader):
    publisher = StoredContent(tmp_path / "publisher")
    async with serving(publisher) as source:
        for name in ("1", "2"):
            digest = await publisher.add(make_folder(tmp_path, name))
            await reader.fetch(digest, tmp_path / name, most_bytes=MOST, sources=[source])

    StoredContent(tmp_path / "reader", quota_bytes=QUOTA // 2)

    assert 0 < disk_of(tmp_path / "reader") <= QUOTA // 2


async def test_a_hostile_job_larger_than_the_quota_is_refused_and_drives_nothing_out(
    tmp_path, reader
):
    publisher = StoredContent(tmp_path / "publisher")
    small = await publisher.add(make_folder(tmp_path, "small"))
    large = await publisher.add(make_folder(tmp_path, "large", 8 * QUOTA))
    own = await reader.add(make_folder(tmp_path, "own", 2 * QUOTA))
    async with serving(publisher) as source:
        await reader.fetch(small, tmp_path / "small", most_bytes=MOST, sources=[source])
        with pytest.raises(ContentRefused):
            await reader.fetch(large, tmp_path / "large", most_bytes=MOST, sources=[source])

    assert names(tmp_path / "reader") == {folder_text(small)}
    assert disk_of(tmp_path / "reader") <= QUOTA
    assert not (tmp_path / "large").exists()
    await reader.fetch(own, tmp_path / "own", most_bytes=MOST)


async def test_blocks_that_nothing_can_make_room_for_are_refused_with_the_remedy(tmp_path, reader):
    publisher = StoredContent(tmp_path / "publisher")
    # Its files fit, its blocks with their links do not.
    digest = await publisher.add(make_folder(tmp_path, "brim", QUOTA))
    async with serving(publisher) as source:
        with pytest.raises(ContentNotFound, match=r"Raise content\.quota_gigabytes"):
            await reader.fetch(digest, tmp_path / "into", most_bytes=MOST, sources=[source])

    assert disk_of(tmp_path / "reader") == 0
