"""Demos that many tests look at: each is run once."""

import pytest
from tests.system.evidence import Evidence, bare_machine, run_whole

from scatter.demo.cast import DemoOptions


@pytest.fixture(scope="session")
def plain_demo(tmp_path_factory: pytest.TempPathFactory) -> Evidence:
    """The demo with its defaults, on a machine with nothing but Python."""
    folder = tmp_path_factory.mktemp("demo")
    with bare_machine(folder):
        return run_whole(DemoOptions(out=folder / "out"), engine="any")
