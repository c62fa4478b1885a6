"""The records that a node knows: newest per account, verified, bounded.

Every change gets the next number, so that a peer who says what it has seen already receives only
what came since.
"""

import secrets
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from scatter.mechanism.units import Address
from scatter.ports.peers import PeerRecord
from scatter.ports.statements import LIFETIME_MS, BadStatement, Deployment, verify_record

MOST_RECORDS: Final = 2_048


@dataclass(frozen=True)
class Entry:
    """A record and the number of the change that brought it."""

    record: PeerRecord
    number: int


class RecordBook:
    """Read from any thread.

    Accounts cost nothing, so strangers can fill the book. When it is full, only the accounts
    that `is_preferred` names (such as those with a stake) find a place, each for the oldest of
    the others.
    """

    def __init__(
        self,
        deployment: Deployment,
        now: Callable[[], int],
        is_preferred: Callable[[Address], bool],
        *,
        most: int = MOST_RECORDS,
    ) -> None:
        self._deployment = deployment
        self._now = now
        self._is_preferred = is_preferred
        self._most = most
        self._entries: dict[Address, Entry] = {}
        self._lock = threading.Lock()
        self._last = 0
        self.epoch = secrets.token_bytes(8)
        """Changes with every start, because the numbers begin anew."""

    def add(self, record: PeerRecord) -> bool:
        """Takes in a record that is newer than the one known; tells whether it did.

        Raises BadStatement when it does not verify.
        """
        known = self.find(record.account)
        if known is not None and known.issued_at >= record.issued_at:
            return False
        verify_record(record, self._deployment, now=self._now())
        with self._lock:
            if record.account not in self._entries and not self._make_room(record.account):
                return False
            self._last += 1
            self._entries[record.account] = Entry(record, self._last)
        return True

    def check(self, record: PeerRecord) -> None:
        """Verifies a record for use, known or not. Raises BadStatement, also when outdated."""
        known = self.find(record.account)
        if known is not None and known.issued_at > record.issued_at:
            raise BadStatement(f"record of {record.account}: there is a newer one")
        verify_record(record, self._deployment, now=self._now())

    def find(self, account: Address) -> PeerRecord | None:
        """The newest record of an account, unless it is too old by now."""
        with self._lock:
            entry = self._entries.get(account)
        if entry is None or self._is_stale(entry.record):
            return None
        return entry.record

    def records(self) -> Sequence[PeerRecord]:
        """All that are not too old, in the order in which they were learnt."""
        return tuple(entry.record for entry in self._since(0))

    def since(self, epoch: bytes, number: int, most: int) -> tuple[Sequence[PeerRecord], int, bool]:
        """The first `most` records learnt after change `number` of `epoch`.

        With them, the number up to which they go, and whether there are more.
        """
        entries = self._since(number if epoch == self.epoch else 0)
        part = entries[:most]
        until = part[-1].number if part else self._last
        return tuple(entry.record for entry in part), until, len(entries) > most

    def _since(self, number: int) -> list[Entry]:
        with self._lock:
            entries = [entry for entry in self._entries.values() if entry.number > number]
        return sorted(
            (entry for entry in entries if not self._is_stale(entry.record)),
            key=lambda entry: entry.number,
        )

    def _make_room(self, newcomer: Address) -> bool:
        if len(self._entries) < self._most:
            return True
        replaceable = [
            entry.record
            for entry in self._entries.values()
            if self._is_stale(entry.record) or not self._is_preferred(entry.record.account)
        ]
        if not replaceable:
            return False
        oldest = min(replaceable, key=lambda record: record.issued_at)
        if not self._is_preferred(newcomer) and not self._is_stale(oldest):
            return False
        del self._entries[oldest.account]
        return True

    def _is_stale(self, record: PeerRecord) -> bool:
        return record.issued_at < self._now() - LIFETIME_MS
