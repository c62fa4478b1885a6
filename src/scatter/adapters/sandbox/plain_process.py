"""A plain process with limits. It keeps accidents in, not attackers: for trusted jobs only.

The job sees the operator's files and the network. What it may use is bounded all the same: wall
clock, memory, open files, size of files, and what it leaves is collected as from a real sandbox.
"""

import shutil
import tempfile
from pathlib import Path
from typing import ClassVar

from scatter.adapters.sandbox.local_process import Command, LocalProcess
from scatter.adapters.sandbox.run import MODEL_SUFFIX, check_task, harness_arguments, run_task
from scatter.adapters.sandbox.runtime import Runtime, find_own_runtime
from scatter.adapters.sandbox.walls import ENVIRONMENT, choose_runtime, owner_of
from scatter.ports.sandbox import Isolation, Outcome, Task


class PlainProcess:
    """Runs tasks as the operator's own processes, in the node's own runtime only."""

    name: ClassVar[str] = "plain process (unsafe)"
    isolation: ClassVar[Isolation] = Isolation.NONE

    def __init__(self, owner: str) -> None:
        self._runtime = find_own_runtime()
        self._prefix = f"scatter-run-{owner}-"

    @classmethod
    def open(cls, folder: Path | None = None) -> "PlainProcess":
        """`folder` is the node's; what a killed node of it left is removed.

        Runs lie in the system's own temporary folder, for a job's sockets need short paths.
        """
        sandbox = cls(owner_of(folder))
        for left in Path(tempfile.gettempdir()).glob(f"{sandbox._prefix}*"):
            # Its run ends with the node, but may not have ended yet.
            shutil.rmtree(left, ignore_errors=True)
        return sandbox

    @property
    def runtimes(self) -> frozenset[str]:
        return frozenset({self._runtime.name})

    async def run(self, task: Task) -> Outcome:
        """See `scatter.ports.sandbox.Sandbox`. Raises BadInput for a task that cannot be run."""
        check_task(task)
        runtime = choose_runtime({self._runtime.name: self._runtime}, task)
        with tempfile.TemporaryDirectory(prefix=self._prefix) as scratch:
            command = self._command(runtime, task, Path(scratch))
            return await run_task(lambda: LocalProcess(command), task, self.name)

    def _command(self, runtime: Runtime, task: Task, scratch: Path) -> Command:
        for folder in ("site", "models", "out", "tmp"):
            (scratch / folder).mkdir()
        for name, package in runtime.packages.items():
            (scratch / "site" / name).symlink_to(package)
        for name, model in task.models.items():
            (scratch / "models" / f"{name}{MODEL_SUFFIX}").symlink_to(model.resolve())
        arguments = harness_arguments(
            task,
            job=str(task.job.resolve()),
            data=str(task.data.resolve()),
            models=str(scratch / "models"),
            out=str(scratch / "out"),
        )
        return Command(
            [*runtime.python, "-m", "scatter_job", *arguments],
            {
                **ENVIRONMENT,
                "HOME": str(scratch / "tmp"),
                "TMPDIR": str(scratch / "tmp"),
                "PYTHONPATH": str(scratch / "site"),
            },
            cpus=task.limits.cpus,
        )
