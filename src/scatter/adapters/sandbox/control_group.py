"""A control group for one run: memory, processes and processor time of all that it starts.

The kernel keeps these limits itself, at every moment, and knows every process of a run however it
has forked. Making one takes rights that an ordinary user rarely has; without them the process tree
is measured instead (`process_tree`). Linux `Documentation/admin-guide/cgroup-v1` and `cgroup-v2`.
"""

import os
import secrets
import signal
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_MOUNT: Final = Path("/sys/fs/cgroup")
_OWN: Final = Path("/proc/self/cgroup")
_CONTROLLERS: Final = ("memory", "pids", "cpu")
_PERIOD: Final = 100_000
_END_SECONDS: Final = 60.0
_LOOK_SECONDS: Final = 0.005
_ENTER: Final = 'while [ "$1" != -- ]; do echo $$ > "$1/cgroup.procs" || exit 125; shift; done; '


@dataclass(frozen=True)
class Allowance:
    """What all processes of a run together may use."""

    memory_bytes: int
    processes: int
    cpus: int


class ControlGroup:
    """One run's group. Use `make`; `remove` in the end."""

    def __init__(self, folders: Sequence[Path]) -> None:
        self._folders = folders

    @classmethod
    def make(cls, owner: str, allowance: Allowance) -> "ControlGroup | None":
        """A new group with these limits, or None where that is not allowed.

        `owner` names whose it is, for `sweep`.
        """
        name = f"scatter-{owner}-{secrets.token_hex(4)}"
        group = cls([parent / name for parent in _find_parents()])
        try:
            for folder in group._folders:
                folder.mkdir()
            for folder, settings in group._settings(allowance):
                for key, value in settings.items():
                    (folder / key).write_text(value)
        except OSError:
            group.remove()
            return None
        return group if group._folders else None

    def entering(self, arguments: Sequence[str]) -> list[str]:
        """The command that enters the group and then becomes the command given."""
        script = f'{_ENTER}shift; exec "$@"'
        return ["/bin/sh", "-c", script, "sh", *map(str, self._folders), "--", *arguments]

    @property
    def out_of_memory(self) -> bool:
        """Whether the kernel has killed something in it for want of memory."""
        text = "".join(
            _read(folder / name)
            for folder in self._folders
            for name in ("memory.oom_control", "memory.events")
        )
        return any(
            line.startswith("oom_kill ") and int(line.split()[1]) > 0 for line in text.splitlines()
        )

    def remove(self) -> None:
        """Kills whatever is in it, and takes it away."""
        deadline = time.monotonic() + _END_SECONDS
        for folder in self._folders:
            while folder.is_dir():
                for pid in _read(folder / "cgroup.procs").split():
                    with suppress(ProcessLookupError):
                        os.kill(int(pid), signal.SIGKILL)
                try:
                    folder.rmdir()
                except OSError:
                    # Killed processes count until the kernel is done with them.
                    if time.monotonic() > deadline:
                        break
                    time.sleep(_LOOK_SECONDS)

    def _settings(self, allowance: Allowance) -> Iterator[tuple[Path, Mapping[str, str]]]:
        memory, quota = str(allowance.memory_bytes), str(allowance.cpus * _PERIOD)
        processes = str(allowance.processes)
        if len(self._folders) == 1:
            files = {
                "memory.max": memory,
                "memory.oom.group": "1",
                "pids.max": processes,
                "cpu.max": f"{quota} {_PERIOD}",
            }
            # Absent where the kernel has no swap.
            if (self._folders[0] / "memory.swap.max").exists():
                files["memory.swap.max"] = "0"
            yield self._folders[0], files
        elif self._folders:
            memory_folder, pids_folder, cpu_folder = self._folders
            files = {"memory.limit_in_bytes": memory}
            if (memory_folder / "memory.memsw.limit_in_bytes").exists():
                files["memory.memsw.limit_in_bytes"] = memory
            yield memory_folder, files
            yield pids_folder, {"pids.max": processes}
            yield cpu_folder, {"cpu.cfs_period_us": str(_PERIOD), "cpu.cfs_quota_us": quota}


def sweep(owner: str) -> int:
    """Removes the groups that runs of `owner` have left; says how many there were."""
    left = {path.name for parent in _find_parents() for path in parent.glob(f"scatter-{owner}-*")}
    for name in left:
        ControlGroup([parent / name for parent in _find_parents()]).remove()
    return len(left)


def _find_parents() -> list[Path]:
    """Where groups are made: one folder in version 2, one for each controller in version 1."""
    if (_MOUNT / "cgroup.controllers").exists():
        parent = _MOUNT / "scatter"
        enabling = "+memory +pids +cpu"
        try:
            parent.mkdir(exist_ok=True)
            (parent / "cgroup.subtree_control").write_text(enabling)
        except OSError:
            return []
        return [parent]
    own: dict[str, str] = {}
    for line in _read(_OWN).splitlines():
        _, controllers, path = line.split(":", 2)
        own |= dict.fromkeys(controllers.split(","), path.strip("/"))
    if not set(_CONTROLLERS) <= own.keys():
        return []
    return [_MOUNT / controller / own[controller] for controller in _CONTROLLERS]


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
