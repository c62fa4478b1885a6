"""Runs the duties of a node, so that no job is forgotten and none overwhelms the machine.

Duties are level-triggered, so an entry may run once too often and never does harm. What is due is
kept in memory only: at every start each unfinished job of the chain is looked at once. Many jobs
can be in hand at once, because most of their steps only wait. A duty that comes to the sandbox
without a turn is put down and enters the line, which is on disk; when its turn comes it looks at
the chain again, and does what is due by then.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence

import structlog

from scatter.mechanism.errors import ScatterError
from scatter.mechanism.units import JobId, Timestamp
from scatter.node.agenda import Agenda
from scatter.node.turns import TurnNeeded, Turns
from scatter.ports.queue import Entry, Queue, Turn
from scatter.ports.store import Store, Work
from scatter.roles.approval import ApprovalNeeded
from scatter.roles.duty import Duty

_log = structlog.get_logger()

WAITING, RUNNING, DONE, FAILED = "waiting", "running", "done", "failed"
IN_LINE = "in line"
ASKING = "asking"
"""The operator is to approve the job; the note says how."""
ASKING_SECONDS = 60.0
"""Between two looks at a job that waits for its approval: its phase may have ended."""
SETTLING_SECONDS = 3_600
"""After which no chain in use replaces a block."""
MOST_NOTE = 500
"""Characters of a note; a stranger's words may be in it."""


class Workbench:
    """The queue of a node: one entry per role and job, worked on until cancelled."""

    def __init__(
        self,
        duties: Sequence[Duty],
        store: Store,
        queue: Queue,
        turns: Turns,
        *,
        is_over: Callable[[JobId], Awaitable[bool]],
        rank: Callable[[JobId], Awaitable[int]],
        clock: Callable[[], float] = time.monotonic,
        look_seconds: float = 1.0,
        least_pause: float = 1.0,
        most_in_hand: int = 64,
    ) -> None:
        """`is_over` says whether a job can change no more; an entry of such a job is done.

        `rank` is a job's in the line before the sandbox, the operator's choice (`Queue.enter`).
        `look_seconds` is how often this machine's clock is looked at. The chain's time is what
        `tell_time` said last; so an entry wakes a little late and never early.
        """
        self._duties = {duty.name: duty for duty in duties}
        self._store = store
        self._queue = queue
        self._turns = turns
        self._rank = rank
        self._chain_time: Timestamp | None = None
        self._is_over = is_over
        self._clock = clock
        self._look_seconds = look_seconds
        self._most_in_hand = most_in_hand
        self._agenda = Agenda(tuple(self._duties), least_pause=least_pause)
        self._news = asyncio.Event()
        self._taken = asyncio.Event()
        self._put_down = asyncio.Condition()
        self._started: dict[Entry, int] = {}
        self._noted: dict[Entry, tuple[str, str]] = {}

    def touch(self, job: JobId) -> None:
        """Something happened to this job: every duty looks at it, soon."""
        self._agenda.touch(job)
        self._news.set()

    def tell_time(self, time: Timestamp) -> None:
        """The chain has reached this time."""
        self._chain_time = time
        self._news.set()

    async def resume(self, jobs: int, *, batch: int = 64) -> None:
        """Lets every duty look once at each of the jobs 1..`jobs` that is not done, oldest first.

        What was done within the last hour is looked at too: the chain may have replaced the blocks
        that it rests on. The next batch follows when the last one was taken.
        """
        settled = time.time() - SETTLING_SECONDS
        done = {
            (work.role, work.job)
            for work in await self._store.works()
            if work.state == DONE and work.since < settled
        }
        for number in range(1, jobs + 1):
            job = JobId(number)
            self._agenda.touch(job, [r for r in self._duties if (r, job) not in done])
            self._news.set()
            while self._agenda.waiting >= batch:
                self._taken.clear()
                await self._taken.wait()

    async def run(self) -> None:
        """Works until cancelled, which cancels what is in hand.

        A ScatterError of a duty is noted and its entry tried again later. Any other exception ends
        the queue, in an exception group: a person must look.
        """
        async with asyncio.TaskGroup() as group:
            group.create_task(self._queue.run(self._take_turn))
            while True:
                self._news.clear()
                self._agenda.pass_time(self._chain_time, self._clock())
                self._take_up(group)
                try:
                    async with asyncio.timeout(self._look_seconds):
                        await self._news.wait()
                except TimeoutError:
                    continue

    async def questions(self) -> Sequence[str]:
        """What waits for the operator's approval, a sentence each."""
        return [work.note for work in await self._store.works() if work.state == ASKING]

    async def works(self) -> Sequence[Work]:
        """What the operator sees: what is in hand, the line in its order, then what was noted."""
        running = [
            Work(entry.role, entry.job, RUNNING, "", since)
            for entry, since in self._started.items()
        ]
        in_line = [
            Work(place.entry.role, place.entry.job, IN_LINE, f"number {number}", place.since)
            for number, place in enumerate(await self._queue.line(), start=1)
            if place.entry not in self._started
        ]
        now = {(work.role, work.job) for work in (*running, *in_line)}
        noted = await self._store.works()
        return [*running, *in_line, *(work for work in noted if (work.role, work.job) not in now)]

    def _take_up(self, group: asyncio.TaskGroup) -> None:
        while len(self._agenda.in_hand) < self._most_in_hand:
            entry = self._agenda.take()
            if entry is None:
                return
            self._taken.set()
            self._started[entry] = int(time.time())
            group.create_task(self._advance(entry), name=f"{entry.role} of job {entry.job}")

    async def _take_turn(self, entry: Entry, turn: Turn) -> None:
        if entry.role not in self._duties:
            _log.warning("the node has this role no more", role=entry.role, job=entry.job)
            return
        async with self._put_down:
            await self._put_down.wait_for(lambda: self._agenda.take_turn(entry))
        self._started[entry] = int(time.time())
        async with self._turns.hold(entry, turn):
            await self._advance(entry)

    async def _advance(self, entry: Entry) -> None:
        try:
            state, wake = await self._do_what_is_due(entry)
        except ApprovalNeeded as question:
            await self._note(entry, ASKING, str(question))
            self._agenda.defer(entry, self._clock(), ASKING_SECONDS)
        except ScatterError as error:
            sentence = str(error)[:MOST_NOTE]
            await self._note(entry, FAILED, sentence)
            pause = self._agenda.fail(entry, self._clock())
            _log.warning("failed", role=entry.role, job=entry.job, error=sentence, again_in=pause)
        else:
            if state == IN_LINE:
                self._agenda.line_up(entry)
            else:
                await self._note(entry, state, "")
                self._agenda.finish(entry, wake)
        finally:
            self._started.pop(entry, None)
            self._news.set()
            async with self._put_down:
                self._put_down.notify_all()

    async def _do_what_is_due(self, entry: Entry) -> tuple[str, Timestamp | None]:
        """The entry's state from now on, and when to look again."""
        try:
            wake = await self._duties[entry.role].advance(entry.job)
        except TurnNeeded:
            await self._queue.enter(entry, await self._rank(entry.job))
            return IN_LINE, None
        over = wake is None and await self._is_over(entry.job)
        return (DONE if over else WAITING), wake

    async def _note(self, entry: Entry, state: str, note: str) -> None:
        if self._noted.get(entry) == (state, note):
            return
        self._noted[entry] = (state, note)
        await self._store.note_work(Work(entry.role, entry.job, state, note, int(time.time())))
        if state == DONE:
            del self._noted[entry]
