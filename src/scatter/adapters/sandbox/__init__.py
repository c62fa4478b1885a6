"""Sandboxes for jobs, from a guest kernel down to a plain process for code that is trusted."""

from scatter.adapters.sandbox.bubblewrap import Bubblewrap
from scatter.adapters.sandbox.choice import Choice, open_sandbox
from scatter.adapters.sandbox.docker_engine import DOCKER_GVISOR, DOCKER_RUNC, DockerEngine
from scatter.adapters.sandbox.gvisor import GVisor
from scatter.adapters.sandbox.plain_process import PlainProcess

__all__ = [
    "DOCKER_GVISOR",
    "DOCKER_RUNC",
    "Bubblewrap",
    "Choice",
    "DockerEngine",
    "GVisor",
    "PlainProcess",
    "open_sandbox",
]
