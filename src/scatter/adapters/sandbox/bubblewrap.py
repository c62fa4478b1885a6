"""Bubblewrap: a job in namespaces of its own, with nothing of the host but what it needs.

No network, no processes but its own, no `/proc`, no home: an empty read-only root with the
interpreter, the runtime's packages, the job, its data and the models. It may write to `/tmp`,
`/dev/shm` and `/out`, all in memory and sized. The host's kernel is shared: a hole in the kernel is
a hole in this sandbox, which is why a node's default minimum is stronger.

https://github.com/containers/bubblewrap, version 0.8 or later.
"""

import os
import shutil
import subprocess
from pathlib import Path
from typing import ClassVar, Final

from scatter.adapters.sandbox.interpreter import OPTIONS, Interpreter, find_interpreter
from scatter.adapters.sandbox.run import (
    MODEL_SUFFIX,
    Command,
    check_task,
    harness_arguments,
    run_command,
)
from scatter.adapters.sandbox.syscall_filter import build_filter
from scatter.ports.sandbox import Isolation, Limits, Outcome, SandboxUnavailable, Task
from scatter_job.environment import FIXED_ENVIRONMENT

NOBODY: Final = "65534"

_PROBE_SECONDS: Final = 20
_SCRATCH: Final = "/tmp"  # noqa: S108  (inside, where it is the run's own)
_ENVIRONMENT: Final = {
    **FIXED_ENVIRONMENT,
    "PATH": "/usr/bin:/bin",
    "HOME": _SCRATCH,
    "PYTHONPATH": "/site",
}
"""Of bubblewrap too: what it is started with can be read inside, whatever it clears later."""


class Bubblewrap:
    """Runs tasks with the `bwrap` found on PATH. Use `open`, which tries it out."""

    name: ClassVar[str] = "bubblewrap"
    isolation: ClassVar[Isolation] = Isolation.NAMESPACES

    def __init__(self, program: str, interpreter: Interpreter) -> None:
        self._program = program
        self._interpreter = interpreter
        self._filter = build_filter()

    @classmethod
    def open(cls) -> "Bubblewrap":
        """Raises SandboxUnavailable when it is not installed or not allowed here."""
        program = shutil.which("bwrap")
        if program is None:
            raise SandboxUnavailable("bwrap is not on PATH; install the package bubblewrap.")
        sandbox = cls(program, find_interpreter())
        sandbox._probe()
        return sandbox

    async def run(self, task: Task) -> Outcome:
        """See `scatter.ports.sandbox.Sandbox`. Raises BadInput for a task that cannot be run."""
        check_task(task)
        return await run_command(self._command(task), task)

    def _probe(self) -> None:
        arguments = [*self._walls(Limits()), "--", str(self._interpreter.executable), *OPTIONS]
        try:
            result = subprocess.run(
                [*arguments, "-c", "import numpy, safetensors, scatter_job"],
                env=_ENVIRONMENT,
                capture_output=True,
                timeout=_PROBE_SECONDS,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise SandboxUnavailable(f"bwrap does not start: {error}.") from error
        if result.returncode != 0:
            words = result.stderr.decode("utf-8", "replace").strip().splitlines() or ["no message"]
            raise SandboxUnavailable(
                f"bwrap does not run here ({words[-1][:300]}); "
                "allow unprivileged user namespaces, or run outside of a restricted container."
            )

    def _command(self, task: Task) -> Command:
        show = ["--ro-bind", str(task.job.resolve()), "/job"]
        show += ["--ro-bind", str(task.data.resolve()), "/data"]
        for name, path in task.models.items():
            show += ["--ro-bind", str(path.resolve()), f"/models/{name}{MODEL_SUFFIX}"]
        filtered = [] if self._filter is None else ["--seccomp", "{filter}"]
        harness = harness_arguments(task, job="/job", data="/data", models="/models", out="/out")
        if os.getuid() != 0:
            # The kernel does not count the processes of root; for others it counts those inside.
            harness += ["--processes", str(task.limits.processes)]
        python = [str(self._interpreter.executable), *OPTIONS]
        return Command(
            [
                *self._walls(task.limits, show),
                *filtered,
                *("--", *python, "-m", "scatter_job", *harness),
            ],
            _ENVIRONMENT,
            self.name,
            self._filter,
        )

    def _walls(self, limits: Limits, show: list[str] | None = None) -> list[str]:
        view = []
        for folder in self._interpreter.folders:
            view += ["--ro-bind", str(folder), str(folder)]
        for place, target in self._interpreter.links:
            view += ["--symlink", target, place]
        executable = str(self._interpreter.executable)
        view += ["--ro-bind", executable, executable]
        for name, package in self._interpreter.packages.items():
            view += ["--ro-bind", str(package), f"/site/{name}"]
        if Path("/etc/ld.so.cache").exists():
            view += ["--ro-bind", "/etc/ld.so.cache", "/etc/ld.so.cache"]
        return [
            self._program,
            *("--unshare-user", "--unshare-ipc", "--unshare-pid", "--unshare-net"),
            *("--unshare-uts", "--unshare-cgroup-try"),
            *("--uid", NOBODY, "--gid", NOBODY, "--hostname", "job", "--cap-drop", "ALL"),
            *("--die-with-parent", "--new-session"),
            *view,
            *(show or []),
            *("--dev", "/dev"),
            *_memory_folder("/dev/shm", limits.scratch_bytes),  # noqa: S108
            *_memory_folder(_SCRATCH, limits.scratch_bytes),
            *_memory_folder("/out", limits.output_bytes),
            *("--remount-ro", "/dev", "--remount-ro", "/", "--chdir", _SCRATCH),
        ]


def _memory_folder(place: str, size: int) -> list[str]:
    return ["--perms", "1777", "--size", str(size), "--tmpfs", place]
