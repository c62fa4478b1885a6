"""Records and key replies as signed statements; the book of records; messages of strangers."""

import struct
from dataclasses import replace
from typing import Any

import cbor2
import pytest
import trio
from eth_account import Account
from hypothesis import given
from hypothesis import strategies as st

from scatter.adapters.peers import peer_id_of
from scatter.adapters.peers.book import RecordBook
from scatter.adapters.peers.streams import StreamBroken, receive
from scatter.mechanism.errors import BadInput
from scatter.mechanism.units import Address, Digest, JobId
from scatter.ports.addresses import read_endpoint
from scatter.ports.peers import KeyReply, PeerRecord
from scatter.ports.statements import (
    LIFETIME_MS,
    MOST_AHEAD_MS,
    BadStatement,
    Deployment,
    Untimely,
    sign_key_reply,
    sign_record,
    verify_key_reply,
    verify_record,
)

DEPLOYMENT = Deployment(31337, Address("0x" + "11" * 20))
NOW = 1_800_000_000_000
TRAINER = Account.from_key(b"\x01" * 32)


def record_of(number: int, issued_at: int = NOW, **changes: Any) -> PeerRecord:
    fields = {
        "peer_id": peer_id_of(bytes([number]) * 32),
        "addresses": ["/ip4/127.0.0.1/tcp/4001"],
        "gateway": "http://127.0.0.1:8080",
        "issued_at": issued_at,
    }
    return sign_record(Account.from_key(bytes([number]) * 32), DEPLOYMENT, **{**fields, **changes})


def reply_of(key: bytes = b"k" * 32) -> KeyReply:
    return sign_key_reply(
        TRAINER,
        DEPLOYMENT,
        job=JobId(7),
        trainer=Address(TRAINER.address),
        model=Digest(b"m" * 32),
        key_commitment=Digest(b"c" * 32),
        key=key,
        asker=Address(Account.from_key(b"\x02" * 32).address),
    )


class TestStatements:
    @pytest.mark.parametrize(
        "change",
        [
            {"account": Account.from_key(b"\x02" * 32).address},
            {"peer_id": peer_id_of(b"\x09" * 32)},
            {"addresses": ("/ip4/127.0.0.1/tcp/4002",)},
            {"gateway": "http://127.0.0.1:8081"},
            {"issued_at": NOW + 1},
            {"signature": b"\x01" * 65},
            {"signature": b""},
        ],
        ids=lambda change: next(iter(change)),
    )
    def test_a_record_with_a_changed_field_is_not_signed(self, change: dict[str, Any]) -> None:
        verify_record(record_of(1), DEPLOYMENT, now=NOW)
        with pytest.raises(BadStatement):
            verify_record(replace(record_of(1), **change), DEPLOYMENT, now=NOW)

    @pytest.mark.parametrize(
        "other", [Deployment(1, DEPLOYMENT.protocol), Deployment(31337, Address("0x" + "22" * 20))]
    )
    def test_a_statement_means_nothing_elsewhere(self, other: Deployment) -> None:
        for verify in (
            lambda: verify_record(record_of(1), other, now=NOW),
            lambda: verify_key_reply(reply_of(), other),
        ):
            with pytest.raises(BadStatement, match="not signed"):
                verify()

    @pytest.mark.parametrize("issued_at", [NOW + MOST_AHEAD_MS + 1, NOW - LIFETIME_MS - 1])
    def test_a_record_out_of_its_time_is_refused(self, issued_at: int) -> None:
        with pytest.raises(Untimely):
            verify_record(record_of(1, issued_at), DEPLOYMENT, now=NOW)

    @pytest.mark.parametrize(
        ("change", "why"),
        [
            ({"addresses": ["/ip4/127.0.0.1/tcp/1"] * 9}, "at most 8"),
            ({"gateway": "http://user@host"}, "user name"),
            ({"gateway": "http://h/" + "x" * 300}, "at most 256"),
            ({"peer_id": "QmX"}, "secp256k1"),
        ],
    )
    def test_a_record_out_of_bounds_is_refused(self, change: dict[str, Any], why: str) -> None:
        with pytest.raises(BadInput, match=why):
            record_of(1, **change)

    @pytest.mark.parametrize(
        "address",
        [
            "/ip4/0.0.0.0/tcp/1",
            "/ip4/224.0.0.1/tcp/1",
            "/ip4/169.254.169.254/tcp/80",
            "/ip6/::ffff:7f00:1/tcp/1",
            "/ip4/127.0.0.1/tcp/0",
            "/ip4/127.0.0.1/tcp/65536",
            "/ip4/127.0.0.1/udp/1",
            "/ip4/127.0.0.1/tcp/1/ws",
            "/dns/-x/tcp/1",
            "/unix/tmp",
        ],
    )
    def test_an_address_of_another_form_is_refused(self, address: str) -> None:
        with pytest.raises(BadInput, match="address"):
            read_endpoint(address)

    def test_a_changed_key_is_not_what_the_holder_signed(self) -> None:
        verify_key_reply(reply_of(), DEPLOYMENT)
        with pytest.raises(BadStatement, match="not signed"):
            verify_key_reply(replace(reply_of(), key=b"x" * 32), DEPLOYMENT)

    def test_a_key_of_another_length_is_refused(self) -> None:
        with pytest.raises(BadInput, match="32 bytes"):
            reply_of(b"short")


