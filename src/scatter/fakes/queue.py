"""A line in memory; what it keeps outlives a run of it, as a disk would outlive a process."""

import asyncio
import itertools
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from scatter.ports.queue import Entry, Perform, Place, Queue


@dataclass
class _Waiting:
    entry: Entry
    order: tuple[int, int]
    since: int
    running: bool = False
    done: dict[str, str] = field(default_factory=dict)
    """What the turn did once, by label."""

    async def once(self, label: str, work: Callable[[], Awaitable[str]]) -> str:
        if label not in self.done:
            self.done[label] = await work()
        return self.done[label]


class FakeQueue(Queue):
    def __init__(self, concurrency: int = 1) -> None:
        self.concurrency = concurrency
        self._line: dict[Entry, _Waiting] = {}
        self._numbers = itertools.count()
        self._news = asyncio.Event()

    async def enter(self, entry: Entry, rank: int = 0) -> None:
        place = _Waiting(entry, (rank, next(self._numbers)), int(time.time()))
        self._line.setdefault(entry, place)
        self._news.set()

    async def line(self) -> Sequence[Place]:
        return [Place(one.entry, one.running, one.since) for one in self._in_order()]

    async def run(self, perform: Perform) -> None:
        self._news = asyncio.Event()
        for one in self._line.values():
            one.running = False
        async with asyncio.TaskGroup() as group:
            while True:
                self._news.clear()
                free = self.concurrency - sum(one.running for one in self._line.values())
                for one in [one for one in self._in_order() if not one.running][:free]:
                    one.running = True
                    group.create_task(self._give_turn(one, perform))
                await self._news.wait()

    def _in_order(self) -> list[_Waiting]:
        return sorted(self._line.values(), key=lambda one: (not one.running, one.order))

    async def _give_turn(self, one: _Waiting, perform: Perform) -> None:
        try:
            await perform(one.entry, one)
            del self._line[one.entry]
        finally:
            one.running = False
            self._news.set()
