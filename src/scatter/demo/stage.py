"""The network of a demo: a local chain, the contracts, and one real process per node.

Each node is what `scatter node run` starts, from a node.toml of its own in the demo's folder; only
a cheating actor has one step of its duty replaced (`scatter.simulation`).
"""

import asyncio
import multiprocessing
import os
import secrets
import signal
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from http import HTTPStatus
from multiprocessing import forkserver, resource_tracker
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import httpx

from scatter.adapters.deployment import Deployment, deploy, write_deployment
from scatter.adapters.evm import EvmChain, open_chain
from scatter.adapters.keystore import LIGHT_SCRYPT_WORK, import_key
from scatter.adapters.peers import peer_id_of
from scatter.adapters.rpc import Rpc
from scatter.adapters.transactions import Patience as SendingPatience
from scatter.adapters.transactions import load_signer
from scatter.demo.actor_process import play
from scatter.demo.cast import INITIAL_SUPPLY, Actor, Cast
from scatter.devnet.free_port import find_free_port
from scatter.devnet.local import Engine, LocalChain, open_local_chain
from scatter.mechanism.errors import ScatterError
from scatter.mechanism.parameters import Parameters
from scatter.mechanism.units import UNIT, Digest, Seconds
from scatter.node.amounts import HostPort
from scatter.node.app import HONEST, PEER_KEY_FILE, Casting
from scatter.node.config import (
    Config,
    GatewaySettings,
    HttpSettings,
    LogFormat,
    PeersSettings,
    RoleName,
    SandboxSettings,
    TimingSettings,
    TopicSettings,
)
from scatter.node.config_text import render
from scatter.node.running import find_http
from scatter.node.token import new_token, write_secret
from scatter.simulation.adversaries import FalseChallenger, RandomWeightsTrainer, SwappingValidator

TOPIC = "handwritten-digits"
SENDING = SendingPatience(poll=0.1)
_READY_SECONDS = 120.0
_ANSWER_SECONDS = 300.0
_END_SECONDS = 4.0
_SERVER = multiprocessing.get_context("forkserver")
_SERVER.set_forkserver_preload(["scatter.demo.preload"])
_CHEATS = {
    "trainer": Casting(trainer=RandomWeightsTrainer),
    "validator": Casting(validator=SwappingValidator),
    "challenger": Casting(challenger=FalseChallenger),
}


class NodeFailed(ScatterError):
    """A node of the demo did not start, or ended by itself; the message names its log."""


@dataclass
class Node:
    """One node of the demo: its folder, and its process while it runs."""

    actor: Actor
    folder: Path
    config: Config
    casting: Casting = HONEST
    process: BaseProcess | None = field(default=None, repr=False)

    @property
    def config_file(self) -> Path:
        return self.folder / "node.toml"

    @property
    def log(self) -> Path:
        return self.folder / "log"

    def start(self) -> None:
        """Forks the process; `wait_until_ready` says when it answers."""
        self.process = _SERVER.Process(
            target=play,
            args=(
                self.config_file,
                self.log,
                self.casting,
                dict(os.environ),
            ),
            name=self.actor.name,
        )
        self.process.start()

    async def wait_until_ready(self) -> None:
        """Raises NodeFailed if it ends first, or takes too long."""
        async with httpx.AsyncClient(trust_env=False) as client:
            for _ in range(int(_READY_SECONDS / 0.05)):
                self.check()
                if (self.config.data / "running.json").exists():
                    try:
                        answer = await client.get(f"http://{find_http(self.config)}/health")
                    except httpx.TransportError:
                        pass
                    else:
                        if answer.is_success:
                            return
                await asyncio.sleep(0.05)
        raise NodeFailed(f"{self.actor.name} did not answer in time; see {self.log}")

    def check(self) -> None:
        """Raises NodeFailed if the process has ended."""
        if self.process is None or self.process.exitcode is not None:
            raise NodeFailed(f"{self.actor.name} ended unexpectedly; see {self.log}")

    def kill(self) -> None:
        """Ends the process at once, as a power cut would (SIGKILL)."""
        assert self.process is not None, "only a started node is killed"
        self.process.kill()
        self.process.join()
        (self.config.data / "running.json").unlink(missing_ok=True)

    def ask_to_end(self, *, at_once: bool) -> None:
        """Sends SIGTERM, which lets the node end by itself, or else SIGKILL; see `end`."""
        if self.process is None or self.process.exitcode is not None:
            return
        if at_once:
            self.process.kill()
        else:
            self.process.terminate()

    def end(self, deadline: float) -> None:
        """Waits until `deadline` (`time.monotonic`) for the process, then ends it at once."""
        if self.process is None or self.process.pid is None:
            return
        self.process.join(max(0.0, deadline - time.monotonic()))
        if self.process.exitcode is None:
            self.process.kill()
            self.process.join()

    async def ask(self, method: str, path: str, body: Any = None) -> Any:
        """One call of the node's HTTP interface; raises NodeFailed with its sentence."""
        return self._read(await self._request(method, path, body))

    async def ask_if_there(self, path: str) -> Any:
        """The same to look at what may not be there yet; None then."""
        answer = await self._request("GET", path)
        if answer.status_code == HTTPStatus.NOT_FOUND:
            return None
        return self._read(answer)

    def _read(self, answer: httpx.Response) -> Any:
        try:
            content = answer.json()
        except ValueError:
            raise NodeFailed(
                f"{self.actor.name} answered {answer.status_code} without JSON; see {self.log}"
            ) from None
        if not answer.is_success:
            raise NodeFailed(f"{self.actor.name}: {content.get('error', answer.status_code)}")
        return content

    async def _request(self, method: str, path: str, body: Any = None) -> httpx.Response:
        token = self.config.http.token_file.read_text().strip()
        try:
            async with httpx.AsyncClient(trust_env=False, timeout=_ANSWER_SECONDS) as client:
                return await client.request(
                    method,
                    f"http://{find_http(self.config)}{path}",
                    json=body,
                    headers={"Authorization": f"Bearer {token}"},
                )
        except httpx.TransportError as error:
            raise NodeFailed(
                f"{self.actor.name} did not answer {method} {path} ({error}); see {self.log}"
            ) from error


