"""What a person should see of a job before it is run: files, imports, limits, odd constructs.

A job comes from a stranger: its folder is looked at within bounds, its code is parsed and never
imported. A parser can still be led to take very long; `scatter.adapters.inspection` calls this in
a process of its own.
"""

import os
import stat
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Final

from scatter.learning.job_file import JobLimits, read_job
from scatter.learning.suspicions import (
    Concern,
    Suspicion,
    cleaned,
    look_at_source,
)
from scatter.mechanism.errors import BadInput

MOST_FILES: Final = 1_000
"""That are looked at and listed."""
MOST_SOURCE_BYTES: Final = 256 << 10
"""Of one file of Python, and four times as much of all of them."""
MOST_SUSPICIONS: Final = 200
MOST_DEPTH: Final = 16

_PLAIN: Final = frozenset(
    {".toml", ".py", ".md", ".txt", ".json", ".csv", ".safetensors", ".npy", ".npz"}
)
_BEGINNINGS: Final = {
    b"\x7fELF": "a program",
    b"MZ": "a program",
    b"#!": "a script",
    b"\x80\x04": "a pickle",
    b"\x80\x05": "a pickle",
}
_SHADOWED: Final = sys.stdlib_module_names | {"numpy", "safetensors", "scatter_job", "torch"}


@dataclass(frozen=True)
class SeenFile:
    """A file of a job, its name fit to be shown."""

    name: str
    size: int


@dataclass(frozen=True)
class Description:
    """What the job says of itself."""

    name: str
    kind: str
    topic: str
    runtime: str
    limits: JobLimits
    model_bytes: int


@dataclass(frozen=True)
class Inspection:
    """What was seen of one job's folder."""

    description: Description | None
    problem: str
    """Why there is no description; empty if there is one."""
    files: tuple[SeenFile, ...]
    imports: tuple[str, ...]
    suspicions: tuple[Suspicion, ...]
    left_out: int
    """Suspicions beyond the first 200."""


def inspect_folder(folder: Path) -> Inspection:
    """Looks at a job's folder without running anything of it."""
    description, problem = _describe(folder)
    found: list[Suspicion] = []
    files: list[SeenFile] = []
    imports: set[str] = set()
    left = 4 * MOST_SOURCE_BYTES
    for path in _walk(folder, found):
        name = cleaned(path.relative_to(folder).as_posix())
        facts = path.lstat()
        files.append(SeenFile(name, facts.st_size))
        if not stat.S_ISREG(facts.st_mode):
            found.append(Suspicion(name, 0, Concern.MACHINE, "is a link, a pipe or a device"))
            continue
        found += _look_at_file(path, name, path.relative_to(folder).parts[0])
        if path.suffix == ".py":
            if facts.st_size > min(MOST_SOURCE_BYTES, left):
                what = f"has {facts.st_size} bytes, too many to be looked into"
                found.append(Suspicion(name, 0, Concern.UNREADABLE, what))
                continue
            left -= facts.st_size
            suspicions, modules = look_at_source(name, path.read_bytes()[:MOST_SOURCE_BYTES])
            found += suspicions
            imports |= modules
    return Inspection(
        description=description,
        problem=problem,
        files=tuple(files),
        imports=tuple(sorted(imports)),
        suspicions=tuple(found[:MOST_SUSPICIONS]),
        left_out=max(0, len(found) - MOST_SUSPICIONS),
    )


def _describe(folder: Path) -> tuple[Description | None, str]:
    try:
        job = read_job(folder, runtimes=None)
    except BadInput as problem:
        return None, cleaned(str(problem).replace(f"{folder}/", ""))
    return (
        Description(job.name, job.kind, job.topic, job.runtime, job.limits, job.model.size),
        "",
    )


def _walk(folder: Path, found: list[Suspicion]) -> Iterator[Path]:
    """Everything but folders, in order of names, within bounds; links are not followed."""
    waiting, seen = [folder], 0
    while waiting:
        here = waiting.pop()
        deep = len(here.relative_to(folder).parts) >= MOST_DEPTH
        with os.scandir(here) as entries:
            some = list(islice(entries, MOST_FILES + 1))
        for entry in sorted(some, key=lambda entry: entry.name):
            seen += 1
            if seen > MOST_FILES or deep:
                what = f"has more than {MOST_FILES} files, or folders in folders"
                found.append(Suspicion(".", 0, Concern.UNREADABLE, what))
                return
            if entry.is_dir(follow_symlinks=False):
                waiting.append(Path(entry.path))
            else:
                yield Path(entry.path)


def _look_at_file(path: Path, name: str, first: str) -> Iterator[Suspicion]:
    with path.open("rb") as file:
        head = file.read(8)
    kind = next((kind for start, kind in _BEGINNINGS.items() if head.startswith(start)), "")
    if kind:
        yield Suspicion(name, 0, Concern.NATIVE_CODE, f"begins like {kind}")
    elif path.suffix not in _PLAIN:
        yield Suspicion(name, 0, Concern.HIDDEN_CODE, "is of a kind that no job needs")
    module = first.partition(".")[0]
    if module in _SHADOWED and path.suffix in {".py", ".pyc", ".so"}:
        yield Suspicion(name, 0, Concern.DYNAMIC_CODE, f"takes the place of the module {module}")
