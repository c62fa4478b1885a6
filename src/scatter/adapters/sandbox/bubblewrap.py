"""Bubblewrap: a job in namespaces of its own, with nothing of the host but what it needs.

No network, no processes but its own, no `/proc`, no home: an empty read-only root with the
interpreter, the runtime's packages, the job, its data and the models. It may write to `/tmp`,
`/dev/shm` and `/out`, all in memory and sized. The host's kernel is shared: a hole in the kernel is
a hole in this sandbox, which is why a node's default minimum is stronger.

https://github.com/containers/bubblewrap, version 0.8 or later.
"""

import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

from scatter.adapters.sandbox.control_group import Allowance, ControlGroup, sweep
from scatter.adapters.sandbox.local_process import Command, LocalProcess
from scatter.adapters.sandbox.run import check_task, run_task
from scatter.adapters.sandbox.runtime import OWN_RUNTIME, Runtime, find_own_runtime
from scatter.adapters.sandbox.self_test import prove, self_test
from scatter.adapters.sandbox.syscall_filter import build_filter
from scatter.adapters.sandbox.walls import (
    ENVIRONMENT,
    HOST_NAME,
    NOBODY,
    SCRATCH,
    choose_runtime,
    harness_command,
    memory_folders,
    owner_of,
    shown_of,
)
from scatter.ports.sandbox import Isolation, Limits, Outcome, SandboxUnavailable, Task

_OWN_PROCESSES = 4
"""Bubblewrap's, in the run's control group."""


class Bubblewrap:
    """Runs tasks with the `bwrap` found on PATH. Use `open`, which tries it out."""

    name: ClassVar[str] = "bubblewrap"
    isolation: ClassVar[Isolation] = Isolation.NAMESPACES

    def __init__(self, program: str, runtimes: Mapping[str, Runtime], owner: str) -> None:
        self._program = program
        self._runtimes = runtimes
        self._owner = owner
        self._filter = build_filter()

    @classmethod
    def open(
        cls, folder: Path | None = None, runtimes: Mapping[str, Runtime] | None = None
    ) -> "Bubblewrap":
        """`folder` is the node's; what runs of it have left is removed.

        Raises SandboxUnavailable when it is not installed or not allowed here.
        """
        program = shutil.which("bwrap")
        if program is None:
            raise SandboxUnavailable("bwrap is not on PATH; install the package bubblewrap.")
        owner = owner_of(folder)
        if folder is not None:
            sweep(owner)
        own = find_own_runtime()
        sandbox = cls(program, {own.name: own, **(runtimes or {})}, owner)
        sandbox._prove()
        return sandbox

    @property
    def runtimes(self) -> frozenset[str]:
        return frozenset(self._runtimes)

    async def run(self, task: Task) -> Outcome:
        """See `scatter.ports.sandbox.Sandbox`. Raises BadInput for a task that cannot be run."""
        check_task(task)
        runtime = choose_runtime(self._runtimes, task)
        # The kernel does not count the processes of root; for others it counts those inside.
        harness = harness_command(runtime, task, counts_processes=os.getuid() != 0)
        command = self._command(runtime, task.limits, shown_of(task), harness)
        return await run_task(lambda: self._start(command, task.limits), task, self.name)

    def _prove(self) -> None:
        runtime = self._runtimes[OWN_RUNTIME]
        command = self._command(runtime, Limits(), {}, [*runtime.python, "-c", self_test()])
        try:
            prove(lambda: self._start(command, Limits()), "bwrap")
        except SandboxUnavailable as problem:
            raise SandboxUnavailable(
                f"{problem} Allow unprivileged user namespaces, or run outside of a restricted "
                "container."
            ) from problem

    def _start(self, command: Command, limits: Limits) -> LocalProcess:
        allowance = Allowance(limits.memory_bytes, limits.processes + _OWN_PROCESSES, limits.cpus)
        return LocalProcess(command, ControlGroup.make(self._owner, allowance))

    def _command(
        self, runtime: Runtime, limits: Limits, task: Mapping[str, Path], inside: Sequence[str]
    ) -> Command:
        view = []
        for place, path in {**runtime.shown, **task}.items():
            view += ["--ro-bind", str(path), place]
        for place, target in runtime.links.items():
            view += ["--symlink", target, place]
        memory = []
        for place, size in memory_folders(limits).items():
            memory += ["--perms", "1777", "--size", str(size), "--tmpfs", place]
        filtered = [] if self._filter is None else ["--seccomp", "{filter}"]
        return Command(
            [
                self._program,
                *("--unshare-user", "--unshare-ipc", "--unshare-pid", "--unshare-net"),
                *("--unshare-uts", "--unshare-cgroup-try"),
                *("--uid", str(NOBODY), "--gid", str(NOBODY), "--hostname", HOST_NAME),
                *("--cap-drop", "ALL", "--die-with-parent", "--new-session"),
                *view,
                *("--dev", "/dev"),
                *memory,
                *("--remount-ro", "/dev", "--remount-ro", "/", "--chdir", SCRATCH),
                *filtered,
                *("--", *inside),
            ],
            ENVIRONMENT,
            filter=self._filter,
            cpus=limits.cpus,
            memory_folders=memory_folders(limits),
        )
