"""Looks at a stranger's job in a process of its own, which may take only so much.

A parser that a stranger's text leads astray costs that process, and the job is called unreadable.
"""

import asyncio
import json
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Final

from pydantic import TypeAdapter, ValidationError

from scatter.learning.inspection import Inspection, inspect_folder
from scatter.learning.suspicions import Concern, Suspicion
from scatter_job.confinement import limit

SECONDS: Final = 20
_MEMORY_BYTES: Final = 512 << 20

_reader = TypeAdapter(Inspection)


async def inspect_apart(folder: Path) -> Inspection:
    """What the job's folder holds; see `scatter.ports.inspection`."""
    return await asyncio.to_thread(inspect_apart_now, folder)


def inspect_apart_now(folder: Path, *, seconds: float = SECONDS) -> Inspection:
    """The same, for a caller without a loop."""
    command = [sys.executable, "-I", "-m", __name__, str(folder.absolute()), str(int(seconds))]
    try:
        done = subprocess.run(command, env={}, capture_output=True, timeout=seconds, check=False)
        return _reader.validate_json(done.stdout)
    except (subprocess.TimeoutExpired, ValidationError):
        what = f"cannot be looked into within {seconds:g} s and {_MEMORY_BYTES >> 20} MB of memory"
        unreadable = Suspicion(".", 0, Concern.UNREADABLE, what)
        return Inspection(None, what, (), (), (unreadable,), 0)


def main() -> None:
    """The process apart: limits itself, looks, and says what it saw."""
    folder, seconds = Path(sys.argv[1]), int(sys.argv[2])
    limit(memory=_MEMORY_BYTES, processes=None, files=64, file_size=0, cpu_seconds=max(seconds, 1))
    print(json.dumps(asdict(inspect_folder(folder))))


if __name__ == "__main__":
    main()
