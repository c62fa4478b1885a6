"""From the start to the exit of an empty job, in each sandbox that runs here.

Beside it the same harness with the same job, started by hand on the bare backend: the difference is
what Scatter adds, which is limits, watching, killing and bringing the files out. Where it is cheap
also the bare backend that does nothing at all.
"""

import asyncio
import json
import os
import shutil
import subprocess
import sysconfig
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from pathlib import Path

import docker
from docker.types import Mount

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
from scatter.adapters.sandbox.docker_engine import find_engine, load_image
from scatter.adapters.sandbox.gvisor import configuration
from scatter.adapters.sandbox.run import harness_arguments
from scatter.adapters.sandbox.runtime import find_own_runtime
from scatter.adapters.sandbox.walls import ENVIRONMENT, harness_command, make_root, shown_of
from scatter.ports.sandbox import Limits, Sandbox, SandboxUnavailable, Task

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
RUNTIME = find_own_runtime()
NOTHING = (*RUNTIME.python, "-c", "pass")
BARE_BUBBLEWRAP = ("bwrap", "--unshare-all", "--ro-bind", "/", "/", "--dev", "/dev")
BARE = "the same harness, bare"
ON_THIS_MACHINE = {
    **ENVIRONMENT,
    "PATH": os.defpath,
    "PYTHONPATH": os.pathsep.join(
        (str(Path(scatter_job.__file__).parents[1]), sysconfig.get_path("platlib"))
    ),
}
TARGET = ratio_at_most(1.2)
REPEATS = 19
"""Many, for a run is short; containers take so long that fewer fit into the time."""

Action = Callable[[], None]


def measure(folder: Path) -> list[Row]:
    (folder / "job").mkdir()
    (folder / "data").mkdir()
    (folder / "job" / "job.toml").write_text(JOB)
    (folder / "job" / "train.py").write_text(CODE)
    harness = (*RUNTIME.python, "-m", "scatter_job", *_arguments(folder))
    in_view = ("--bind", str(folder), str(folder))
    return [
        *_rows(
            folder,
            DOCKER_GVISOR.name,
            lambda: DockerEngine.open(DOCKER_GVISOR),
            lambda: _by_docker(folder),
        ),
        *_rows(folder, GVisor.name, GVisor.open, lambda: _by_runsc(folder)),
        *_rows(
            folder,
            Bubblewrap.name,
            Bubblewrap.open,
            lambda: _command((*BARE_BUBBLEWRAP, *in_view, *harness)),
            ("bwrap true", (*BARE_BUBBLEWRAP, "true")),
        ),
        *_rows(
            folder,
            PlainProcess.name,
            PlainProcess.open,
            lambda: _command(harness),
            ("python -c pass", NOTHING),
        ),
    ]


def _rows(
    folder: Path,
    name: str,
    open_sandbox: Callable[[], Sandbox],
    make_bare: Callable[[], Action],
    least: tuple[str, Sequence[str]] | None = None,
) -> list[Row]:
    what = f"empty job, {name}"
    try:
        sandbox = open_sandbox()
    except SandboxUnavailable:
        return [Row(what, "ms", None, BARE, None, TARGET)]
    actions = [_empty_job(folder, sandbox), make_bare()]
    if least is not None:
        actions.append(_command(least[1]))
    ours, *others = take_turns(*actions, repeats=REPEATS, tidy_up=lambda: _tidy_up(folder))
    found = milliseconds(ours)
    rows = [Row(what, "ms", found, BARE, milliseconds(others[0]), TARGET)]
    if least is not None:
        rows.append(Row(what, "ms", found, least[0], milliseconds(others[1])))
    return rows


def _tidy_up(folder: Path) -> None:
    for made in ("output", "by-hand"):
        shutil.rmtree(folder / made, ignore_errors=True)


def _task(folder: Path) -> Task:
    return Task("train", folder / "job", folder / "data", folder / "output")


def _empty_job(folder: Path, sandbox: Sandbox) -> Action:
    def run() -> None:
        outcome = asyncio.run(sandbox.run(_task(folder)))
        assert outcome.ok, outcome.reason

    return run


def _arguments(folder: Path) -> list[str]:
    """Of the harness, where it sees this machine's own folders."""
    job, data, out = (str(folder / name) for name in ("job", "data", "by-hand"))
    return harness_arguments(_task(folder), job=job, data=data, models="", out=out)


def _command(arguments: Sequence[str]) -> Action:
    def run() -> None:
        subprocess.run(arguments, check=True, capture_output=True, env=ON_THIS_MACHINE)

    return run


def _inside(folder: Path) -> tuple[Mapping[str, Path], list[str]]:
    """What a container has to show, and its command."""
    task = _task(folder)
    shown = {**RUNTIME.shown, **shown_of(task)}
    return shown, harness_command(RUNTIME, task, counts_processes=True)


def _by_runsc(folder: Path) -> Action:
    """On one bundle for all runs."""
    bundle = folder / "bundle"
    shown, inside = _inside(folder)
    make_root(bundle / "rootfs", shown, RUNTIME.links)
    settings = configuration(bundle / "rootfs", shown, Limits(), inside)
    (bundle / "config.json").write_text(json.dumps(settings))
    flags = ("--network=none", "--ignore-cgroups", "--root", str(folder / "state"))
    return _command(("runsc", *flags, "run", "--bundle", str(bundle), "by-hand"))


def _by_docker(folder: Path) -> Action:
    shown, inside = _inside(folder)
    mounts = [Mount(place, str(path), type="bind", read_only=True) for place, path in shown.items()]
    with closing(docker.DockerClient(base_url=find_engine())) as once:
        image = load_image(once, RUNTIME)

    def run() -> None:
        with closing(docker.DockerClient(base_url=find_engine())) as client:
            client.containers.run(
                image,
                entrypoint=inside,
                environment=dict(ENVIRONMENT),
                mounts=mounts,
                tmpfs={"/out": "", "/tmp": ""},
                network_mode="none",
                runtime=DOCKER_GVISOR.runtime,
                remove=True,
            )

    return run


if __name__ == "__main__":
    run_alone(measure)
