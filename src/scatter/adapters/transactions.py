"""Sends the transactions of one account, each exactly once, however the endpoint behaves.

A call is estimated first, so that the protocol's refusals surface before anything is paid for.
Nonces are given out under a lock; the hash is known before the send, so that a lost answer is
settled by looking for the receipt. A transaction that does not get into a block is sent again
with higher fees under the same nonce. One that was given up, or whose block was replaced, is
taken up again when the same is asked for, so that it counts once; whoever asks for something else
takes over its nonce, so that it holds nobody up.
"""

import asyncio
import time
from collections import OrderedDict
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from eth_account import Account
from eth_account.signers.local import LocalAccount

from scatter.adapters.interface import reason_of
from scatter.adapters.receipts import Receipt, parse_receipt
from scatter.adapters.rpc import (
    SENDING,
    Rpc,
    RpcRefused,
    fields,
    quantity,
)
from scatter.mechanism.errors import Refused, ScatterError
from scatter.mechanism.units import Address, BlockNumber
from scatter.ports.chain import ChainUnreachable

MOST_GAS = 16_777_216
"""The cap of one transaction (EIP-7825)."""

MOST_FEE = 500 * 10**9
"""Wei per unit of gas: an endpoint that asks for more is lying, or the moment is a bad one."""

MOST_TIP = 50 * 10**9
"""Of that for the block's maker, who may be the very one that says how much is usual."""

MOST_PAST = 256
"""Transactions that are remembered after they were confirmed or given up."""

REVERTED = 3
"""The error code of a revert, with anvil, geth and most others."""

MOST_TRIES = 8
LOOKS_AFTER_A_LOST_ANSWER = 8


class NoGasMoney(ScatterError):
    """The account cannot pay for gas. Send it some of the chain's own currency."""


class TransactionStuck(ScatterError):
    """A transaction did not get into a block in time; it may still do so later."""


class FeesTooHigh(ScatterError):
    """The chain asks for more per unit of gas than this program ever pays. Try again later."""


@dataclass(frozen=True)
class Patience:
    """How long to wait, in seconds."""

    poll: float = 0.25
    """Between two looks for a receipt."""
    replace: float = 45.0
    """Until fees are raised."""
    give_up: float = 300.0
    """Until TransactionStuck is raised."""


PATIENCE = Patience()


@dataclass(eq=False)
class Ticket:
    """A transaction on its way: what it asks for, and every hash under which it was sent."""

    to: Address | None
    payload: bytes
    gas: int
    nonce: int
    fee: int
    tip: int
    hashes: list[str] = field(default_factory=list)
    is_mined: bool = False
    """Whether its receipt was seen; a block can be replaced after that."""


