"""A run that is a process of this machine, with whatever it starts.

The kernel keeps its limits where a control group can be made for it; elsewhere its process tree is
looked at a few times a second.
"""

import os
import random
import selectors
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import IO, Final

from scatter.adapters.sandbox.control_group import ControlGroup
from scatter.adapters.sandbox.process_tree import kill_tree, measure_folders, measure_tree
from scatter.adapters.sandbox.run import Ending, Sink, used_too_much_memory
from scatter.ports.sandbox import Limits

MOST_FILES: Final = 20_000
"""In the folders of a run that lie in memory; each costs the kernel a kilobyte."""

_CHUNK: Final = 256 << 10
_END_SECONDS: Final = 10.0
"""For killed processes to be gone: a kernel may have to write out what they had open."""


@dataclass(frozen=True)
class Command:
    """What to start, and how it is to be measured."""

    arguments: Sequence[str]
    environment: Mapping[str, str]
    filter: bytes | None = None
    """Handed to the process on the descriptor that replaces `{filter}` in the arguments."""
    cpus: int | None = None
    counts_processes: bool = True
    """Whether each process of the tree is one of the job's."""
    overhead_bytes: int = 0
    """Memory that the sandbox itself may take."""
    memory_folders: Mapping[str, int] = field(default_factory=dict)
    """Folders in memory as they appear inside, and their sizes."""


class LocalProcess:
    """A started command; with a control group, it is in it from its first step."""

    def __init__(self, command: Command, group: ControlGroup | None = None) -> None:
        self._command = command
        self._group = group
        self._process = _start(command, group)
        self._ended = os.pidfd_open(self._process.pid)

    @property
    def ended(self) -> int:
        return self._ended

    def connect(self, output: Sink, log: Sink) -> Mapping[int, Sink]:
        process = self._process
        return {_stream(process.stdout).fileno(): output, _stream(process.stderr).fileno(): log}

    def find_excess(self, limits: Limits) -> str:
        if self._group is not None and self._group.out_of_memory:
            return used_too_much_memory(limits)
        if self._group is not None and not self._command.counts_processes:
            return ""
        most = limits.memory_bytes + self._command.overhead_bytes
        usage = measure_tree(self._process.pid, most)
        kept = measure_folders(usage.pids, self._command.memory_folders)
        if self._command.counts_processes and len(usage.pids) > limits.processes:
            return f"The run had more than {limits.processes} processes."
        if usage.memory_bytes + kept.memory_bytes > most:
            return used_too_much_memory(limits)
        if kept.files > MOST_FILES:
            return f"The run made more than {MOST_FILES} files."
        return ""

    def end(self, log: Sink) -> Ending:
        """Kills what is left and waits until it is gone: its streams end with its last process."""
        out_of_memory = self._group is not None and self._group.out_of_memory
        kill_tree(self._process.pid)
        if self._group is not None:
            self._group.remove()
        code = self._process.wait(_END_SECONDS)
        os.close(self._ended)
        deadline = time.monotonic() + _END_SECONDS
        with _stream(self._process.stdout) as out, _stream(self._process.stderr) as err:
            _drain(out, None, deadline)
            _drain(err, log, deadline)
        return Ending(code, out_of_memory)


def _start(command: Command, group: ControlGroup | None) -> subprocess.Popen[bytes]:
    arguments = list(command.arguments)
    descriptors = []
    if command.filter is not None:
        reader, writer = os.pipe()
        os.write(writer, command.filter)
        os.close(writer)
        descriptors.append(reader)
        arguments = [part.replace("{filter}", str(reader)) for part in arguments]
    if group is not None:
        arguments = group.entering(arguments)
    allowed = os.sched_getaffinity(0)
    try:
        if command.cpus is not None and command.cpus < len(allowed):
            # Of this thread, which every run has for itself; what it starts inherits it.
            os.sched_setaffinity(0, random.sample(sorted(allowed), command.cpus))
        return subprocess.Popen(
            arguments,
            env=dict(command.environment),
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            start_new_session=True,
            pass_fds=descriptors,
        )
    finally:
        os.sched_setaffinity(0, allowed)
        for descriptor in descriptors:
            os.close(descriptor)


def _drain(stream: IO[bytes], sink: Sink | None, deadline: float) -> None:
    with selectors.DefaultSelector() as selector:
        selector.register(stream, selectors.EVENT_READ)
        while selector.select(max(0.0, deadline - time.monotonic())):
            chunk = os.read(stream.fileno(), _CHUNK)
            if not chunk:
                return
            if sink is not None:
                sink(chunk)


def _stream(stream: IO[bytes] | None) -> IO[bytes]:
    if stream is None:
        raise ValueError("The process was started without pipes.")
    return stream
