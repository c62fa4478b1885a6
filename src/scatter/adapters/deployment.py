"""Puts the protocol on a chain, and remembers where: the deployment file.

The file is all that a node needs to join a network: which chain, which seven contracts, under
which parameters. It holds no secret.
"""

import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, get_type_hints

from eth_account.signers.local import LocalAccount
from eth_utils.address import is_checksum_address

from scatter.adapters.contracts import (
    DEPLOYMENT_ORDER,
    immutables,
    load_contract,
    plan_deployment,
)
from scatter.adapters.rpc import WORD, Rpc, data, quantity
from scatter.adapters.rpc import fields as fields_of
from scatter.adapters.transactions import PATIENCE, Patience, Sender
from scatter.mechanism.errors import BadInput, ScatterError
from scatter.mechanism.parameters import Parameters
from scatter.mechanism.units import Address, BlockNumber
from scatter.ports.chain import WrongChain

MOST_FILE_BYTES = 1 << 14
CUSTOM = "custom"
"""The profile's name where the parameters are nobody's standard."""


class DeploymentFailed(ScatterError):
    """The contracts are not on the chain as planned; nothing of them should be used."""


class OtherContracts(ScatterError):
    """What is deployed is not what the deployment file says. Do not use this network."""


@dataclass(frozen=True, kw_only=True)
class Deployment:
    """One network: a chain and the seven contracts on it."""

    chain_id: int
    genesis: bytes
    """The hash of block 0, which tells two local chains of one number apart."""
    rpc_url: str
    """Where the chain was reached; a node's own setting goes first."""
    profile: str
    parameters: Parameters
    contracts: Mapping[str, Address]
    """The seven by name."""
    block: BlockNumber
    """No event is older."""


async def deploy(
    rpc: Rpc,
    account: LocalAccount,
    treasury: Address,
    parameters: Parameters,
    *,
    profile: str = CUSTOM,
    patience: Patience = PATIENCE,
) -> Deployment:
    """Deploys the seven contracts; the whole supply goes to `treasury`.

    The account pays the gas, and must send nothing else meanwhile.
    Raises DeploymentFailed, Refused (the constructor's reason), NoGasMoney, ChainUnreachable.
    """
    chain_id = quantity(await rpc.ask("eth_chainId"))
    before = BlockNumber(quantity(await rpc.ask("eth_blockNumber")))
    sender = Sender(rpc, account, chain_id, patience)
    plan = plan_deployment(sender.address, await sender.next_nonce(), treasury, parameters)
    tickets = [await sender.submit(None, planned.init_code) for planned in plan]
    for planned, ticket in zip(plan, tickets, strict=True):
        receipt = await sender.confirm(ticket)
        if receipt.contract is None or receipt.contract != planned.address.lower():
            raise DeploymentFailed(
                f"{planned.name} went to {receipt.contract}, not to {planned.address}: the "
                "account sent something else meanwhile. Deploy again."
            )
    deployment = Deployment(
        chain_id=chain_id,
        genesis=await _genesis(rpc),
        rpc_url=rpc.url,
        profile=profile,
        parameters=parameters,
        contracts={planned.name: planned.address for planned in plan},
        block=before,
    )
    await check_deployment(rpc, deployment)
    return deployment


async def check_deployment(rpc: Rpc, deployment: Deployment) -> None:
    """Raises WrongChain unless the endpoint serves this very chain, with code at all addresses.

    Raises OtherContracts unless the code is this package's, told of the very addresses and
    parameters that the deployment names.
    """
    await check_chain(rpc, deployment)
    for name, address in deployment.contracts.items():
        code = data(await rpc.ask("eth_getCode", address, "latest"))
        if not code:
            raise WrongChain(f"{rpc.url} has no code at {address}, where {name} should be")
        _check_code(name, code, deployment)


def _check_code(name: str, code: bytes, deployment: Deployment) -> None:
    """Compares all bytes: those compiled, and the words that the constructor put behind them."""
    runtime = load_contract(name).runtime
    place = f"{name} at {deployment.contracts[name]}"
    told = immutables(name, deployment.contracts, deployment.parameters)
    if code[: len(runtime)] != runtime or len(code) != len(runtime) + WORD * len(told):
        raise OtherContracts(
            f"{place} is not the contract that this version of Scatter brings: use the version "
            "that it was deployed with, or another network."
        )
    for start, (key, value) in zip(range(len(runtime), len(code), WORD), told.items(), strict=True):
        kept = int.from_bytes(code[start : start + WORD], "big")
        if kept != (int(value, 16) if isinstance(value, str) else value):
            raise OtherContracts(
                f"{place} was deployed with another {key} than the deployment file says: get the "
                "file from somebody you trust, or use another network."
            )


