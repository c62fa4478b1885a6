"""The peers port on libp2p: this node among the others.

A node gives its own signed record to its bootstrap peers and to a few others every few
seconds, and takes theirs; so everybody soon knows everybody, whoever starts first. Keys are
asked of their holder directly. `docs/peers.md` describes both protocols.
"""

import asyncio
import contextlib
import functools
import logging
import random
import time
from collections.abc import AsyncIterator, Callable, Sequence
from typing import TYPE_CHECKING, Final, Self

import coincurve
import trio
from eth_account.signers.local import LocalAccount

from scatter.adapters.peers.book import RecordBook
from scatter.adapters.peers.bridge import TrioThread
from scatter.adapters.peers.exchange import PEERS_PROTOCOL, Exchange
from scatter.adapters.peers.host import Host
from scatter.adapters.peers.keys import KEY_PROTOCOL, KeyServer, ask_key
from scatter.adapters.peers.streams import StreamBroken
from scatter.mechanism.errors import BadInput
from scatter.mechanism.units import Address, JobId
from scatter.ports.addresses import (
    Endpoint,
    check_gateway,
    name_peer,
    read_dial_address,
    read_endpoint,
)
from scatter.ports.peers import KeyKeeper, KeyRefused, KeyReply, PeerRecord, PeerUnreachable
from scatter.ports.statements import BadStatement, Deployment, sign_record

if TYPE_CHECKING:
    from trio_typing import TaskStatus

log = logging.getLogger("scatter.peers")

REQUEST_SECONDS: Final = 40.0
"""For a key request with all its attempts."""
KEEPER_SECONDS: Final = 12.0
ATTEMPTS: Final = 3
"""At the known place; anew, if the connection was dead; and after a look for newer records."""
FIRST_PAUSE: Final = 0.1
STRANGERS_PER_ROUND: Final = 2
"""Peers out of the book that are asked beside the bootstrap peers."""
RENEWAL_MS: Final = 60 * 60 * 1000


def peer_id_of(secret: bytes) -> str:
    """The peer identifier of a host with this key, to name it as a bootstrap peer beforehand."""
    if len(secret) != 32:
        raise BadInput(f"the peer's secret key: 32 bytes are needed, not {len(secret)}")
    try:
        return name_peer(coincurve.PrivateKey(secret).public_key.format())
    except ValueError as error:
        raise BadInput("the peer's secret key: not a secp256k1 key; draw another") from error


