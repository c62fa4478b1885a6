"""What calls cost, from the receipts of a running chain."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

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
    calls: dict[str, str] = {}
    for start in range(first, last + 1, MOST_BATCH):
        numbers = range(start, min(start + MOST_BATCH, last + 1))
        blocks = await rpc.ask_each("eth_getBlockByNumber", [[hex(n), True] for n in numbers])
        for block in blocks:
            for transaction in fields(block, "a block")["transactions"]:
                if str(transaction["to"]).lower() in ours:
                    name = names.get(str(transaction["input"])[:10], "unknown")
                    calls[str(transaction["hash"])] = name
    counts: Counter[str] = Counter()
    gas: Counter[str] = Counter()
    failed = 0
    receipts = await rpc.ask_each("eth_getTransactionReceipt", [[sent] for sent in calls])
    for name, receipt in zip(calls.values(), receipts, strict=True):
        entry = fields(receipt, "a receipt")
        counts[name] += 1
        gas[name] += quantity(entry["gasUsed"])
        failed += quantity(entry["status"]) == 0
    return GasBill({name: CallCost(counts[name], gas[name]) for name in sorted(counts)}, failed)


def _selectors() -> dict[str, str]:
    """Function names by 4-byte selector, of all seven contracts."""
    return {
        "0x" + function_abi_to_4byte_selector(entry).hex(): str(entry["name"])  # type: ignore[arg-type]
        for contract in load_contracts().values()
        for entry in contract.abi
        if entry["type"] == "function"
    }
