"""The disk that content of others takes: bounded at every moment, whatever a job is made of."""

from pathlib import Path
from random import Random

import pytest
from tests.adapters.test_content import serving

from scatter.adapters.content import StoredContent
from scatter.adapters.fetched import LEFT_FREE
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


class Disk:
    """A disk of a size, on which nothing lies but a node's files and the copies made of them."""

    def __init__(self, here: Path, size: int) -> None:
        self.here = here
        self.size = LEFT_FREE + size

    def free(self) -> int:
        return self.size - sum(f.stat().st_size for f in self.here.rglob("*") if f.is_file())


async def test_a_folder_for_which_the_disk_has_no_room_is_refused_before_it_fills(tmp_path):
    publisher = StoredContent(tmp_path / "publisher")
    disk = Disk(tmp_path / "disk", FOLDER_BYTES + 100 * KILOBYTE)
    reader = StoredContent(disk.here / "reader", free=disk.free)
    digest = await publisher.add(make_folder(tmp_path, "1"))
    async with serving(publisher) as source:
        with pytest.raises(ContentNotFound, match="1,024 MiB free; make room on it"):
            await reader.fetch(digest, disk.here / "into", most_bytes=MOST, sources=[source])
        assert disk_of(disk.here / "reader") == 0

        disk.size += FOLDER_BYTES
        await reader.fetch(digest, disk.here / "into", most_bytes=MOST, sources=[source])
    assert disk.free() >= LEFT_FREE


async def test_folders_not_used_for_longest_make_room_on_the_disk(tmp_path):
    publisher = StoredContent(tmp_path / "publisher")
    disk = Disk(tmp_path / "disk", 2 * FOLDER_BYTES + 100 * KILOBYTE)
    reader = StoredContent(disk.here / "reader", free=disk.free)
    one, two = [await publisher.add(make_folder(tmp_path, name)) for name in ("1", "2")]
    async with serving(publisher) as source:
        for digest in (one, two):
            await reader.fetch(digest, disk.here / "into", most_bytes=MOST, sources=[source])
            (disk.here / "into" / "data").unlink()
            (disk.here / "into").rmdir()
    assert names(disk.here / "reader") == {folder_text(two)}


async def test_a_copy_of_what_is_here_is_not_written_onto_a_full_disk(tmp_path):
    publisher = StoredContent(tmp_path / "publisher")
    disk = Disk(tmp_path / "disk", 3 * FOLDER_BYTES)
    reader = StoredContent(disk.here / "reader", free=disk.free)
    digest = await publisher.add(make_folder(tmp_path, "1"))
    async with serving(publisher) as source:
        await reader.fetch(digest, disk.here / "into", most_bytes=MOST, sources=[source])
    disk.size -= FOLDER_BYTES

    with pytest.raises(ContentNotFound, match="make room on it"):
        await reader.fetch(digest, disk.here / "again", most_bytes=MOST)
    assert names(disk.here / "reader") == {folder_text(digest)}


def test_a_node_starts_on_a_full_disk(tmp_path):
    StoredContent(tmp_path / "reader", free=lambda: 0)
