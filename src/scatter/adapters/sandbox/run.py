"""One run of the harness, watched from its start to its end.

Whatever happens, when a run is over no process of it is left, and of its files only those that
passed every bound, put in place at once.
"""

import asyncio
import os
import re
import selectors
import shutil
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

from scatter.adapters.sandbox.collection import Collector, OutputRefused
from scatter.adapters.sandbox.process_tree import kill_tree, measure_tree
from scatter.mechanism.errors import BadInput
from scatter.ports.sandbox import Limits, Outcome, Task

MODEL_SUFFIX: Final = ".safetensors"

_VERBS: Final = ("train", "evaluate")
_MODEL_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_CHUNK: Final = 256 << 10
_LOOK_SECONDS: Final = 0.25
"""Between two looks at the process tree."""
_END_SECONDS: Final = 10.0
"""For killed processes to be gone: a kernel may have to write out what they had open."""
_SHARE_FOR_MODELS: Final = 0.9
"""Of the wall clock; the rest is for starting and for delivering the scores."""

_ESCAPE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|.)")


@dataclass(frozen=True)
class Command:
    """How a backend starts the harness."""

    arguments: Sequence[str]
    environment: Mapping[str, str]
    backend: str
    filter: bytes | None = None
    """Handed to the process on the descriptor that replaces `{filter}` in the arguments."""


def check_task(task: Task) -> None:
    """Raises BadInput for a task that no backend can run."""
    if task.verb not in _VERBS:
        raise BadInput(f"A task's verb is train or evaluate, not {task.verb!r}.")
    for folder in (task.job, task.data):
        if not folder.is_dir():
            raise BadInput(f"{folder} is not a folder.")
    for name, path in task.models.items():
        if not _MODEL_NAME.fullmatch(name):
            raise BadInput(f"{name!r} cannot name a model; use letters, digits, hyphens.")
        if not path.is_file():
            raise BadInput(f"{path}, the model {name}, is not a file.")
    if task.output.exists():
        raise BadInput(f"{task.output} exists already; name a folder that does not.")


def harness_arguments(task: Task, *, job: str, data: str, models: str, out: str) -> list[str]:
    """The harness's own arguments for a task whose folders appear at the paths given."""
    arguments = [task.verb, "--job", job, "--data", data, "--out", out, "--deliver"]
    if task.models:
        arguments += ["--models", models]
    limits = {
        "--seed": task.seed,
        "--seconds": task.limits.wall_seconds * _SHARE_FOR_MODELS,
        "--memory": task.limits.memory_bytes,
        "--open-files": task.limits.open_files,
        "--file-size": max(task.limits.output_bytes, task.limits.scratch_bytes),
    }
    return arguments + [part for key, value in limits.items() for part in (key, str(value))]


async def run_command(command: Command, task: Task) -> Outcome:
    """Runs a command in a thread of its own; cancelling kills the run before it is passed on."""
    stop, stopping = os.pipe()
    # A thread of its own: the kernel kills the sandbox when the thread that started it ends.
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="sandbox") as executor:
        run = asyncio.wrap_future(executor.submit(_Run(command, task, stop).to_the_end))
        try:
            return await asyncio.shield(run)
        except asyncio.CancelledError:
            os.write(stopping, b"x")
            await run
            raise
        finally:
            os.close(stopping)
            os.close(stop)


