"""A store in memory; it forgets everything with the process."""

from collections.abc import Sequence

from scatter.mechanism.units import Address, JobId
from scatter.ports.store import Cursor, Kind, Work


class FakeStore:
    def __init__(self) -> None:
        self._records: dict[tuple[Kind, JobId, str], bytes] = {}
        self._works: dict[tuple[str, JobId], Work] = {}
        self._cursor: Cursor | None = None

    async def keep(self, kind: Kind, job: JobId, subject: Address | str, value: bytes) -> None:
        self._records[kind, job, subject] = value

    async def recall(self, kind: Kind, job: JobId, subject: Address | str) -> bytes | None:
        return self._records.get((kind, job, subject))

    async def names(self, kind: Kind) -> Sequence[tuple[JobId, str]]:
        return sorted((job, subject) for of, job, subject in self._records if of is kind)

    async def cursor(self) -> Cursor | None:
        return self._cursor

    async def move_cursor(self, cursor: Cursor) -> None:
        self._cursor = cursor

    async def note_work(self, work: Work) -> None:
        self._works[work.role, work.job] = work

    async def works(self) -> Sequence[Work]:
        return sorted(self._works.values(), key=lambda one: (-one.since, -one.job, one.role))[:1000]
