"""A plain process with limits. It keeps accidents in, not attackers: for trusted jobs only.

The job sees the operator's files and the network. What it may use is bounded all the same: wall
clock, memory, open files, size of files, and what it leaves is collected as from a real sandbox.
"""

import tempfile
from pathlib import Path
from typing import ClassVar

from scatter.adapters.sandbox.interpreter import OPTIONS, find_interpreter
from scatter.adapters.sandbox.run import (
    MODEL_SUFFIX,
    Command,
    check_task,
    harness_arguments,
    run_command,
)
from scatter.ports.sandbox import Isolation, Outcome, Task
from scatter_job.environment import FIXED_ENVIRONMENT


class PlainProcess:
    """Runs tasks as the operator's own processes."""

    name: ClassVar[str] = "plain process (unsafe)"
    isolation: ClassVar[Isolation] = Isolation.NONE

    def __init__(self) -> None:
        self._interpreter = find_interpreter()

    async def run(self, task: Task) -> Outcome:
        """See `scatter.ports.sandbox.Sandbox`. Raises BadInput for a task that cannot be run."""
        check_task(task)
        with tempfile.TemporaryDirectory(prefix="scatter-run-") as scratch:
            return await run_command(self._command(task, Path(scratch)), task)

    def _command(self, task: Task, scratch: Path) -> Command:
        for folder in ("site", "models", "out", "tmp"):
            (scratch / folder).mkdir()
        for name, package in self._interpreter.packages.items():
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
            [str(self._interpreter.executable), *OPTIONS, "-m", "scatter_job", *arguments],
            {
                **FIXED_ENVIRONMENT,
                "PATH": "/usr/bin:/bin",
                "HOME": str(scratch / "tmp"),
                "TMPDIR": str(scratch / "tmp"),
                "PYTHONPATH": str(scratch / "site"),
            },
            self.name,
        )