async def check_chain(rpc: Rpc, deployment: Deployment) -> None:
    """Raises WrongChain unless the endpoint serves this very chain."""
    chain_id = quantity(await rpc.ask("eth_chainId"))
    if chain_id != deployment.chain_id:
        raise WrongChain(
            f"{rpc.url} serves the chain {chain_id}, the deployment is on {deployment.chain_id}. "
            "Set the address of an endpoint of that chain."
        )
    if await _genesis(rpc) != deployment.genesis:
        raise WrongChain(
            f"{rpc.url} serves another chain of the same number {chain_id}. A local chain that was "
            "started anew needs a new deployment."
        )


def write_deployment(path: Path, deployment: Deployment) -> None:
    """Writes the file whole or not at all."""
    shown = {
        "chain_id": deployment.chain_id,
        "genesis": "0x" + deployment.genesis.hex(),
        "rpc_url": deployment.rpc_url,
        "profile": deployment.profile,
        "block": deployment.block,
        "contracts": dict(deployment.contracts),
        "parameters": {
            field.name: getattr(deployment.parameters, field.name) for field in fields(Parameters)
        },
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("w", dir=path.parent, delete=False) as file:
        json.dump(shown, file, indent=2)
        file.write("\n")
        file.flush()
        os.fsync(file.fileno())
    Path(file.name).chmod(0o644)
    Path(file.name).replace(path)


def read_deployment(path: Path) -> Deployment:
    """Raises BadInput if the file is missing or does not say what it must."""
    try:
        with path.open("rb") as file:
            shown = json.loads(file.read(MOST_FILE_BYTES))
    except FileNotFoundError as error:
        raise BadInput(f"There is no deployment file {path}. Deploy, or name another.") from error
    except (OSError, ValueError, RecursionError) as error:
        raise BadInput(f"The deployment file {path} cannot be read: {error}") from error
    try:
        return _parse(shown)
    except ScatterError as error:
        raise BadInput(f"The deployment file {path}: {error}") from error


def _parse(shown: Any) -> Deployment:
    entry = fields_of(shown, "an object")
    contracts = fields_of(entry.get("contracts"), "an object of contracts")
    for name in DEPLOYMENT_ORDER:
        address = contracts.get(name)
        if not isinstance(address, str) or not is_checksum_address(address):
            raise BadInput(f"contracts.{name} must be a checksummed address, not {address!r}.")
    return Deployment(
        chain_id=_whole(entry, "chain_id"),
        genesis=data(entry.get("genesis"), WORD),
        rpc_url=_text(entry, "rpc_url"),
        profile=_text(entry, "profile"),
        parameters=_parameters(fields_of(entry.get("parameters"), "an object of parameters")),
        contracts={name: Address(contracts[name]) for name in DEPLOYMENT_ORDER},
        block=BlockNumber(_whole(entry, "block")),
    )


def _parameters(entry: Mapping[str, Any]) -> Parameters:
    hints = get_type_hints(Parameters)
    unknown = sorted(set(entry) - set(hints))
    if unknown:
        raise BadInput(f"there is no parameter {unknown[0]!r}.")
    values: dict[str, Any] = {}
    for name, hint in hints.items():
        value = entry.get(name) if hint is bool else _whole(entry, name)
        if hint is bool and not isinstance(value, bool):
            raise BadInput(f"{name} must be true or false.")
        try:
            values[name] = hint(value)
        except ValueError as error:
            raise BadInput(f"{name} must not be {value}.") from error
    return Parameters(**values)


def _whole(entry: Mapping[str, Any], name: str) -> int:
    value = entry.get(name)
    # JSON's true is a number to Python; the file must not be so loose.
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise BadInput(f"{name} must be a whole number from 0 up, not {str(value)[:80]!r}.")
    return value


def _text(entry: Mapping[str, Any], name: str) -> str:
    value = entry.get(name)
    if not isinstance(value, str) or len(value) > 500:
        raise BadInput(f"{name} must be a text.")
    return value


async def _genesis(rpc: Rpc) -> bytes:
    block = fields_of(await rpc.ask("eth_getBlockByNumber", "0x0", False), "a block")
    return data(block.get("hash"), WORD)
