"""Follows the chain and hands every job that something happened to, to the code that reacts.

Delivery is at least once and in chain order. The cursor moves after the handler returned for all
jobs of a step, so a crash repeats that step: the handler must do no harm when it runs twice. When
the chain replaced the block at the cursor, the cursor goes back and jobs are handed out again.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

import structlog

from scatter.mechanism.units import BlockNumber, JobId
from scatter.ports.chain import ChainUnreachable, Head
from scatter.ports.store import Cursor

MOST_STEP = 5_000
"""Blocks of one step, so that the cursor moves on while a node catches up."""

MOST_REWIND = 128
"""Blocks gone back over when a block was replaced; no chain in use replaces more."""

MOST_PAUSE = 30.0
"""Seconds between two tries while the chain is unreachable."""

log = structlog.get_logger(__name__)

Handler = Callable[[JobId], Awaitable[None]]
"""Reacts to a job that something happened to; what it raises ends the follower."""

Sleep = Callable[[float], Awaitable[None]]

OnHead = Callable[[Head], Awaitable[None]]
"""Called once per new head, after its jobs: what waits for the chain's time looks at it here."""


OnReplaced = Callable[[], Awaitable[None]]
"""Called when blocks are gone that were seen: what rested on them, own acts too, may be undone."""


class Blocks(Protocol):
    """What a follower needs of the chain port."""

    async def head(self) -> Head: ...

    async def block(self, number: BlockNumber) -> Head | None: ...

    async def jobs_touched(self, since: BlockNumber, until: BlockNumber) -> Sequence[JobId]: ...


class CursorStore(Protocol):
    """What it needs of the store port: the last block whose jobs were handled."""

    async def cursor(self) -> Cursor | None: ...

    async def move_cursor(self, cursor: Cursor) -> None: ...


async def follow(
    chain: Blocks,
    store: CursorStore,
    handler: Handler,
    *,
    start: BlockNumber,
    on_head: OnHead | None = None,
    on_replaced: OnReplaced | None = None,
    confirmations: int = 0,
    poll_seconds: float = 0.5,
    sleep: Sleep = asyncio.sleep,
) -> None:
    """Runs until cancelled, from the stored cursor or else from the block `start` on.

    A block counts once `confirmations` blocks are on top of it. While the chain is unreachable, or
    its endpoint answers what cannot be, it says so once, waits and tries again; what the handler,
    `on_head` or `on_replaced` raises ends it, for a person to look at.
    """
    pause = poll_seconds
    trouble = ""
    newest: Head | None = None
    seen: bytes | None = None
    while True:
        try:
            head = await chain.head()
            replaced = newest is not None and await _is_gone(chain, newest, head)
            moved = await _step(chain, store, handler, start, head.number - confirmations)
        except ChainUnreachable as error:
            pause = min(2 * pause, MOST_PAUSE)
            if str(error) != trouble:
                trouble = str(error)
                log.warning("the chain is out of reach, waiting for it", reason=trouble)
            await sleep(pause)
            continue
        if trouble:
            log.info("the chain is back", head=head.number)
        pause, trouble, newest = poll_seconds, "", head
        if replaced and on_replaced is not None:
            await on_replaced()
        if moved:
            continue
        if on_head is not None and head.hash != seen:
            await on_head(head)
        seen = head.hash
        await sleep(poll_seconds)


async def _is_gone(chain: Blocks, before: Head, head: Head) -> bool:
    """Whether a block that was the newest is no longer part of the chain."""
    return head != before and await chain.block(before.number) != before


async def _step(
    chain: Blocks, store: CursorStore, handler: Handler, start: BlockNumber, last: int
) -> bool:
    """Handles the next blocks up to `last`; whether there may be more to do at once."""
    cursor = await store.cursor()
    if cursor is not None:
        block = await chain.block(cursor.block)
        if block is None or block.hash != cursor.hash:
            await _rewind(chain, store, cursor, start)
            return True
    since = start if cursor is None else BlockNumber(cursor.block + 1)
    until = BlockNumber(min(last, since + MOST_STEP - 1))
    if until < since:
        return False
    # Taken before the events: if the chain moves between the two, the next step sees it.
    target = await chain.block(until)
    if target is None:
        return False
    for job in await chain.jobs_touched(since, until):
        await handler(job)
    await store.move_cursor(Cursor(until, target.hash))
    return until < last


async def _rewind(chain: Blocks, store: CursorStore, cursor: Cursor, start: BlockNumber) -> None:
    head = await chain.head()
    back = BlockNumber(max(0, start - 1, min(cursor.block, head.number) - MOST_REWIND))
    block = await chain.block(back)
    if block is None:
        raise ChainUnreachable(f"the chain's endpoint has no block {back}: it lags far behind")
    log.warning("the chain replaced blocks", cursor=cursor.block, back_to=back)
    await store.move_cursor(Cursor(back, block.hash))
