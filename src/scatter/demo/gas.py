"""What calls cost, from the receipts of a running chain."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from eth_utils.abi import function_abi_to_4byte_selector

from scatter.adapters.contracts import load_contracts
from scatter.adapters.deployment import Deployment
from scatter.adapters.rpc import Rpc, fields, quantity
from scatter.mechanism.units import BlockNumber

MOST_BATCH = 200
"""Blocks or receipts asked for at once."""


@dataclass(frozen=True)
class CallCost:
    """All calls of one function together."""

    transactions: int
    gas: int
    """Of all of them."""
    most: int
    """Of the dearest."""


@dataclass(frozen=True)
class GasBill:
    """What a stretch of blocks cost everybody."""

    by_call: Mapping[str, CallCost]
    """By the function's name, in the order of the alphabet."""
    failed: int
    """Transactions that were mined and reverted; their gas is counted."""

    @property
    def transactions(self) -> int:
        return sum(cost.transactions for cost in self.by_call.values())

    @property
    def total(self) -> int:
        return sum(cost.gas for cost in self.by_call.values())


async def add_up_gas(
    rpc: Rpc, deployment: Deployment, first: BlockNumber, last: BlockNumber
) -> GasBill:
    """The bill for the transactions to the deployment's contracts in the blocks first..last."""
    names = _selectors()
    ours = {address.lower() for address in deployment.contracts.values()}
    calls = {
        str(sent["hash"]): names.get(str(sent["input"])[:10], "unknown")
        for sent in await _transactions(rpc, first, last)
        if str(sent["to"]).lower() in ours
    }
    receipts = await _receipts(rpc, list(calls))
    return _bill(list(zip(calls.values(), receipts, strict=True)))


async def add_up_deployment(rpc: Rpc, deployment: Deployment, last: BlockNumber) -> GasBill:
    """The bill for creating the seven contracts, by contract, in the blocks up to `last`."""
    names = {address.lower(): name for name, address in deployment.contracts.items()}
    created = [
        str(sent["hash"])
        for sent in await _transactions(rpc, deployment.block, last)
        if sent["to"] is None
    ]
    receipts = await _receipts(rpc, created)
    made = [(names.get(str(receipt["contractAddress"]).lower()), receipt) for receipt in receipts]
    return _bill([(name, receipt) for name, receipt in made if name is not None])


async def _transactions(rpc: Rpc, first: BlockNumber, last: BlockNumber) -> list[Mapping[str, Any]]:
    found: list[Mapping[str, Any]] = []
    for start in range(first, last + 1, MOST_BATCH):
        numbers = range(start, min(start + MOST_BATCH, last + 1))
        blocks = await rpc.ask_each("eth_getBlockByNumber", [[hex(n), True] for n in numbers])
        for block in blocks:
            found += fields(block, "a block")["transactions"]
    return found


async def _receipts(rpc: Rpc, hashes: Sequence[str]) -> list[Mapping[str, Any]]:
    found: list[Mapping[str, Any]] = []
    for start in range(0, len(hashes), MOST_BATCH):
        batch = [[sent] for sent in hashes[start : start + MOST_BATCH]]
        answers = await rpc.ask_each("eth_getTransactionReceipt", batch)
        found += [fields(answer, "a receipt") for answer in answers]
    return found


def _bill(entries: Sequence[tuple[str, Mapping[str, Any]]]) -> GasBill:
    counts: Counter[str] = Counter()
    gas: Counter[str] = Counter()
    most: dict[str, int] = {}
    failed = 0
    for name, receipt in entries:
        used = quantity(receipt["gasUsed"])
        counts[name] += 1
        gas[name] += used
        most[name] = max(used, most.get(name, 0))
        failed += quantity(receipt["status"]) == 0
    by_call = {name: CallCost(counts[name], gas[name], most[name]) for name in sorted(counts)}
    return GasBill(by_call, failed)


def _selectors() -> dict[str, str]:
    """Function names by 4-byte selector, of all seven contracts."""
    return {
        "0x" + function_abi_to_4byte_selector(entry).hex(): str(entry["name"])  # type: ignore[arg-type]
        for contract in load_contracts().values()
        for entry in contract.abi
        if entry["type"] == "function"
    }
