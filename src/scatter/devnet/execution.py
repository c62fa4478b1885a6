"""Transactions and calls on py-evm, under the rules of Prague.

A header goes in, receipts come out; nothing here knows of pools, time or files.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import cast

from eth.abc import (
    ComputationAPI,
    ReceiptAPI,
    SignedTransactionAPI,
    StateAPI,
    UnsignedTransactionAPI,
)
from eth.consensus.context import ConsensusContext
from eth.consensus.noproof import NoProofConsensus
from eth.constants import BLANK_ROOT_HASH, GAS_TX
from eth.db.atomic import AtomicDB
from eth.db.chain import ChainDB
from eth.db.trie import make_trie_root_and_nodes
from eth.exceptions import Revert, UnrecognizedTransactionType
from eth.vm.chain_context import ChainContext
from eth.vm.forks.prague import PragueVM
from eth.vm.forks.prague.blocks import PragueBlockHeader
from eth.vm.forks.prague.constants import STANDARD_TOKEN_COST, TOTAL_COST_FLOOR_PER_TOKEN
from eth.vm.spoof import SpoofTransaction
from eth_abi.abi import decode
from eth_abi.exceptions import DecodingError
from eth_keys.exceptions import BadSignature
from eth_typing import Address, Hash32
from eth_utils.exceptions import ValidationError
from rlp.exceptions import RLPException

from scatter.devnet.headers import GAS_LIMIT, Headers, base_fee, genesis_header

MOST_TRANSACTION_GAS = 16_777_216
"""The cap of one transaction (EIP-7825)."""

ANCESTORS = 256
"""How many hashes BLOCKHASH can see."""

ERROR_SELECTOR = bytes.fromhex("08c379a0")
"""Of `Error(string)`, in which contracts put their reason."""


UNDECODABLE = (
    AttributeError,
    BadSignature,
    IndexError,
    RLPException,
    TypeError,
    UnrecognizedTransactionType,
    ValidationError,
    ValueError,
)
"""What py-evm raises on bytes that are no transaction."""


class RpcError(Exception):
    """What the endpoint answers instead of a result: a code, a message and perhaps data."""

    def __init__(self, code: int, message: str, data: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.data = data


@dataclass(frozen=True)
class Signed:
    """A transaction as it came, with what is costly to derive from it again and again."""

    raw: bytes
    hash: bytes
    sender: Address
    transaction: SignedTransactionAPI


@dataclass(frozen=True)
class Call:
    """What `eth_call` and `eth_estimateGas` run; nothing of it is kept."""

    sender: Address
    to: Address
    value: int
    data: bytes
    gas: int


@dataclass(frozen=True)
class Executed:
    """A block's outcome: what its header says and what its transactions left."""

    header: PragueBlockHeader
    transactions: tuple[Signed, ...]
    receipts: tuple[ReceiptAPI, ...]


