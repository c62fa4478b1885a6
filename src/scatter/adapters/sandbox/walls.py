"""What every sandbox shows and allows, whichever backend builds its walls.

Inside, a run finds its job under `/job`, the data under `/data`, models under `/models`, and may
write to `/tmp`, `/dev/shm` and `/out`, all three in memory and sized.
"""

import hashlib
import secrets
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final

from scatter.adapters.sandbox.run import MODEL_SUFFIX, harness_arguments
from scatter.adapters.sandbox.runtime import PACKAGES, Runtime
from scatter.mechanism.errors import BadInput
from scatter.ports.sandbox import Limits, Task
from scatter_job.environment import FIXED_ENVIRONMENT

NOBODY: Final = 65534
HOST_NAME: Final = "job"
SCRATCH: Final = "/tmp"  # noqa: S108  (inside, where it is the run's own)

ENVIRONMENT: Final[Mapping[str, str]] = MappingProxyType(
    {
        **FIXED_ENVIRONMENT,
        "PATH": "/usr/bin:/bin",
        "HOME": SCRATCH,
        "PYTHONPATH": PACKAGES,
    }
)
"""Of the backend's own program too: what it is started with can be read inside."""


def choose_runtime(runtimes: Mapping[str, Runtime], task: Task) -> Runtime:
    """Raises BadInput when the task's runtime is not here."""
    if task.runtime not in runtimes:
        known = ", ".join(sorted(runtimes))
        raise BadInput(f"The runtime {task.runtime!r} is not installed here; there are: {known}.")
    return runtimes[task.runtime]


def shown_of(task: Task) -> dict[str, Path]:
    """The task's own folders and files, by their places inside."""
    shown = {"/job": task.job.resolve(), "/data": task.data.resolve()}
    for name, path in task.models.items():
        shown[f"/models/{name}{MODEL_SUFFIX}"] = path.resolve()
    return shown


def memory_folders(limits: Limits) -> dict[str, int]:
    """Folders in memory that a run may write to, and their sizes."""
    return {
        "/dev/shm": limits.scratch_bytes,  # noqa: S108
        SCRATCH: limits.scratch_bytes,
        "/out": limits.output_bytes,
    }


def harness_command(runtime: Runtime, task: Task, *, counts_processes: bool) -> list[str]:
    """The harness as it is started inside; it counts its processes where the kernel lets it."""
    harness = harness_arguments(task, job="/job", data="/data", models="/models", out="/out")
    if counts_processes:
        harness += ["--processes", str(task.limits.processes)]
    return [*runtime.python, "-m", "scatter_job", *harness]


def make_root(folder: Path, shown: Mapping[str, Path], links: Mapping[str, str]) -> None:
    """Makes an empty root file system with a place for everything that is shown."""
    for place, path in shown.items():
        point = folder / place.lstrip("/")
        if path.is_dir():
            point.mkdir(parents=True, exist_ok=True)
        else:
            point.parent.mkdir(parents=True, exist_ok=True)
            point.touch()
    for place, target in links.items():
        link = folder / place.lstrip("/")
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(target)


def owner_of(folder: Path | None) -> str:
    """A name for all that runs of one node leave; the node is known by its folder."""
    if folder is None:
        return secrets.token_hex(6)
    return hashlib.sha256(bytes(folder.absolute())).hexdigest()[:12]
