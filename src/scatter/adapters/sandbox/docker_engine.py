"""The Docker Engine on this machine: a job in a container, by choice with gVisor as its kernel.

With the runtime `runsc` a job meets gVisor's kernel, with `runc` the machine's own: the second is
only used where the operator asks for it by name. Nothing is pulled: a container's root is a layer
that this node makes, empty but for the places at which it shows what a job needs.

Who may use the engine's socket is as mighty as root, whatever its own user is.
"""

import os
import signal
import socket
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import docker
from docker.errors import APIError, DockerException, ImageNotFound, NotFound
from docker.models.containers import Container
from docker.types import DeviceRequest, LogConfig, Mount
from docker.utils import kwargs_from_env
from requests.exceptions import RequestException

from scatter.adapters.sandbox.gvisor import MOST_THREADS, OVERHEAD_BYTES
from scatter.adapters.sandbox.layer import digest_layer, write_layer
from scatter.adapters.sandbox.run import Ending, Sink, check_task, run_task
from scatter.adapters.sandbox.runtime import OWN_RUNTIME, Runtime, find_own_runtime
from scatter.adapters.sandbox.self_test import prove, self_test
from scatter.adapters.sandbox.walls import (
    ENVIRONMENT,
    HOST_NAME,
    NOBODY,
    SCRATCH,
    choose_runtime,
    harness_command,
    make_root,
    memory_folders,
    owner_of,
    shown_of,
)
from scatter.ports.sandbox import Isolation, Limits, Outcome, SandboxUnavailable, Task

REPOSITORY: Final = "scatter/runtime"
OWNER_LABEL: Final = "scatter.owner"

_LOCAL: Final = "unix://"
_DEFAULT: Final = "unix:///var/run/docker.sock"
_HEADER: Final = 8
_TIMEOUT: Final = 60
_END_SECONDS: Final = 30
_KILLED: Final = 128 + signal.SIGKILL
_SHARED_MEMORY: Final = "/dev/shm"  # noqa: S108
_OWN_PROCESSES: Final = 2
_MOST_INODES: Final = 20_000
_ALL_GPUS: Final = [DeviceRequest(count=-1, capabilities=[["gpu"]])]


@dataclass(frozen=True)
class Kind:
    """Which of the engine's runtimes runs the containers."""

    name: str
    isolation: Isolation
    runtime: str


DOCKER_GVISOR: Final = Kind("docker-gvisor", Isolation.GUEST_KERNEL, "runsc")
DOCKER_RUNC: Final = Kind("docker-runc", Isolation.NAMESPACES, "runc")


