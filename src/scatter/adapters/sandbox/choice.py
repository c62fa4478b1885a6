"""Which sandbox a node uses: the strongest that runs here, and never one below its minimum."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from scatter.adapters.sandbox.bubblewrap import Bubblewrap
from scatter.adapters.sandbox.docker_engine import DOCKER_GVISOR, DOCKER_RUNC, DockerEngine
from scatter.adapters.sandbox.gvisor import GVisor
from scatter.adapters.sandbox.plain_process import PlainProcess
from scatter.mechanism.errors import BadInput
from scatter.ports.sandbox import Isolation, Sandbox, SandboxUnavailable

_OPENERS: dict[str, Callable[[Path | None], Sandbox]] = {
    DOCKER_GVISOR.name: partial(DockerEngine.open, DOCKER_GVISOR),
    GVisor.name: GVisor.open,
    Bubblewrap.name: Bubblewrap.open,
    PlainProcess.name: lambda _: PlainProcess(),
}
"""Strongest first."""
_ON_REQUEST: dict[str, Callable[[Path | None], Sandbox]] = {
    DOCKER_RUNC.name: partial(DockerEngine.open, DOCKER_RUNC),
}
"""Never chosen by itself: no stronger than bubblewrap, and its engine runs as root."""


@dataclass(frozen=True)
class Choice:
    """The sandbox to use, and one sentence that says why this one."""

    sandbox: Sandbox
    why: str


def open_sandbox(
    minimum: Isolation, prefer: str | None = None, folder: Path | None = None
) -> Choice:
    """Tries each backend (`prefer` names the only one wanted) and takes the first that runs.

    `folder` is the node's own, for what runs need; what a killed node left is found by it. Raises
    SandboxUnavailable with what to install when none of at least `minimum` does, and BadInput when
    `prefer` is not the name of a backend.
    """
    known = _OPENERS | _ON_REQUEST
    if prefer is not None and prefer not in known:
        raise BadInput(f"There is no sandbox {prefer!r}; choose from {', '.join(known)}.")
    failures = []
    for name in [prefer] if prefer else _OPENERS:
        try:
            sandbox = known[name](folder)
        except SandboxUnavailable as error:
            failures.append(f"{name}: {error}")
            continue
        if sandbox.isolation < minimum:
            failures.append(f"{name}: weaker than the configured minimum, {minimum.name.lower()}.")
            continue
        reason = "it was asked for" if prefer else "it is the strongest that runs here"
        return Choice(sandbox, " ".join([f"Using {name}: {reason}.", *failures]))
    raise SandboxUnavailable(" ".join(["No sandbox is strong enough.", *failures]))
