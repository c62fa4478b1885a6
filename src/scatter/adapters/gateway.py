"""Serves the blocks of a node to anybody, as a trustless gateway.

`GET /ipfs/{cid}` answers with one block (`format=raw`) or with all below it (`format=car`); the
receiver verifies, so nothing here needs trust; and nothing changes, so caches keep it for ever.
Only blocks that are here are served: nothing is fetched for a stranger.
Source: the Trustless Gateway specification of IPFS.
"""

import asyncio
from collections.abc import AsyncIterator
from typing import Final, Protocol

import anyio.to_thread
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from scatter.mechanism.errors import BadInput
from scatter.unixfs.car import header, section
from scatter.unixfs.cid import Cid
from scatter.unixfs.nodes import decode
from scatter.unixfs.walking import children

RAW: Final = "application/vnd.ipld.raw"
CAR: Final = "application/vnd.ipld.car"

_BATCH_BYTES: Final = 1 << 20
_CAR_TYPE: Final = f"{CAR}; version=1; order=dfs; dups=n"


class Blocks(Protocol):
    """What a gateway needs of a store."""

    def get(self, cid: Cid) -> bytes | None: ...

    def has(self, cid: Cid) -> bool: ...


def gateway_app(
    blocks: Blocks, *, most_at_once: int = 32, patience_seconds: float = 30.0
) -> Starlette:
    """An ASGI application; mount it where others reach it, and publish the base address.

    Beyond `most_at_once` archives in progress it says 503; a reader that takes longer than
    `patience_seconds` for one block is cut off.
    """
    gateway = _Gateway(blocks, most_at_once, patience_seconds)
    return Starlette(routes=[Route("/ipfs/{cid}", gateway.answer, methods=["GET"])])


class _Gateway:
    def __init__(self, blocks: Blocks, most_at_once: int, patience_seconds: float) -> None:
        self.blocks = blocks
        self.slots = asyncio.Semaphore(most_at_once)
        self.patience_seconds = patience_seconds

    async def answer(self, request: Request) -> Response:
        try:
            cid = Cid.from_text(request.path_params["cid"])
        except BadInput as error:
            return PlainTextResponse(str(error), 400)
        form = _form(request)
        if form is None:
            return PlainTextResponse(
                "Ask for format=raw or format=car; this gateway serves nothing else.", 406
            )
        if form == "car" and request.query_params.get("car-version", "1") != "1":
            return PlainTextResponse("Only CAR version 1 is served.", 400)
        if not await anyio.to_thread.run_sync(self.blocks.has, cid):
            return PlainTextResponse(f"{cid} is not here.", 404)
        headers = _headers(cid, form)
        if request.headers.get("If-None-Match") == headers["ETag"]:
            return Response(status_code=304, headers=headers)
        return await self._serve(cid, form, headers, request)

    async def _serve(
        self, cid: Cid, form: str, headers: dict[str, str], request: Request
    ) -> Response:
        if form == "car":
            if request.method == "HEAD":
                return Response(headers=headers, media_type=_CAR_TYPE)
            alone = request.query_params.get("dag-scope") == "block"
            return _Archive(self, cid, headers, alone)
        block = await anyio.to_thread.run_sync(self.blocks.get, cid)
        if block is None:
            return PlainTextResponse(f"{cid} is not here.", 404)
        return Response(block, headers=headers, media_type=RAW)


def _form(request: Request) -> str | None:
    """`raw` or `car`; the query says it, or else the first known media type in `Accept`."""
    asked = request.query_params.get("format")
    if asked is not None:
        return asked if asked in ("raw", "car") else None
    for part in request.headers.get("Accept", "").split(","):
        media_type = part.partition(";")[0].strip().lower()
        if media_type in (RAW, CAR):
            return "raw" if media_type == RAW else "car"
    return None


def _headers(cid: Cid, form: str) -> dict[str, str]:
    name = f"{cid}.{'car' if form == 'car' else 'bin'}"
    return {
        "Cache-Control": "public, max-age=29030400, immutable",
        "Content-Disposition": f'attachment; filename="{name}"',
        "ETag": f'W/"{cid}.car"' if form == "car" else f'"{cid}.raw"',
        "Vary": "Accept",
        "X-Content-Type-Options": "nosniff",
        "X-Ipfs-Path": f"/ipfs/{cid}",
    }


class _Archive(Response):
    """A CAR as it is written, depth first, each block once.

    When a block turns out to be missing the connection breaks off, so that the receiver cannot take
    the archive for complete.
    """

    media_type = _CAR_TYPE

    def __init__(self, gateway: _Gateway, root: Cid, headers: dict[str, str], alone: bool) -> None:
        super().__init__(headers=headers)
        del self.headers["Content-Length"]
        self.gateway = gateway
        self.root = root
        self.alone = alone

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self.gateway.slots.locked():
            busy = PlainTextResponse("Busy; try again.", 503, {"Retry-After": "1"})
            await busy(scope, receive, send)
            return
        async with self.gateway.slots:
            start = {"type": "http.response.start", "status": 200, "headers": self.raw_headers}
            await send(start)
            async for piece in self._pieces():
                async with asyncio.timeout(self.gateway.patience_seconds):
                    await send({"type": "http.response.body", "body": piece, "more_body": True})
            await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _pieces(self) -> AsyncIterator[bytes]:
        yield header(self.root)
        waiting, sent = [self.root], set[Cid]()
        while waiting:
            yield await anyio.to_thread.run_sync(self._read, waiting, sent)

    def _read(self, waiting: list[Cid], sent: set[Cid]) -> bytes:
        """The next blocks, about a megabyte; a thread for each alone would cost more than it."""
        batch = bytearray()
        while waiting and len(batch) < _BATCH_BYTES:
            cid = waiting.pop()
            if cid in sent:
                continue
            sent.add(cid)
            block = self.gateway.blocks.get(cid)
            if block is None:
                raise BadInput(f"Block {cid} of {self.root} is not here any more.")
            batch += section(cid, len(block))
            batch += block
            if not self.alone:
                waiting.extend(reversed(children(decode(cid, block))))
        return bytes(batch)
