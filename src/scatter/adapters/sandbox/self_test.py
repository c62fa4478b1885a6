"""What a sandbox must prove before a node relies on it: that jobs can run, and in which kernel."""

from collections.abc import Callable, Sequence
from typing import Final

from scatter.adapters.sandbox.run import Process, try_out
from scatter.ports.sandbox import SandboxUnavailable

_SECONDS: Final = 60.0
_IMPORTS: Final = "import numpy, safetensors.numpy, scatter_job.harness"
_FINDS: Final = """
import importlib.util, safetensors
for name in ("numpy", "scatter_job"):
    assert importlib.util.find_spec(name), name
"""
"""In a guest kernel importing numpy takes a second: one library is loaded, the others seen."""
_READY: Final = "ready"

_KERNEL_LOG: Final = """
import ctypes
log = ctypes.create_string_buffer(1 << 16)
ctypes.CDLL(None).klogctl(3, log, len(log) - 1)
print("gVisor" if b"Starting gVisor" in log.value else "another kernel")
"""
"""The kernel's own log, by the system call: no file that somebody could have put there."""


def self_test(*, asks_kernel: bool = False) -> str:
    """Code to be run inside the walls that a job would get."""
    code = f"{_KERNEL_LOG}\n{_FINDS}" if asks_kernel else _IMPORTS
    return f"{code}\nprint({_READY!r})"


def prove(start: Callable[[], Process], name: str, *, gvisor: bool = False) -> None:
    """Raises SandboxUnavailable with what went wrong."""
    try:
        said, problem = try_out(start, _SECONDS)
    except OSError as error:
        raise SandboxUnavailable(f"{name} does not start: {error}.") from error
    if problem:
        raise SandboxUnavailable(f"{name} does not run here ({problem.rstrip('.')}).")
    lines: Sequence[str] = said.split("\n")
    if gvisor and "gVisor" not in lines:
        raise SandboxUnavailable(
            f"{name} started a job on another kernel than gVisor's; see to its runtime `runsc`."
        )
    if _READY not in lines:
        raise SandboxUnavailable(f"{name} started a job that said nothing.")
