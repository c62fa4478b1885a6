"""From the start to the exit of an empty job, in each sandbox that runs here.

Beside it the bare backend that starts the interpreter and imports what the harness does: the
difference is what Scatter adds. Where it is cheap also the bare backend that does nothing at all.
"""

import asyncio
import os
import shutil
import subprocess
import sysconfig
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import scatter_job
from benchmarks.figures import Row, milliseconds, ratio_at_most
from benchmarks.running import run_alone
from benchmarks.timing import take_turns
from scatter.adapters.sandbox import (
    DOCKER_GVISOR,
    Bubblewrap,
    DockerEngine,
    GVisor,
    PlainProcess,
)
from scatter.adapters.sandbox.run import try_out
from scatter.adapters.sandbox.runtime import find_own_runtime
from scatter.ports.sandbox import Sandbox, SandboxUnavailable, Task
from scatter_job.environment import FIXED_ENVIRONMENT

JOB = """
name = "Nothing"
kind = "train"
topic = "nothing"
runtime = "numpy"
[model]
w = { dtype = "float32", shape = [1] }
"""
CODE = """
import numpy as np
from scatter_job import Trained


def train(data, base, settings):
    return Trained({"w": np.zeros(1, np.float32)}, 1)
"""
BARE_BUBBLEWRAP = ("bwrap", "--unshare-all", "--ro-bind", "/", "/", "--dev", "/dev")
PYTHON = (*find_own_runtime().python, "-c")
"""As a sandbox starts it."""
NOTHING = (*PYTHON, "pass")
IMPORTING = "import numpy, safetensors.numpy, scatter_job.harness, scatter_job.__main__"
IMPORTS = (*PYTHON, IMPORTING)
BARE = "bare, importing what the harness does"
ENVIRONMENT = {
    **FIXED_ENVIRONMENT,
    "PATH": os.defpath,
    "PYTHONPATH": os.pathsep.join(
        (str(Path(scatter_job.__file__).parents[1]), sysconfig.get_path("platlib"))
    ),
}
TARGET = ratio_at_most(1.2)


def measure(folder: Path) -> list[Row]:
    (folder / "job").mkdir()
    (folder / "data").mkdir()
    (folder / "job" / "job.toml").write_text(JOB)
    (folder / "job" / "train.py").write_text(CODE)
    rows = _rows(folder, PlainProcess.open(), "python -c pass", NOTHING, IMPORTS)
    try:
        bubblewrap = Bubblewrap.open()
    except SandboxUnavailable:
        rows = [Row("empty job, bubblewrap", "ms", None, BARE, None, TARGET), *rows]
    else:
        nothing, imports = (*BARE_BUBBLEWRAP, "true"), (*BARE_BUBBLEWRAP, *IMPORTS)
        rows = [*_rows(folder, bubblewrap, "bwrap true", nothing, imports), *rows]
    return [*_guest_rows(folder), *rows]


def _guest_rows(folder: Path) -> list[Row]:
    """Each gVisor beside itself on the same walls, starting the interpreter with its imports.

    What the harness costs is the difference: reading the job, limits, and bringing the files out.
    """
    rows = []
    for open_guest, name in (
        (partial(DockerEngine.open, DOCKER_GVISOR), DOCKER_GVISOR.name),
        (GVisor.open, GVisor.name),
    ):
        what = f"empty job, {name}"
        try:
            sandbox = open_guest()
        except SandboxUnavailable:
            rows.append(Row(what, "ms", None, BARE, None, TARGET))
            continue
        ours, bare = take_turns(
            _empty_job(folder, sandbox),
            _bare(sandbox),
            repeats=5,
            tidy_up=lambda: shutil.rmtree(folder / "output", ignore_errors=True),
        )
        rows.append(Row(what, "ms", milliseconds(ours), BARE, milliseconds(bare), TARGET))
    return rows


def _bare(sandbox: DockerEngine | GVisor) -> Callable[[], None]:
    def run() -> None:
        with sandbox.started(IMPORTING) as start:
            _, problem = try_out(start, 60)
        assert not problem, problem

    return run


def _rows(
    folder: Path, sandbox: Sandbox, bare: str, nothing: Sequence[str], imports: Sequence[str]
) -> list[Row]:
    ours, doing_nothing, importing = take_turns(
        _empty_job(folder, sandbox),
        _command(nothing),
        _command(imports),
        repeats=9,
        tidy_up=lambda: shutil.rmtree(folder / "output", ignore_errors=True),
    )
    what = f"empty job, {sandbox.name}"
    found = milliseconds(ours)
    return [
        Row(what, "ms", found, BARE, milliseconds(importing), TARGET),
        Row(what, "ms", found, bare, milliseconds(doing_nothing)),
    ]


def _empty_job(folder: Path, sandbox: Sandbox) -> Callable[[], None]:
    output = folder / "output"
    task = Task("train", folder / "job", folder / "data", output)

    def run() -> None:
        outcome = asyncio.run(sandbox.run(task))
        assert outcome.ok, outcome.reason

    return run


def _command(arguments: Sequence[str]) -> Callable[[], None]:
    def run() -> None:
        subprocess.run(arguments, check=True, capture_output=True, env=ENVIRONMENT)

    return run


if __name__ == "__main__":
    run_alone(measure)
