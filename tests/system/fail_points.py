"""Ends the process that it runs in with SIGKILL, at one named moment of a duty.

The node around it is the real one, and holds nothing of this: only the surroundings that its
duties are cast with are wrapped. A step is one call of a port, named by what it does: `join`,
`fetch dataset`, `keep scores`, `add published`.
"""

import os
import signal
import threading
from dataclasses import dataclass, replace
from functools import partial
from inspect import iscoroutinefunction
from pathlib import Path

from scatter.adapters.rpc import SENDING
from scatter.node.app import Casting
from scatter.roles.challenger import Challenger
from scatter.roles.requester import Requester
from scatter.roles.trainer import Trainer
from scatter.roles.validator import Validator

PORTS = ("chain", "content", "peers", "sandbox", "store")
READS = frozenset(
    {"head", "history", "is_elector", "holdings", "letters", "recall", "name", "names"}
)
"""Steps that change nothing."""
DUTIES = {
    "requester": Requester,
    "trainer": Trainer,
    "validator": Validator,
    "challenger": Challenger,
}


@dataclass(frozen=True)
class FailPoint:
    """`before`, `within` or `after` a step."""

    moment: str
    step: str

    def __str__(self) -> str:
        return f"{self.moment} {self.step}"

    async def pass_through(self, port, step, call):
        """Makes the call; from the fail point on there is no process any more."""
        if step != self.step:
            return await call()
        if self.moment == "before":
            die()
        if self.moment == "within":
            _die_on_the_way(port, step)
        answer = await call()
        die()
        return answer


@dataclass(frozen=True)
class Record:
    """Notes the steps of a node that nothing happens to, one a line."""

    file: Path

    async def pass_through(self, port, step, call):
        answer = await call()
        with self.file.open("a") as file:
            file.write(f"{step}\n")
        return answer


class _Watched:
    """A port whose every step passes through a fail point."""

    def __init__(self, port, point):
        self._port, self._point = port, point

    def __getattr__(self, name):
        found = getattr(self._port, name)
        if not iscoroutinefunction(found):
            return found

        def call(*arguments, **named):
            step = name_step(name, arguments)
            return self._point.pass_through(self._port, step, partial(found, *arguments, **named))

        return call


def name_step(name, arguments):
    """A call as the table of fail points names it."""
    match name, arguments:
        case "keep", (kind, *_):
            return f"keep {kind.value}"
        case "fetch", (_, into, *_):
            return f"fetch {'model' if into.name.startswith('sealed-') else into.name}"
        case "add", (folder,):
            return f"add {'dataset' if folder.parent.name == 'datasets' else folder.name}"
    return name


def cast_with(part, point, kind=None):
    """The casting of a node whose duty is watched; the node's process makes it its own."""
    return Casting(**{part: partial(_cast, kind or DUTIES[part], point)})


def _cast(kind, point, surroundings, *rest):
    watched = {name: _Watched(getattr(surroundings, name), point) for name in PORTS}
    return kind(replace(surroundings, **watched), *rest)


def die():
    os.kill(os.getpid(), signal.SIGKILL)


def _die_on_the_way(port, step):
    if step == "run":
        threading.Thread(target=_die_with_a_child, daemon=True).start()
    else:
        # The endpoint has the transaction, and the node does not know yet.
        port._sender._rpc = _LastRpc(port._sender._rpc)


def _die_with_a_child():
    while not any(task.read_text() for task in Path("/proc/self/task").glob("*/children")):
        pass
    die()


class _LastRpc:
    def __init__(self, rpc):
        self._rpc = rpc

    async def ask(self, method, *parameters):
        answer = await self._rpc.ask(method, *parameters)
        if method == SENDING:
            die()
        return answer
