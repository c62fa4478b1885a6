"""The folder of a demo: claimed by one demo at a time, and cleared of what an earlier one left.

A file marks the folder as a demo's, so that nothing else is ever removed, and its lock keeps a
second demo out for as long as the first one runs.
"""

import fcntl
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from scatter.mechanism.errors import ScatterError

MARK = ".scatter-demo"
GLOBAL_MODEL = "global.safetensors"
REPORT = "report.json"
_KNOWN = frozenset({MARK, "nodes", "shares", "deployment.json", REPORT, GLOBAL_MODEL, "work"})
_DRAFT = ".shares."
"""What a demo that was killed while it divided the data leaves behind."""


class FolderTaken(ScatterError):
    """The folder holds what no demo left there, or another demo runs in it."""


@contextmanager
def claim_folder(folder: Path) -> Iterator[None]:
    """Makes `folder`, or empties it of what a demo left; it is this demo's until the context ends.

    Raises FolderTaken, and then nothing was changed.
    """
    _refuse_strange(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        mark = (folder / MARK).open("a")
    except OSError as error:
        raise FolderTaken(
            f"{folder} cannot be made or written to ({error.strerror}); "
            "name another folder with --out."
        ) from error
    with mark:
        try:
            fcntl.flock(mark, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise FolderTaken(
                f"Another demo runs in {folder}; wait for it, or name another folder with --out."
            ) from None
        _clear(folder)
        yield


def _refuse_strange(folder: Path) -> None:
    try:
        names = sorted(entry.name for entry in folder.iterdir())
    except FileNotFoundError:
        return
    except OSError as error:
        raise FolderTaken(
            f"{folder} cannot be used as a folder ({error.strerror}); name another with --out."
        ) from error
    known = [name for name in names if name in _KNOWN or name.startswith(_DRAFT)]
    strange = [name for name in names if name not in known] if MARK in names else names
    if strange:
        raise FolderTaken(
            f"{folder} holds {strange[0]}, which no demo left there; "
            "name another folder with --out."
        )


def _clear(folder: Path) -> None:
    for entry in folder.iterdir():
        if entry.name == MARK:
            continue
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()
