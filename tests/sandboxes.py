"""Every sandbox that tests may be tried on, opened once for all of them."""

import atexit
import os
import tempfile
from functools import cache, partial
from pathlib import Path

import docker
import pytest

from scatter.adapters.sandbox import (
    DOCKER_GVISOR,
    DOCKER_RUNC,
    Bubblewrap,
    DockerEngine,
    GVisor,
    PlainProcess,
)
from scatter.adapters.sandbox.walls import owner_of
from scatter.ports.sandbox import Sandbox, SandboxUnavailable

OPENERS = {
    "docker-gvisor": partial(DockerEngine.open, DOCKER_GVISOR),
    "docker-runc": partial(DockerEngine.open, DOCKER_RUNC),
    "gvisor": GVisor.open,
    "bubblewrap": Bubblewrap.open,
    "plain": lambda folder=None, *_: PlainProcess.open(folder),
}

WALLED = [
    pytest.param("docker-gvisor", marks=[pytest.mark.needs_docker, pytest.mark.needs_gvisor]),
    pytest.param("gvisor", marks=pytest.mark.needs_gvisor),
    pytest.param("bubblewrap", marks=pytest.mark.needs_bubblewrap),
]
"""The sandboxes that are to keep an attacker in, as parameters of a fixture."""
ALL = [*WALLED, "plain"]


def open_for_test(name: str) -> Sandbox:
    """The sandbox of that name; a test for which it is not there is skipped, or fails in CI."""
    found = _open(name)
    if isinstance(found, str):
        if os.environ.get("SCATTER_REQUIRE_ALL") == "1":
            pytest.fail(f"{found} SCATTER_REQUIRE_ALL wants everything tested.")
        pytest.skip(found)
    return found


def state_folder(name: str) -> Path:
    """The folder that the sandbox of that name was opened with."""
    return _state() / name


def containers_of(name: str) -> list[str]:
    """The containers that there are of this sandbox."""
    if not name.startswith("docker"):
        return []
    client = docker.from_env()
    try:
        label = f"scatter.owner={owner_of(state_folder(name))}"
        return [found.id for found in client.containers.list(all=True, filters={"label": label})]
    finally:
        client.close()


@cache
def _open(name: str) -> Sandbox | str:
    try:
        return OPENERS[name](state_folder(name))
    except SandboxUnavailable as error:
        return str(error)


@cache
def _state() -> Path:
    folder = tempfile.TemporaryDirectory(prefix="scatter-sandboxes-")
    atexit.register(folder.cleanup)
    return Path(folder.name)