class Sender:
    """The one sender of an account: two of them in a network would fight for nonces."""

    def __init__(
        self,
        rpc: Rpc,
        account: LocalAccount,
        chain_id: int,
        patience: Patience = PATIENCE,
    ) -> None:
        self._rpc = rpc
        self._account = account
        self._chain_id = chain_id
        self._patience = patience
        self._lock = asyncio.Lock()
        self._next_nonce = 0
        self._under_way: list[Ticket] = []
        self._past: OrderedDict[tuple[Address | None, bytes], Ticket] = OrderedDict()
        """The last one of each content that is not under way."""

    @property
    def address(self) -> Address:
        return Address(self._account.address)

    async def send(self, to: Address | None, payload: bytes) -> Receipt:
        """Returns once the transaction is in a block and has succeeded.

        Raises Refused with the contract's reason; NoGasMoney, FeesTooHigh, ChainUnreachable; and
        TransactionStuck.
        """
        return await self.confirm(await self.submit(to, payload))

    async def submit(self, to: Address | None, payload: bytes) -> Ticket:
        """Estimates, signs and sends; the ticket is for `confirm`, which must follow."""
        async with self._lock:
            ticket = await self._take_up(to, payload)
        if ticket is None:
            gas = await self._estimate(to, payload)
            async with self._lock:
                ticket = await self._prepare(to, payload, gas)
                await self._let_go(ticket)
        return ticket

    async def confirm(self, ticket: Ticket) -> Receipt:
        """Waits for the receipt; raises fees when it takes long."""
        try:
            receipt = await self._wait(ticket)
            ticket.is_mined = True
        finally:
            self._under_way.remove(ticket)
            self._remember(ticket)
        if not receipt.succeeded:
            raise Refused(await self._reason(ticket, receipt))
        return receipt

    async def next_nonce(self) -> int:
        """The nonce of the account's next transaction, those that wait counted."""
        counted = await self._rpc.ask("eth_getTransactionCount", self.address, "pending")
        return quantity(counted)

    async def _take_up(self, to: Address | None, payload: bytes) -> Ticket | None:
        """An earlier transaction of this content that was given up or is in no block any more."""
        ticket = self._past.get((to, payload))
        if ticket is None:
            return None
        receipt = await self._receipt(ticket)
        if receipt is not None and ticket.is_mined:
            return None  # it counted; this is another one
        if receipt is None:
            if not ticket.is_mined:
                await self._raise_fees(ticket)
            ticket.is_mined = False
            await self._let_go(ticket)
        else:
            self._under_way.append(ticket)
        del self._past[to, payload]
        return ticket

    async def _prepare(self, to: Address | None, payload: bytes, gas: int) -> Ticket:
        """A new transaction, in the place of one that was given up and holds up all later ones."""
        fee, tip = await self._fees()
        ticket = Ticket(to, payload, gas, await self._free_nonce(), fee, tip)
        given_up = [past for past in self._past.values() if not past.is_mined]
        if given_up:
            mined = quantity(await self._rpc.ask("eth_getTransactionCount", self.address, "latest"))
            for past in given_up:
                if past.nonce == mined:
                    del self._past[past.to, past.payload]
                    ticket.nonce = mined
                    ticket.fee = min(MOST_FEE, max(fee, _more(past.fee)))
                    ticket.tip = min(ticket.fee, max(tip, _more(past.tip)))
        return ticket

    async def _let_go(self, ticket: Ticket) -> None:
        try:
            await self._launch(ticket)
        except ScatterError:
            if ticket.hashes:
                self._remember(ticket)
            raise
        following = ticket.nonce + 1
        self._next_nonce = max(self._next_nonce, following) if self._under_way else following
        self._under_way.append(ticket)

    def _remember(self, ticket: Ticket) -> None:
        self._past[ticket.to, ticket.payload] = ticket
        self._past.move_to_end((ticket.to, ticket.payload))
        while len(self._past) > MOST_PAST:
            self._past.popitem(last=False)

    async def _free_nonce(self) -> int:
        counted = await self.next_nonce()
        # While own transactions are under way an endpoint behind a balancer may count too few.
        return max(counted, self._next_nonce) if self._under_way else counted

    async def _estimate(self, to: Address | None, payload: bytes) -> int:
        call = self._call(to, payload)
        try:
            # In the next block, since deadlines are judged by its time.
            gas = quantity(await self._rpc.ask("eth_estimateGas", call, "pending"))
        except RpcRefused as error:
            raise self._explain(error) from error
        # What a call costs may change with what others do before it.
        return min(MOST_GAS, gas + gas // 4 + 10_000)

    async def _fees(self) -> tuple[int, int]:
        """Twice the base fee, so that six full blocks do not shut the transaction out."""
        block = fields(await self._rpc.ask("eth_getBlockByNumber", "latest", False), "a block")
        tip = min(MOST_TIP, quantity(await self._rpc.ask("eth_maxPriorityFeePerGas"), 256))
        fee = 2 * quantity(block.get("baseFeePerGas"), 256) + tip
        if fee > MOST_FEE:
            raise FeesTooHigh(
                f"the chain asks for {str(fee // 10**9)[:30]} gwei per unit of gas, and at most "
                f"{MOST_FEE // 10**9} are ever paid; wait until it asks for less"
            )
        return fee, tip

    async def _launch(self, ticket: Ticket) -> None:
        """Sends under the ticket's nonce, or under a later one if somebody else took it."""
        uncertain = False
        for attempt in range(MOST_TRIES):
            raw, sent_hash = self._sign(ticket)
            if sent_hash not in ticket.hashes:
                ticket.hashes.append(sent_hash)
            try:
                await self._rpc.ask(SENDING, raw)
            except RpcRefused as error:
                if "already" in error.message.lower():
                    return
                if _is_outbid(error) and len(ticket.hashes) > 1:
                    return  # one that was sent before waits under this nonce
                if not _takes_nonce(error):
                    if not uncertain:
                        ticket.hashes.remove(sent_hash)
                    if "insufficient funds" in error.message.lower():
                        raise await self._tell_the_cost(ticket) from error
                    raise self._explain(error) from error
                if await self._arrived(ticket, LOOKS_AFTER_A_LOST_ANSWER if uncertain else 1):
                    return
                # Another program that uses this key was faster; never under an older nonce.
                ticket.hashes.clear()
                ticket.nonce = max(ticket.nonce + 1, await self.next_nonce())
            except ChainUnreachable:
                # It may have arrived; the same bytes again can do no harm.
                if attempt + 1 == MOST_TRIES:
                    raise
                uncertain = True
                await asyncio.sleep(min(self._patience.poll * 2**attempt, 5.0))
            else:
                return
        raise TransactionStuck(f"{self.address}: others keep taking its nonces")

    async def _arrived(self, ticket: Ticket, looks: int) -> bool:
        """Whether the ticket is in a block; several looks, as endpoints may lag behind."""
        for _ in range(looks):
            if await self._receipt(ticket) is not None:
                return True
            await asyncio.sleep(self._patience.poll)
        return False

    def _sign(self, ticket: Ticket) -> tuple[str, str]:
        content: dict[str, Any] = {
            "type": 2,
            "chainId": self._chain_id,
            "nonce": ticket.nonce,
            "to": ticket.to or b"",
            "value": 0,
            "data": ticket.payload,
            "gas": ticket.gas,
            "maxFeePerGas": ticket.fee,
            "maxPriorityFeePerGas": ticket.tip,
        }
        signed = self._account.sign_transaction(content)
        return signed.raw_transaction.to_0x_hex(), signed.hash.to_0x_hex()

    async def _wait(self, ticket: Ticket) -> Receipt:
        started = time.monotonic()
        replace_at = started + self._patience.replace
        while True:
            now = time.monotonic()
            trouble: ScatterError = TransactionStuck(
                f"the transaction {ticket.hashes[-1]} of {self.address} is in no block after "
                f"{self._patience.give_up:.0f} s; it is taken up when the same is to be sent again"
            )
            try:
                receipt = await self._receipt(ticket)
            except ChainUnreachable as error:
                trouble = error
            else:
                if receipt is not None:
                    return receipt
                if now > replace_at:
                    replace_at = now + self._patience.replace
                    await self._outbid(ticket)
            if now - started > self._patience.give_up:
                raise trouble
            await asyncio.sleep(self._patience.poll)

    async def _outbid(self, ticket: Ticket) -> None:
        """Sends the same again with higher fees. Where that fails, what was sent still waits."""
        with suppress(ChainUnreachable):
            await self._raise_fees(ticket)
            raw, sent_hash = self._sign(ticket)
            if sent_hash not in ticket.hashes:
                ticket.hashes.append(sent_hash)
            await self._rpc.ask(SENDING, raw)

    async def _raise_fees(self, ticket: Ticket) -> None:
        """A quarter more, at least the fees of now, and never more than MOST_FEE."""
        try:
            fee, tip = await self._fees()
        except FeesTooHigh:
            fee = tip = 0
        ticket.fee = min(MOST_FEE, max(fee, _more(ticket.fee)))
        ticket.tip = min(ticket.fee, max(tip, _more(ticket.tip)))

    async def _receipt(self, ticket: Ticket) -> Receipt | None:
        for sent_hash in reversed(ticket.hashes):
            answer = await self._rpc.ask("eth_getTransactionReceipt", sent_hash)
            if answer is not None:
                return parse_receipt(answer, sent_hash)
        return None

    async def _reason(self, ticket: Ticket, receipt: Receipt) -> str:
        """Why a transaction failed: it is run again where it was, and just before."""
        if receipt.gas_used >= ticket.gas:
            return "out of gas"
        call = self._call(ticket.to, ticket.payload)
        for block in (receipt.block, BlockNumber(receipt.block - 1)):
            try:
                await self._rpc.ask("eth_call", call, hex(block))
            except RpcRefused as error:
                if error.code == REVERTED or error.data:
                    return reason_of(error.message, error.data)
        return "execution reverted"

    def _call(self, to: Address | None, payload: bytes) -> dict[str, str]:
        call = {"from": self.address, "data": "0x" + payload.hex()}
        return call | ({"to": to} if to else {})

    def _explain(self, error: RpcRefused) -> ScatterError:
        message = error.message.lower()
        if error.code == REVERTED or error.data or "execution reverted" in message:
            return Refused(reason_of(error.message, error.data))
        if "insufficient funds" in message:
            return NoGasMoney(f"{self.address} cannot pay for gas: send it some of the currency")
        return error

    async def _tell_the_cost(self, ticket: Ticket) -> NoGasMoney:
        balance = await self._rpc.ask("eth_getBalance", self.address, "latest")
        most = sum(one.gas * one.fee for one in (*self._under_way, ticket))
        return NoGasMoney(
            f"{self.address} cannot pay for gas: it holds {_show_wei(quantity(balance, 256))} of "
            f"the chain's currency and needs up to {_show_wei(most)}; send it some"
        )


def load_signer(key: bytes) -> LocalAccount:
    """The account of a private key; signs with libsecp256k1 where coincurve is installed."""
    account: LocalAccount = Account.from_key(key)
    return account


def _takes_nonce(error: RpcRefused) -> bool:
    return "nonce too low" in error.message.lower() or _is_outbid(error)


def _is_outbid(error: RpcRefused) -> bool:
    message = error.message.lower()
    return "replacement" in message and "underpriced" in message


def _more(fee: int) -> int:
    """By how much a transaction outbids another under its nonce: chains want a tenth or more."""
    return fee * 5 // 4 + 1


def _show_wei(amount: int) -> str:
    """In the currency's whole units, to nine places."""
    return f"{amount // 10**18}.{amount % 10**18 // 10**9:09}"
