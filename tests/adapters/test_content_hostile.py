"""Gateways that lie, break off or drag on: each loses its turn, and the next one is asked.

Each is a real server on this machine that speaks HTTP by hand, so that it can break the rules.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from io import BytesIO
from pathlib import Path, PurePosixPath
from random import Random

import pytest

from scatter.adapters.blockstore import write_folder
from scatter.adapters.content import StoredContent
from scatter.adapters.gateway_client import Patience
from scatter.ports.content import ContentNotFound, ContentRefused
from scatter.unixfs.building import name_directory, name_file
from scatter.unixfs.car import header, section
from scatter.unixfs.cid import Cid, Codec
from scatter.unixfs.nodes import Directory, Entry, NodeRefused, decode, encode
from scatter.unixfs.walking import children

CAR = "application/vnd.ipld.car"
RAW = "application/vnd.ipld.raw"
MODEL = Random(1).randbytes(3_000_000)
PATIENCE = Patience(window_seconds=0.3, least_bytes=1_000)

Handler = Callable[[str, asyncio.StreamWriter], Awaitable[None]]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Folder:
    """A published folder with one model in it, as blocks."""

    def __init__(self) -> None:
        self.blocks: dict[Cid, bytes] = {}
        model = name_file(BytesIO(MODEL), self.keep)
        self.root = name_directory({"model": model}, self.keep).cid

    def keep(self, cid: Cid, block: bytes | memoryview) -> None:
        self.blocks[cid] = bytes(block)

    def archive(self) -> bytes:
        return header(self.root) + b"".join(
            section(cid, len(self.blocks[cid])) + self.blocks[cid] for cid in self.below(self.root)
        )

    def below(self, cid: Cid) -> Iterator[Cid]:
        yield cid
        for child in children(decode(cid, self.blocks[cid])):
            yield from self.below(child)


FOLDER = Folder()


@asynccontextmanager
async def gateway(handler: Handler) -> AsyncIterator[tuple[str, list[str]]]:
    """Serves with `handler(target, writer)`; yields the address and the targets asked for."""
    asked: list[str] = []
    busy: set[asyncio.Task[None]] = set()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        busy.add(task) if (task := asyncio.current_task()) else None
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            asked.append(head.split()[1].decode())
            await handler(asked[-1], writer)
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            return
        finally:
            writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", asked
    finally:
        server.close()
        for task in busy:
            task.cancel()
        await asyncio.gather(*busy, return_exceptions=True)


def names_in(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


def head(media_type: str = CAR, status: str = "200 OK", *more: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Type: {media_type}", "Connection: close", *more]
    return "\r\n".join([*lines, "", ""]).encode()


def length(size: int) -> str:
    return f"Content-Length: {size}"


async def honest(target: str, writer: asyncio.StreamWriter) -> None:
    if "format=raw" in target:
        await single_blocks(target, writer)
        return
    archive = FOLDER.archive()
    writer.write(head(CAR, "200 OK", length(len(archive))) + archive)


async def single_blocks(target: str, writer: asyncio.StreamWriter) -> None:
    if "format=car" in target:
        writer.write(head("text/plain", "406 Not Acceptable", length(0)))
        return
    block = FOLDER.blocks[Cid.from_text(target.removeprefix("/ipfs/").partition("?")[0])]
    writer.write(head(RAW, "200 OK", length(len(block))) + block)


async def wrong_bytes(target: str, writer: asyncio.StreamWriter) -> None:
    archive = bytearray(FOLDER.archive())
    archive[-1] ^= 1
    writer.write(head() + archive)


async def wrong_single_bytes(target: str, writer: asyncio.StreamWriter) -> None:
    if "format=car" in target:
        await single_blocks(target, writer)
    else:
        writer.write(head(RAW) + b"anything")


async def truncated(target: str, writer: asyncio.StreamWriter) -> None:
    writer.write(head() + FOLDER.archive()[:-1_000])


async def truncated_at_a_block(target: str, writer: asyncio.StreamWriter) -> None:
    last = list(FOLDER.below(FOLDER.root))[-1]
    size = len(FOLDER.blocks[last])
    writer.write(head() + FOLDER.archive()[: -size - len(section(last, size))])


async def broken_off(target: str, writer: asyncio.StreamWriter) -> None:
    archive = FOLDER.archive()
    writer.write(head(CAR, "200 OK", length(len(archive))) + archive[:2_000_000])


async def endless(target: str, writer: asyncio.StreamWriter) -> None:
    root = FOLDER.blocks[FOLDER.root]
    writer.write(head() + header(FOLDER.root))
    while True:
        writer.write((section(FOLDER.root, len(root)) + root) * 1_000)
        await writer.drain()


async def endless_single(target: str, writer: asyncio.StreamWriter) -> None:
    if "format=car" in target:
        await single_blocks(target, writer)
        return
    writer.write(head(RAW))
    while True:
        writer.write(bytes(100_000))
        await writer.drain()


async def wrong_root(target: str, writer: asyncio.StreamWriter) -> None:
    empty = encode(Directory(()))
    cid = Cid.of(Codec.DAG_PB, empty)
    writer.write(head() + header(cid) + section(cid, len(empty)) + empty)


async def unrelated_blocks(target: str, writer: asyncio.StreamWriter) -> None:
    cid = Cid.of(Codec.RAW, b"advertisement")
    writer.write(head() + header(FOLDER.root) + section(cid, 13) + b"advertisement")


async def drip(target: str, writer: asyncio.StreamWriter) -> None:
    writer.write(head() + FOLDER.archive()[:100])
    await asyncio.Event().wait()


async def silent(target: str, writer: asyncio.StreamWriter) -> None:
    await asyncio.Event().wait()


async def redirecting(target: str, writer: asyncio.StreamWriter) -> None:
    writer.write(head(CAR, "302 Found", "Location: http://127.0.0.1:9/", length(0)))


async def compressed(target: str, writer: asyncio.StreamWriter) -> None:
    writer.write(head(CAR, "200 OK", "Content-Encoding: gzip") + bytes(1_000))


async def another_type(target: str, writer: asyncio.StreamWriter) -> None:
    writer.write(head("text/html", "200 OK") + b"<html>")


async def no_http(target: str, writer: asyncio.StreamWriter) -> None:
    writer.write(b"\x00\x01\x02 nonsense\r\n\r\n")


LIARS = [
    (wrong_bytes, "Other bytes"),
    (wrong_single_bytes, "Other bytes"),
    (truncated, "cut off"),
    (truncated_at_a_block, "lacks blocks"),
    (broken_off, "broke off"),
    (endless, "more than the folder can hold"),
    (endless_single, "more than 2 MiB"),
    (wrong_root, "one root"),
    (unrelated_blocks, "no part of the folder"),
    (drip, "too slow"),
    (silent, "too slow"),
    (redirecting, "redirects"),
    (compressed, "compressed"),
    (another_type, "instead of"),
    (no_http, "broke off"),
]


@pytest.mark.anyio
class TestLiars:
    @pytest.mark.parametrize(("liar", "match"), LIARS, ids=[liar.__name__ for liar, _ in LIARS])
    async def test_a_liar_loses_its_turn_and_the_next_is_asked(
        self, tmp_path: Path, liar: Handler, match: str
    ) -> None:
        content = StoredContent(tmp_path / "node", patience=PATIENCE)
        digest, into = FOLDER.root.digest, tmp_path / "into"
        async with gateway(liar) as (bad, _), gateway(honest) as (good, _):
            with pytest.raises(ContentNotFound, match=match):
                await content.fetch(digest, into, most_bytes=len(MODEL), sources=[bad])
            assert names_in(tmp_path) == ["node"]

            await content.fetch(digest, into, most_bytes=len(MODEL), sources=[bad, good])

        assert (into / "model").read_bytes() == MODEL

    @pytest.mark.parametrize(
        "address",
        ["", "ftp://x", "file:///etc", "http://", "http://me:secret@x", "http://x/?a", "x" * 300],
    )
    async def test_an_address_that_is_none_is_passed_over(
        self, tmp_path: Path, address: str
    ) -> None:
        content = StoredContent(tmp_path / "node")
        async with gateway(honest) as (good, _):
            await content.fetch(
                FOLDER.root.digest,
                tmp_path / "into",
                most_bytes=len(MODEL),
                sources=[address, good],
            )
        assert (tmp_path / "into" / "model").read_bytes() == MODEL


@pytest.mark.anyio
class TestGateways:
    async def test_one_without_archives_is_asked_block_by_block(self, tmp_path: Path) -> None:
        content = StoredContent(tmp_path / "node")
        async with gateway(single_blocks) as (source, asked):
            await content.fetch(
                FOLDER.root.digest, tmp_path / "into", most_bytes=len(MODEL), sources=[source]
            )
        assert (tmp_path / "into" / "model").read_bytes() == MODEL
        assert len(asked) == 1 + len(FOLDER.blocks)

    async def test_what_arrived_is_not_asked_for_again(self, tmp_path: Path) -> None:
        content = StoredContent(tmp_path / "node")
        async with gateway(broken_off) as (bad, _), gateway(single_blocks) as (good, asked):
            await content.fetch(
                FOLDER.root.digest, tmp_path / "into", most_bytes=len(MODEL), sources=[bad, good]
            )
        assert (tmp_path / "into" / "model").read_bytes() == MODEL
        assert 0 < len(asked) < len(FOLDER.blocks) - 3


class HostileFolder(Folder):
    """A folder whose blocks are what they are called, and whose root is at fault."""

    def __init__(self, root: Directory | bytes) -> None:
        self.blocks = {}
        block = encode(root) if isinstance(root, Directory) else root
        self.root = Cid.of(Codec.DAG_PB, block)
        self.blocks[self.root] = block
        self.keep(Cid.of(Codec.RAW, b"x"), b"x")

    def below(self, cid: Cid) -> Iterator[Cid]:
        return iter(self.blocks)


X = Cid.of(Codec.RAW, b"x")
LINK = b"\x0a\x24" + bytes(X) + b"\x12\x0b../../owned\x18\x01"


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("folder", "match"),
    [
        (HostileFolder(b"\x12" + bytes((len(LINK),)) + LINK + b"\x0a\x02\x08\x01"), "leave its"),
        (HostileFolder(b"\x0a\x02\x08\x04"), "symbolic links"),
        (HostileFolder(b"\x0a\x02\x08\x05"), "sharded"),
        (HostileFolder(Directory((Entry("x", X, 1 << 50),))), "at most 100"),
        (HostileFolder(Directory((Entry("x", X, 2),))), "its link says other"),
    ],
)
async def test_a_folder_at_fault_is_refused_at_once_and_leaves_nothing(
    tmp_path: Path, folder: HostileFolder, match: str
) -> None:
    content = StoredContent(tmp_path / "node")

    async def serve(target: str, writer: asyncio.StreamWriter) -> None:
        writer.write(head() + folder.archive())

    async with gateway(serve) as (source, _), gateway(serve) as (second, asked):
        with pytest.raises(ContentRefused, match=match):
            await content.fetch(
                folder.root.digest, tmp_path / "into", most_bytes=100, sources=[source, second]
            )

    assert asked == []
    assert names_in(tmp_path) == ["node"]
    assert names_in(tmp_path / "node" / "partial") == []
    assert not any(path.is_file() for path in (tmp_path / "node").rglob("*"))


@pytest.mark.anyio
async def test_a_damaged_block_is_fetched_again(tmp_path: Path) -> None:
    content = StoredContent(tmp_path / "node")
    digest, limit = FOLDER.root.digest, len(MODEL)
    async with gateway(honest) as (source, _):
        await content.fetch(digest, tmp_path / "one", most_bytes=limit, sources=[source])
        found = (tmp_path / "node" / "fetched").rglob(f"{FOLDER.root}")
        victim = next(path for path in found if path.is_file())
        victim.write_bytes(b"torn")
        await content.fetch(digest, tmp_path / "two", most_bytes=limit, sources=[source])
    assert (tmp_path / "two" / "model").read_bytes() == MODEL


def test_a_name_that_the_disk_takes_for_another_is_refused(tmp_path: Path) -> None:
    twice = [(PurePosixPath("same"), iter([b"1"])), (PurePosixPath("same"), iter([b"2"]))]
    with pytest.raises(NodeRefused, match="same on this disk"):
        write_folder(twice, tmp_path / "into")
    assert list(tmp_path.iterdir()) == []
