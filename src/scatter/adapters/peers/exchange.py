"""`/scatter/peers/1`: gives one's own record, takes those that the other side knows.

    asker     {"record": own, "epoch": bytes, "since": number}
    answerer  {"records": [...], "epoch": bytes, "until": number, "more": bool}

`epoch` and `since` are what the asker remembers of the answerer's last `epoch` and `until`, so
that only news travel. While there is more, the asker asks again, when it has looked through what
it got: nothing piles up. A record counts only when its account signed it, whoever passes it on.
"""

from collections.abc import Sequence
from typing import Final

import trio

from scatter.adapters.peers.book import MOST_RECORDS, RecordBook
from scatter.adapters.peers.host import Host
from scatter.adapters.peers.streams import Stream, StreamBroken, receive, send
from scatter.adapters.peers.wire import read_number, read_record, write_record
from scatter.ports.peers import PeerRecord
from scatter.ports.statements import BadStatement, Untimely

PEERS_PROTOCOL: Final = "/scatter/peers/1"
RECORDS_PER_MESSAGE: Final = 32
MOST_MESSAGES: Final = MOST_RECORDS // RECORDS_PER_MESSAGE
EXCHANGE_SECONDS: Final = 10.0


class Exchange:
    """Both sides of the exchange, on one book."""

    def __init__(self, book: RecordBook) -> None:
        self._book = book
        self._seen: dict[str, tuple[bytes, int]] = {}

    async def answer(self, stream: Stream, peer_id: str) -> None:
        """Takes in the asker's own record and sends what it has not seen."""
        request = await receive(stream)
        record = read_record(request.get("record"))
        if record.peer_id != peer_id:
            raise StreamBroken("the record of another peer")
        _take_in(self._book, record)
        epoch = request.get("epoch")
        if not isinstance(epoch, bytes):
            raise StreamBroken("a message without an epoch")
        news, until, more = self._book.since(
            epoch, read_number(request, "since"), RECORDS_PER_MESSAGE
        )
        await send(
            stream,
            {
                "records": [write_record(one) for one in news],
                "epoch": self._book.epoch,
                "until": until,
                "more": more,
            },
        )

    async def ask(self, host: Host, own: PeerRecord, peer_id: str, *addresses: str) -> bool:
        """Exchanges records with a peer; tells whether anything new was learnt.

        Raises PeerUnreachable or StreamBroken.
        """
        learnt = False
        for _ in range(MOST_MESSAGES):
            news, more = await self._ask_once(host, own, peer_id, addresses)
            learnt |= news
            if not more:
                break
        return learnt

    async def _ask_once(
        self, host: Host, own: PeerRecord, peer_id: str, addresses: Sequence[str]
    ) -> tuple[bool, bool]:
        """Tells whether anything was new, and whether there is more."""
        epoch, since = self._seen.get(peer_id, (b"", 0))
        request = {"record": write_record(own), "epoch": epoch, "since": since}
        async with host.ask(
            peer_id, addresses, PEERS_PROTOCOL, request, seconds=EXCHANGE_SECONDS
        ) as stream:
            message = await receive(stream)
        records = message.get("records")
        if not isinstance(records, list) or len(records) > RECORDS_PER_MESSAGE:
            raise StreamBroken("a message without records, or with too many")
        learnt = False
        for value in records:
            record = read_record(value)
            learnt |= record.account != own.account and _take_in(self._book, record)
            await trio.lowlevel.checkpoint()
        self._remember(peer_id, message.get("epoch"), read_number(message, "until"))
        return learnt, message.get("more") is True

    def _remember(self, peer_id: str, epoch: object, until: int) -> None:
        if not isinstance(epoch, bytes) or len(epoch) > 16:
            raise StreamBroken("a message without an epoch")
        if len(self._seen) >= MOST_RECORDS:
            self._seen.clear()
        self._seen[peer_id] = (epoch, until)


def _take_in(book: RecordBook, record: PeerRecord) -> bool:
    try:
        return book.add(record)
    except Untimely:
        return False  # the clocks of honest peers differ
    except BadStatement as error:
        raise StreamBroken(f"a bad record: {error}") from error
