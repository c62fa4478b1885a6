"""The seven contracts in an EVM in memory, called as `Ledger` is called.

A refused call raises Refused with the contract's reason; an accepted one returns what it logged, as
the specification's own values. Block number, time and earlier hashes are the caller's to say.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import boa
from eth_abi.abi import decode, encode
from eth_utils.abi import collapse_if_tuple
from eth_utils.address import to_canonical_address, to_checksum_address
from eth_utils.crypto import keccak

from scatter.adapters.contracts import (
    PROTOCOL,
    TOKEN,
    load_contract,
    plan_deployment,
)
from scatter.lifecycle import events, payments
from scatter.lifecycle.deployment import Block
from scatter.lifecycle.events import Event
from scatter.lifecycle.payments import Payment
from scatter.lifecycle.vocabulary import Role, Verdict
from scatter.mechanism.errors import Refused
from scatter.mechanism.parameters import Parameters
from scatter.mechanism.units import Address

DEPLOYER = Address(to_checksum_address("0x" + "d1" * 20))
ERROR = keccak(text="Error(string)")[:4]


@dataclass(frozen=True)
class Log:
    """One entry of a receipt, decoded."""

    contract: str
    event: str
    values: Mapping[str, Any]


class Contracts:
    """One deployment. `hash_of` tells the hash of an earlier block."""

    def __init__(
        self, parameters: Parameters, treasury: Address, hash_of: Callable[[int], bytes]
    ) -> None:
        self.parameters = parameters
        self.env = boa.Env()
        self.hash_of = hash_of
        self.at: dict[str, Address] = {}
        self.logged: dict[str, list[Log]] = {}
        """By each contract while it was made."""
        for step in plan_deployment(DEPLOYER, 0, treasury, parameters):
            self.deploy(step.name, step.address, step.init_code)

    def deploy(self, name: str, address: Address, init_code: bytes) -> None:
        computation = self.env.evm.deploy_code(
            sender=boa.util.abi.Address(DEPLOYER),
            origin=boa.util.abi.Address(DEPLOYER),
            target_address=boa.util.abi.Address(address),
            gas=None,
            gas_price=0,
            value=0,
            bytecode=init_code,
        )
        _refuse(computation)
        self.at[name] = address
        self.logged[name] = self._decode(computation)

    def move_to(self, block: Block) -> None:
        patch = self.env.evm.patch
        patch.block_number = block.number
        patch.timestamp = block.time
        patch.prev_hashes = _Hashes(self.hash_of, block.number)

    def call(
        self, caller: Address, function: str, *arguments: Any, contract: str = PROTOCOL
    ) -> list[Log]:
        """Sends one transaction to the front door, or to another of the seven."""
        return self.send(caller, contract, encode_call(contract, function, arguments))

    def send(self, caller: Address, contract: str, data: bytes) -> list[Log]:
        """The same with bytes that need not be a call."""
        return self._decode(self._execute(caller, contract, data, write=True))

    def read(self, contract: str, function: str, *arguments: Any) -> Any:
        """Calls a view; a single result comes without its tuple."""
        data = encode_call(contract, function, arguments)
        computation = self._execute(DEPLOYER, contract, data, write=False)
        entry = _function(contract, function, len(arguments))
        values = decode([collapse_if_tuple(o) for o in entry["outputs"]], computation.output)
        return values[0] if len(values) == 1 else values

    def _execute(self, caller: Address, contract: str, data: bytes, *, write: bool) -> Any:
        computation = self.env.execute_code(
            to_address=self.at[contract],
            sender=caller,
            data=data,
            is_modifying=write,
        )
        _refuse(computation)
        return computation

    def _decode(self, computation: Any) -> list[Log]:
        names = {to_canonical_address(address): name for name, address in self.at.items()}
        return [
            decode_log(names[address], topics, data)
            for address, topics, data in computation.get_log_entries()
        ]


def encode_call(contract: str, function: str, arguments: Sequence[Any]) -> bytes:
    entry = _function(contract, function, len(arguments))
    types = [collapse_if_tuple(i) for i in entry["inputs"]]
    return keccak(text=f"{function}({','.join(types)})")[:4] + encode(types, arguments)


def decode_log(contract: str, topics: Sequence[int], data: bytes) -> Log:
    entry = _events(contract)[topics[0]]
    indexed = [i for i in entry["inputs"] if i["indexed"]]
    plain = [i for i in entry["inputs"] if not i["indexed"]]
    values = {
        i["name"]: decode([i["type"]], topic.to_bytes(32, "big"))[0]
        for i, topic in zip(indexed, topics[1:], strict=True)
    }
    values |= zip((i["name"] for i in plain), decode([i["type"] for i in plain], data), strict=True)
    return Log(contract, entry["name"], {i["name"]: values[i["name"]] for i in entry["inputs"]})


def told(logs: Sequence[Log], block: Block) -> list[Event]:
    """The history's part of a receipt."""
    return [
        getattr(events, log.event)(time=block.time, block=block.number, **_plain(log))
        for log in logs
        if log.contract == PROTOCOL and hasattr(events, log.event)
    ]


def paid(logs: Sequence[Log]) -> list[Payment]:
    """The token's part of a receipt, without ERC-20's own events."""
    return [
        getattr(payments, log.event)(**_plain(log))
        for log in logs
        if log.contract == TOKEN and log.event not in ("Transfer", "Approval")
    ]


def _plain(log: Log) -> dict[str, Any]:
    kinds = {"verdict": Verdict, "role": Role}
    found = {}
    for name, value in log.values.items():
        kind = kinds.get(name, _checksummed)
        found[re.sub(r"(?=[A-Z])", "_", name).lower()] = kind(value)
    return found


def _checksummed(value: Any) -> Any:
    """Accounts as the specification writes them, alone or in a list."""
    if isinstance(value, (list, tuple)):
        return tuple(map(_checksummed, value))
    is_account = isinstance(value, str) and value.startswith("0x")
    return to_checksum_address(value) if is_account else value


@cache
def _function(contract: str, name: str, arguments: int) -> Mapping[str, Any]:
    return next(
        e
        for e in load_contract(contract).abi
        if e.get("name") == name and e["type"] == "function" and len(e["inputs"]) == arguments
    )


@cache
def _events(contract: str) -> Mapping[int, Mapping[str, Any]]:
    found = {}
    for entry in load_contract(contract).abi:
        if entry["type"] == "event":
            types = ",".join(i["type"] for i in entry["inputs"])
            topic = keccak(text=f"{entry['name']}({types})")
            found[int.from_bytes(topic, "big")] = entry
    return found


class _Hashes:
    """The hashes of the blocks before `number`, newest first."""

    def __init__(self, hash_of: Callable[[int], bytes], number: int) -> None:
        self.hash_of = hash_of
        self.number = number

    def __iter__(self) -> Iterator[bytes]:
        return (self.hash_of(n) for n in range(self.number - 1, -1, -1))


def _refuse(computation: Any) -> None:
    if computation.is_success:
        return
    output = computation.output
    if output[:4] == ERROR:
        raise Refused(decode(["string"], output[4:])[0])
    raise AssertionError(f"failed without a reason: {computation.error!r} {output.hex()}")
