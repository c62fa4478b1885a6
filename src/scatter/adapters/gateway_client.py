"""Asks a trustless gateway for the blocks of a folder, and believes nothing it says.

One request brings the whole folder as a CAR archive; where a gateway cannot do that, or little is
missing, the blocks are asked for one by one. Each block is verified before it is kept, and kept at
once, so what a gateway brought before it failed is not asked for again.
Source: the Trustless Gateway specification of IPFS.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from itertools import islice
from typing import Final

import anyio.to_thread
import httpx

from scatter.ports.content import ContentNotFound, ContentRefused
from scatter.unixfs.car import CarReader
from scatter.unixfs.cid import Cid
from scatter.unixfs.nodes import MOST_BLOCK_BYTES
from scatter.unixfs.walking import Walk, WrongBlock

CAR: Final = "application/vnd.ipld.car"
RAW: Final = "application/vnd.ipld.raw"

_BLOCKS_AT_ONCE: Final = 8
_BATCH_BYTES: Final = 1 << 20
"""Of an archive, verified and written in one go, off the event loop."""
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
    client: httpx.AsyncClient, base: str, walk: Walk, keep: Keep, patience: Patience
) -> None:
    """Gets what `walk` wants from the gateway at `base`; `keep` runs in a thread.

    `client` must not follow redirects. Raises GatewayRefused or GatewayLacks when something is
    still wanted afterwards, NodeRefused when the folder itself breaks a bound.
    """
    source = _Source(client, _checked(base), walk, keep, patience)
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
    except (httpx.ConnectError, httpx.ConnectTimeout) as error:
        raise GatewayLacks("It does not answer.") from error
    except (httpx.HTTPError, httpx.StreamError) as error:
        raise GatewayRefused(f"It broke off: {error or type(error).__name__}.") from error


def _checked(base: str) -> str:
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
    return str(url).rstrip("/")


class _Source:
    """One gateway, while it is asked for one folder."""

    def __init__(
        self, client: httpx.AsyncClient, base: str, walk: Walk, keep: Keep, patience: Patience
    ) -> None:
        self.client = client
        self.base = base
        self.walk = walk
        self.keep = keep
        self.patience = patience

    async def archive(self) -> None:
        """Reads the folder as one archive, until nothing more is wanted."""
        accept = f"{CAR}; version=1; order=dfs; dups=n"
        async with self._answer(self.walk.root, "car", accept, CAR) as response:
            reader = CarReader(self.walk.root)
            taking: asyncio.Task[None] | None = None
            try:
                # The next batch arrives while the last one is verified and written.
                async with aclosing(self._batches(response)) as batches:
                    async for batch in batches:
                        if taking is not None:
                            await taking
                        if not self.walk.wanted:
                            return
                        taking = asyncio.create_task(self._take_archive(reader, batch))
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
        async with self._answer(cid, "raw", RAW, RAW) as response:
            block = bytearray()
            async with aclosing(self._pieces(response)) as pieces:
                async for piece in pieces:
                    block += piece
                    if len(block) > MOST_BLOCK_BYTES:
                        raise GatewayRefused(f"It sends more than 2 MiB as block {cid}.")
            return bytes(block)

    async def _batches(self, response: httpx.Response) -> AsyncGenerator[bytes, None]:
        """The body of an archive in pieces of a megabyte, as long as it can be one."""
        received, batch = 0, bytearray()
        async with aclosing(self._pieces(response)) as pieces:
            async for piece in pieces:
                received += len(piece)
                # Twice the folder, for an archive may repeat blocks and names each of them.
                if received > 2 * self.walk.total + 2 * MOST_BLOCK_BYTES:
                    raise GatewayRefused("It sends more than the folder can hold.")
                batch += piece
                if len(batch) >= _BATCH_BYTES:
                    yield bytes(batch)
                    batch.clear()
        yield bytes(batch)

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
    ) -> AsyncIterator[httpx.Response]:
        """The gateway's answer, once its head was found to be in order."""
        request = self.client.build_request(
            "GET",
            f"{self.base}/ipfs/{cid}?format={form}",
            headers={"Accept": accept, "Accept-Encoding": "identity"},
        )
        async with asyncio.timeout(self.patience.window_seconds):
            response = await self.client.send(request, stream=True)
        try:
            _check_head(response, media_type)
            yield response
        finally:
            await response.aclose()

    async def _pieces(self, response: httpx.Response) -> AsyncGenerator[bytes, None]:
        """The body as it comes. Raises TimeoutError when it drips."""
        clock = asyncio.get_running_loop()
        window, brought = clock.time() + self.patience.window_seconds, 0
        async with aclosing(response.aiter_raw()) as pieces:  # type: ignore[type-var]
            while True:
                try:
                    async with asyncio.timeout_at(window):
                        piece = await anext(pieces)
                except StopAsyncIteration:
                    return
                yield piece
                brought += len(piece)
                if brought >= self.patience.least_bytes:
                    window, brought = clock.time() + self.patience.window_seconds, 0


def _check_head(response: httpx.Response, media_type: str) -> None:
    if response.is_redirect:
        raise GatewayRefused("It redirects; give the address that it points to.")
    if media_type == CAR and response.status_code in _CANNOT_ARCHIVE:
        raise _NoArchives
    if response.status_code != 200:
        raise GatewayLacks(f"It answers {response.status_code}.")
    sent = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if sent != media_type:
        if media_type == CAR:
            raise _NoArchives
        raise GatewayRefused(f"It sends {sent[:40]!r} instead of {media_type}.")
    if response.headers.get("Content-Encoding", "identity") != "identity":
        raise GatewayRefused("It sends a compressed body, which was not asked for.")
