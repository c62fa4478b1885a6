"""Which sandbox a node uses: the strongest that runs here, and never one below its minimum."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import TypeAlias

from scatter.adapters.sandbox.bubblewrap import Bubblewrap
from scatter.adapters.sandbox.docker_engine import DOCKER_GVISOR, DOCKER_RUNC, DockerEngine
from scatter.adapters.sandbox.gvisor import GVisor
from scatter.adapters.sandbox.plain_process import PlainProcess
from scatter.adapters.sandbox.runtime import Runtime
from scatter.mechanism.errors import BadInput
from scatter.ports.sandbox import Isolation, Sandbox, SandboxUnavailable

_Open: TypeAlias = Callable[[Path | None, Mapping[str, Runtime]], Sandbox]
_WITH_GPUS = {kind.name: kind for kind in (DOCKER_GVISOR, DOCKER_RUNC)}
_OPENERS: dict[str, _Open] = {
    DOCKER_GVISOR.name: partial(DockerEngine.open, DOCKER_GVISOR),
    GVisor.name: GVisor.open,
    Bubblewrap.name: Bubblewrap.open,
    PlainProcess.name: lambda folder, _runtimes: PlainProcess.open(folder),
}
"""Strongest first."""
_ON_REQUEST: dict[str, _Open] = {
    DOCKER_RUNC.name: partial(DockerEngine.open, DOCKER_RUNC),
}
"""Never chosen by itself: no stronger than bubblewrap, and its engine runs as root."""


@dataclass(frozen=True)
class Choice:
    """The sandbox to use, and one sentence that says why this one."""

    sandbox: Sandbox
    why: str


def open_sandbox(
    minimum: Isolation,
    prefer: str | None = None,
    folder: Path | None = None,
    runtimes: Mapping[str, Runtime] = MappingProxyType({}),
    *,
    gpus: bool = False,
) -> Choice:
    """Tries each backend (`prefer` names the only one wanted) and takes the first that runs.

    `folder` is the node's own, for what runs need; what a killed node left is found by it.
    `runtimes` are those that the operator allows beside the node's own interpreter; with `gpus`
    only the Docker Engine will do. Raises
    SandboxUnavailable with what to install when none of at least `minimum` does, and BadInput when
    `prefer` is not the name of a backend.
    """
    known = _OPENERS | _ON_REQUEST
    if prefer is not None and prefer not in known:
        raise BadInput(f"There is no sandbox {prefer!r}; choose from {', '.join(known)}.")
    failures = []
    for name in [prefer] if prefer else _OPENERS:
        if gpus and name not in _WITH_GPUS:
            failures.append(f"{name}: passes no GPU on; set gpus = false.")
            continue
        try:
            if gpus:
                sandbox: Sandbox = DockerEngine.open(_WITH_GPUS[name], folder, runtimes, gpus=True)
            else:
                sandbox = known[name](folder, runtimes)
        except SandboxUnavailable as error:
            failures.append(f"{name}: {error}")
            continue
        if sandbox.isolation < minimum:
            failures.append(f"{name}: weaker than the configured minimum, {minimum.name.lower()}.")
            continue
        reason = "it was asked for" if prefer else "it is the strongest that runs here"
        return Choice(sandbox, " ".join([f"Using {name}: {reason}.", *failures]))
    raise SandboxUnavailable(" ".join(["No sandbox is strong enough.", *failures]))
