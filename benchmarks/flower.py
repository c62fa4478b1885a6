"""Flower in an environment of its own, made when it is first needed: its dependencies exclude ours.

It is kept in the user's cache folder, so the next run finds it.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

import numpy as np
import safetensors

FLOWER: Final = "flwr 1.41.0"
PEER: Final = Path(__file__).with_name("flower_peer.py")
MOST_SECONDS: Final = 120


class PeerAbsent(Exception):
    """Flower cannot be had here; its rows have no ratio."""


def install_flower() -> Path:
    """The interpreter that can import flwr. Raises PeerAbsent."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    home = cache / "scatter-benchmarks" / f"{FLOWER.replace(' ', '-')}-python{version}"
    python = home / "bin" / "python"
    done = home / "complete"
    if done.exists() and python.exists():
        return python
    print("(installing Flower, once)", end=" ", file=sys.stderr, flush=True)
    shutil.rmtree(home, ignore_errors=True)
    # The same numpy, so that Flower's method is compared and not a library's version.
    wanted = [
        FLOWER.replace(" ", "=="),
        f"numpy=={np.__version__}",
        f"safetensors=={safetensors.__version__}",
    ]
    try:
        home.parent.mkdir(parents=True, exist_ok=True)
        commands: list[list[str | Path]] = [
            [sys.executable, "-m", "venv", home],
            [python, "-m", "pip", "install", "-q", "--disable-pip-version-check", *wanted],
        ]
        for command in commands:
            subprocess.run(command, capture_output=True, timeout=MOST_SECONDS, check=True)
    except (OSError, subprocess.SubprocessError) as error:
        shutil.rmtree(home, ignore_errors=True)
        raise PeerAbsent(f"{FLOWER}: peer absent") from error
    done.touch()
    return python