class DockerEngine:
    """Runs tasks in containers. Use `open`, which tries it out."""

    def __init__(
        self,
        kind: Kind,
        runtimes: Mapping[str, Runtime],
        images: Mapping[str, str],
        owner: str,
        *,
        gpus: bool,
    ) -> None:
        self._kind = kind
        self._runtimes = runtimes
        self._images = images
        self._owner = owner
        self._gpus = gpus

    @property
    def name(self) -> str:
        return self._kind.name

    @property
    def isolation(self) -> Isolation:
        return self._kind.isolation

    @classmethod
    def open(
        cls,
        kind: Kind,
        folder: Path | None = None,
        runtimes: Mapping[str, Runtime] | None = None,
        *,
        gpus: bool = False,
    ) -> "DockerEngine":
        """`folder` is the node's; containers that a killed node has left are removed.

        With `gpus` every container sees all GPUs of the machine; gVisor wants the flag `nvproxy`
        for it among the arguments of its runtime.

        Raises SandboxUnavailable when there is no engine here, or none with this runtime.
        """
        own = find_own_runtime()
        known_runtimes = {own.name: own, **(runtimes or {})}
        owner = owner_of(folder)
        with _engine_errors(), closing(_connect()) as client:
            known = client.info().get("Runtimes", {})
            if kind.runtime not in known:
                raise SandboxUnavailable(
                    f"Docker does not know the runtime {kind.runtime}; install gVisor (package "
                    "runsc), name it in /etc/docker/daemon.json and restart Docker."
                )
            if folder is not None:
                _sweep(client, owner)
            images = {name: load_image(client, made) for name, made in known_runtimes.items()}
            engine = cls(kind, known_runtimes, images, owner, gpus=gpus)
            engine._prove()
        return engine

    @property
    def runtimes(self) -> frozenset[str]:
        return frozenset(self._runtimes)

    async def run(self, task: Task) -> Outcome:
        """See `scatter.ports.sandbox.Sandbox`. Raises BadInput for a task that cannot be run."""
        check_task(task)
        runtime = choose_runtime(self._runtimes, task)
        # On the machine's kernel a user's processes are counted over all containers together.
        counts = self.isolation is Isolation.GUEST_KERNEL
        harness = harness_command(runtime, task, counts_processes=counts)
        with _engine_errors():
            return await run_task(
                lambda: self._start(runtime, task.limits, shown_of(task), harness), task, self.name
            )

    @contextmanager
    def _started(self, code: str) -> Iterator[Callable[[], "ContainerProcess"]]:
        """Starts the interpreter of the runtime `numpy` with this code, in the walls of a run."""
        runtime = self._runtimes[OWN_RUNTIME]
        yield lambda: self._start(runtime, Limits(), {}, [*runtime.python, "-c", code])

    def _prove(self) -> None:
        is_gvisor = self.isolation is Isolation.GUEST_KERNEL
        with self._started(self_test(asks_kernel=is_gvisor)) as start:
            prove(start, f"Docker with {self._kind.runtime}", gvisor=is_gvisor)

    def _start(
        self, runtime: Runtime, limits: Limits, task: Mapping[str, Path], inside: Sequence[str]
    ) -> "ContainerProcess":
        mounts = [
            Mount(place, str(path), type="bind", read_only=True)
            for place, path in {**runtime.shown, **task}.items()
        ]
        client = _connect()
        with ExitStack() as undoing:
            undoing.callback(client.close)
            container = client.containers.create(
                self._images[runtime.name],
                entrypoint=list(inside),
                environment=dict(ENVIRONMENT),
                labels={OWNER_LABEL: self._owner},
                mounts=mounts,
                **_walls(),
                **self._bounds(limits),
            )
            process = ContainerProcess(client, container)
            undoing.pop_all()
        return process

    def _bounds(self, limits: Limits) -> dict[str, Any]:
        sizes = memory_folders(limits)
        shared_memory = sizes.pop(_SHARED_MEMORY)
        if self.isolation is Isolation.GUEST_KERNEL:
            user, overhead, processes, inodes = os.getuid(), OVERHEAD_BYTES, MOST_THREADS, ""
        else:
            user, overhead, processes = os.getuid() or NOBODY, 0, limits.processes + _OWN_PROCESSES
            # Over a folder that the image has, runc gives the memory that folder's mode and owner.
            inodes = f",nr_inodes={_MOST_INODES},uid={user},gid={user}"
        options = f"nosuid,nodev,mode=1777{inodes}"
        return {
            "runtime": self._kind.runtime,
            "user": f"{user}:{user}",
            # Without a first process of its own, one that has itself traced stops its container.
            "init": self.isolation is not Isolation.GUEST_KERNEL,
            "mem_limit": limits.memory_bytes + overhead,
            "memswap_limit": limits.memory_bytes + overhead,
            "pids_limit": processes,
            "nano_cpus": min(limits.cpus, os.cpu_count() or 1) * 10**9,
            "shm_size": shared_memory,
            "device_requests": _ALL_GPUS if self._gpus else None,
            "tmpfs": {place: f"size={size},{options}" for place, size in sizes.items()},
        }


class ContainerProcess:
    """A started container; what it prints comes in one stream of frames."""

    def __init__(self, client: docker.DockerClient, container: Container) -> None:
        self._client = client
        self._container = container
        with ExitStack() as undoing:
            undoing.callback(container.remove, force=True)
            self._socket = client.api.attach_socket(
                container.id, params={"stdout": 1, "stderr": 1, "stream": 1}
            )
            undoing.callback(self._close_stream)
            container.start()
            undoing.pop_all()

    @property
    def ended(self) -> None:
        return None

    def connect(self, output: Sink, log: Sink) -> Mapping[int, Sink]:
        return {self._socket.fileno(): Frames(output, log).feed}

    def find_excess(self, limits: Limits) -> str:
        """The engine keeps all limits itself."""
        return ""

    def end(self, log: Sink) -> Ending:
        self._close_stream()
        container = self._container
        try:
            by_itself = self._kill_unless_ended()
            code = container.wait(timeout=_END_SECONDS)["StatusCode"]
            container.reload()
            # The engine misses some of the kernel's kills, under load; a job that ends itself with
            # this code only has itself called greedy.
            killed = by_itself and code == _KILLED
            return Ending(code, killed or bool(container.attrs["State"]["OOMKilled"]))
        finally:
            with suppress(NotFound):
                container.remove(force=True, v=True)
            self._client.close()

    def _kill_unless_ended(self) -> bool:
        """Whether it had ended by itself, which is what is wanted."""
        try:
            self._container.kill()
        except APIError:
            return True
        return False

    def _close_stream(self) -> None:
        """Nobody listens any more, so that nothing waits for us to hear the rest."""
        with suppress(OSError):
            self._socket._sock.shutdown(socket.SHUT_RDWR)
        self._socket._response.close()
        self._socket.close()