class Machine:
    """The world state and its past, in memory."""

    def __init__(self, chain_id: int, time: int, balances: Mapping[Address, int]) -> None:
        self._database = AtomicDB()
        self._blocks = ChainDB(self._database)
        self._chain_id = chain_id
        self._reader: tuple[object, PragueVM] | None = None
        state = self._vm(genesis_header(time, BLANK_ROOT_HASH), ()).state
        for account, balance in balances.items():
            state.set_balance(account, balance)
        state.persist()
        self.headers = Headers(genesis_header(time, state.state_root))

    def state(self, header: PragueBlockHeader) -> StateAPI:
        """The state as `header` left it."""
        return self._open(header).state

    def decode(self, raw: bytes) -> Signed:
        """Raises RpcError if `raw` is no transaction."""
        try:
            transaction = PragueVM.get_transaction_builder().decode(raw)
            transaction.validate()
            return Signed(raw, transaction.hash, transaction.sender, transaction)
        except UNDECODABLE as error:
            raise RpcError(-32602, f"failed to decode transaction: {error}") from error

    def run(
        self,
        header: PragueBlockHeader,
        transactions: Iterable[Signed],
        refuse: Callable[[Signed, str], None],
    ) -> Executed:
        """Executes what fits into one block on top of the head, in the given order.

        A transaction that the rules do not allow is handed to `refuse` and leaves no trace.
        """
        vm = self._open(header)
        kept: list[Signed] = []
        receipts: list[ReceiptAPI] = []
        for signed in transactions:
            if header.gas_used + signed.transaction.gas > GAS_LIMIT:
                break
            # With the sender given, py-evm does not recover it from the signature again.
            known = _sent_by(signed.sender, signed.transaction)
            try:
                receipt, _ = vm.apply_transaction(header, known)
            except ValidationError as error:
                refuse(signed, str(error))
                continue
            header = cast(PragueBlockHeader, vm.add_receipt_to_header(header, receipt))
            kept.append(signed)
            receipts.append(receipt)
        vm.state.persist()
        header = cast(
            PragueBlockHeader,
            header.copy(
                state_root=vm.state.state_root,
                transaction_root=make_trie_root_and_nodes([s.transaction for s in kept])[0],
                receipt_root=make_trie_root_and_nodes(receipts)[0],
            ),
        )
        return Executed(header, tuple(kept), tuple(receipts))

    def call(self, header: PragueBlockHeader, call: Call) -> bytes:
        """The call's answer in the context of `header`; raises RpcError if it reverts."""
        return bytes(_checked(self._apply(header, call)[0]).output)

    def estimate(self, header: PragueBlockHeader, call: Call) -> int:
        """Gas with which the call succeeds, at most a few per cent above the least.

        Raises RpcError if it fails with any amount.
        """
        computation, intrinsic = self._apply(header, call)
        _checked(computation)
        most = min(call.gas, MOST_TRANSACTION_GAS)
        least = intrinsic + computation.get_gas_used() - 1
        # An outer call keeps 1/64 back (EIP-150), so the gas used may be too little to give.
        guess = min(most, (least + 1) * 64 // 63 + 2_300)
        while guess < most and self._apply(header, replace(call, gas=guess))[0].is_error:
            least, guess = guess, min(most, guess * 5 // 4)
        if guess == most:
            _checked(self._apply(header, replace(call, gas=most))[0])
        return guess

    def _apply(self, header: PragueBlockHeader, call: Call) -> tuple[ComputationAPI, int]:
        vm = self._open_to_read(header)
        before = vm.state.snapshot()
        try:
            return self._try(vm, header, call)
        finally:
            vm.state.revert(before)

    def _try(
        self, vm: PragueVM, header: PragueBlockHeader, call: Call
    ) -> tuple[ComputationAPI, int]:
        state = vm.state
        price = base_fee(header)
        unsigned = vm.create_unsigned_transaction(
            nonce=state.get_nonce(call.sender),
            gas_price=price,
            gas=call.gas,
            to=call.to,
            value=call.value,
            data=call.data,
        )
        intrinsic = max(unsigned.intrinsic_gas, _floor_of_data(call.data))
        if call.gas < intrinsic:
            raise RpcError(-32000, f"intrinsic gas too low: have {call.gas}, want {intrinsic}")
        # A call pays nothing, as elsewhere; but py-evm wants the gas paid first.
        if state.get_balance(call.sender) < call.value:
            raise RpcError(-32000, "insufficient funds for transfer")
        state.set_balance(call.sender, state.get_balance(call.sender) + call.gas * price)
        try:
            computation = state.apply_transaction(_sent_by(call.sender, unsigned))
        except ValidationError as error:
            raise RpcError(-32000, str(error)) from error
        return computation, intrinsic

    def _open_to_read(self, header: PragueBlockHeader) -> PragueVM:
        """One for all calls about the same block: what the first has looked up, the next finds."""
        block = (header.block_number, header.parent_hash, header.timestamp, header.state_root)
        if self._reader is None or self._reader[0] != block:
            self._reader = (block, self._open(header))
        return self._reader[1]

    def _open(self, header: PragueBlockHeader) -> PragueVM:
        oldest = max(0, header.block_number - ANCESTORS)
        ancestors = (
            Hash32(self.headers.hash_of(number))
            for number in range(header.block_number - 1, oldest - 1, -1)
        )
        return self._vm(header, ancestors)

    def _vm(self, header: PragueBlockHeader, ancestors: Iterable[Hash32]) -> PragueVM:
        return _Vm(
            header,
            self._blocks,
            ChainContext(self._chain_id),
            ConsensusContext(self._database),
            ancestors,
        )


class _Vm(PragueVM):
    """Prague, with the hashes of earlier blocks from the compact headers."""

    consensus_class = NoProofConsensus

    def __init__(
        self,
        header: PragueBlockHeader,
        blocks: ChainDB,
        chain: ChainContext,
        consensus: ConsensusContext,
        ancestors: Iterable[Hash32],
    ) -> None:
        super().__init__(header, blocks, chain, consensus)
        self._ancestors = ancestors

    @property
    def previous_hashes(self) -> Iterable[Hash32]:
        return self._ancestors


def _sent_by(
    sender: Address, transaction: SignedTransactionAPI | UnsignedTransactionAPI
) -> SignedTransactionAPI:
    if isinstance(transaction, SignedTransactionAPI):
        spoofed = SpoofTransaction(transaction, sender=sender, get_sender=lambda: sender)
    else:
        spoofed = SpoofTransaction(transaction, from_=sender)
    return cast(SignedTransactionAPI, spoofed)


def least_gas(transaction: SignedTransactionAPI) -> int:
    """What a transaction costs before a single instruction: EIP-2028, EIP-2930, EIP-7623."""
    return max(transaction.intrinsic_gas, _floor_of_data(transaction.data))


def _floor_of_data(data: bytes) -> int:
    zeros = data.count(0)
    tokens = zeros + STANDARD_TOKEN_COST * (len(data) - zeros)
    return GAS_TX + TOTAL_COST_FLOOR_PER_TOKEN * tokens


def _checked(computation: ComputationAPI) -> ComputationAPI:
    if not computation.is_error:
        return computation
    if isinstance(computation.error, Revert):
        data = bytes(computation.output)
        raise RpcError(3, _with_reason("execution reverted", data), "0x" + data.hex())
    name = type(computation.error).__name__
    raise RpcError(-32000, str(computation.error) or name)


def _with_reason(text: str, data: bytes) -> str:
    if data[:4] != ERROR_SELECTOR:
        return text
    try:
        (reason,) = decode(["string"], data[4:])
    except (DecodingError, UnicodeDecodeError):
        return text
    return f"{text}: {reason}"
