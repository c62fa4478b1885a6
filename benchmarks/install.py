"""Installing the wheel as docs/install.md says: its size, the environment's, and the time it takes.

pip may take the libraries from its cache; what it must fetch is part of the time.
"""

import subprocess
import sys
import time
from pathlib import Path

from benchmarks.figures import Row, megabytes, one
from benchmarks.running import run_alone

ROOT = Path(__file__).parents[1]
MOST_SECONDS = 900


def measure(folder: Path) -> list[Row]:
    home = folder / "env"
    _run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder)
    (wheel,) = folder.glob("*.whl")
    _run(sys.executable, "-m", "venv", home)
    bare = _size(home)
    python = home / "bin" / "python"
    pip: list[str | Path] = [python, "-m", "pip", "install", "-q", "--no-deps"]
    began = time.monotonic()
    _run(*pip, wheel)
    _run(*pip, "--require-hashes", "-r", home / "share" / "scatter" / "requirements.txt")
    seconds = time.monotonic() - began
    return [
        Row("the wheel", "MB", megabytes([wheel.stat().st_size])),
        Row("installed", "MB", megabytes([_size(home)]), "empty venv", megabytes([bare])),
        Row("time to install the wheel", "s", one(seconds)),
    ]


def _run(*command: str | Path) -> None:
    subprocess.run(command, cwd=ROOT, capture_output=True, timeout=MOST_SECONDS, check=True)


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if not path.is_symlink())


if __name__ == "__main__":
    run_alone(measure)