@dataclass(frozen=True)
class Stage:
    """A running network."""

    folder: Path
    cast: Cast
    local: LocalChain
    deployment: Deployment
    chain: EvmChain
    """The treasury's access, for looking."""
    rpc: Rpc
    nodes: Mapping[str, Node]
    """By the actor's name."""

    @property
    def requester(self) -> Node:
        return self.nodes[self.cast.requester.name]

    def check(self) -> None:
        """Raises NodeFailed if any node has ended."""
        for node in self.nodes.values():
            node.check()


@asynccontextmanager
async def set_stage(
    folder: Path,
    cast: Cast,
    parameters: Parameters,
    profile: str,
    *,
    shares: Path,
    trusted: Sequence[Digest],
    engine: Engine = "any",
) -> AsyncIterator[Stage]:
    """Starts everything; ends all processes when the context is left.

    `shares` holds one folder `trainer-N` of data per trainer.
    """
    async with AsyncExitStack() as stack:
        funded = [actor.account for actor in (*cast.actors, cast.treasury)]
        local = await stack.enter_async_context(open_local_chain(engine=engine, funded=funded))
        rpc = await stack.enter_async_context(Rpc(local.rpc_url))
        treasury = load_signer(cast.treasury.key)
        deployment = await deploy(
            rpc, treasury, cast.treasury.account, parameters, profile=profile, patience=SENDING
        )
        write_deployment(folder / "deployment.json", deployment)
        chain = await stack.enter_async_context(open_chain(deployment, treasury, patience=SENDING))
        await asyncio.gather(
            *(chain.transfer(actor.account, INITIAL_SUPPLY) for actor in cast.actors)
        )
        nodes = await asyncio.to_thread(
            furnish, folder, cast, shares, trusted, parameters.challenge_window
        )
        stack.push_async_exit(partial(_end_all, list(nodes.values())))
        await _start_server()
        for node in nodes.values():
            node.start()
        await asyncio.gather(*(node.wait_until_ready() for node in nodes.values()))
        await _take_roles(cast, nodes, parameters)
        yield Stage(folder, cast, local, deployment, chain, rpc, nodes)


async def _start_server() -> None:
    """Starts what the nodes are forked from, and returns when it has imported all they need.

    SIGINT is blocked in it, and so in the nodes: Ctrl-C reaches every process of the terminal, and
    were the nodes to end by themselves, the demo would take it for their failure. It ends them
    when it has heard of it.
    """
    resource_tracker.ensure_running()  # Started further down, it would unblock the signal.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        forkserver.ensure_running()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    try:
        # Seconds on a busy machine, in which the loop must go on to hear of Ctrl-C.
        await asyncio.to_thread(_SERVER.Process().start)
    except asyncio.CancelledError:
        os.kill(_server_pid(), signal.SIGKILL)
        raise


