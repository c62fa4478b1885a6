"""The line before a node's sandbox: who waits, in which order, and what a turn has done so far.

An entry in the line has reached the disk when `enter` returns, and leaves it when its turn has
ended. A turn that the process's death cut short is given again, before those behind it; what it
did `once` is not done again. The line holds a role and a job's number, no secret, and no fact that
could go stale: what is due, the duty finds on the chain when its turn comes.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from scatter.mechanism.errors import ScatterError
from scatter.mechanism.units import JobId

MOST_RANK: Final = 2**31 - 1


class QueueUnavailable(ScatterError):
    """The line cannot be kept: its database is damaged or out of reach; the message says which."""


@dataclass(frozen=True)
class Entry:
    """One role's duty in one job."""

    role: str
    job: JobId


@dataclass(frozen=True)
class Place:
    """An entry's place in the line."""

    entry: Entry
    running: bool
    """Whether it is its turn."""
    since: int
    """When it came, in seconds since 1970."""


class Turn(Protocol):
    """An entry's turn at the sandbox."""

    async def once(self, label: str, work: Callable[[], Awaitable[str]]) -> str:
        """Does `work`, or returns what it returned in this turn before the process was killed.

        One at a time. `label` names the work within the turn. What `work` raises is not remembered.
        """
        ...


Perform = Callable[[Entry, Turn], Awaitable[None]]
"""Does what is due in a turn. The turn has ended when it returns; what it raises ends `run`."""


class Queue(Protocol):
    """A line of one node. A lower rank goes first, and among equals who came first."""

    async def enter(self, entry: Entry, rank: int = 0) -> None:
        """Puts an entry at the end of its rank; nothing when it is in the line already.

        `rank` is 0 to MOST_RANK. Not to be called within a turn. Raises QueueUnavailable.
        """
        ...

    async def line(self) -> Sequence[Place]:
        """Who has a turn and who waits for one, in order."""
        ...

    async def run(self, perform: Perform) -> None:
        """Gives turns until cancelled, never more at once than the operator allows.

        Cancelling cancels the turns; they are given again when the line is next run.
        """
        ...
