"""Cuts a node's power at its k-th call to the outside, before the call or after its effect."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from inspect import iscoroutinefunction
from typing import Any

from scatter.roles.duty import Surroundings

PORTS = ("chain", "content", "peers", "sandbox", "store")
READS = frozenset({"head", "history", "holdings", "is_elector", "recall", "name"})
"""The calls that change nothing: to lose power between two of them loses nothing."""


class PowerCut(BaseException):
    """Nobody can catch it, as nobody can catch the end of a process."""


@dataclass
class Fuse:
    """Counts calls, and blows once."""

    blow_at: int = 0
    """The number of the call, from 1; 0 never."""
    after: bool = False
    """Once the call has had its effect, and before the node hears of it."""
    calls: list[str] = field(default_factory=list)
    blown: bool = False

    async def pass_through(self, name: str, call: Callable[..., Any], *args: Any, **named: Any):
        self._refuse_without_power()
        self.calls.append(name)
        mine = len(self.calls) == self.blow_at
        if mine and not self.after:
            self._blow()
        try:
            answer = await call(*args, **named)
        finally:
            self._refuse_without_power()
            if mine:
                self._blow()
        return answer

    def _blow(self) -> None:
        self.blown = True
        raise PowerCut

    def _refuse_without_power(self) -> None:
        if self.blown:
            raise PowerCut


class _Wired:
    """A port behind a fuse."""

    def __init__(self, port: object, fuse: Fuse) -> None:
        self._port, self._fuse = port, fuse

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._port, name)
        if not iscoroutinefunction(found):
            return found

        async def call(*args: Any, **named: Any) -> Any:
            return await self._fuse.pass_through(name, found, *args, **named)

        return call


def wired(surroundings: Surroundings, fuse: Fuse) -> Surroundings:
    """The same ports, all behind one fuse."""
    ports = {name: _Wired(getattr(surroundings, name), fuse) for name in PORTS}
    return replace(surroundings, **ports)
