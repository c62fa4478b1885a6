"""Sandboxes for jobs: bubblewrap, and a plain process for code that the operator trusts."""

from scatter.adapters.sandbox.bubblewrap import Bubblewrap
from scatter.adapters.sandbox.choice import Choice, open_sandbox
from scatter.adapters.sandbox.plain_process import PlainProcess

__all__ = ["Bubblewrap", "Choice", "PlainProcess", "open_sandbox"]
