"""Receipts, as JSON-RPC gives them: that a transaction is in a block, and what came of it."""

from dataclasses import dataclass
from typing import Any

from scatter.adapters.rpc import WORD, BadAnswer, data, fields, quantity
from scatter.mechanism.units import Address, BlockNumber


@dataclass(frozen=True)
class Receipt:
    """A transaction in a block. `logs` are as the endpoint gave them."""

    block: BlockNumber
    succeeded: bool
    gas_used: int
    contract: Address | None
    """Where a contract was created; lower case."""
    logs: tuple[Any, ...]


def parse_receipt(answer: Any, sent_hash: str) -> Receipt:
    """A receipt as JSON-RPC gives it; raises BadAnswer, also for one of another transaction."""
    entry = fields(answer, "a receipt")
    if data(entry.get("transactionHash"), WORD) != bytes.fromhex(sent_hash[2:]):
        raise BadAnswer("a receipt of another transaction than was asked for")
    logs = entry.get("logs")
    if not isinstance(logs, list):
        raise BadAnswer("a receipt without logs")
    created = entry.get("contractAddress")
    return Receipt(
        block=BlockNumber(quantity(entry.get("blockNumber"))),
        succeeded=quantity(entry.get("status")) == 1,
        gas_used=quantity(entry.get("gasUsed")),
        contract=Address("0x" + data(created, 20).hex()) if created else None,
        logs=tuple(logs),
    )
