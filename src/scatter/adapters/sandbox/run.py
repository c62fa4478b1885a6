"""One run of the harness, watched from its start to its end.

Whatever happens, when a run is over no process of it is left, and of its files only those that
passed every bound, put in place at once.
"""

import asyncio
import os
import re
import selectors
import shutil
import tempfile
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from scatter.adapters.sandbox.collection import Collector, OutputRefused
from scatter.mechanism.errors import BadInput
from scatter.ports.sandbox import Limits, Outcome, Task

MODEL_SUFFIX: Final = ".safetensors"

_VERBS: Final = ("train", "evaluate")
_MODEL_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_CHUNK: Final = 256 << 10
_LOOK_SECONDS: Final = 0.25
"""Between two looks at what the run uses."""
_SHARE_FOR_MODELS: Final = 0.9
"""Of the wall clock; the rest is for starting and for delivering the scores."""

_ESCAPE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|.)")


Sink = Callable[[bytes], None]


@dataclass(frozen=True)
class Ending:
    """How the process of a run ended."""

    code: int
    out_of_memory: bool = False
    """Whether the kernel had to end something of it, for it had used up its memory."""


class Process(Protocol):
    """A started run, wherever it lives: a process of this machine, or a container's."""

    @property
    def ended(self) -> int | None:
        """A descriptor that can be read once it has ended; None if its streams end with it."""
        ...

    def connect(self, output: Sink, log: Sink) -> Mapping[int, Sink]:
        """The descriptors to read, and where what they bring goes."""
        ...

    def find_excess(self, limits: Limits) -> str:
        """The limit that it breaks now, in a sentence; empty if it keeps them all."""
        ...

    def end(self, log: Sink) -> Ending:
        """Kills what is left of it, waits until nothing is, and tidies up."""
        ...


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


async def run_task(start: Callable[[], Process], task: Task, backend: str) -> Outcome:
    """Runs a task in a thread of its own; cancelling kills the run before it is passed on."""
    stop, stopping = os.pipe()
    # A thread of its own: the kernel kills the sandbox when the thread that started it ends.
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="sandbox") as executor:
        run = asyncio.wrap_future(executor.submit(_Run(start, task, backend, stop).to_the_end))
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
    def __init__(self, start: Callable[[], Process], task: Task, backend: str, stop: int) -> None:
        self._start = start
        self._task = task
        self._backend = backend
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
            backend=self._backend,
        )

    def _run_into(self, draft: Path, started: float) -> str:
        """Returns why the run failed, or nothing."""
        limits = self._task.limits
        process = self._start()
        collector = Collector(draft, limits)
        try:
            sinks = process.connect(collector.feed, self._keep_log)
            reason = watch(process, sinks, limits, started + limits.wall_seconds, self._stop)
        finally:
            collector.close()
            ending = process.end(self._keep_log)
        if ending.out_of_memory and reason in {"", took_too_long(limits)}:
            return used_too_much_memory(limits)
        if not reason and ending.code != 0:
            return f"The job failed (exit code {ending.code}): {self._last_line()}"
        if not reason and not collector.is_complete:
            return "The output was cut short."
        return reason

    def _keep_log(self, chunk: bytes) -> None:
        self._log += chunk
        del self._log[: -self._task.limits.log_bytes]

    def _last_line(self) -> str:
        lines = clean_log(bytes(self._log), 1000).strip().splitlines()
        return lines[-1][:500] if lines else "it printed nothing."


def watch(
    process: Process,
    sinks: Mapping[int, Sink],
    limits: Limits,
    deadline: float,
    stop: int | None = None,
) -> str:
    """Reads until the process has ended; returns why it stopped before that, or nothing.

    The process is not waited for, so that its number still names it when it is killed.
    """
    ended = process.ended
    open_sinks = dict(sinks)
    next_look = time.monotonic() + _LOOK_SECONDS
    with selectors.DefaultSelector() as selector:
        for descriptor in (*open_sinks, stop, ended):
            if descriptor is not None:
                selector.register(descriptor, selectors.EVENT_READ)
        while (now := time.monotonic()) < deadline:
            if now >= next_look:
                if excess := process.find_excess(limits):
                    return excess
                next_look = time.monotonic() + _LOOK_SECONDS
            wait = max(0.0, min(deadline, next_look) - now)
            ready = [key.fd for key, _ in selector.select(wait)]
            if stop in ready:
                return "The run was cancelled."
            if ready == [ended]:
                return ""
            for descriptor in open_sinks.keys() & ready:
                try:
                    if chunk := os.read(descriptor, _CHUNK):
                        open_sinks[descriptor](chunk)
                        continue
                except OutputRefused as error:
                    return str(error)
                selector.unregister(descriptor)
                del open_sinks[descriptor]
            if ended is None and not open_sinks:
                return ""
    return took_too_long(limits)


def try_out(start: Callable[[], Process], seconds: float) -> tuple[str, str]:
    """Starts a process only to see what it says: its output, or why it has none.

    In the second part stands the last line of its log; empty when it ended well.
    """
    output, log = bytearray(), bytearray()
    process = start()
    try:
        sinks = process.connect(output.extend, log.extend)
        reason = watch(process, sinks, Limits(), time.monotonic() + seconds)
    finally:
        ending = process.end(log.extend)
    if not reason and ending.code != 0:
        lines = clean_log(bytes(log), 4000).strip().splitlines()
        reason = lines[-1][:300] if lines else f"exit code {ending.code}, no message"
    return bytes(output).decode("utf-8", "replace"), reason


def took_too_long(limits: Limits) -> str:
    return f"The run took longer than {limits.wall_seconds} s."


def used_too_much_memory(limits: Limits) -> str:
    return f"The run used more than {limits.memory_bytes} bytes of memory."


def clean_log(log: bytes, most: int) -> str:
    """The last `most` bytes as text that a terminal or a web page can show without harm."""
    text = _ESCAPE.sub("", log[-most:].decode("utf-8", "replace")).replace("\r", "\n")
    return "".join(letter for letter in text if letter.isprintable() or letter in "\n\t")
