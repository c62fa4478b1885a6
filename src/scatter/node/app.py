"""One running node, wired once, readable as a list of its parts.

Ends with a return when it is asked to (SIGINT, SIGTERM), with a ScatterError when it cannot start,
and with an exception group when something unexpected failed: then a person must look.
"""

import asyncio
import secrets as randomness
import socket
import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

import structlog
from eth_account.signers.local import LocalAccount

from scatter.adapters.content import StoredContent
from scatter.adapters.contracts import PROTOCOL
from scatter.adapters.deployment import Deployment, read_deployment
from scatter.adapters.durable_queue import DurableQueue
from scatter.adapters.evm import EvmChain, open_chain
from scatter.adapters.gateway import gateway_app
from scatter.adapters.inspection import inspect_apart
from scatter.adapters.peers.libp2p import LibP2PPeers
from scatter.adapters.sandbox.built_runtime import open_built
from scatter.adapters.sandbox.choice import Choice, open_sandbox
from scatter.adapters.store import SqlStore
from scatter.lifecycle.job import fold
from scatter.lifecycle.vocabulary import Role
from scatter.mechanism.errors import BadInput
from scatter.mechanism.units import UNIT, Address, JobId
from scatter.node.amounts import HostPort
from scatter.node.api import operator_api
from scatter.node.config import Config, JoinPolicy, Order, RoleName
from scatter.node.follower import follow
from scatter.node.operator import Identity, Operator
from scatter.node.parties import Parties
from scatter.node.queue import Workbench
from scatter.node.running import forget_running, note_running
from scatter.node.serving import bind, bound_port, serve
from scatter.node.signals import stop_on_signals
from scatter.node.token import write_secret
from scatter.node.turns import Turns
from scatter.ports.chain import ChainUnreachable, Head
from scatter.ports.queue import MOST_RANK
from scatter.ports.sandbox import INSTALL, Isolation
from scatter.roles.challenger import Challenger
from scatter.roles.duty import Duty, Offer, Patience, SandboxPolicy, Surroundings
from scatter.roles.keys import KeyKeeping
from scatter.roles.requester import Requester
from scatter.roles.review import Review
from scatter.roles.trainer import Trainer
from scatter.roles.validator import Validator
from scatter.sealing import derive_storage_key

_log = structlog.get_logger()

PEER_KEY_FILE = "peer.key"
RETRY_SECONDS = 5.0
RECURSION_LIMIT = 1_000


@dataclass(frozen=True)
class Secrets:
    """What no configuration file holds."""

    account: LocalAccount = field(repr=False)
    token: str = field(repr=False)
    """Of the operator's interface."""


@dataclass(frozen=True)
class Duties:
    """The duties of this node's roles."""

    requester: Requester | None
    trainer: Trainer | None
    validator: Validator | None
    challenger: Challenger | None

    @property
    def all(self) -> Sequence[Duty]:
        """Those that the node has."""
        every = (self.requester, self.trainer, self.validator, self.challenger)
        return [duty for duty in every if duty is not None]


@dataclass(frozen=True)
class Casting:
    """Who does the duties. Only code that embeds a node can cast others, no configuration can."""

    requester: type[Requester] = Requester
    trainer: type[Trainer] = Trainer
    validator: type[Validator] = Validator
    challenger: type[Challenger] = Challenger


HONEST = Casting()


