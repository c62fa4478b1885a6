"""The sandbox as a duty sees it: open only to an entry that has its turn.

A duty that comes without one is sent away with `TurnNeeded`, before anything runs. A run of a turn
is done once: its outcome is remembered with the turn and its files are kept until the turn ends, so
that a node killed in between does not train or score again what was done. A run that failed is
tried again instead: perhaps what ended the node ended it too.
"""

import asyncio
import hashlib
import json
import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from contextvars import ContextVar
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from scatter.mechanism.errors import ScatterError
from scatter.ports.queue import Entry, Turn
from scatter.ports.sandbox import Isolation, Outcome, Sandbox, Task


class TurnNeeded(ScatterError):
    """The sandbox is for those whose turn it is. Enter the line."""


class _RunFailed(Exception):
    def __init__(self, outcome: Outcome) -> None:
        self.outcome = outcome


@dataclass(frozen=True)
class _Held:
    turn: Turn
    runs: Path
    """Where the files of this turn's runs are kept."""


_held: ContextVar[_Held | None] = ContextVar("held", default=None)


class Turns:
    """A sandbox, and the turns at it."""

    def __init__(self, sandbox: Sandbox, folder: Path) -> None:
        """`folder` lies on the disk to which tasks write; it is the turns' own."""
        self._sandbox = sandbox
        self._folder = folder

    @property
    def name(self) -> str:
        return self._sandbox.name

    @property
    def isolation(self) -> Isolation:
        return self._sandbox.isolation

    @property
    def runtimes(self) -> frozenset[str]:
        return self._sandbox.runtimes

    @asynccontextmanager
    async def hold(self, entry: Entry, turn: Turn) -> AsyncIterator[None]:
        """Opens the sandbox to what is awaited inside; in the end the kept files are removed.

        They stay when the turn is cancelled or fails unexpectedly: then it is given again.
        """
        runs = self._folder / f"{entry.role}-{entry.job}"
        token = _held.set(_Held(turn, runs))
        try:
            yield
        finally:
            _held.reset(token)
        await asyncio.to_thread(shutil.rmtree, runs, ignore_errors=True)

    async def run(self, task: Task) -> Outcome:
        """Runs to the end or to a limit; cancelling kills the run. Raises TurnNeeded."""
        held = _held.get()
        if held is None:
            raise TurnNeeded
        kept = held.runs / _fingerprint(task)

        async def work() -> str:
            await asyncio.to_thread(shutil.rmtree, kept, ignore_errors=True)
            outcome = await self._sandbox.run(replace(task, output=kept))
            if not outcome.ok:
                raise _RunFailed(outcome)
            return json.dumps(asdict(outcome))

        try:
            outcome = Outcome(**json.loads(await held.turn.once(kept.name, work)))
        except _RunFailed as failure:
            return failure.outcome
        if not kept.is_dir():
            return await self._sandbox.run(task)
        await asyncio.to_thread(shutil.copytree, kept, task.output, copy_function=os.link)
        return outcome


def _fingerprint(task: Task) -> str:
    """Names a run within a turn. The folders it names hold what the chain says, or one's own data,
    so that equal names mean equal contents for as long as a turn lasts.
    """
    said = json.dumps(
        [
            task.verb,
            *map(str, (task.job, task.data, task.output)),
            {name: str(path) for name, path in task.models.items()},
            asdict(task.limits),
            task.seed,
            task.runtime,
        ],
        sort_keys=True,
    )
    return hashlib.sha256(said.encode()).hexdigest()[:32]
