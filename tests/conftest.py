"""What tests need of this machine beside Python, and what happens where it lacks.

A test names what it needs by a mark (`needs_anvil`), on itself, its file or one of its parameters.
Where that is not there the test is skipped, with what to install; `SCATTER_REQUIRE_ALL=1` makes it
fail instead.
"""

import logging
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
import structlog
from hypothesis import settings

from scatter.adapters.sandbox.docker_engine import find_engine
from scatter.devnet.anvil import find_anvil
from scatter.ports.sandbox import SandboxUnavailable

# How long an example takes says nothing about the code, on a machine that does other things too.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


def has_js_libp2p(folder: Path) -> bool:
    return shutil.which("node") is not None and (folder / "node_modules" / "libp2p").is_dir()


def has_docker() -> bool:
    try:
        find_engine()
    except SandboxUnavailable:
        return False
    return True


@dataclass(frozen=True)
class Component:
    """Something real that a test cannot do without."""

    is_here: Callable[[], bool]
    remedy: str


COMPONENTS: Mapping[str, Component] = {
    "needs_anvil": Component(
        lambda: find_anvil(os.environ) is not None,
        "no anvil: npm install @foundry-rs/anvil, and name the platform's binary in SCATTER_ANVIL",
    ),
    "needs_bubblewrap": Component(
        lambda: shutil.which("bwrap") is not None, "no bubblewrap: apt install bubblewrap"
    ),
    "needs_docker": Component(
        has_docker,
        "no Docker Engine: apt install docker.io, start it, and name its socket in DOCKER_HOST",
    ),
    "needs_gvisor": Component(
        lambda: shutil.which("runsc") is not None, "no gVisor: apt install runsc"
    ),
    "needs_js_libp2p": Component(
        lambda: has_js_libp2p(Path(os.environ.get("SCATTER_JS_LIBP2P", "-"))),
        "no js-libp2p: install node, and name in SCATTER_JS_LIBP2P a folder with the packages of "
        "tests/adapters/javascript/package.json",
    ),
    "needs_postgres": Component(
        lambda: bool(os.environ.get("SCATTER_POSTGRES_URL")),
        "no PostgreSQL: name a server in SCATTER_POSTGRES_URL",
    ),
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    lacking = {name: c.remedy for name, c in COMPONENTS.items() if not c.is_here()}
    for item in items:
        for name in lacking.keys() & {mark.name for mark in item.iter_markers()}:
            item.add_marker(pytest.mark.lacks(lacking[name]))


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    lacking = item.get_closest_marker("lacks")
    if lacking is None:
        return
    if os.environ.get("SCATTER_REQUIRE_ALL") == "1":
        pytest.fail(f"{lacking.args[0]} (SCATTER_REQUIRE_ALL wants everything tested)")
    pytest.skip(lacking.args[0])


@pytest.fixture(autouse=True)
def _no_log_of_another_test() -> Iterator[None]:
    """A node that ran in this process logs to the stderr of its test, which is closed after it."""
    yield
    structlog.reset_defaults()
    root = logging.getLogger()
    for handler in [one for one in root.handlers if type(one) is logging.StreamHandler]:
        root.removeHandler(handler)