class TestTheBook:
    def test_the_newest_record_of_an_account_wins(self) -> None:
        book = RecordBook(DEPLOYMENT, lambda: NOW, lambda _: False)
        old, new = record_of(1, NOW - 1), record_of(1, NOW)

        assert [book.add(record) for record in (old, new, old)] == [True, True, False]
        assert list(book.records()) == [new]

    def test_an_old_record_is_forgotten(self) -> None:
        clock = [NOW]
        book = RecordBook(DEPLOYMENT, lambda: clock[0], lambda _: False)
        book.add(record_of(1))
        clock[0] += LIFETIME_MS + 1

        assert list(book.records()) == []
        assert book.find(record_of(1).account) is None

    def test_strangers_cannot_push_anybody_out_of_a_full_book(self) -> None:
        known = record_of(3).account
        book = RecordBook(DEPLOYMENT, lambda: NOW, lambda account: account == known, most=2)

        added = [book.add(record) for record in (record_of(1, NOW - 1), *map(record_of, (2, 4, 3)))]

        assert added == [True, True, False, True]
        assert {one.account for one in book.records()} == {record_of(2).account, known}

    def test_only_news_is_told(self) -> None:
        book = RecordBook(DEPLOYMENT, lambda: NOW, lambda _: False)
        book.add(record_of(1))
        _, until, _ = book.since(b"", 0, 8)
        book.add(record_of(2))

        news, _, more = book.since(book.epoch, until, 8)

        assert (list(news), more) == ([record_of(2)], False)
        assert len(book.since(b"of an earlier start", until, 8)[0]) == 2

    def test_much_news_is_told_in_parts(self) -> None:
        book = RecordBook(DEPLOYMENT, lambda: NOW, lambda _: False)
        records = [record_of(number) for number in (1, 2, 3)]
        for record in records:
            book.add(record)

        first, until, more = book.since(b"", 0, 2)
        rest, _, and_more = book.since(book.epoch, until, 2)

        assert [*first, *rest] == records
        assert (more, and_more) == (True, False)


class Bytes:
    """A stream that holds what a stranger sent."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    async def read(self, n: int | None = None) -> bytes:
        part, self._data = self._data[:n], self._data[n:]
        return part

    async def write(self, data: bytes) -> None: ...

    async def close(self) -> None: ...

    async def reset(self) -> None: ...


def read(data: bytes) -> dict[str, Any]:
    return trio.run(receive, Bytes(struct.pack(">I", len(data)) + data))


class TestMessages:
    @given(st.binary(max_size=200))
    def test_any_bytes_are_a_map_or_broken(self, data: bytes) -> None:
        try:
            assert isinstance(read(data), dict)
        except StreamBroken:
            return

    @given(
        st.dictionaries(
            st.text(max_size=8),
            st.recursive(
                st.integers(-(2**64), 2**64 - 1) | st.binary() | st.text() | st.booleans(),
                lambda inner: st.lists(inner, max_size=4),
                max_leaves=8,
            ),
            max_size=4,
        )
    )
    def test_what_we_send_is_what_they_read(self, message: dict[str, Any]) -> None:
        assert read(cbor2.dumps(message)) == message

    @pytest.mark.parametrize(
        "data",
        [
            cbor2.dumps({"a": cbor2.CBORTag(35, "(a+)+$")}),
            cbor2.dumps({"a": 1.5}),
            cbor2.dumps([1]),
            cbor2.dumps({1: 1}),
            cbor2.dumps({"a": 1}) + b"\x00",
            b"\xbf\x61a\x01\xff",
            b"\x81" * 60_000,
            b"\xa1\x61a\x9a\xff\xff\xff\xff",
        ],
    )
    def test_a_message_of_another_shape_is_broken(self, data: bytes) -> None:
        with pytest.raises(StreamBroken):
            read(data)
