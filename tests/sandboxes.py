"""Every sandbox that tests may be tried on, opened once for all of them."""

import os
from functools import cache, partial

import pytest

from scatter.adapters.sandbox import (
    DOCKER_GVISOR,
    DOCKER_RUNC,
    Bubblewrap,
    DockerEngine,
    GVisor,
    PlainProcess,
)
from scatter.ports.sandbox import Sandbox, SandboxUnavailable

OPENERS = {
    "docker-gvisor": partial(DockerEngine.open, DOCKER_GVISOR),
    "docker-runc": partial(DockerEngine.open, DOCKER_RUNC),
    "gvisor": GVisor.open,
    "bubblewrap": Bubblewrap.open,
    "plain": PlainProcess,
}

GVISORS = [
    pytest.param("docker-gvisor", marks=[pytest.mark.needs_docker, pytest.mark.needs_gvisor]),
    pytest.param("gvisor", marks=pytest.mark.needs_gvisor),
]
WALLED = [
    *GVISORS,
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


@cache
def _open(name: str) -> Sandbox | str:
    try:
        return OPENERS[name]()
    except SandboxUnavailable as error:
        return str(error)