async def run(
    config: Config,
    secrets: Secrets,
    *,
    casting: Casting = HONEST,
    ready: Callable[[Identity], None] | None = None,
    stop: asyncio.Event | None = None,
) -> None:
    """Runs a node until `stop` is set; without one, until SIGINT or SIGTERM.

    `ready` is called once everything answers. In the end what is in hand is cancelled, and taken up
    again at the next start. Raises ScatterError, one sentence, when the node cannot start.
    """
    # py_ecc, which signing brings in, lifts the limit to 100,000; the JSON of a stranger could then
    # overflow the stack, and nothing here needs more than Python's own limit.
    sys.setrecursionlimit(RECURSION_LIMIT)
    stop = stop or stop_on_signals()
    async with AsyncExitStack() as stack:
        account = Address(secrets.account.address)
        deployment = read_deployment(config.deployment)
        key = derive_storage_key(bytes(secrets.account.key))
        store = await stack.enter_async_context(
            SqlStore.open(config.data, account, key, url=config.store)
        )
        http = stack.enter_context(bind(config.http.listen, "http.listen"))
        gateway = stack.enter_context(bind(config.gateway.listen, "gateway.listen"))
        chain = await stack.enter_async_context(
            open_chain(deployment, secrets.account, rpc_url=config.rpc or None)
        )
        content = StoredContent(config.data / "content", quota_bytes=config.quota_bytes)
        parties = Parties()
        peers = await stack.enter_async_context(
            _open_peers(config, secrets, deployment, gateway, parties)
        )
        runtimes = await asyncio.to_thread(open_built, config.sandbox.runtimes)
        choice = await asyncio.to_thread(
            open_sandbox,
            Isolation.NONE,
            config.sandbox.backend or None,
            config.data / "work" / "sandbox",
            runtimes=runtimes,
            gpus=config.sandbox.gpus,
        )
        sandbox = Turns(choice.sandbox, config.data / "work" / "runs")
        queue = await stack.enter_async_context(
            DurableQueue.open(
                config.data,
                account,
                concurrency=config.concurrency,
                url=config.store,
                poll_seconds=min(config.timing.poll_seconds, 1.0),
            )
        )
        _say_what_may_run(choice, config)
        contract = deployment.contracts[PROTOCOL]
        surroundings = Surroundings(
            chain=chain,
            content=content,
            peers=peers,
            sandbox=sandbox,
            store=store,
            inspect=inspect_apart,
            folder=config.data / "work",
            sealing_context=(deployment.chain_id, contract),
        )
        duties = _duties(config, surroundings, casting)
        if duties.requester is not None:
            await duties.requester.sweep()
        peers.serve_keys(KeyKeeping(surroundings, secrets.account))
        workbench = Workbench(
            duties.all,
            store,
            queue,
            sandbox,
            is_over=lambda job: _is_over(chain, job),
            rank=lambda job: _rank(chain, job, config.order),
            look_seconds=config.timing.poll_seconds,
        )
        identity = Identity(
            name=config.name,
            roles=tuple(sorted(role.value for role in config.roles)),
            chain_name=f"{deployment.profile} at {config.rpc or deployment.rpc_url}",
            chain_id=deployment.chain_id,
            protocol=contract,
            http=str(_bound(config.http.listen, http)),
            peer_addresses=tuple(peers.addresses),
            gateway=_public_gateway(config, gateway),
            minimum=config.sandbox.minimum,
            approval=config.sandbox.approve,
        )
        operator = Operator(
            identity,
            chain,
            peers,
            sandbox,
            workbench,
            review=Review(surroundings),
            requester=duties.requester,
            trainer=duties.trainer,
        )
        await _warn_of_missing_stake(config, chain)

        async def on_job(job: JobId) -> None:
            if history := await chain.history(job):
                parties.note(fold(history, chain.parameters))
            workbench.touch(job)

        async def on_head(head: Head) -> None:
            workbench.tell_time(head.time)

        look_anew = asyncio.Event()
        look_anew.set()

        async def on_replaced() -> None:
            _log.warning("the chain replaced blocks, looking at all unfinished jobs again")
            look_anew.set()

        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(serve(operator_api(operator, secrets.token), http)),
                group.create_task(serve(gateway_app(content.blocks), gateway)),
                group.create_task(workbench.run()),
                group.create_task(_take_up(chain, workbench, look_anew)),
                group.create_task(
                    follow(
                        chain,
                        store,
                        on_job,
                        start=deployment.block,
                        on_head=on_head,
                        on_replaced=on_replaced,
                        confirmations=config.confirmations,
                        poll_seconds=config.timing.poll_seconds,
                    )
                ),
            ]
            note_running(config.data, identity)
            stack.callback(forget_running, config.data)
            _log.info("ready", account=account, roles=identity.roles, http=identity.http)
            if ready is not None:
                ready(identity)
            await stop.wait()
            _log.info("ending")
            for task in tasks:
                task.cancel()


def _open_peers(
    config: Config,
    secrets: Secrets,
    deployment: Deployment,
    gateway: socket.socket,
    parties: Parties,
) -> AbstractAsyncContextManager[LibP2PPeers]:
    return LibP2PPeers.open(
        _peer_key(config.data / PEER_KEY_FILE),
        [config.peers.listen],
        secrets.account,
        deployment.chain_id,
        deployment.contracts[PROTOCOL],
        gateway=_public_gateway(config, gateway),
        announce=config.peers.announce,
        bootstrap=config.peers.bootstrap,
        interval=config.peers.exchange_seconds,
        is_preferred=parties.__contains__,
    )


