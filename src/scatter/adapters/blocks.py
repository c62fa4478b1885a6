"""Blocks and logs of a chain, read with an eye on reorganisations and on bounds."""

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any

from scatter.adapters.interface import Log, parse_log
from scatter.adapters.rpc import WORD, BadAnswer, Rpc, RpcRefused, data, fields, quantity
from scatter.mechanism.units import Address, BlockNumber, Timestamp
from scatter.ports.chain import ChainUnreachable, Head

MOST_TIMES = 20_000
"""Blocks whose time is remembered."""

MOST_RANGE = 50_000
"""Blocks of one eth_getLogs; an endpoint that wants less says so, and gets it."""

MOST_LOGS = 200_000
"""Of one question."""

Topics = Sequence[str | Sequence[str] | None]


class ChainMoved(ChainUnreachable):
    """The chain replaced blocks while they were read. Ask again."""


class Blocks:
    """The blocks that an endpoint serves."""

    def __init__(self, rpc: Rpc, check_chain: Callable[[], Awaitable[None]]) -> None:
        """`check_chain` raises WrongChain if the endpoint serves another chain by now.

        It is asked when blocks that were there are not any more: most often the chain replaced
        them, but behind one address there may be many machines, and one of them set up wrongly.
        """
        self._rpc = rpc
        self._check_chain = check_chain
        self._newest: Head | None = None
        self._times: OrderedDict[bytes, Timestamp] = OrderedDict()
        self._range = MOST_RANGE

    async def head(self) -> Head:
        """The newest block."""
        block = fields(await self._rpc.ask("eth_getBlockByNumber", "latest", False), "a block")
        head, before = self._parse(block), self._newest
        if before is not None and not await self._continues(before, head, block):
            await self._check_chain()
            self._times.clear()
            self._newest = head
        elif before is None or head.number > before.number:
            self._newest = head
        return head

    async def at(self, number: BlockNumber) -> Head | None:
        """The block at this height, as the chain is now; None beyond the head."""
        block = await self._rpc.ask("eth_getBlockByNumber", hex(number), False)
        if block is None:
            return None
        head = self._parse(block)
        if head.number != number:
            raise BadAnswer(f"asked for the block {number}, the endpoint gave {head.number}")
        return head

    async def times(self, logs: Iterable[Log]) -> dict[bytes, Timestamp]:
        """The times of the logs' blocks, by hash. Raises ChainMoved if one is no longer there."""
        wanted = {log.block_hash: log.block for log in logs}
        unknown = [one for one in wanted if one not in self._times]
        asked = [(hex(wanted[one]), False) for one in unknown]
        blocks = await self._rpc.ask_each("eth_getBlockByNumber", asked)
        found = {one: self._times[one] for one in wanted if one in self._times}
        for block_hash, block in zip(unknown, blocks, strict=True):
            head = None if block is None else self._parse(block)
            if head is None or head.hash != block_hash:
                raise ChainMoved("the chain replaced blocks while they were read; ask again")
            found[block_hash] = head.time
        return found

    async def logs(
        self, address: Address, topics: Topics, since: BlockNumber, until: BlockNumber
    ) -> list[Log]:
        """The logs of a contract in the blocks `since`..`until`, in chain order, each checked."""
        found: list[Log] = []
        first = int(since)
        while first <= until:
            last = min(int(until), first + self._range - 1)
            try:
                part = await self._ask_logs(address, topics, first, last)
            except RpcRefused:
                # Every provider has bounds, and words of its own for them.
                if self._range == 1 or first == last:
                    raise
                self._range = max(1, (last - first + 1) // 2)
                continue
            found += part
            if len(found) > MOST_LOGS:
                raise BadAnswer(f"more than {MOST_LOGS} logs in the blocks {since}..{last}")
            first = last + 1
        return found

    async def _ask_logs(self, address: Address, topics: Topics, first: int, last: int) -> list[Log]:
        wanted = {
            "address": address,
            "topics": list(topics),
            "fromBlock": hex(first),
            "toBlock": hex(last),
        }
        answer = await self._rpc.ask("eth_getLogs", wanted)
        if not isinstance(answer, list):
            raise BadAnswer("eth_getLogs did not answer with a list")
        logs = sorted(map(parse_log, answer), key=lambda log: (log.block, log.index))
        places = {(log.block, log.index) for log in logs}
        asked_for = all(
            first <= log.block <= last and log.address == address and _fits(log, topics)
            for log in logs
        )
        if not asked_for or len(places) != len(logs):
            raise BadAnswer("eth_getLogs answered with logs that were not asked for, or twice")
        return logs

    async def _continues(self, before: Head, head: Head, block: Mapping[str, Any]) -> bool:
        """Whether the block `before` is still part of the chain whose head is `head`."""
        if head == before:
            return True
        if head.number == before.number + 1:
            return data(block.get("parentHash"), WORD) == before.hash
        return await self.at(before.number) == before

    def _parse(self, block: object) -> Head:
        entry = fields(block, "a block")
        head = Head(
            number=BlockNumber(quantity(entry.get("number"))),
            hash=data(entry.get("hash"), WORD),
            time=Timestamp(quantity(entry.get("timestamp"))),
        )
        self._times[head.hash] = head.time
        self._times.move_to_end(head.hash)
        while len(self._times) > MOST_TIMES:
            self._times.popitem(last=False)
        return head


def _fits(log: Log, topics: Topics) -> bool:
    """Whether a log has the topics that were asked for."""
    if len(log.topics) < len(topics):
        return False
    for wanted, topic in zip(topics, log.topics, strict=False):
        allowed = [wanted] if isinstance(wanted, str) else wanted
        if allowed is not None and "0x" + topic.hex() not in allowed:
            return False
    return True
