"""gVisor without Docker: `runsc` on a bundle made for one run (OCI runtime specification 1.0).

A job meets a kernel of its own, a program without rights that answers its system calls; the
machine's kernel answers only that program. Inside, its user is the one who runs the node, without
any capability, so that it can read what it is shown; it exists in that kernel only.

https://gvisor.dev. Platforms `systrap` and `ptrace` need no hardware; `runsc` takes its default.
"""

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar, Final

from scatter.adapters.sandbox.control_group import Allowance, ControlGroup, sweep
from scatter.adapters.sandbox.local_process import Command, LocalProcess
from scatter.adapters.sandbox.run import check_task, run_task
from scatter.adapters.sandbox.runtime import OWN_RUNTIME, Runtime, find_own_runtime
from scatter.adapters.sandbox.self_test import prove, self_test
from scatter.adapters.sandbox.walls import (
    ENVIRONMENT,
    HOST_NAME,
    SCRATCH,
    choose_runtime,
    harness_command,
    make_root,
    memory_folders,
    owner_of,
    shown_of,
)
from scatter.ports.sandbox import Isolation, Limits, Outcome, SandboxUnavailable, Task

OVERHEAD_BYTES: Final = 64 << 20
"""That the guest kernel itself may take, beside what the job uses."""
MOST_THREADS: Final = 4096
"""Of the guest kernel: it has several for each process of the job, which it counts itself."""

_PREFIX: Final = "scatter-run-"
_SWEEP_SECONDS: Final = 30
_TMPFS: Final = ("nosuid", "nodev", "mode=1777")


class GVisor:
    """Runs tasks with the `runsc` found on PATH. Use `open`, which tries it out."""

    name: ClassVar[str] = "gvisor"
    isolation: ClassVar[Isolation] = Isolation.GUEST_KERNEL

    def __init__(
        self, program: str, runtimes: Mapping[str, Runtime], folder: Path | None, owner: str
    ) -> None:
        self._program = program
        self._runtimes = runtimes
        self._folder = folder
        self._owner = owner

    @classmethod
    def open(
        cls, folder: Path | None = None, runtimes: Mapping[str, Runtime] | None = None
    ) -> "GVisor":
        """`folder` is the node's own, for bundles; what a killed node left in it is removed.

        Raises SandboxUnavailable when it is not installed, not allowed here, or not gVisor.
        """
        program = shutil.which("runsc")
        if program is None:
            raise SandboxUnavailable("runsc is not on PATH; install gVisor (package runsc).")
        own = find_own_runtime()
        sandbox = cls(program, {own.name: own, **(runtimes or {})}, folder, owner_of(folder))
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            sandbox._sweep(folder)
        sandbox._prove()
        return sandbox

    @property
    def runtimes(self) -> frozenset[str]:
        return frozenset(self._runtimes)

    async def run(self, task: Task) -> Outcome:
        """See `scatter.ports.sandbox.Sandbox`. Raises BadInput for a task that cannot be run."""
        check_task(task)
        runtime = choose_runtime(self._runtimes, task)
        harness = harness_command(runtime, task, counts_processes=True)
        with self._bundle(runtime, task.limits, shown_of(task), harness) as command:
            return await run_task(lambda: self._start(command, task.limits), task, self.name)

    @contextmanager
    def _started(self, code: str) -> Iterator[Callable[[], LocalProcess]]:
        """Starts the interpreter of the runtime `numpy` with this code, in the walls of a run."""
        runtime = self._runtimes[OWN_RUNTIME]
        with self._bundle(runtime, Limits(), {}, [*runtime.python, "-c", code]) as command:
            yield lambda: self._start(command, Limits())

    def _prove(self) -> None:
        with self._started(self_test(asks_kernel=True)) as start:
            prove(start, "runsc", gvisor=True)

    def _start(self, command: Command, limits: Limits) -> LocalProcess:
        memory = limits.memory_bytes + OVERHEAD_BYTES
        allowance = Allowance(memory, MOST_THREADS, limits.cpus)
        return LocalProcess(command, ControlGroup.make(self._owner, allowance))

    @contextmanager
    def _bundle(
        self, runtime: Runtime, limits: Limits, task: Mapping[str, Path], inside: Sequence[str]
    ) -> Iterator[Command]:
        """A bundle on disk, and the command that runs it, for as long as the context lasts."""
        with tempfile.TemporaryDirectory(prefix=_PREFIX, dir=self._folder) as made:
            bundle = Path(made)
            shown = {**runtime.shown, **task}
            make_root(bundle / "rootfs", shown, runtime.links)
            (bundle / "config.json").write_text(
                json.dumps(configuration(bundle / "rootfs", shown, limits, inside))
            )
            yield Command(
                [*_dying_with_parent(), *self._runsc(bundle), "run", "--bundle", made, bundle.name],
                ENVIRONMENT,
                cpus=limits.cpus,
                counts_processes=False,
                overhead_bytes=OVERHEAD_BYTES,
            )

    def _runsc(self, bundle: Path) -> list[str]:
        rootless = ["--rootless"] if os.getuid() != 0 else []
        # The control group is made here, around all of runsc.
        flags = ["--network=none", "--ignore-cgroups", *rootless]
        return [self._program, *flags, "--root", str(bundle / "state")]

    def _sweep(self, folder: Path) -> None:
        for bundle in folder.glob(f"{_PREFIX}*"):
            subprocess.run(
                [*self._runsc(bundle), "delete", "--force", bundle.name],
                env=dict(ENVIRONMENT),
                capture_output=True,
                timeout=_SWEEP_SECONDS,
                check=False,  # It may have ended by itself.
            )
            shutil.rmtree(bundle, ignore_errors=True)
        sweep(self._owner)


def configuration(
    root: Path, shown: Mapping[str, Path], limits: Limits, inside: Sequence[str]
) -> Mapping[str, Any]:
    """The bundle's `config.json`."""
    mounts: list[dict[str, Any]] = [
        _mount("/proc", "proc", "proc", "nosuid", "noexec", "nodev"),
        _mount("/dev", "tmpfs", "tmpfs", "nosuid", "mode=755", "size=65536"),
    ]
    for place, size in memory_folders(limits).items():
        mounts.append(_mount(place, "tmpfs", "tmpfs", *_TMPFS, f"size={size}"))
    for place, path in shown.items():
        mounts.append(_mount(place, "bind", str(path), "rbind", "ro", "nosuid", "nodev"))
    kinds = ("bounding", "effective", "inheritable", "permitted", "ambient")
    return {
        "ociVersion": "1.0.2",
        "process": {
            "user": {"uid": 0, "gid": 0},
            "args": list(inside),
            "env": [f"{key}={value}" for key, value in ENVIRONMENT.items()],
            "cwd": SCRATCH,
            "capabilities": {kind: [] for kind in kinds},
            "noNewPrivileges": True,
        },
        "root": {"path": str(root), "readonly": True},
        "hostname": HOST_NAME,
        "mounts": mounts,
        "linux": {
            "namespaces": [{"type": kind} for kind in ("pid", "ipc", "uts", "mount", "network")]
        },
    }


def _mount(place: str, kind: str, source: str, *options: str) -> dict[str, Any]:
    return {"destination": place, "type": kind, "source": source, "options": list(options)}


def _dying_with_parent() -> list[str]:
    """runsc ends its sandbox when it ends itself; so it must end when the node does."""
    program = shutil.which("setpriv")
    return [program, "--pdeathsig", "KILL"] if program else []