class LibP2PPeers:
    """`scatter.ports.peers.Peers`, made real. Open it with `open`; used from one asyncio loop."""

    def __init__(
        self,
        secret: bytes,
        listen: Sequence[str],
        signer: LocalAccount,
        deployment: Deployment,
        *,
        gateway: str,
        bootstrap: Sequence[str],
        announce: Sequence[str],
        interval: float,
        is_preferred: Callable[[Address], bool],
        now: Callable[[], int],
    ) -> None:
        self.peer_id = peer_id_of(secret)
        check_gateway(gateway)
        _check_announced(listen, announce)
        self.account = Address(signer.address)
        self._listen = listen
        self._announce = announce
        self._signer = signer
        self._deployment = deployment
        self._gateway = gateway
        self._bootstrap = [
            (str(endpoint), peer_id)
            for endpoint, peer_id in map(read_dial_address, bootstrap)
            if peer_id != self.peer_id
        ]
        self._interval = interval
        self._now = now
        self._keeper: KeyKeeper | None = None
        self._book = RecordBook(
            deployment, now, lambda account: account == self.account or is_preferred(account)
        )
        self._exchange = Exchange(self._book)
        keys = KeyServer(self._book, self.account, self._ask_keeper)
        self._host = Host(
            secret,
            {PEERS_PROTOCOL: self._exchange.answer, KEY_PROTOCOL: keys.answer},
            may_dial_loopback=any(_is_loopback(one) for one in (*announce, *listen)),
        )
        self._thread = TrioThread(self._run, name=f"peers of {self.account[:8]}")
        self._silent: set[str] = set()

    @classmethod
    @contextlib.asynccontextmanager
    async def open(
        cls,
        secret: bytes,
        listen: Sequence[str],
        signer: LocalAccount,
        chain_id: int,
        contract: Address,
        *,
        gateway: str = "",
        bootstrap: Sequence[str] = (),
        announce: Sequence[str] = (),
        interval: float = 2.0,
        is_preferred: Callable[[Address], bool] = lambda _: False,
        now: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> AsyncIterator[Self]:
        """Listens and gossips until the context is left.

        `secret` is the host's own secp256k1 key, 32 bytes, kept by the caller; `signer` is the
        account's. `listen` and `announce` are `/ip4/.../tcp/...`; port 0 takes a free one
        (in `announce`: the one listened on); `announce` is needed only when `listen` names all
        interfaces. `bootstrap` peers end with `/p2p/<peer id>` and need not be there yet.
        `is_preferred` is called from another thread and must not block. Raises BadInput.
        """
        peers = cls(
            secret,
            listen,
            signer,
            Deployment(chain_id, contract),
            gateway=gateway,
            bootstrap=bootstrap,
            announce=announce,
            interval=interval,
            is_preferred=is_preferred,
            now=now,
        )
        await peers._thread.start()
        try:
            yield peers
        finally:
            await peers._thread.stop()

    @property
    def record(self) -> PeerRecord:
        """This node's own, as the others see it."""
        return self._own

    @property
    def addresses(self) -> Sequence[str]:
        """Where this node is reached, fit to be another's bootstrap peer."""
        return [f"{address}/p2p/{self.peer_id}" for address in self._own.addresses]

    def serve_keys(self, keeper: KeyKeeper) -> None:
        """Answers key requests with `keeper`, called on this asyncio loop, from now on."""
        self._keeper = keeper

    def records(self) -> Sequence[PeerRecord]:
        """Every record known and verified, this node's own left out; newest per account."""
        return [one for one in self._book.records() if one.account != self.account]

    def gateways(self, first: Sequence[Address] = ()) -> Sequence[str]:
        """Base addresses of the others' gateways, of the accounts in `first` before the rest."""
        records = {record.account: record for record in self.records()}
        ordered = [records.pop(account) for account in dict.fromkeys(first) if account in records]
        return list(
            dict.fromkeys(one.gateway for one in (*ordered, *records.values()) if one.gateway)
        )

    async def request_key(self, job: JobId, trainer: Address, holder: Address) -> KeyReply:
        """Asks `holder`; when it is unknown, or not where it was, its record is looked for anew.

        Raises PeerUnreachable or KeyRefused.
        """
        if holder == self.account:
            raise KeyRefused("a node does not ask itself for a key; look into its own store")
        try:
            return await self._thread.call(
                self._request_key, job, trainer, holder, seconds=REQUEST_SECONDS
            )
        except (TimeoutError, ConnectionError, StreamBroken) as error:
            raise PeerUnreachable(f"{holder}: {error}") from error

    async def _request_key(self, job: JobId, trainer: Address, holder: Address) -> KeyReply:
        failure: Exception | None = None
        for _ in range(ATTEMPTS):
            record = self._book.find(holder)
            if record is None or isinstance(failure, PeerUnreachable):
                await self._exchange_round()
                record = self._book.find(holder)
            if record is None:
                continue
            try:
                self._book.check(record)
                return await ask_key(
                    self._host, self._deployment, self._own, record, job=job, trainer=trainer
                )
            except (PeerUnreachable, StreamBroken, BadStatement) as error:
                failure = error
        raise failure or PeerUnreachable(f"{holder}: no peer knows where it is")

    async def _ask_keeper(self, job: JobId, trainer: Address, asker: Address) -> KeyReply | None:
        keeper = self._keeper
        if keeper is None:
            return None

        async def ask() -> KeyReply:
            return await asyncio.wait_for(keeper(job, trainer, asker), KEEPER_SECONDS)

        return await self._thread.call_asyncio(ask)

    async def _run(self, *, task_status: "TaskStatus[None]") -> None:
        async with trio.open_nursery() as nursery:
            await nursery.start(functools.partial(self._host.run, self._listen))
            self._renew_record()
            nursery.start_soon(self._gossip)
            task_status.started()

    async def _gossip(self) -> None:
        """Asks often after news, seldom when there is none."""
        pause = FIRST_PAUSE
        while True:
            if self._own.issued_at < self._now() - RENEWAL_MS:
                self._renew_record()
            learnt = await self._exchange_round()
            pause = FIRST_PAUSE if learnt else min(2 * pause, self._interval)
            await trio.sleep(pause * random.uniform(0.75, 1.25))  # noqa: S311 - only spreads load

    async def _exchange_round(self) -> bool:
        """Exchanges records with the bootstrap peers and some others; tells whether any was new."""
        strangers = [
            (record.peer_id, *record.addresses)
            for record in self.records()
            if record.peer_id not in {peer_id for _, peer_id in self._bootstrap}
        ]
        if len(strangers) > STRANGERS_PER_ROUND:
            strangers = random.sample(strangers, STRANGERS_PER_ROUND)
        news: list[bool] = []
        async with trio.open_nursery() as nursery:
            for peer_id, *addresses in ((p, a) for a, p in self._bootstrap):
                nursery.start_soon(self._exchange_with, news, peer_id, *addresses)
            for peer_id, *addresses in strangers:
                nursery.start_soon(self._exchange_with, news, peer_id, *addresses)
        return any(news)

    async def _exchange_with(self, news: list[bool], peer_id: str, *addresses: str) -> None:
        try:
            news.append(await self._exchange.ask(self._host, self._own, peer_id, *addresses))
        except (PeerUnreachable, StreamBroken) as error:
            if peer_id not in self._silent and len(self._silent) < 1_000:
                self._silent.add(peer_id)
                log.info("peer %s is silent: %s", peer_id, error)
        else:
            self._silent.discard(peer_id)

    def _renew_record(self) -> None:
        announced = [read_endpoint(one, unbound=True) for one in self._announce]
        bound = [read_endpoint(one, unbound=True) for one in self._host.addresses]
        self._own = sign_record(
            self._signer,
            self._deployment,
            peer_id=self.peer_id,
            addresses=[
                str(Endpoint(one.kind, one.host, one.port or bound[0].port))
                for one in announced or bound
            ],
            gateway=self._gateway,
            issued_at=self._now(),
        )
        self._book.add(self._own)


def _check_announced(listen: Sequence[str], announce: Sequence[str]) -> None:
    for address in (*listen, *announce):
        read_endpoint(address, unbound=True)
    for address in announce or listen:
        ip = read_endpoint(address, unbound=True).ip
        if ip is not None and ip.is_unspecified:
            raise BadInput(
                f"address {address}: names all interfaces; announce one at which others reach you"
            )


def _is_loopback(address: str) -> bool:
    ip = read_endpoint(address, unbound=True).ip
    return ip is not None and ip.is_loopback
