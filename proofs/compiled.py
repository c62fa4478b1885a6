"""Hands the compiled contracts to Solidity: one generated file of constants.

The bytes are those of the package's artefacts, the constructors' arguments those of
`plan_deployment`; nothing is compiled or planned a second time.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from eth_abi.abi import encode
from eth_utils.abi import collapse_if_tuple
from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak

from scatter.adapters.contracts import (
    DEPLOYMENT_ORDER,
    PROTOCOL,
    load_contract,
    plan_deployment,
)
from scatter.mechanism.parameters import PROFILES
from scatter.mechanism.units import Address

BUILD: Final = Path(__file__).parent / "build"
"""Beside the sources, since forge reads and writes nothing outside its project."""

DEPLOYER: Final = Address(to_checksum_address("0x" + "d1" * 20))
TREASURY: Final = Address(to_checksum_address("0x" + "7e" * 20))

FOR_ANYBODY: Final = (
    *("transfer", "transferFrom", "approve", "permit", "setApprovalForAll", "safeTransferFrom"),
)
"""What the six do without their front door."""

WORD: Final = 32

HEAD: Final = """// SPDX-License-Identifier: Apache-2.0
// Written by `python -m proofs`; do not change.
pragma solidity 0.8.37;
"""


def write_compiled() -> None:
    """Creation codes, each profile's constructor arguments and addresses, and the inner calls."""
    BUILD.mkdir(exist_ok=True)
    text = "\n".join([HEAD, *_constants(), *_tables()]) + "\n"
    path = BUILD / "Compiled.sol"
    if not path.exists() or path.read_text() != text:
        path.write_text(text)


def outer_functions(name: str) -> list[str]:
    """What anybody may call of a contract to change something, by name."""
    return sorted({e["name"] for e in _functions(name) if not _is_inner(name, e)})


def _constants() -> Iterator[str]:
    for name in DEPLOYMENT_ORDER:
        yield f'bytes constant CODE_{name} = hex"{load_contract(name).bytecode.hex()}";'
    yield f"address constant DEPLOYER = {DEPLOYER};"
    yield f"address constant TREASURY = {TREASURY};"


def _tables() -> Iterator[str]:
    names = ", ".join(f"CODE_{name}" for name in DEPLOYMENT_ORDER)
    yield _function("codes", f"bytes[{len(DEPLOYMENT_ORDER)}]", f"[{names}]")
    calls = [
        (place, _selector(entry), _words(entry))
        for place, name in enumerate(DEPLOYMENT_ORDER)
        for entry in _functions(name)
        if _is_inner(name, entry)
    ]
    packed = b"".join(
        bytes([place]) + selector + bytes([words]) for place, selector, words in calls
    )
    yield "// Contract 1 byte, selector 4 bytes, words of arguments 1 byte"
    yield f'bytes constant INNER_CALLS = hex"{packed.hex()}";'
    for profile, parameters in PROFILES.items():
        plan = plan_deployment(DEPLOYER, 0, TREASURY, parameters)
        tails = [step.init_code[len(load_contract(step.name).bytecode) :].hex() for step in plan]
        lines = [f'    arguments[{i}] = hex"{tail}";' for i, tail in enumerate(tails)]
        kind = f"bytes[{len(plan)}] memory arguments"
        yield "\n".join([f"function {profile}() pure returns ({kind}) {{", *lines, "}"])
    places = ", ".join(step.address for step in plan)
    yield _function("addresses", f"address[{len(plan)}]", f"[{places}]")


def _function(name: str, kind: str, value: str) -> str:
    return f"function {name}() pure returns ({kind} memory) {{\n    return {value};\n}}"


def _functions(name: str) -> list[Mapping[str, Any]]:
    return [
        entry
        for entry in load_contract(name).abi
        if entry["type"] == "function" and entry["stateMutability"] == "nonpayable"
    ]


def _is_inner(name: str, entry: Mapping[str, Any]) -> bool:
    return name != PROTOCOL and entry["name"] not in FOR_ANYBODY


def _selector(entry: Mapping[str, Any]) -> bytes:
    types = ",".join(collapse_if_tuple(i) for i in entry["inputs"])
    return keccak(text=f"{entry['name']}({types})")[:4]


def _words(entry: Mapping[str, Any]) -> int:
    """The length of a call's arguments, all of which have a fixed one."""
    types = [collapse_if_tuple(i) for i in entry["inputs"]]
    return len(encode(types, [_empty(kind) for kind in types])) // WORD


def _empty(kind: str) -> Any:
    if kind.endswith("]"):
        item, _, length = kind.removesuffix("]").rpartition("[")
        return [_empty(item)] * int(length)
    if kind.startswith("("):
        return tuple(_empty(item) for item in kind[1:-1].split(","))
    return {"address": "0x" + "00" * 20, "bool": False, "bytes32": bytes(32)}.get(kind, 0)
