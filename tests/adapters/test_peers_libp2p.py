"""What libp2p must do beyond the port: a proven channel, churn, restarts, crowds, one thread."""

import asyncio
import socket
import threading
import time
from contextlib import AsyncExitStack
from typing import Any

import pytest
import trio
from eth_account import Account
from libp2p import new_host
from libp2p.crypto.secp256k1 import create_new_key_pair
from libp2p.peer.id import ID
from libp2p.peer.peerinfo import info_from_p2p_addr
from libp2p.security.insecure.transport import PLAINTEXT_PROTOCOL_ID, InsecureTransport
from multiaddr import Multiaddr
from tests.adapters.peers_stage import (
    ASKER,
    DEPLOYMENT,
    HERE,
    JOB,
    as_stranger,
    connect_and_ask,
    exchange,
    flatten,
    frame,
    is_served,
    keep,
    keep_as,
    key_request,
    negotiate,
    opened,
    port_of,
    record_of,
    until,
)

from scatter.adapters.peers import LibP2PPeers, peer_id_of
from scatter.adapters.peers.book import RecordBook
from scatter.adapters.peers.exchange import PEERS_PROTOCOL, Exchange
from scatter.adapters.peers.host import Host
from scatter.devnet.free_port import find_free_port
from scatter.mechanism.errors import BadInput
from scatter.mechanism.units import Address, JobId
from scatter.ports.peers import KeyReply, PeerRecord, PeerUnreachable
from scatter.ports.statements import sign_record

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class TestTheChannel:
    async def test_a_stock_libp2p_host_is_served(self, holder: LibP2PPeers) -> None:
        async def act(open_stream: Any) -> Any:
            stream = await open_stream("/scatter/key/1")
            return await exchange(stream, frame(key_request(record_of(3, b"\x77" * 32))))

        answer = await as_stranger(holder, act)

        assert answer["reply"][2] == b"k" * 32

    async def test_the_record_of_another_peer_proves_nothing(
        self, holder: LibP2PPeers, asker: LibP2PPeers
    ) -> None:
        async def act(open_stream: Any) -> Any:
            return await exchange(
                await open_stream("/scatter/key/1"), frame(key_request(asker.record))
            )

        answer = await as_stranger(holder, act)

        assert answer["refused"] == "asker-not-proven"

    async def test_an_outdated_record_proves_nothing(
        self, holder: LibP2PPeers, asker: LibP2PPeers
    ) -> None:
        old = sign_record(
            ASKER,
            DEPLOYMENT,
            peer_id=peer_id_of(b"\x77" * 32),
            addresses=[],
            gateway="",
            issued_at=asker.record.issued_at - 1,
        )
        await until(holder.records)

        async def act(open_stream: Any) -> Any:
            return await exchange(await open_stream("/scatter/key/1"), frame(key_request(old)))

        answer = await as_stranger(holder, act)

        assert answer["refused"] == "asker-not-proven"
        assert "newer" in answer["sentence"]

    async def test_plaintext_is_refused(self, holder: LibP2PPeers) -> None:
        async def run() -> None:
            keys = create_new_key_pair()
            host = new_host(key_pair=keys, sec_opt={PLAINTEXT_PROTOCOL_ID: InsecureTransport(keys)})
            async with host.run(listen_addrs=[]):
                await host.connect(info_from_p2p_addr(Multiaddr(holder.addresses[0])))

        with pytest.raises(BaseException, match=r"(?s).*") as caught:
            await asyncio.to_thread(trio.run, run)

        assert "unable to connect" in str(flatten(caught.value))

    async def test_only_noise_is_offered(self, holder: LibP2PPeers) -> None:
        offers = (b"/plaintext/2.0.0", b"/secio/1.0.0", b"/tls/1.0.0", b"/noise")

        answers = await asyncio.to_thread(negotiate, port_of(holder), offers)

        assert answers == [b"na", b"na", b"na", b"/noise"]

    async def test_a_holder_with_another_key_is_not_talked_to(
        self, stack: AsyncExitStack, holder: LibP2PPeers
    ) -> None:
        wrong = f"{holder.record.addresses[0]}/p2p/{peer_id_of(bytes([9]) * 32)}"
        peers = await stack.enter_async_context(opened(3, bootstrap=[wrong]))

        with pytest.raises(PeerUnreachable):
            await peers.request_key(JOB, holder.account, holder.account)


