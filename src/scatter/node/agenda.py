"""Which duty looks at which job next. Pure: the times are arguments.

An entry is a role and a job. It is due when an event touched the job, when the time that its duty
named has come on the chain's clock, or when the pause after a failure is over. Due entries are
taken first in, first out, and never two at once for the same job. An entry that stands in the line
before the sandbox is not taken before its turn there.
"""

from collections.abc import Sequence

from scatter.mechanism.units import JobId, Timestamp
from scatter.ports.queue import Entry


class Agenda:
    """The entries of one node. Keeps none that neither an hour nor a failure would bring back."""

    def __init__(
        self, roles: Sequence[str], *, least_pause: float = 1.0, most_pause: float = 60.0
    ) -> None:
        """`least_pause` follows a first failure and doubles with each, up to `most_pause` (s)."""
        self._roles = tuple(roles)
        self._least_pause = least_pause
        self._most_pause = most_pause
        self._due: dict[Entry, None] = {}
        self._in_hand: dict[JobId, Entry] = {}
        self._in_line: set[Entry] = set()
        self._wakes: dict[Entry, Timestamp] = {}
        self._retries: dict[Entry, float] = {}
        self._failures: dict[Entry, int] = {}

    @property
    def waiting(self) -> int:
        """How many entries are due and not taken."""
        return len(self._due)

    @property
    def in_hand(self) -> Sequence[Entry]:
        """What was taken and is neither finished nor failed, the oldest first."""
        return tuple(self._in_hand.values())

    def touch(self, job: JobId, roles: Sequence[str] | None = None) -> None:
        """Makes the job's entries due, all of them or those of `roles`."""
        for role in self._roles if roles is None else roles:
            if Entry(role, job) not in self._in_line:
                self._due.setdefault(Entry(role, job))

    def pass_time(self, chain: Timestamp | None, clock: float) -> None:
        """Makes due what waited for these times: the chain's (if known) and this machine's."""
        if chain is not None:
            for entry in [e for e, wake in self._wakes.items() if wake <= chain]:
                del self._wakes[entry]
                self._due.setdefault(entry)
        for entry in [e for e, retry in self._retries.items() if retry <= clock]:
            del self._retries[entry]
            self._due.setdefault(entry)

    def take(self) -> Entry | None:
        """The next due entry whose job is not in hand; it is in hand from now on."""
        for entry in self._due:
            if entry.job not in self._in_hand:
                self._take_in_hand(entry)
                return entry
        return None

    def take_turn(self, entry: Entry) -> bool:
        """Takes an entry whose turn at the sandbox it is; False while its job is in hand."""
        if entry.job in self._in_hand:
            return False
        self._take_in_hand(entry)
        return True

    def line_up(self, entry: Entry) -> None:
        """Puts an entry down until its turn at the sandbox."""
        del self._in_hand[entry.job]
        self._due.pop(entry, None)
        self._in_line.add(entry)

    def finish(self, entry: Entry, wake: Timestamp | None) -> None:
        """Puts an entry down until `wake`, or until an event comes."""
        del self._in_hand[entry.job]
        self._failures.pop(entry, None)
        if wake is not None:
            self._wakes[entry] = wake

    def defer(self, entry: Entry, clock: float, pause: float) -> None:
        """Puts an entry down for a pause (seconds), or until an event comes; nothing failed."""
        del self._in_hand[entry.job]
        self._failures.pop(entry, None)
        self._retries[entry] = clock + pause

    def fail(self, entry: Entry, clock: float) -> float:
        """Puts an entry down for a pause, which is returned (seconds)."""
        del self._in_hand[entry.job]
        failures = self._failures.get(entry, 0)
        self._failures[entry] = failures + 1
        pause = min(self._least_pause * (1 << min(failures, 32)), self._most_pause)
        self._retries[entry] = clock + pause
        return pause

    def _take_in_hand(self, entry: Entry) -> None:
        self._due.pop(entry, None)
        self._wakes.pop(entry, None)
        self._retries.pop(entry, None)
        self._in_line.discard(entry)
        self._in_hand[entry.job] = entry