class Frames:
    """Takes apart the stream in which the engine mixes output and log.

    Docker Engine API, ContainerAttach: kind, three zeros, length in four bytes, and the contents.
    """

    def __init__(self, output: Sink, log: Sink) -> None:
        self._sinks = {1: output, 2: log}
        self._header = bytearray()
        self._left = 0

    def feed(self, chunk: bytes) -> None:
        view = memoryview(chunk)
        while view:
            if not self._left:
                wanted = _HEADER - len(self._header)
                self._header += view[:wanted]
                view = view[wanted:]
                if len(self._header) < _HEADER:
                    return
                self._left = int.from_bytes(self._header[4:])
            part = view[: self._left]
            if part and (sink := self._sinks.get(self._header[0])):
                sink(bytes(part))
            self._left -= len(part)
            view = view[len(part) :]
            if not self._left:
                self._header.clear()


def _walls() -> dict[str, Any]:
    return {
        "network_mode": "none",
        "read_only": True,
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges"],
        "hostname": HOST_NAME,
        "working_dir": SCRATCH,
        # What a job prints is taken from it as it comes; the engine would fill the disk with it.
        "log_config": LogConfig(type="none"),
    }


def find_engine() -> str:
    """The address of the engine on this machine, by Docker's own variables.

    Raises SandboxUnavailable when nobody listens there, or it is another machine's.
    """
    address = kwargs_from_env().get("base_url") or _DEFAULT
    if not address.startswith(_LOCAL):
        raise SandboxUnavailable(
            "DOCKER_HOST names another machine, which cannot see this node's folders; name a "
            "local socket."
        )
    try:
        with socket.socket(socket.AF_UNIX) as knock:
            knock.connect(address.removeprefix(_LOCAL))
    except OSError as error:
        raise SandboxUnavailable(
            f"No Docker Engine answers at {address} ({error.strerror}); install docker.io, start "
            "it and let this user use its socket."
        ) from error
    return str(address)


def _connect() -> docker.DockerClient:
    return docker.DockerClient(base_url=find_engine(), timeout=_TIMEOUT)


def load_image(client: docker.DockerClient, runtime: Runtime) -> str:
    """The image with the root of this runtime, made if it is not there: its identifier."""
    with tempfile.TemporaryDirectory(prefix="scatter-root-") as made:
        root = Path(made)
        make_root(root, runtime.shown, runtime.links)
        layer = digest_layer(root)
        name = f"{REPOSITORY}:{layer.removeprefix('sha256:')[:12]}"
        try:
            image = client.images.get(name)
        except ImageNotFound:
            with tempfile.TemporaryFile() as file:
                write_layer(root, file)
                file.seek(0)
                client.api.import_image_from_data(file, repository=name)
            image = client.images.get(name)
    if image.attrs["RootFS"]["Layers"] != [layer]:
        raise SandboxUnavailable(f"Docker's image {name} is not what it says; remove it.")
    return str(image.id)


def _sweep(client: docker.DockerClient, owner: str) -> None:
    for container in client.containers.list(all=True, filters={"label": f"{OWNER_LABEL}={owner}"}):
        with suppress(NotFound):
            container.remove(force=True, v=True)


@contextmanager
def _engine_errors() -> Iterator[None]:
    try:
        yield
    except (DockerException, RequestException) as error:
        reason = str(error).strip().rstrip(".")[:300] or type(error).__name__
        raise SandboxUnavailable(
            f"The Docker Engine does not answer or refuses ({reason}); see to its log."
        ) from error
