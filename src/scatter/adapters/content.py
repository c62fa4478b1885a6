"""A node's published folders: its own on disk, those of others from trustless gateways.

A folder of others grows in a store of its own and is served once it is complete, so the node serves
whole folders only, what is refused leaves nothing behind, and what was cut off goes on where it
stopped. All of them together keep to a quota.
"""

import asyncio
import ssl
from collections.abc import Callable, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import Final
from weakref import WeakValueDictionary

import anyio
import anyio.to_thread

from scatter.adapters.blockstore import BlockStore, cut_folder, write_folder
from scatter.adapters.fetched import FetchedFolders, NoRoom
from scatter.adapters.gateway_client import GatewayLacks, GatewayRefused, Patience, download
from scatter.mechanism.errors import BadInput
from scatter.mechanism.units import Digest
from scatter.ports.content import ContentNotFound, ContentRefused
from scatter.unixfs.building import drop
from scatter.unixfs.cid import Cid, folder_text
from scatter.unixfs.nodes import NodeRefused
from scatter.unixfs.walking import Walk, read_folder

_MOST_SOURCES: Final = 16
QUOTA_BYTES: Final = 32 << 30


class StoredContent:
    """The `Content` port on a folder of one's own, which no other process writes to."""

    def __init__(
        self,
        folder: Path,
        *,
        most_bytes: int = 8 << 30,
        quota_bytes: int = QUOTA_BYTES,
        most_fetches: int = 4,
        patience: Patience | None = None,
        free: Callable[[], int] | None = None,
    ) -> None:
        """Publishes folders of at most `most_bytes`; runs `most_fetches` at once, the rest wait.

        The blocks of others take at most `quota_bytes`, and leave a gigabyte of the disk free;
        `free` tells how much there is, the disk itself if it is not given.
        """
        self._own = BlockStore(folder / "blocks")
        self._fetched = FetchedFolders(folder, quota_bytes, free)
        self.blocks = Shelves(self._own, self._fetched)
        """What `scatter.adapters.gateway` serves."""
        self._most_bytes = most_bytes
        self._patience = patience or Patience()
        self._fetches = asyncio.Semaphore(most_fetches)
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def add(self, folder: Path) -> Digest:
        """Publishes a folder; it has reached the disk when the digest is returned."""
        return await anyio.to_thread.run_sync(self._add, folder)

    async def name(self, folder: Path) -> Digest:
        """The digest that `add` would return, without publishing anything."""
        return await anyio.to_thread.run_sync(cut_folder, folder, drop, self._most_bytes)

    async def fetch(
        self, digest: Digest, into: Path, *, most_bytes: int, sources: Sequence[str] = ()
    ) -> None:
        """As the port says; `most_bytes` counts the files, at most 16 sources are asked.

        ContentRefused is the folder's fault, and final. A gateway that lies only loses its turn:
        the message of ContentNotFound says what each of them did.
        """
        if await anyio.Path(into).exists():
            raise BadInput(f"{into} exists already; name a new folder.")
        text = folder_text(digest)
        lock = self._locks.setdefault(text, asyncio.Lock())
        async with self._fetches, lock:
            try:
                if await anyio.to_thread.run_sync(self._write, digest, into, most_bytes):
                    return
                await self._fetch(digest, into, most_bytes, sources)
            except NodeRefused as error:
                raise ContentRefused(str(error)) from error

    def _add(self, folder: Path) -> Digest:
        kept: set[Cid] = set()

        def keep(cid: Cid, block: bytes | memoryview) -> None:
            self._own.put(cid, block)
            kept.add(cid)

        digest = cut_folder(folder, keep, self._most_bytes)
        self._own.settle(kept)
        return digest

    async def _fetch(
        self, digest: Digest, into: Path, most_bytes: int, sources: Sequence[str]
    ) -> None:
        walk = Walk(digest, min(most_bytes, self._fetched.most_bytes))
        name = str(walk.root)
        arriving = await anyio.to_thread.run_sync(self._fetched.begin, name)
        try:
            await anyio.to_thread.run_sync(self._resume, walk, arriving)
            failures = await self._ask(walk, name, sources)
            if walk.wanted:
                raise ContentNotFound(f"Nobody serves {walk.root}: {'; '.join(failures)}")
            await anyio.to_thread.run_sync(self._write, digest, into, most_bytes, arriving)
            await anyio.to_thread.run_sync(self._fetched.finish, name)
        except (NodeRefused, NoRoom):
            await anyio.to_thread.run_sync(self._fetched.drop, name)
            raise
        finally:
            self._fetched.stop(name)

    async def _ask(self, walk: Walk, name: str, sources: Sequence[str]) -> list[str]:
        """Asks one source after the other; returns what went wrong."""
        keep = partial(self._fetched.put, name)
        failures = [] if sources else ["no gateway is known."]
        for source in sources[:_MOST_SOURCES]:
            if not walk.wanted:
                break
            try:
                await download(source, walk, keep, self._patience, self._certificates)
            except (GatewayRefused, GatewayLacks) as error:
                failures.append(f"{source[:80]!r}: {error}")
        return failures

    @cached_property
    def _certificates(self) -> ssl.SSLContext:
        return ssl.create_default_context()

    def _write(
        self, digest: Digest, into: Path, most_bytes: int, arriving: BlockStore | None = None
    ) -> bool:
        """Writes the folder from the blocks at hand; whether they were all there."""

        def get(cid: Cid) -> bytes:
            block = self._find(cid, arriving)
            if block is None:
                raise _BlockMissing(f"Block {cid} was lost on the way to {into}; fetch again.")
            return block

        if arriving is None:
            if not self.blocks.has(Cid.of_folder(digest)):
                return False
            self._fetched.make_room_to_write(folder_text(digest))
        try:
            write_folder(read_folder(digest, get, most_bytes), into)
        except _BlockMissing:
            if arriving:
                raise
            return False
        self._fetched.use(folder_text(digest))
        return True

    def _resume(self, walk: Walk, arriving: BlockStore) -> None:
        """Takes the blocks that an earlier attempt left, and copies those that other folders share:
        each of them may go before this one.
        """
        found = True
        while found:
            found = False
            for cid in tuple(walk.wanted):
                block = self._find(cid, arriving)
                if block is not None:
                    walk.take(cid, block)
                    if not arriving.has(cid):
                        self._fetched.put(str(walk.root), cid, block)
                    found = True

    def _find(self, cid: Cid, arriving: BlockStore | None) -> bytes | None:
        block = None if arriving is None else arriving.get(cid)
        return self.blocks.get(cid) if block is None else block


class Shelves:
    """All that a node serves: its own blocks, and those of whole folders of others."""

    def __init__(self, own: BlockStore, fetched: FetchedFolders) -> None:
        self._own, self._fetched = own, fetched

    def get(self, cid: Cid) -> bytes | None:
        """The block, verified; None when it is not here."""
        block = self._own.get(cid)
        return self._fetched.get(cid) if block is None else block

    def has(self, cid: Cid) -> bool:
        """Whether a block of this name is here, perhaps damaged."""
        return self._own.has(cid) or self._fetched.has(cid)


class _BlockMissing(ContentNotFound):
    """A block that was there is not any more."""
