"""The embedded chain: a pool, a block every second of its clock, and a log to start again from.

A block is made at once when a transaction arrives and the clock allows (one block per second at
most), else with the next second; empty blocks come every second, so that block numbers in the
future are reached. All of it is in memory (about 50 bytes per empty block, 20 kB per transaction)
and is replayed at start: made for hours or days of local use, not for years.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from eth.vm.forks.prague.blocks import PragueBlockHeader
from eth_typing import Address

from scatter.devnet.execution import Executed, Machine, RpcError, Signed
from scatter.devnet.faucet import CHAIN_ID
from scatter.devnet.headers import base_fee
from scatter.devnet.log import BlockLog
from scatter.devnet.pool import Pool

EMPTY_BLOCK_AFTER = 1.9
"""Seconds after the head's time stamp at which an empty block follows.

Late in the second, so that a transaction most often finds the second still free.
"""

Clock = Callable[[], float]
"""Seconds since 1970."""


@dataclass(frozen=True)
class Place:
    """Where a transaction is: block number and position in it."""

    block: int
    index: int


class EmbeddedChain:
    """One chain. Not safe for threads: every call is made from one thread or event loop."""

    def __init__(
        self,
        balances: Mapping[Address, int],
        *,
        log: BlockLog | None = None,
        clock: Clock = time.time,
    ) -> None:
        """Starts a chain on which `balances` own gas money (in wei), or replays `log`.

        With a log that has entries, the first balances are those of the log.
        Raises BadInput if the log does not lead to the blocks that it names.
        """
        self._clock = clock
        self._offset = 0.0
        self._log: BlockLog | None = None
        self.pool = Pool(CHAIN_ID)
        self.blocks: dict[int, Executed] = {}
        """The blocks with transactions, by number, in order."""
        self.places: dict[bytes, Place] = {}
        """By transaction hash."""
        entries = log.entries() if log is not None else iter(())
        first = next(entries, None)
        if first is None:
            genesis_time = int(clock())
        elif isinstance(first, dict) and {"genesis", "balances"} <= first.keys():
            genesis_time = int(first["genesis"])
            balances = {Address(bytes.fromhex(a)): int(b) for a, b in first["balances"].items()}
        else:
            assert log is not None
            raise log.damaged(1)
        self.machine = Machine(CHAIN_ID, genesis_time, balances)
        self.headers = self.machine.headers
        for line, entry in enumerate(entries, 2):
            assert log is not None
            try:
                faithful = self._replay(entry)
            except (KeyError, TypeError, ValueError, RpcError) as error:
                raise log.damaged(line) from error
            if not faithful:
                raise log.damaged(line)
        self._log = log
        if first is None:
            shown = {account.hex(): str(balance) for account, balance in balances.items()}
            self._record({"genesis": genesis_time, "balances": shown})
        # After a pause, or jumps of a former run, the chain goes on from where it was.
        self._offset = max(0.0, self.headers.time - clock())

    # Time

    def now(self) -> float:
        """The chain's clock: the given one, plus the jumps asked for."""
        return self._clock() + self._offset

    def jump(self, seconds: float) -> int:
        """Puts the clock forward; returns all jumps so far, in seconds."""
        self._offset += seconds
        return int(self._offset)

    def jump_to(self, timestamp: int) -> None:
        """Sets the clock to a moment after the head's. Raises RpcError otherwise."""
        if timestamp <= self.headers.time:
            raise RpcError(
                -32602, f"timestamp {timestamp} must be after the head's {self.headers.time}"
            )
        self._offset = timestamp - self._clock()

    # Blocks

    def submit(self, raw: bytes) -> bytes:
        """Pools a signed transaction and returns its hash; it is mined now or within a second.

        Raises RpcError if it cannot be in a block.
        """
        signed = self.machine.decode(raw)
        if signed.hash in self.places:
            raise RpcError(-32000, "already known")
        state = self.machine.state(self.headers.head())
        self.pool.admit(
            signed,
            state.get_nonce(signed.sender),
            state.get_balance(signed.sender),
            base_fee(self.pending()),
        )
        self.advance()
        return signed.hash

    def advance(self) -> None:
        """Makes the block that is due, if one is. To be called often."""
        now = self.now()
        if int(now) <= self.headers.time:
            return
        if len(self.pool) or now - self.headers.time >= EMPTY_BLOCK_AFTER:
            self.mine(int(now))

    def mine(self, timestamp: int | None = None) -> None:
        """Makes a block now; the clock jumps ahead if its second has one already."""
        if timestamp is None:
            timestamp = max(int(self.now()), self.headers.time + 1)
            self._offset += max(0.0, timestamp - self.now())
        header = self.headers.next(timestamp)
        state = self.machine.state(self.headers.head())
        ready = self.pool.ready(state.get_nonce, base_fee(header))
        since = timestamp - self.headers.time
        if len(self.pool) == 0:
            self._record(since)
            self.headers.append_empty(timestamp)
            return
        executed = self.machine.run(header, ready, lambda signed, _: self.pool.drop(signed))
        for signed in executed.transactions:
            self.pool.drop(signed)
        if not executed.transactions:
            self._record(since)
            self.headers.append_empty(timestamp)
            return
        self._record(
            {
                "since": since,
                "transactions": [signed.raw.hex() for signed in executed.transactions],
                "hash": executed.header.hash.hex(),
            }
        )
        self._append(executed)

    def pending(self) -> PragueBlockHeader:
        """The header that a block made now would start from."""
        return self.headers.next(max(int(self.now()), self.headers.time + 1))

    def cut(self, height: int) -> None:
        """Takes back every block after `height`, and what waits; the clock keeps its jumps."""
        self._record({"cut": height})
        self._cut(height)
        self.pool.clear()

    def close(self) -> None:
        if self._log is not None:
            self._log.close()

    def _cut(self, height: int) -> None:
        self.headers.cut(height)
        for number in [number for number in self.blocks if number > height]:
            for signed in self.blocks.pop(number).transactions:
                del self.places[signed.hash]

    def _append(self, executed: Executed) -> None:
        number = executed.header.block_number
        self.headers.append(executed.header)
        self.blocks[number] = executed
        for index, signed in enumerate(executed.transactions):
            self.places[signed.hash] = Place(number, index)

    def _record(self, entry: dict[str, Any] | int) -> None:
        if self._log is not None:
            self._log.append(entry)

    def _replay(self, entry: dict[str, Any] | int) -> bool:
        """Repeats one entry of the log; False if it does not lead where it says."""
        if isinstance(entry, int):
            if entry < 1:
                return False
            self.headers.append_empty(self.headers.time + entry)
            return True
        if "cut" in entry:
            self._cut(int(entry["cut"]))
            return True
        refused: list[Signed] = []
        executed = self.machine.run(
            self.headers.next(self.headers.time + int(entry["since"])),
            [self.machine.decode(bytes.fromhex(raw)) for raw in entry["transactions"]],
            lambda signed, _: refused.append(signed),
        )
        self._append(executed)
        return not refused and executed.header.hash.hex() == entry["hash"]
