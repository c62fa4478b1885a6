"""Every header of the embedded chain, at 48 bytes for a block without transactions.

An empty block follows from its parent and its time alone, so only hash, time and base fee are
kept, and the header is built again when somebody asks for it. A day of empty blocks is 86,400:
4 MB here and about five seconds of a replay, so a
chain that idles for months should be started anew. Blocks with transactions are kept whole.
"""

from array import array
from bisect import bisect_right

from eth.constants import BLANK_ROOT_HASH, EMPTY_SHA256, POST_MERGE_NONCE
from eth.vm.forks.london.headers import calculate_expected_base_fee_per_gas
from eth.vm.forks.prague.blocks import PragueBlockHeader
from eth_hash.auto import keccak
from eth_typing import BlockNumber, Hash32

GAS_LIMIT = 30_000_000
"""Of a block."""

FIRST_BASE_FEE = 10**9
HASH_BYTES = 32


def genesis_header(time: int, state_root: bytes) -> PragueBlockHeader:
    """The header of block 0; its hash covers the time and the first balances."""
    return PragueBlockHeader(
        difficulty=0,
        block_number=BlockNumber(0),
        gas_limit=GAS_LIMIT,
        timestamp=time,
        state_root=Hash32(state_root),
        mix_hash=Hash32(keccak(b"scatter local chain")),
        nonce=POST_MERGE_NONCE,
        base_fee_per_gas=FIRST_BASE_FEE,
        requests_hash=EMPTY_SHA256,
        withdrawals_root=BLANK_ROOT_HASH,
    )


def base_fee(header: PragueBlockHeader) -> int:
    """What a unit of gas costs at least in this block, in wei (EIP-1559)."""
    return int(header.base_fee_per_gas or 0)


class Headers:
    """The canonical headers, from block 0 to the head."""

    def __init__(self, genesis: PragueBlockHeader) -> None:
        self._hashes = bytearray()
        self._times = array("Q")
        self._fees = array("Q")
        self._whole: list[PragueBlockHeader] = []
        """Genesis and the headers of blocks with transactions, in order."""
        self._whole_numbers: list[int] = []
        self._append_whole(genesis)

    @property
    def height(self) -> int:
        return len(self._times) - 1

    @property
    def time(self) -> int:
        """Of the head."""
        return self._times[-1]

    def head(self) -> PragueBlockHeader:
        return self.at(self.height)

    def at(self, number: int) -> PragueBlockHeader:
        """The header of block `number`, 0..height."""
        anchor = self._whole[bisect_right(self._whole_numbers, number) - 1]
        if anchor.block_number == number:
            return anchor
        return _follow(
            anchor, number, self._times[number], self.hash_of(number - 1), self._fees[number]
        )

    def hash_of(self, number: int) -> bytes:
        return bytes(self._hashes[number * HASH_BYTES : (number + 1) * HASH_BYTES])

    def number_of(self, block_hash: bytes) -> int | None:
        """The block of this hash, or None."""
        place = self._hashes.rfind(block_hash) if len(block_hash) == HASH_BYTES else -1
        return place // HASH_BYTES if place >= 0 and place % HASH_BYTES == 0 else None

    def next(self, time: int) -> PragueBlockHeader:
        """The header that a block at `time` starts from: nothing executed yet."""
        anchor = self._whole[-1]
        number = self.height + 1
        return _follow(anchor, number, time, self.hash_of(number - 1), self._next_fee())

    def append(self, header: PragueBlockHeader) -> None:
        """Takes a block with transactions."""
        self._append_whole(header)

    def append_empty(self, time: int) -> None:
        """Takes a block without transactions."""
        header = self.next(time)
        self._remember(header.hash, time, base_fee(header))

    def cut(self, height: int) -> None:
        """Forgets the blocks after `height`."""
        del self._hashes[(height + 1) * HASH_BYTES :]
        del self._times[height + 1 :]
        del self._fees[height + 1 :]
        kept = bisect_right(self._whole_numbers, height)
        del self._whole[kept:], self._whole_numbers[kept:]

    def _append_whole(self, header: PragueBlockHeader) -> None:
        self._whole.append(header)
        self._whole_numbers.append(header.block_number)
        self._remember(header.hash, header.timestamp, base_fee(header))

    def _remember(self, block_hash: bytes, time: int, fee: int) -> None:
        self._hashes += block_hash
        self._times.append(time)
        self._fees.append(fee)

    def _next_fee(self) -> int:
        anchor = self._whole[-1]
        if anchor.block_number == self.height:
            return int(calculate_expected_base_fee_per_gas(anchor))
        fee = self._fees[-1]
        return fee - fee // 8  # The rule of EIP-1559 after a block that used no gas.


def _follow(
    anchor: PragueBlockHeader, number: int, time: int, parent: bytes, fee: int
) -> PragueBlockHeader:
    return PragueBlockHeader(
        difficulty=0,
        block_number=BlockNumber(number),
        gas_limit=GAS_LIMIT,
        timestamp=time,
        parent_hash=Hash32(parent),
        state_root=anchor.state_root,
        mix_hash=Hash32(keccak(parent)),
        nonce=POST_MERGE_NONCE,
        base_fee_per_gas=fee,
        requests_hash=EMPTY_SHA256,
        withdrawals_root=BLANK_ROOT_HASH,
    )
