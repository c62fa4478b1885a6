"""A node's published folders: its own on disk, those of others from trustless gateways.

A folder of others grows in a store of its own and joins the node's blocks once it is complete, so
the node serves whole folders only, what is refused leaves nothing behind, and what was cut off goes
on where it stopped.
"""

import asyncio
import ssl
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Final
from weakref import WeakValueDictionary

import anyio
import anyio.to_thread
import httpx

from scatter.adapters.blockstore import BlockStore, cut_folder, write_folder
from scatter.adapters.gateway_client import GatewayLacks, GatewayRefused, Patience, download
from scatter.mechanism.errors import BadInput
from scatter.mechanism.units import Digest
from scatter.ports.content import ContentNotFound, ContentRefused
from scatter.unixfs.building import drop
from scatter.unixfs.cid import Cid, folder_text
from scatter.unixfs.nodes import NodeRefused
from scatter.unixfs.walking import Walk, read_folder

_MOST_SOURCES: Final = 16
_MOST_PARTIAL: Final = 32
"""Folders of others that may lie about unfinished; the oldest go first."""


class StoredContent:
    """The `Content` port on a folder of one's own, which no other process writes to."""

    def __init__(
        self,
        folder: Path,
        *,
        most_bytes: int = 8 << 30,
        most_fetches: int = 4,
        patience: Patience | None = None,
    ) -> None:
        """Publishes folders of at most `most_bytes`; runs `most_fetches` at once, the rest wait."""
        self.blocks = BlockStore(folder / "blocks")
        """What `scatter.adapters.gateway` serves."""
        self._partial = folder / "partial"
        self._partial.mkdir(parents=True, exist_ok=True)
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
            self.blocks.put(cid, block)
            kept.add(cid)

        digest = cut_folder(folder, keep, self._most_bytes)
        self.blocks.settle(kept)
        return digest

    async def _fetch(
        self, digest: Digest, into: Path, most_bytes: int, sources: Sequence[str]
    ) -> None:
        walk = Walk(digest, most_bytes)
        partial = await anyio.to_thread.run_sync(self._open_partial, str(walk.root))
        try:
            await anyio.to_thread.run_sync(self._resume, walk, partial)
            failures = await self._ask(walk, partial, sources)
            if walk.wanted:
                raise ContentNotFound(f"Nobody serves {walk.root}: {'; '.join(failures)}")
            await anyio.to_thread.run_sync(self._write, digest, into, most_bytes, partial)
        except NodeRefused:
            await anyio.to_thread.run_sync(partial.remove)
            raise
        await anyio.to_thread.run_sync(self.blocks.take_over, partial)

    async def _ask(self, walk: Walk, partial: BlockStore, sources: Sequence[str]) -> list[str]:
        """Asks one source after the other; returns what went wrong."""
        failures = [] if sources else ["no gateway is known."]
        async with httpx.AsyncClient(
            follow_redirects=False,
            trust_env=False,
            verify=self._certificates,
            timeout=self._patience.window_seconds,
        ) as client:
            for source in sources[:_MOST_SOURCES]:
                if not walk.wanted:
                    break
                try:
                    await download(client, source, walk, partial.put, self._patience)
                except (GatewayRefused, GatewayLacks) as error:
                    failures.append(f"{source[:80]!r}: {error}")
        return failures

    @cached_property
    def _certificates(self) -> ssl.SSLContext:
        return ssl.create_default_context()

    def _write(
        self, digest: Digest, into: Path, most_bytes: int, partial: BlockStore | None = None
    ) -> bool:
        """Writes the folder from the blocks at hand; whether they were all there."""

        def get(cid: Cid) -> bytes:
            block = self._find(cid, partial)
            if block is None:
                raise _BlockMissing(f"Block {cid} was lost on the way to {into}; fetch again.")
            return block

        if partial is None and not self.blocks.has(Cid.of_folder(digest)):
            return False
        try:
            write_folder(read_folder(digest, get, most_bytes), into)
        except _BlockMissing:
            if partial:
                raise
            return False
        return True

    def _resume(self, walk: Walk, partial: BlockStore) -> None:
        """Takes the blocks that an earlier attempt left, and those that other folders share."""
        found = True
        while found:
            found = False
            for cid in tuple(walk.wanted):
                block = self._find(cid, partial)
                if block is not None:
                    walk.take(cid, block)
                    found = True

    def _find(self, cid: Cid, partial: BlockStore | None) -> bytes | None:
        block = None if partial is None else partial.get(cid)
        return self.blocks.get(cid) if block is None else block

    def _open_partial(self, text: str) -> BlockStore:
        """The store of an unfinished folder; drops the oldest of those that nobody waits for."""
        idle = [path for path in self._partial.iterdir() if path.name not in self._locks]
        idle.sort(key=lambda path: path.stat().st_mtime)
        for path in idle[: max(0, len(idle) - _MOST_PARTIAL)]:
            BlockStore(path).remove()
        return BlockStore(self._partial / text)


class _BlockMissing(ContentNotFound):
    """A block that was there is not any more."""
