"""Strangers that send what they should not, too much of it, or nothing; others are served on."""

import asyncio
import logging
import random
import socket
import struct
import threading
from typing import Any

import cbor2
import pytest
import trio
from libp2p.io.exceptions import IOException
from tests.adapters.peers_stage import (
    as_stranger,
    beside_stranger,
    ends,
    exchange,
    frame,
    is_served,
    key_request,
    opened,
    port_of,
    record_of,
    until,
)

from scatter.adapters.peers import LibP2PPeers
from scatter.adapters.peers.exchange import PEERS_PROTOCOL
from scatter.adapters.peers.host import (
    HANDSHAKE_BYTES,
    MOST_BUFFERED_BYTES,
    MOST_FRAME_BYTES,
    MOST_STREAMS,
    _Metered,
)
from scatter.adapters.peers.keys import KEY_PROTOCOL

pytestmark = pytest.mark.anyio

GOOD = frame(key_request(record_of(3, b"\x77" * 32)))
MULTISTREAM = b"\x13/multistream/1.0.0\n"
NOISE_AGREED = MULTISTREAM + b"\x07/noise\n"
DATA, WINDOW, SYN = 0, 1, 1


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The size of each piece that a node in this test takes from a socket, as it takes it."""
    sizes: list[int] = []

    class Counted(_Metered):
        async def read(self, n: int | None = None) -> bytes:
            data = await super().read(n)
            sizes.append(len(data))
            return data

    monkeypatch.setattr("scatter.adapters.peers.host._Metered", Counted)
    return sizes


def yamux(kind: int, flags: int, stream: int, length: int) -> bytes:
    """The head of a frame."""
    return struct.pack("!BBHII", 0, kind, flags, stream, length)


def hears_the_end(port: int, data: bytes, *, hang_up: bool) -> bool:
    """Whether the node ends a connection on which this was sent (and, if so wanted, no more is)."""
    with socket.create_connection(("127.0.0.1", port), 10) as connection:
        try:
            connection.sendall(data)
            if hang_up:
                connection.shutdown(socket.SHUT_WR)
            while connection.recv(65_536):
                pass
        except TimeoutError:
            return False
        except OSError:
            return True
    return True


class TestBeforeTheHandshake:
    @pytest.mark.parametrize(
        "data",
        [
            b"",
            b"GET / HTTP/1.1\r\nHost: example.org\r\n\r\n",
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 512,
            random.Random(1).randbytes(4_096),
            b"\x00" * 4_096,
            MULTISTREAM + b"\x14/scatter/nothing/1\n" * 100,
            NOISE_AGREED + b"\x00\x00",
            NOISE_AGREED + b"\x00\x60" + random.Random(2).randbytes(96),
            NOISE_AGREED + b"\xff\xff" + random.Random(3).randbytes(65_535),
        ],
        ids=["nothing", "http", "tls", "random", "zeros", "na", "empty", "noise", "long noise"],
    )
    async def test_no_junk_keeps_the_node_from_serving_others(
        self, holder: LibP2PPeers, asker: LibP2PPeers, data: bytes
    ) -> None:
        assert await asyncio.to_thread(hears_the_end, port_of(holder), data, hang_up=True)
        assert await is_served(asker, holder)

    async def test_a_line_without_bound_ends_the_connection(
        self, holder: LibP2PPeers, taken: list[int]
    ) -> None:
        line = b"\xff\xff\xff\xff\x7f" + b"a" * (64 << 20)

        assert await asyncio.to_thread(hears_the_end, port_of(holder), line, hang_up=False)
        assert sum(taken) <= HANDSHAKE_BYTES

    async def test_a_caller_that_says_nothing_is_hung_up_on(
        self, holder: LibP2PPeers, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("scatter.adapters.peers.host.HANDSHAKE_SECONDS", 0.1)

        assert await asyncio.to_thread(hears_the_end, port_of(holder), MULTISTREAM, hang_up=False)

    async def test_callers_that_say_nothing_give_way_to_a_new_one(
        self, holder: LibP2PPeers, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("scatter.adapters.peers.host.MOST_INBOUND", 4)
        monkeypatch.setattr("scatter.adapters.peers.host.HANDSHAKE_SECONDS", 600)
        silent = [socket.create_connection(("127.0.0.1", port_of(holder)), 30) for _ in range(12)]
        try:
            async with opened(2, bootstrap=holder.addresses) as newcomer:
                await until(newcomer.records)

                assert await is_served(newcomer, holder)
        finally:
            for caller in silent:
                caller.close()

    async def test_a_stranger_leaves_one_line_in_the_log(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        def lines() -> list[str]:
            return [one.getMessage() for one in caplog.records if one.name != "asyncio"]

        with caplog.at_level(logging.DEBUG):
            async with opened(1) as node:
                junk = b"GET / HTTP/1.1\r\nUser-Agent: " + b"x" * 200 + b"\r\n\r\n"
                await asyncio.to_thread(hears_the_end, port_of(node), junk, hang_up=True)
                await until(lines)

        (line,) = lines()
        assert line.startswith("a peer's connection ended:")
        assert "\n" not in line


class TestStreams:
    @pytest.mark.parametrize(
        "data",
        [
            b"",
            b"\x00\x00",
            struct.pack(">I", 1 << 31) + b"x" * 100,
            struct.pack(">I", 5) + b"\xff" * 5,
            frame(1),
            struct.pack(">I", 9) + b"\x9b\x7f" + b"\xff" * 7,
            struct.pack(">I", 60_000) + b"\x81" * 60_000,
            frame({"job": -1, "trainer": b"", "record": []}),
            frame({"job": 1, "trainer": b"t" * 20, "record": [b"a" * 20, "x", [1], "", 1, b""]}),
            frame({"job": cbor2.CBORTag(35, "(a+)+$")}),
        ],
        ids=lambda data: data[:12].hex() or "nothing",
    )
    async def test_a_malformed_request_ends_its_stream_only(
        self, holder: LibP2PPeers, asker: LibP2PPeers, data: bytes
    ) -> None:
        async def act(open_stream: Any) -> Any:
            bad = await open_stream(KEY_PROTOCOL)
            if data:
                await bad.write(data)
            await bad.close()
            assert await ends(bad)
            good = await open_stream(KEY_PROTOCOL)
            assert good.muxed_conn is bad.muxed_conn
            return await exchange(good, GOOD)

        assert "reply" in await as_stranger(holder, act)
        assert await is_served(asker, holder)

    async def test_a_protocol_that_nobody_speaks_is_declined(self, holder: LibP2PPeers) -> None:
        async def act(open_stream: Any) -> Any:
            with pytest.raises(Exception, match="failed to open a stream"):
                await open_stream("/scatter/nothing/1")
            return await exchange(await open_stream(KEY_PROTOCOL), GOOD)

        assert "reply" in await as_stranger(holder, act)

    async def test_a_silent_stream_is_ended_in_time(
        self, holder: LibP2PPeers, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async def act(open_stream: Any) -> Any:
            monkeypatch.setattr("scatter.adapters.peers.host.ANSWER_SECONDS", 0.2)
            silent = await open_stream(KEY_PROTOCOL)
            assert await ends(silent)
            monkeypatch.undo()
            good = await open_stream(KEY_PROTOCOL)
            assert good.muxed_conn is silent.muxed_conn
            return await exchange(good, GOOD)

        assert "reply" in await as_stranger(holder, act)

    async def test_silent_streams_take_from_their_own_peer_only(
        self, holder: LibP2PPeers, asker: LibP2PPeers
    ) -> None:
        async def act(open_stream: Any) -> None:
            silent = [await open_stream(KEY_PROTOCOL) for _ in range(MOST_STREAMS)]
            with pytest.raises(Exception, match=r"(?s).*"):
                await open_stream(KEY_PROTOCOL)
            assert not silent[0].muxed_conn.event_shutting_down.is_set()

        async with beside_stranger(holder, act):
            assert await is_served(asker, holder)

    async def test_streams_that_are_left_open_end_the_connection(
        self, holder: LibP2PPeers, asker: LibP2PPeers, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("scatter.adapters.peers.host.MOST_UNFINISHED_STREAMS", 20)

        async def act(open_stream: Any) -> int:
            answered, first = 0, None
            while first is None or not first.muxed_conn.event_shutting_down.is_set():
                try:
                    stream = await open_stream(KEY_PROTOCOL)
                except Exception:  # noqa: BLE001 - the library says "closed" in several ways
                    break
                first = first or stream
                answered += await exchange(stream, GOOD) is not None
            return answered

        # The library opens a stream or two of its own, which count as well.
        assert 15 < await as_stranger(holder, act) <= 20
        assert await is_served(asker, holder)

    async def test_a_connection_without_requests_is_ended_in_time(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("scatter.adapters.peers.host.IDLE_SECONDS", 0.3)

        async def act(open_stream: Any) -> bool:
            stream = await open_stream(PEERS_PROTOCOL)
            await stream.reset()
            await stream.muxed_conn.event_shutting_down.wait()
            return True

        async with opened(1) as node:
            assert await as_stranger(node, act)


class TestFloods:
    async def test_data_that_nobody_reads_ends_the_connection(
        self, holder: LibP2PPeers, asker: LibP2PPeers, taken: list[int]
    ) -> None:
        async def act(open_stream: Any) -> int:
            stream = (await open_stream(PEERS_PROTOCOL)).muxed_stream
            flood = yamux(DATA, 0, stream.stream_id, 65_536) + b"a" * 65_536
            sent = 0
            # Once its reader has learnt of the end, the library drops what is written, in silence.
            while not stream.conn.event_shutting_down.is_set() and sent < 256 << 20:
                try:
                    await stream.conn._write_frame(flood)
                except IOException:
                    break
                sent += len(flood)
            return sent

        taken.clear()
        assert await as_stranger(holder, act) < 256 << 20
        assert MOST_BUFFERED_BYTES < sum(taken) < 2 * MOST_BUFFERED_BYTES
        assert await is_served(asker, holder)

    async def test_a_frame_that_is_too_large_is_not_read(
        self, holder: LibP2PPeers, asker: LibP2PPeers, taken: list[int]
    ) -> None:
        async def act(open_stream: Any) -> None:
            stream = (await open_stream(PEERS_PROTOCOL)).muxed_stream
            await stream.conn._write_frame(
                yamux(DATA, 0, stream.stream_id, MOST_FRAME_BYTES + 1) + b"a" * 1_000
            )
            await stream.conn.event_shutting_down.wait()

        await as_stranger(holder, act)

        assert await is_served(asker, holder)

    async def test_streams_begun_by_the_thousand_keep_nobody_out(
        self, holder: LibP2PPeers, asker: LibP2PPeers
    ) -> None:
        async def act(open_stream: Any) -> None:
            muxed = (await open_stream(KEY_PROTOCOL)).muxed_conn
            begun = (yamux(WINDOW, SYN, 10_001 + 2 * number, 0) for number in range(5_000))
            await muxed._write_frame(b"".join(begun))

        async with beside_stranger(holder, act):
            assert await is_served(asker, holder)

    async def test_requests_without_end_keep_nobody_out(
        self, holder: LibP2PPeers, asker: LibP2PPeers
    ) -> None:
        answered, enough = 0, threading.Event()

        async def act(open_stream: Any) -> None:
            async def ask_on() -> None:
                nonlocal answered
                while not enough.is_set():
                    stream = await open_stream(KEY_PROTOCOL)
                    assert await exchange(stream, GOOD) is not None
                    answered += 1
                    await stream.close()

            async with trio.open_nursery() as nursery:
                for _ in range(16):
                    nursery.start_soon(ask_on)

        async with asyncio.TaskGroup() as group:
            group.create_task(as_stranger(holder, act))
            try:
                await until(lambda: answered > 50, seconds=60)
                assert await is_served(asker, holder)
            finally:
                enough.set()
