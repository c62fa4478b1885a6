"""A process with all its descendants: how much it uses, and its end.

Limits that the kernel keeps per process say nothing about sixty-four processes together, and for
a node run by root the kernel counts no processes at all. So the whole tree is looked at a few
times a second. Linux, `proc(5)`.
"""

import os
import signal
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_PROC: Final = Path("/proc")
_MOST_STAT: Final = 4096
_MEMORY_FIELDS: Final = ("RssAnon:", "RssShmem:")


@dataclass(frozen=True)
class Usage:
    """What a tree uses now."""

    pids: tuple[int, ...]
    memory_bytes: int
    """Anonymous and shared memory; a page that several share counts once, if that can be told."""


@dataclass(frozen=True)
class Kept:
    """What lies in folders that are memory."""

    memory_bytes: int = 0
    files: int = 0


def measure_tree(root: int, enough: int) -> Usage:
    """Measures `root` and its descendants.

    Pages shared by forks are told apart only when the simple sum is above `enough` bytes, since
    that takes the kernel long.
    """
    tree = tuple(_walk(root))
    simple = sum(_resident(pid) for pid in tree)
    if simple > enough:
        simple = sum(_proportional(pid) for pid in tree)
    return Usage(tree, simple)


def measure_folders(pids: Sequence[int], sizes: Mapping[str, int]) -> Kept:
    """What lies in the memory folders that one of these processes sees.

    A folder is known by its size too: a process that is only about to change its root still sees
    the machine's own.
    """
    for pid in reversed(pids):
        found = [_look_into(_PROC / str(pid) / f"root{place}", sizes[place]) for place in sizes]
        kept = [folder for folder in found if folder is not None]
        if len(kept) == len(sizes):
            return Kept(sum(f.memory_bytes for f in kept), sum(f.files for f in kept))
    return Kept()


def _look_into(folder: Path, size: int) -> Kept | None:
    try:
        facts = os.statvfs(folder)
    except OSError:
        return None
    if facts.f_blocks != -(-size // facts.f_frsize):
        return None
    used = (facts.f_blocks - facts.f_bfree) * facts.f_frsize
    return Kept(used, facts.f_files - facts.f_ffree)


def kill_tree(root: int) -> None:
    """Kills `root`, its process group and its descendants, of whatever session.

    `root` must not have been waited for, or its number may name a stranger by now.
    """
    doomed = list(_walk(root))
    # What has ended meanwhile is what is wanted.
    with suppress(ProcessLookupError):
        os.killpg(root, signal.SIGKILL)
    for pid in doomed:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _walk(root: int) -> Iterator[int]:
    children = defaultdict(list)
    with os.scandir(_PROC) as entries:
        for entry in entries:
            if entry.name.isdigit() and (fields := _state_and_parent(entry.path)):
                children[int(fields[1])].append(int(entry.name))
    waiting = [root]
    while waiting:
        pid = waiting.pop()
        yield pid
        waiting += children[pid]


def _state_and_parent(process: str) -> list[bytes]:
    """Of the process with this folder; empty when it has ended meanwhile."""
    try:
        # Without a file object: a machine may have thousands of processes.
        stat = os.open(f"{process}/stat", os.O_RDONLY | os.O_CLOEXEC)
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return []
    try:
        text = os.read(stat, _MOST_STAT)
    except ProcessLookupError:
        return []
    finally:
        os.close(stat)
    # The name before the last parenthesis may hold anything.
    return text.rpartition(b")")[2].split(None, 2)[:2]


def _resident(pid: int) -> int:
    return _sum_kilobytes(_read(_PROC / str(pid) / "status"), _MEMORY_FIELDS)


def _proportional(pid: int) -> int:
    text = _read(_PROC / str(pid) / "smaps_rollup")
    if not text:
        return _resident(pid)
    return _sum_kilobytes(text, ("Pss_Anon:", "Pss_Shmem:"))


def _sum_kilobytes(text: str, fields: tuple[str, ...]) -> int:
    return 1024 * sum(int(line.split()[1]) for line in text.splitlines() if line.startswith(fields))


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8", "replace")
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return ""  # It ended meanwhile, or is not ours to look into.