def _duties(config: Config, surroundings: Surroundings, casting: Casting) -> Duties:
    policy = SandboxPolicy(
        minimum=config.sandbox.minimum,
        trusted_jobs=frozenset(config.sandbox.trusted_jobs),
        caps=config.sandbox.caps,
        approval=config.sandbox.approve,
    )
    patience = Patience(
        turn=config.timing.turn,
        keys=config.timing.keys,
        retry=config.timing.retry,
        accuse=config.timing.accuse,
    )
    offers = {
        topic.topic: Offer(
            data=topic.data,
            stake=topic.stake,
            least_reward=topic.least_reward,
            longest_training=topic.longest_training,
            join_unasked=topic.join is JoinPolicy.UNASKED,
        )
        for topic in config.topics
    }
    has = config.roles.__contains__
    return Duties(
        requester=(casting.requester(surroundings, patience) if has(RoleName.REQUESTER) else None),
        trainer=(
            casting.trainer(surroundings, policy, offers, patience)
            if has(RoleName.TRAINER)
            else None
        ),
        validator=(
            casting.validator(surroundings, policy, patience) if has(RoleName.VALIDATOR) else None
        ),
        challenger=(
            casting.challenger(surroundings, policy, patience) if has(RoleName.CHALLENGER) else None
        ),
    )


async def _take_up(chain: EvmChain, workbench: Workbench, look_anew: asyncio.Event) -> None:
    """Looks at every unfinished job whenever it is told to; waits for the chain if it must."""
    while True:
        await look_anew.wait()
        look_anew.clear()
        try:
            await workbench.resume(await chain.job_count())
        except ChainUnreachable:
            # The follower says so.
            look_anew.set()
            await asyncio.sleep(RETRY_SECONDS)


async def _is_over(chain: EvmChain, job: JobId) -> bool:
    history = await chain.history(job)
    return bool(history) and fold(history, chain.parameters).over


async def _rank(chain: EvmChain, job: JobId, order: Order) -> int:
    """A job's rank in the line before the sandbox; rewards count in whole tokens."""
    if order is Order.FIFO:
        return 0
    reward = fold(await chain.history(job), chain.parameters).created.reward
    return MOST_RANK - min(reward // UNIT, MOST_RANK - 1)


async def _warn_of_missing_stake(config: Config, chain: EvmChain) -> None:
    wanted = {RoleName.VALIDATOR: Role.VALIDATOR, RoleName.CHALLENGER: Role.CHALLENGER}
    held = (await chain.holdings(chain.account)).role
    for name in config.roles & wanted.keys():
        if held is not wanted[name]:
            _log.warning(f"this account holds no {name}'s stake yet: scatter stake {name} AMOUNT")


def _say_what_may_run(choice: Choice, config: Config) -> None:
    isolation = choice.sandbox.isolation
    _log.info(
        "sandbox",
        name=choice.sandbox.name,
        isolation=isolation.name,
        runtimes=sorted(choice.sandbox.runtimes),
        why=choice.why,
    )
    if isolation < config.sandbox.minimum and config.roles != {RoleName.REQUESTER}:
        _log.warning(
            "no sandbox here is as strong as sandbox.minimum; only trusted_jobs will run",
            here=isolation.name,
            minimum=config.sandbox.minimum.name,
            install=INSTALL[config.sandbox.minimum],
        )


def _bound(listen: HostPort, listening: socket.socket) -> HostPort:
    return HostPort(listen.host, bound_port(listening))


def _public_gateway(config: Config, listening: socket.socket) -> str:
    return config.gateway.public or f"http://{_bound(config.gateway.listen, listening)}"


def _peer_key(file: Path) -> bytes:
    """The host's own key, made at the first start; peers know the node by it."""
    if not file.exists():
        write_secret(file, randomness.token_hex(32) + "\n")
    try:
        return bytes.fromhex(file.read_text().strip())
    except (OSError, ValueError):
        raise BadInput(f"{file} is no peer key; delete it, and another is made") from None