class _Run:
    def __init__(self, command: Command, task: Task, stop: int) -> None:
        self._command = command
        self._task = task
        self._stop = stop
        self._log = bytearray()

    def to_the_end(self) -> Outcome:
        started = time.monotonic()
        self._task.output.parent.mkdir(parents=True, exist_ok=True)
        draft = tempfile.mkdtemp(prefix=f".{self._task.output.name}.", dir=self._task.output.parent)
        try:
            reason = self._run_into(Path(draft), started)
            if not reason:
                Path(draft).rename(self._task.output)
        finally:
            shutil.rmtree(draft, ignore_errors=True)
        log = clean_log(bytes(self._log), self._task.limits.log_bytes)
        return Outcome(
            ok=not reason,
            reason=reason,
            seconds=time.monotonic() - started,
            log=log,
            backend=self._command.backend,
        )

    def _run_into(self, draft: Path, started: float) -> str:
        """Returns why the run failed, or nothing."""
        process = self._start()
        collector = Collector(draft, self._task.limits)
        try:
            reason = self._watch(process, collector, started + self._task.limits.wall_seconds)
        finally:
            collector.close()
            self._end(process)
        code = process.returncode
        if not reason and code != 0:
            reason = f"The job failed (exit code {code}): {self._last_line()}"
        if not reason and not collector.is_complete:
            reason = "The output was cut short."
        return reason

    def _start(self) -> subprocess.Popen[bytes]:
        descriptors = []
        arguments = list(self._command.arguments)
        if self._command.filter is not None:
            reader, writer = os.pipe()
            os.write(writer, self._command.filter)
            os.close(writer)
            descriptors.append(reader)
            arguments = [part.replace("{filter}", str(reader)) for part in arguments]
        try:
            return subprocess.Popen(
                arguments,
                env=dict(self._command.environment),
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                bufsize=0,
                start_new_session=True,
                pass_fds=descriptors,
            )
        finally:
            for descriptor in descriptors:
                os.close(descriptor)

    def _watch(
        self, process: subprocess.Popen[bytes], collector: Collector, deadline: float
    ) -> str:
        """Reads until the process has ended; returns why it stopped before that, or nothing.

        The process is not waited for, so that its number still names it when it is killed.
        """
        limits = self._task.limits
        ended = os.pidfd_open(process.pid)
        sinks = {
            _stream(process.stdout).fileno(): collector.feed,
            _stream(process.stderr).fileno(): self._keep_log,
        }
        next_look = time.monotonic() + _LOOK_SECONDS
        with os.fdopen(ended, "rb"), selectors.DefaultSelector() as selector:
            for descriptor in (*sinks, self._stop, ended):
                selector.register(descriptor, selectors.EVENT_READ)
            while (now := time.monotonic()) < deadline:
                if now >= next_look:
                    if excess := _find_excess(process.pid, limits):
                        return excess
                    next_look = time.monotonic() + _LOOK_SECONDS
                wait = max(0.0, min(deadline, next_look) - now)
                ready = [key.fd for key, _ in selector.select(wait)]
                if self._stop in ready:
                    return "The run was cancelled."
                if ready == [ended]:
                    return ""
                for descriptor in sinks.keys() & ready:
                    if chunk := os.read(descriptor, _CHUNK):
                        try:
                            sinks[descriptor](chunk)
                        except OutputRefused as error:
                            return str(error)
                    else:
                        selector.unregister(descriptor)
        return f"The run took longer than {limits.wall_seconds} s."

    def _end(self, process: subprocess.Popen[bytes]) -> None:
        """Kills what is left and waits until it is gone: its streams end with its last process."""
        kill_tree(process.pid)
        process.wait(_END_SECONDS)
        deadline = time.monotonic() + _END_SECONDS
        with _stream(process.stdout) as out, _stream(process.stderr) as err:
            for stream in (out, err):
                with selectors.DefaultSelector() as selector:
                    selector.register(stream, selectors.EVENT_READ)
                    while selector.select(max(0.0, deadline - time.monotonic())):
                        chunk = os.read(stream.fileno(), _CHUNK)
                        if not chunk:
                            break
                        if stream is err:
                            self._keep_log(chunk)

    def _keep_log(self, chunk: bytes) -> None:
        self._log += chunk
        del self._log[: -self._task.limits.log_bytes]

    def _last_line(self) -> str:
        lines = clean_log(bytes(self._log), 1000).strip().splitlines()
        return lines[-1][:500] if lines else "it printed nothing."


def clean_log(log: bytes, most: int) -> str:
    """The last `most` bytes as text that a terminal or a web page can show without harm."""
    text = _ESCAPE.sub("", log[-most:].decode("utf-8", "replace")).replace("\r", "\n")
    return "".join(letter for letter in text if letter.isprintable() or letter in "\n\t")


def _find_excess(root: int, limits: Limits) -> str:
    usage = measure_tree(root, limits.memory_bytes)
    if usage.processes > limits.processes:
        return f"The run had more than {limits.processes} processes."
    if usage.memory_bytes > limits.memory_bytes:
        return f"The run used more than {limits.memory_bytes} bytes of memory."
    return ""


def _stream(stream: IO[bytes] | None) -> IO[bytes]:
    if stream is None:
        raise ValueError("The process was started without pipes.")
    return stream