def _server_pid() -> int:
    """Python keeps it to itself; without it the thread above would wait for all the imports."""
    return int(forkserver._forkserver._forkserver_pid)  # type: ignore[attr-defined]


async def _end_all(nodes: Sequence[Node], kind: type[BaseException] | None, *_: object) -> None:
    """Lets the nodes end by themselves, all at once, so that the last does not wait for the first.

    A demo that is broken off kills them: they are made to bear that, and Ctrl-C must not wait.
    """
    for node in nodes:
        node.ask_to_end(at_once=kind is not None)
    deadline = time.monotonic() + _END_SECONDS
    for node in nodes:
        await asyncio.to_thread(node.end, deadline)


async def _take_roles(cast: Cast, nodes: Mapping[str, Node], parameters: Parameters) -> None:
    """Validators and challengers stake what their role requires, each through its own node."""
    stakes = {
        "validator": parameters.validator_stake,
        "challenger": parameters.challenger_stake,
    }
    await asyncio.gather(
        *(
            nodes[actor.name].ask(
                "POST",
                "/stake",
                {"role": actor.part, "amount": str(stakes[actor.part] // UNIT)},
            )
            for actor in (*cast.validators, *cast.challengers)
        )
    )


def furnish(
    folder: Path, cast: Cast, shares: Path, trusted: Sequence[Digest], challenge: Seconds
) -> dict[str, Node]:
    """Writes the folder of every node: configuration, keystore, password, token, peer key."""
    bootstrap_key = secrets.token_bytes(32)
    port = find_free_port()
    bootstrap = f"/ip4/127.0.0.1/tcp/{port}/p2p/{peer_id_of(bootstrap_key)}"
    nodes = {}
    for actor in cast.actors:
        first = actor is cast.requester
        config = _configure(
            folder / "nodes" / actor.slug,
            actor,
            folder / "deployment.json",
            shares,
            trusted,
            listen=f"/ip4/127.0.0.1/tcp/{port if first else 0}",
            bootstrap=() if first else (bootstrap,),
            accuse=_turn(actor, challenge),
        )
        config.data.mkdir(parents=True, mode=0o700)
        password = secrets.token_urlsafe(24)
        import_key(config.keystore, actor.key, password, work=LIGHT_SCRYPT_WORK)
        assert config.password_file is not None, "every node of a demo has its own"
        write_secret(config.password_file, password)
        new_token(config.http.token_file)
        if first:
            write_secret(config.data / PEER_KEY_FILE, bootstrap_key.hex())
        home = folder / "nodes" / actor.slug
        (home / "node.toml").write_text(render(config, home))
        casting = _CHEATS[actor.part] if actor.malicious else HONEST
        nodes[actor.name] = Node(actor, home, config, casting)
    return nodes


def _configure(
    home: Path,
    actor: Actor,
    deployment: Path,
    shares: Path,
    trusted: Sequence[Digest],
    *,
    listen: str,
    bootstrap: tuple[str, ...],
    accuse: Seconds,
) -> Config:
    anywhere = HostPort("127.0.0.1", 0)
    config = Config(
        name=actor.slug,
        data=home / "data",
        roles=frozenset({RoleName(actor.part)}),
        deployment=deployment,
        keystore=home / "keystore.json",
        password_file=home / "password",
        confirmations=0,
        log=LogFormat.CONSOLE,
        http=HttpSettings(listen=anywhere, token_file=home / "token"),
        gateway=GatewaySettings(listen=anywhere),
        peers=PeersSettings(listen=listen, bootstrap=bootstrap, exchange_seconds=1.0),
        sandbox=SandboxSettings(trusted_jobs=tuple(trusted)),
        timing=TimingSettings(
            poll_seconds=0.5,
            retry=Seconds(1),
            accuse=accuse,
        ),
    )
    if actor.part == "trainer":
        offer = TopicSettings(TOPIC, shares / f"trainer-{actor.number}", actor.stake)
        config = replace(config, topics=(offer,))
    return config


def _turn(actor: Actor, challenge: Seconds) -> Seconds:
    """From the start of CHALLENGE to an accusation.

    The first challenger has a head start, so that the seed also says who accuses first, and so
    wins the lottery; the others are there in case that it does not.
    """
    is_first = actor.part != "challenger" or actor.number == 1
    return Seconds(0 if is_first else 3 * challenge // 4)
