"""Gas money on a local chain: one account that owns plenty, with a key that everybody knows.

It is the first account of anvil and of the embedded chain alike, so both are funded by ordinary
transfers. On any other chain it owns nothing, and nothing should ever be sent to it.
"""

import asyncio
from collections.abc import Sequence
from typing import Any, Final

import httpx
from eth_account import Account

from scatter.mechanism.errors import ScatterError
from scatter.mechanism.units import Address

CHAIN_ID: Final = 31337
"""The customary number of local chains."""

FAUCET_KEY: Final = bytes.fromhex(
    "ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80"
)
FAUCET: Final = Address("0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266")

FIRST_BALANCE = 10**24
"""Wei of the faucet on a new embedded chain."""

GAS_MONEY = 10 * 10**18
"""Wei that one account gets: enough for tens of thousands of transactions."""

TRANSFER_GAS = 21_000
TIP = 10**9
POLL_SECONDS = 0.05
MOST_SECONDS = 30.0


class LocalChainFailed(ScatterError):
    """The local chain did not start, or did not do what it was asked."""


async def fund(rpc_url: str, accounts: Sequence[Address], wei: int = GAS_MONEY) -> None:
    """Gives each account that owns less than half of `wei` that much; returns when it is there.

    Raises LocalChainFailed. For one caller at a time: the faucet's nonce is read, not shared.
    """
    async with httpx.AsyncClient(base_url=rpc_url, timeout=MOST_SECONDS) as client:
        poor = [
            a
            for a in accounts
            if int(await ask(client, "eth_getBalance", a, "latest"), 16) * 2 < wei
        ]
        nonce = int(await ask(client, "eth_getTransactionCount", FAUCET, "pending"), 16)
        price = int(await ask(client, "eth_gasPrice"), 16)
        hashes = []
        for offset, account in enumerate(poor):
            signed = Account.sign_transaction(
                {
                    "type": 2,
                    "chainId": CHAIN_ID,
                    "nonce": nonce + offset,
                    "to": account,
                    "value": wei,
                    "gas": TRANSFER_GAS,
                    "maxFeePerGas": 4 * price + TIP,
                    "maxPriorityFeePerGas": TIP,
                },
                FAUCET_KEY,
            )
            hashes.append(
                await ask(client, "eth_sendRawTransaction", signed.raw_transaction.to_0x_hex())
            )
        async with asyncio.timeout(MOST_SECONDS):
            for sent in hashes:
                await _wait_for_receipt(client, sent)


async def _wait_for_receipt(client: httpx.AsyncClient, sent: str) -> None:
    while True:
        if await ask(client, "eth_getTransactionReceipt", sent) is not None:
            return
        await asyncio.sleep(POLL_SECONDS)


async def ask(client: httpx.AsyncClient, method: str, *parameters: Any) -> Any:
    """One JSON-RPC request to a local chain; raises LocalChainFailed on an error."""
    request = {"jsonrpc": "2.0", "id": 1, "method": method, "params": list(parameters)}
    answer = (await client.post("", json=request)).json()
    if "error" in answer:
        raise LocalChainFailed(f"the local chain refused {method}: {answer['error']['message']}")
    return answer["result"]
