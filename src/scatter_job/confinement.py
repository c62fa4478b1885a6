"""Limits that a run puts on itself before it touches the job, and the way its files leave.

A limit set here is a hard one: the job's code cannot raise it again.
"""

import ctypes
import io
import resource
import select
import signal
import stat
import sys
import tarfile
from pathlib import Path
from typing import BinaryIO, Final

from scatter_job.failure import JobFailed

_PR_SET_PDEATHSIG: Final = 1
MOST_FILES: Final = 4096

_ADDRESS_SPACE_SLACK: Final = 1 << 30
"""Mapped files and reserved but unused pages count as address space, though not as memory."""


def limit(
    *,
    memory: int | None,
    processes: int | None,
    files: int | None,
    file_size: int | None,
    cpu_seconds: int | None,
) -> None:
    """Sets resource limits: bytes, processes, open files, bytes of one file, seconds at work."""
    _lower(resource.RLIMIT_CORE, 0)
    if memory is not None:
        _lower(resource.RLIMIT_DATA, memory)
        _lower(resource.RLIMIT_AS, memory + _ADDRESS_SPACE_SLACK)
    if processes is not None:
        _lower(resource.RLIMIT_NPROC, processes)
    if files is not None:
        _lower(resource.RLIMIT_NOFILE, files)
    if file_size is not None:
        _lower(resource.RLIMIT_FSIZE, file_size)
    if cpu_seconds is not None:
        _lower(resource.RLIMIT_CPU, cpu_seconds)


def _lower(kind: int, value: int) -> None:
    _, hard = resource.getrlimit(kind)
    if hard != resource.RLIM_INFINITY:
        value = min(value, hard)
    resource.setrlimit(kind, (value, value))


def end_with_parent() -> None:
    """From now on this process is killed when the one that started it dies; Linux only.

    If that one is dead already, nothing happens: the caller has to look.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def is_read(stream: int) -> bool:
    """Whether anybody holds the other end of this pipe; True of what is no pipe."""
    look = select.poll()
    look.register(stream, 0)
    return not look.poll(0)


def deliver(out: Path, stream: BinaryIO) -> None:
    """Writes the files in `out` to `stream` as a ustar archive.

    Raises JobFailed for anything but regular files directly in `out`.
    """
    paths = sorted(out.iterdir())
    if len(paths) > MOST_FILES:
        raise JobFailed(f"The job left {len(paths)} files; at most {MOST_FILES} may be.")
    with tarfile.open(fileobj=stream, mode="w|", format=tarfile.USTAR_FORMAT) as archive:
        for path in paths:
            _add(archive, path)


def _add(archive: tarfile.TarFile, path: Path) -> None:
    if not stat.S_ISREG(path.lstat().st_mode):
        raise JobFailed(f"The job left {path.name!r}, which is not a regular file.")
    with path.open("rb") as file:
        entry = tarfile.TarInfo(path.name)
        entry.size = file.seek(0, io.SEEK_END)
        file.seek(0)
        try:
            archive.addfile(entry, file)
        except ValueError as error:
            raise JobFailed(f"The job left a file whose name cannot be used: {error}.") from error
