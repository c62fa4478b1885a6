"""Whether every token is where it should be: all balances together are the supply."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak

from scatter.adapters.deployment import Deployment
from scatter.adapters.rpc import Rpc, fields, quantity
from scatter.mechanism.units import Address, Tokens

_TRANSFER = "0x" + keccak(text="Transfer(address,address,uint256)").hex()
_NOBODY = Address("0x" + "0" * 40)


@dataclass(frozen=True)
class SupplyCount:
    """The balances of everybody that ever held a token."""

    expected: Tokens
    balances: Mapping[Address, Tokens]
    token: Address
    """The contract, which holds escrow, stakes and the lottery."""
    lottery: Tokens

    @property
    def adds_up(self) -> bool:
        return sum(self.balances.values()) == self.expected

    def as_table(self) -> dict[str, int]:
        """For `report.json`."""
        return {
            "expected": self.expected,
            "counted": sum(self.balances.values()),
            "holders": len(self.balances),
            "held_by_the_token_contract": self.balances.get(self.token, Tokens(0)),
        }


async def count_supply(rpc: Rpc, deployment: Deployment) -> SupplyCount:
    """Asks the balance of every account that a Transfer event of the token ever named."""
    token = deployment.contracts["ScatterToken"]
    query = {
        "address": token,
        "topics": [_TRANSFER],
        "fromBlock": hex(deployment.block),
        "toBlock": "latest",
    }
    holders: set[Address] = set()
    for log in await rpc.ask("eth_getLogs", query):
        for topic in fields(log, "a log")["topics"][1:3]:
            holders.add(Address(to_checksum_address("0x" + str(topic)[-40:])))
    accounts = sorted(holders - {_NOBODY})
    answers = await rpc.ask_each(
        "eth_call",
        [[_call(token, "balanceOf(address)", account), "latest"] for account in accounts],
    )
    balances = [Tokens(quantity(answer, 256)) for answer in answers]
    expected = quantity(await rpc.ask("eth_call", _call(token, "totalSupply()"), "latest"), 256)
    lottery = quantity(await rpc.ask("eth_call", _call(token, "lottery()"), "latest"), 256)
    return SupplyCount(
        Tokens(expected), dict(zip(accounts, balances, strict=True)), token, Tokens(lottery)
    )


def _call(contract: Address, signature: str, account: Address | None = None) -> dict[str, Any]:
    selector = keccak(text=signature)[:4].hex()
    argument = "" if account is None else account[2:].lower().rjust(64, "0")
    return {"to": contract, "data": "0x" + selector + argument}