class TestManyAndAgain:
    async def test_more_than_250_connections_are_served_in_turn(self, holder: LibP2PPeers) -> None:
        async def run() -> int:
            served = 0
            for _ in range(260):
                async with trio.open_nursery() as nursery:
                    served += "reply" in await connect_and_ask(nursery, holder, 3)
                    nursery.cancel_scope.cancel()
            return served

        assert await asyncio.to_thread(trio.run, run) == 260

    async def test_full_of_idle_peers_it_still_takes_a_new_one(
        self, holder: LibP2PPeers, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("scatter.adapters.peers.host.MOST_INBOUND", 2)

        async def run() -> int:
            served = 0
            async with trio.open_nursery() as nursery:
                for number in range(3, 8):
                    served += "reply" in await connect_and_ask(nursery, holder, number)
                nursery.cancel_scope.cancel()
            return served

        assert await asyncio.to_thread(trio.run, run) == 5

    async def test_no_dial_sleeps_before_it_connects(self, holder: LibP2PPeers) -> None:
        async def run() -> float:
            durations = []
            async with trio.open_nursery() as nursery:
                for number in range(3, 13):
                    begun = trio.current_time()
                    await connect_and_ask(nursery, holder, number)
                    durations.append(trio.current_time() - begun)
                nursery.cancel_scope.cancel()
            return min(durations)

        assert await asyncio.to_thread(trio.run, run) < 0.25  # the swarm's pause before each

    async def test_a_large_book_is_learnt_whole(self) -> None:
        book, own = RecordBook(DEPLOYMENT, now, lambda _: False), record_of(3, b"\x77" * 32)
        large = [large_record(number) for number in range(1, 251)]
        assert all(map(book.add, large))
        learnt = RecordBook(DEPLOYMENT, now, lambda _: False)

        async def run() -> None:
            async with trio.open_nursery() as nursery:
                there = Host(
                    b"\x01" * 32, {PEERS_PROTOCOL: Exchange(book).answer}, may_dial_loopback=True
                )
                here = Host(b"\x77" * 32, {}, may_dial_loopback=True)
                await nursery.start(there.run, HERE)
                await nursery.start(here.run, ())
                await Exchange(learnt).ask(here, own, there.peer_id, *there.addresses)
                nursery.cancel_scope.cancel()

        await asyncio.to_thread(trio.run, run)

        assert set(large) <= set(learnt.records())

    async def test_200_requests_at_once_are_answered(
        self, holder: LibP2PPeers, asker: LibP2PPeers
    ) -> None:
        replies = await asyncio.gather(
            *(
                asker.request_key(JobId(number), holder.account, holder.account)
                for number in range(1, 201)
            )
        )

        assert [reply.job for reply in replies] == list(range(1, 201))

    async def test_twelve_nodes_know_each_other_when_the_bootstrap_peer_starts_last(
        self, stack: AsyncExitStack
    ) -> None:
        port = find_free_port()
        first = f"/ip4/127.0.0.1/tcp/{port}/p2p/{peer_id_of(bytes([101]) * 32)}"
        nodes = [
            await stack.enter_async_context(opened(number, bootstrap=[first], interval=60))
            for number in range(2, 13)
        ]

        nodes.append(
            await stack.enter_async_context(opened(1, listen=[f"/ip4/127.0.0.1/tcp/{port}"]))
        )

        await until(lambda: all(len(one.records()) == 11 for one in nodes), seconds=30)

    async def test_a_peer_that_returns_at_another_port_is_found(
        self, stack: AsyncExitStack, holder: LibP2PPeers, asker: LibP2PPeers
    ) -> None:
        for _ in range(2):
            async with opened(3, bootstrap=holder.addresses) as other:
                other.serve_keys(keep_as(other))
                record = other.record
                await until(lambda: record in holder.records())  # noqa: B023 - awaited here

                reply = await asker.request_key(JOB, holder.account, other.account)

                assert reply.holder == other.account

    async def test_a_peer_is_found_at_its_second_address_when_the_first_is_dead(
        self, holder: LibP2PPeers, asker: LibP2PPeers
    ) -> None:
        dead = f"/ip4/127.0.0.1/tcp/{find_free_port()}"
        announce = [dead, "/ip4/127.0.0.1/tcp/0"]
        async with opened(3, bootstrap=holder.addresses, announce=announce) as other:
            other.serve_keys(keep_as(other))
            await until(lambda: other.record in holder.records())

            reply = await asker.request_key(JOB, holder.account, other.account)

        assert reply.holder == other.account

    async def test_a_peer_at_the_address_of_another_gets_nothing_meant_for_it(
        self, holder: LibP2PPeers, asker: LibP2PPeers
    ) -> None:
        place = [f"/ip4/127.0.0.1/tcp/{find_free_port()}"]
        async with opened(3, listen=place, bootstrap=holder.addresses) as gone:
            await until(lambda: gone.record in asker.records())
        overheard = []

        async def overhear(job: JobId, trainer: Address, asker: Address) -> KeyReply:
            overheard.append(job)
            return await keep_as(other)(job, trainer, asker)

        async with opened(4, listen=place, bootstrap=holder.addresses) as other:
            other.serve_keys(overhear)
            with pytest.raises(PeerUnreachable, match="cannot be reached"):
                await asker.request_key(JobId(8), holder.account, gone.account)
            assert overheard == []
            await until(lambda: other.record in holder.records())

            await asker.request_key(JobId(9), holder.account, other.account)

        assert overheard == [9]

    async def test_a_peer_that_vanished_is_unreachable(
        self, holder: LibP2PPeers, asker: LibP2PPeers
    ) -> None:
        async with opened(3, bootstrap=holder.addresses) as other:
            await until(lambda: len(asker.records()) == 2)

        with pytest.raises(PeerUnreachable, match="cannot be reached"):
            await asker.request_key(JOB, holder.account, other.account)


def now() -> int:
    return time.time_ns() // 1_000_000


def large_record(number: int) -> PeerRecord:
    """As many addresses as there may be, all long."""
    secret = number.to_bytes(32)
    return sign_record(
        Account.from_key(secret),
        DEPLOYMENT,
        peer_id=peer_id_of(secret),
        addresses=[f"/dns4/{'a' * 60}.{'b' * 30}/tcp/{port}" for port in range(1_000, 1_008)],
        gateway="http://" + "g" * 240,
        issued_at=now(),
    )


class TestTheThread:
    async def test_two_nodes_on_one_port_are_told_so(
        self, holder: LibP2PPeers, asker: LibP2PPeers
    ) -> None:
        taken = [f"/ip4/127.0.0.1/tcp/{port_of(holder)}"]

        with pytest.raises(BadInput, match="Is another node running"):
            async with opened(3, listen=taken):
                pass
        assert await is_served(asker, holder)

    async def test_nothing_is_left_when_it_is_closed(self) -> None:
        async with opened(1) as peers:
            port = port_of(peers)

        assert not [one for one in threading.enumerate() if one.name.startswith("peers of")]
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port), 1)
        with pytest.raises(PeerUnreachable, match="closed"):
            await peers.request_key(JOB, Address(ASKER.address), Address(ASKER.address))

    async def test_a_cancelled_request_disturbs_no_other(
        self, holder: LibP2PPeers, asker: LibP2PPeers
    ) -> None:
        asked = asyncio.Event()

        async def keep_only_even(job: JobId, trainer: Address, asker: Address) -> KeyReply:
            if job % 2:
                asked.set()
                await asyncio.Event().wait()
            return await keep(job, trainer, asker)

        holder.serve_keys(keep_only_even)
        stuck = asyncio.create_task(asker.request_key(JobId(1), holder.account, holder.account))
        await asked.wait()

        stuck.cancel()
        reply = await asker.request_key(JobId(2), holder.account, holder.account)

        with pytest.raises(asyncio.CancelledError):
            await stuck
        assert reply.job == 2

    async def test_a_host_key_gives_the_same_identity_every_time(self) -> None:
        secret = bytes([101]) * 32
        async with opened(1) as peers:
            assert peers.peer_id == peer_id_of(secret)
        assert peers.peer_id == str(ID.from_pubkey(create_new_key_pair(secret).public_key))

    @pytest.mark.parametrize(
        ("options", "why"),
        [
            ({"listen": ["/ip4/0.0.0.0/tcp/0"]}, "all interfaces"),
            ({"listen": ["/ip4/127.0.0.1/udp/4001"]}, "must read"),
            ({"bootstrap": ["/ip4/127.0.0.1/tcp/4001"]}, "must end with /p2p/"),
            ({"gateway": "ftp://example.org"}, "must be http"),
        ],
    )
    async def test_bad_settings_are_refused_in_a_sentence(
        self, options: dict[str, Any], why: str
    ) -> None:
        with pytest.raises(BadInput, match=why):
            async with opened(1, **options):
                pass
