"""Asks a trustless gateway for the blocks of a folder, and believes nothing it says.

One request brings the whole folder as a CAR archive; where a gateway cannot do that, or little is
missing, the blocks are asked for one by one. Each block is verified before it is kept, and kept at
once, so what a gateway brought before it failed is not asked for again.
Source: the Trustless Gateway specification of IPFS.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import islice
from typing import Final

import anyio.to_thread
import httpx

from scatter.adapters.web_line import Answer, BrokenOff, Unreachable, WebServer
from scatter.ports.content import ContentNotFound, ContentRefused
from scatter.unixfs.car import CarReader
from scatter.unixfs.cid import Cid
from scatter.unixfs.nodes import MOST_BLOCK_BYTES
from scatter.unixfs.walking import Walk, WrongBlock

CAR: Final = "application/vnd.ipld.car"
RAW: Final = "application/vnd.ipld.raw"

_BLOCKS_AT_ONCE: Final = 8
_CANNOT_ARCHIVE: Final = (400, 406, 415, 501)
_MOST_ADDRESS: Final = 256


class GatewayRefused(ContentRefused):
    """This gateway broke the rules. Another may still have the content; the next one is asked."""


class GatewayLacks(ContentNotFound):
    """This gateway is not there, or does not have the content."""


class _NoArchives(Exception):
    """This gateway serves single blocks only."""


@dataclass(frozen=True)
class Patience:
    """How slow a gateway may be: in each window it must bring so many bytes, or all the rest."""

    window_seconds: float = 15.0
    least_bytes: int = 256 << 10


Keep = Callable[[Cid, bytes], None]


async def download(
    base: str, walk: Walk, keep: Keep, patience: Patience, certificates: ssl.SSLContext
) -> None:
    """Gets what `walk` wants from the gateway at `base`; `keep` runs in a thread.

    Raises GatewayRefused or GatewayLacks when something is still wanted afterwards, NodeRefused
    when the folder itself breaks a bound.
    """
    url = _checked(base)
    server = WebServer(url, certificates, patience.window_seconds)
    source = _Source(server, url.raw_path.decode().rstrip("/"), walk, keep, patience)
    try:
        if 2 * walk.bytes_wanted > walk.total:
            try:
                await source.archive()
            except _NoArchives:
                await source.blocks()
        else:
            await source.blocks()
    except WrongBlock as error:
        raise GatewayRefused(str(error)) from error
    except TimeoutError as error:
        raise GatewayRefused("It is too slow.") from error
    except Unreachable as error:
        raise GatewayLacks("It does not answer.") from error
    except BrokenOff as error:
        raise GatewayRefused(f"It broke off: {error}.") from error
    finally:
        server.close()


def _checked(base: str) -> httpx.URL:
    """A base address to which `/ipfs/...` may be appended."""
    try:
        url = httpx.URL(base if len(base) <= _MOST_ADDRESS else "")
    except httpx.InvalidURL as error:
        raise GatewayRefused("Its address is not a web address.") from error
    if (
        url.scheme not in ("http", "https")
        or not url.host
        or url.userinfo
        or url.query
        or url.fragment
    ):
        raise GatewayRefused("Its address must be http(s)://host[:port][/path], nothing else.")
    return url


class _Source:
    """One gateway, while it is asked for one folder."""

    def __init__(
        self, server: WebServer, path: str, walk: Walk, keep: Keep, patience: Patience
    ) -> None:
        self.server = server
        self.path = path
        self.walk = walk
        self.keep = keep
        self.patience = patience

    async def archive(self) -> None:
        """Reads the folder as one archive, until nothing more is wanted."""
        accept = f"{CAR}; version=1; order=dfs; dups=n"
        received = 0
        async with self._answer(self.walk.root, "car", accept, CAR) as answer:
            reader = CarReader(self.walk.root)
            taking: asyncio.Task[None] | None = None
            try:
                # The next bytes arrive while the last ones are verified and written.
                while data := await self._read(answer):
                    received += len(data)
                    # Twice the folder, for an archive may repeat blocks and names each of them;
                    # how large it is shows with its first blocks.
                    if received > 2 * self.walk.total + 2 * MOST_BLOCK_BYTES:
                        raise GatewayRefused("It sends more than the folder can hold.")
                    if taking is not None:
                        await taking
                    if not self.walk.wanted:
                        return
                    taking = asyncio.create_task(self._take_archive(reader, data))
            finally:
                if taking is not None:
                    await taking
            reader.close()
        if self.walk.wanted:
            raise GatewayRefused("Its archive lacks blocks of the folder.")

    async def blocks(self) -> None:
        """Asks for the wanted blocks one by one, a few at a time."""
        while self.walk.wanted:
            cids = list(islice(self.walk.wanted, _BLOCKS_AT_ONCE))
            answers = await asyncio.gather(*map(self._block, cids), return_exceptions=True)
            for cid, answer in zip(cids, answers, strict=True):
                if isinstance(answer, BaseException):
                    raise answer
                await anyio.to_thread.run_sync(self._take, cid, answer)

    async def _block(self, cid: Cid) -> bytes:
        async with self._answer(cid, "raw", RAW, RAW) as answer:
            block = bytearray()
            while piece := await self._read(answer):
                block += piece
                if len(block) > MOST_BLOCK_BYTES:
                    raise GatewayRefused(f"It sends more than 2 MiB as block {cid}.")
            return bytes(block)

    async def _take_archive(self, reader: CarReader, data: bytes) -> None:
        def take() -> None:
            for cid, block in reader.feed(data):
                self._take(cid, block)

        await anyio.to_thread.run_sync(take)

    def _take(self, cid: Cid, block: bytes) -> None:
        if self.walk.take(cid, block):
            self.keep(cid, block)

    @asynccontextmanager
    async def _answer(
        self, cid: Cid, form: str, accept: str, media_type: str
    ) -> AsyncIterator[Answer]:
        """The gateway's answer, once its head was found to be in order."""
        target = f"{self.path}/ipfs/{cid}?format={form}"
        headers = {"Accept": accept, "Accept-Encoding": "identity"}
        async with self.server.get(target, headers, self.patience.window_seconds) as answer:
            _check_head(answer, media_type)
            yield answer

    async def _read(self, answer: Answer) -> bytes:
        """More of the body, none at its end. Raises TimeoutError when it drips."""
        async with asyncio.timeout(self.patience.window_seconds):
            return await answer.read(self.patience.least_bytes)


def _check_head(answer: Answer, media_type: str) -> None:
    if 300 <= answer.status < 400:
        raise GatewayRefused("It redirects; give the address that it points to.")
    if media_type == CAR and answer.status in _CANNOT_ARCHIVE:
        raise _NoArchives
    if answer.status != 200:
        raise GatewayLacks(f"It answers {answer.status}.")
    sent = answer.header("Content-Type").partition(";")[0].strip().lower()
    if sent != media_type:
        if media_type == CAR:
            raise _NoArchives
        raise GatewayRefused(f"It sends {sent[:40]!r} instead of {media_type}.")
    if answer.header("Content-Encoding", "identity") != "identity":
        raise GatewayRefused("It sends a compressed body, which was not asked for.")
