"""Transactions that wait for a block, by sender and nonce, worded as geth words its refusals."""

from collections.abc import Callable, Iterator

from eth_typing import Address

from scatter.devnet.execution import MOST_TRANSACTION_GAS, RpcError, Signed, least_gas

MOST_POOLED = 4_096
MOST_AHEAD = 64
"""How far a nonce may run ahead: concurrent sends of one account arrive in any order."""

BUMP_PERCENT = 10
"""By how much a transaction must outbid the one whose nonce it takes."""

REFUSED = -32000

NEWEST_TYPE = 2
"""EIP-1559. Blobs and set-code transactions have no use here."""


class Pool:
    """Keeps each transaction until it is in a block or can never be."""

    def __init__(self, chain_id: int) -> None:
        self._chain_id = chain_id
        self._waiting: dict[tuple[Address, int], Signed] = {}
        """By (sender, nonce), in order of arrival."""

    def __len__(self) -> int:
        return len(self._waiting)

    def find(self, transaction_hash: bytes) -> Signed | None:
        return next((s for s in self._waiting.values() if s.hash == transaction_hash), None)

    def next_nonce(self, sender: Address, mined: int) -> int:
        """The nonce after the sender's waiting transactions; `mined` is the state's."""
        while (sender, mined) in self._waiting:
            mined += 1
        return mined

    def admit(self, signed: Signed, mined: int, balance: int, fee: int) -> None:
        """Takes a transaction, or raises RpcError.

        `mined` and `balance` are the sender's nonce and balance at the head, `fee` the next
        block's base fee. The balance must cover everything of this sender that waits.
        """
        self._check_form(signed, fee)
        sender, nonce = signed.sender, signed.transaction.nonce
        pending = self.next_nonce(sender, mined)
        if nonce < mined:
            raise RpcError(REFUSED, f"nonce too low: next nonce {pending}, tx nonce {nonce}")
        if nonce > pending + MOST_AHEAD:
            raise RpcError(REFUSED, f"nonce too high: next nonce {pending}, tx nonce {nonce}")
        older = self._waiting.get((sender, nonce))
        if older is not None:
            _check_replacement(older, signed)
        elif len(self._waiting) >= MOST_POOLED:
            raise RpcError(REFUSED, "txpool is full")
        cost = _most_cost(signed)
        owed = sum(
            _most_cost(other)
            for (owner, number), other in self._waiting.items()
            if owner == sender and number != nonce
        )
        if balance < owed + cost:
            raise RpcError(
                REFUSED,
                "insufficient funds for gas * price + value: "
                f"balance {balance}, tx cost {cost}, queued cost {owed}",
            )
        self._waiting[sender, nonce] = signed

    def ready(self, nonce_of: Callable[[Address], int], fee: int) -> Iterator[Signed]:
        """What may go into the next block, in order of arrival, each sender's nonces in a row."""
        expected: dict[bytes, int] = {}
        left = list(self._waiting.values())
        moved = True
        while moved:
            moved, later = False, []
            for signed in left:
                nonce = expected.setdefault(signed.sender, nonce_of(signed.sender))
                pays = signed.transaction.max_fee_per_gas >= fee
                if pays and signed.transaction.nonce == nonce:
                    expected[signed.sender] = nonce + 1
                    moved = True
                    yield signed
                else:
                    later.append(signed)
            left = later

    def drop(self, signed: Signed) -> None:
        self._waiting.pop((signed.sender, signed.transaction.nonce), None)

    def clear(self) -> None:
        self._waiting.clear()

    def _check_form(self, signed: Signed, fee: int) -> None:
        transaction = signed.transaction
        gas, price, least = transaction.gas, transaction.max_fee_per_gas, least_gas(transaction)
        refusal = None
        if (transaction.type_id or 0) > NEWEST_TYPE:
            refusal = "transaction type not supported"
        elif transaction.chain_id is None:
            refusal = "only replay-protected (EIP-155) transactions allowed over RPC"
        elif transaction.chain_id != self._chain_id:
            refusal = (
                f"invalid chain id for signer: have {transaction.chain_id} want {self._chain_id}"
            )
        elif gas > MOST_TRANSACTION_GAS:
            refusal = f"transaction gas limit too high (cap: {MOST_TRANSACTION_GAS}, tx: {gas})"
        elif gas < least:
            refusal = f"intrinsic gas too low: gas {gas}, minimum needed {least}"
        elif price < fee:
            refusal = (
                f"max fee per gas less than block base fee: maxFeePerGas: {price}, baseFee: {fee}"
            )
        if refusal is not None:
            raise RpcError(REFUSED, refusal)


def _check_replacement(older: Signed, newer: Signed) -> None:
    if older.hash == newer.hash:
        raise RpcError(REFUSED, "already known")
    old, new = older.transaction, newer.transaction
    bids = (
        (old.max_fee_per_gas, new.max_fee_per_gas),
        (old.max_priority_fee_per_gas, new.max_priority_fee_per_gas),
    )
    if any(after * 100 < before * (100 + BUMP_PERCENT) for before, after in bids):
        raise RpcError(REFUSED, "replacement transaction underpriced")


def _most_cost(signed: Signed) -> int:
    transaction = signed.transaction
    return int(transaction.gas * transaction.max_fee_per_gas + transaction.value)
