"""A place to run a stranger's job: no network, read-only inputs, bounded everything.

A task names folders on this machine; the backend shows them inside, runs the harness of
`scatter_job` there, and brings back regular files only, within the limits.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import IntEnum
from pathlib import Path
from types import MappingProxyType
from typing import Final, Protocol

from scatter.learning.job_file import JobLimits
from scatter.mechanism.errors import ScatterError


class SandboxUnavailable(ScatterError):
    """This backend cannot run here; the message says what to install or to allow."""


class Isolation(IntEnum):
    """How strong a backend is; a node has a configured minimum for strangers' jobs."""

    NONE = 0
    """A plain process with limits: for jobs that the operator trusts as its own code."""
    NAMESPACES = 1
    """The host's kernel, in namespaces (bubblewrap)."""
    GUEST_KERNEL = 2
    """A kernel of its own (gVisor)."""


INSTALL: Final[Mapping[Isolation, str]] = MappingProxyType(
    {
        Isolation.NONE: "nothing",
        Isolation.NAMESPACES: "bubblewrap (package bubblewrap)",
        Isolation.GUEST_KERNEL: "gVisor (package runsc, best together with docker.io)",
    }
)
"""What an operator installs to reach a level; `docs/sandbox.md` says how."""


@dataclass(frozen=True)
class Limits:
    """What one run may use. Defaults suit a small model; the operator caps them."""

    wall_seconds: int = 600
    cpus: int = 1
    """Processors at once."""
    memory_bytes: int = 1 << 30
    """Of all its processes together, with what lies in `/tmp` and `/out`."""
    processes: int = 64
    open_files: int = 256
    scratch_bytes: int = 64 << 20
    """Of /tmp."""
    output_bytes: int = 256 << 20
    output_files: int = 64
    log_bytes: int = 64 << 10
    """Of what the job prints; the rest is dropped."""


def bound_limits(asked: JobLimits, cap: Limits) -> Limits:
    """What a run gets: what its author asks for, and no more than the operator allows."""
    return replace(
        cap,
        wall_seconds=min(asked.wall_seconds, cap.wall_seconds),
        cpus=min(asked.cpus, cap.cpus),
        memory_bytes=min(asked.memory_mb << 20, cap.memory_bytes),
        processes=min(asked.processes, cap.processes),
        open_files=min(asked.open_files, cap.open_files),
        scratch_bytes=min(asked.scratch_mb << 20, cap.scratch_bytes),
        output_bytes=min(asked.output_mb << 20, cap.output_bytes),
        output_files=min(asked.output_files, cap.output_files),
    )


@dataclass(frozen=True)
class Task:
    """One run of the harness. `verb` is `train` or `evaluate`."""

    verb: str
    job: Path
    """The job's folder (job.toml and code)."""
    data: Path
    """The local data, or the evaluation dataset."""
    output: Path
    """Where the files that the run left are put; must not exist yet."""
    models: Mapping[str, Path] = field(default_factory=dict)
    """Weights by name (a file name of its own): `base` for training, one or more to evaluate."""
    limits: Limits = field(default_factory=Limits)
    seed: int = 0
    runtime: str = "numpy"


def lack_of_runtime(sandbox: "Sandbox", name: str) -> str:
    """Why a job that names this runtime cannot run here, in a sentence; empty if it can."""
    if name in sandbox.runtimes:
        return ""
    known = ", ".join(sorted(sandbox.runtimes))
    return (
        f"The runtime {name!r} is not allowed here, only {known}; build it with `scatter runtime "
        f"build {name}`, and name it in [sandbox] runtimes of node.toml."
    )


@dataclass(frozen=True)
class Outcome:
    """How a run ended. A failure of the job's own code is an outcome, not an exception."""

    ok: bool
    reason: str
    """Empty when ok; else one sentence: exit code, limit broken, output refused."""
    seconds: float
    log: str
    """The last part of what the job printed, cleaned of control characters."""
    backend: str


class Sandbox(Protocol):
    """Runs tasks, one process tree each, and leaves nothing of them behind."""

    @property
    def name(self) -> str:
        """As shown to people: `bubblewrap`, `plain process (unsafe)`, ..."""
        ...

    @property
    def isolation(self) -> Isolation: ...

    @property
    def runtimes(self) -> frozenset[str]:
        """The names of those that a task may ask for here."""
        ...

    async def run(self, task: Task) -> Outcome:
        """Runs to the end or to a limit; cancelling kills the run."""
        ...
