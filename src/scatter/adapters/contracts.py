"""The seven contracts as compiled with this package: interface, bytecode, plan of deployment.

Nothing here talks to a chain. `plan_deployment` says which seven transactions of one account put
the protocol on chain, in which order, and at which addresses the contracts will then be.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass, fields
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any, Final

from eth_abi.abi import encode
from eth_utils.address import to_canonical_address, to_checksum_address
from eth_utils.crypto import keccak

from scatter.mechanism.errors import ScatterError
from scatter.mechanism.parameters import Parameters
from scatter.mechanism.units import Address

PROTOCOL: Final = "ScatterProtocol"
TOKEN: Final = "ScatterToken"  # noqa: S105 - a contract, not a password
TRAINING_JOBS: Final = "TrainingJobToken"
EVALUATION_JOBS: Final = "EvaluationJobToken"
MODELS: Final = "ModelToken"
REPUTATION: Final = "ReputationManager"
VOTES: Final = "VoteManager"

DEPLOYMENT_ORDER: Final = (
    TOKEN,
    TRAINING_JOBS,
    EVALUATION_JOBS,
    MODELS,
    REPUTATION,
    VOTES,
    PROTOCOL,
)


KNOWN_CONTRACTS: Final[Mapping[str, Sequence[str]]] = {
    TOKEN: (PROTOCOL,),
    TRAINING_JOBS: (PROTOCOL,),
    EVALUATION_JOBS: (PROTOCOL, TRAINING_JOBS),
    MODELS: (PROTOCOL, TRAINING_JOBS),
    REPUTATION: (PROTOCOL, TOKEN, VOTES),
    VOTES: (PROTOCOL, TOKEN, MODELS, REPUTATION),
    PROTOCOL: (TOKEN, TRAINING_JOBS, EVALUATION_JOBS, MODELS, REPUTATION, VOTES),
}
"""Which of the others a contract is told of at construction, in the order of its arguments."""

IMMUTABLES: Final[Mapping[str, Sequence[str]]] = {
    TOKEN: (
        PROTOCOL,
        "supply",
        "validator_stake",
        "challenger_stake",
        "validator_unbonding",
        "challenger_unbonding",
        "base_penalty",
        "penalty_multiplier",
        "trainer_rate",
        "validator_rate",
        "lottery_share",
    ),
    TRAINING_JOBS: (PROTOCOL,),
    EVALUATION_JOBS: (PROTOCOL, TRAINING_JOBS),
    MODELS: (PROTOCOL, TRAINING_JOBS),
    REPUTATION: (PROTOCOL, TOKEN, VOTES),
    VOTES: (
        PROTOCOL,
        TOKEN,
        "committee_proportion",
        "least_committee",
        "most_committee",
        "commit_window",
        "reveal_window",
        "challenge_window",
        "vote_window",
        "seed_delay",
        MODELS,
        REPUTATION,
        "least_electorate",
    ),
    PROTOCOL: (
        *(TOKEN, TRAINING_JOBS, EVALUATION_JOBS, MODELS, REPUTATION, VOTES),
        *(field.name for field in fields(Parameters)),
    ),
}
"""What a contract's constructor appends to its code, one word each: other contracts' addresses and
parameters, in the order in which the compiler lays them out, module by module."""


class ArtefactsMissing(ScatterError):
    """The compiled contracts are not there. Run `python tools/compile_contracts.py`."""


class ArtefactsStale(ScatterError):
    """The contracts changed since they were compiled. Run `python tools/compile_contracts.py`."""


@dataclass(frozen=True)
class Contract:
    """One compiled contract."""

    name: str
    abi: tuple[Mapping[str, Any], ...]
    bytecode: bytes
    """Creation code, without constructor arguments."""
    runtime: bytes
    """The code that it leaves on chain, without the immutables that the constructor appends."""


@dataclass(frozen=True)
class Deployment:
    """One of the seven transactions of a deployment, and where its contract will be."""

    name: str
    address: Address
    arguments: tuple[Any, ...]
    """The constructor's, in order; a struct is a tuple."""
    init_code: bytes
    """What the transaction carries: creation code and encoded arguments."""


@cache
def load_contract(name: str) -> Contract:
    """Reads one contract from the package's data.

    Raises ArtefactsMissing; ArtefactsStale where the sources lie beside the package and differ.
    """
    file = resources.files("scatter.adapters") / "artefacts" / f"{name}.json"
    if not file.is_file():
        raise ArtefactsMissing(
            f"the compiled contract {name} is not there; run `python tools/compile_contracts.py`"
        )
    artefact = json.loads(file.read_text())
    _refuse_stale(name, artefact["sources"])
    bytecode = bytes.fromhex(artefact["bytecode"].removeprefix("0x"))
    return Contract(
        name=artefact["name"],
        abi=tuple(artefact["abi"]),
        bytecode=bytecode,
        # Creation code ends with what it copies onto the chain.
        runtime=bytecode[-artefact["runtime_bytes"] :],
    )


def load_contracts() -> Mapping[str, Contract]:
    """All seven by name."""
    return {name: load_contract(name) for name in DEPLOYMENT_ORDER}


def plan_deployment(
    deployer: Address, nonce: int, treasury: Address, parameters: Parameters
) -> tuple[Deployment, ...]:
    """The seven deployments, in the order in which `deployer` sends them from `nonce` on.

    The first six are told the address that the seventh will have, so nothing may come between.
    The whole supply goes to `treasury`.
    """
    at = {
        name: contract_address(deployer, nonce + place)
        for place, name in enumerate(DEPLOYMENT_ORDER)
    }
    settings = constructor_settings(parameters)
    arguments: dict[str, tuple[Any, ...]] = {
        name: tuple(at[other] for other in KNOWN_CONTRACTS[name]) for name in DEPLOYMENT_ORDER
    }
    arguments[TOKEN] += (treasury, settings)
    arguments[VOTES] += (settings,)
    arguments[PROTOCOL] += (settings,)
    return tuple(
        Deployment(
            name=name,
            address=at[name],
            arguments=arguments[name],
            init_code=_init_code(load_contract(name), arguments[name]),
        )
        for name in DEPLOYMENT_ORDER
    )


def constructor_settings(parameters: Parameters) -> tuple[Any, ...]:
    """The parameters as the contracts' struct `Parameters`, in the order of its members."""
    return astuple(parameters)


def immutables(
    name: str, at: Mapping[str, Address], parameters: Parameters
) -> Mapping[str, Address | int]:
    """What a contract's constructor appends to its code, one word each, in this order.

    `at` are the addresses of the seven, `parameters` those of the deployment.
    """
    return {
        key: at[key] if key in at else int(getattr(parameters, key)) for key in IMMUTABLES[name]
    }


def contract_address(deployer: Address, nonce: int) -> Address:
    """Where the contract goes that `deployer` creates with its transaction number `nonce`."""
    account = to_canonical_address(deployer)
    number = b"" if nonce == 0 else nonce.to_bytes((nonce.bit_length() + 7) // 8, "big")
    # The recursive length prefix encoding of [account, nonce]; a number under 128 is its own code.
    short = number if len(number) == 1 and number[0] < 128 else bytes([128 + len(number)]) + number
    payload = bytes([128 + len(account)]) + account + short
    digest = keccak(bytes([192 + len(payload)]) + payload)
    return Address(to_checksum_address(digest[12:]))


def _init_code(contract: Contract, arguments: tuple[Any, ...]) -> bytes:
    inputs: Sequence[Mapping[str, Any]] = next(
        (e["inputs"] for e in contract.abi if e["type"] == "constructor"), []
    )
    return contract.bytecode + encode([_abi_type(i) for i in inputs], arguments)


def _abi_type(entry: Mapping[str, Any]) -> str:
    if not entry["type"].startswith("tuple"):
        return str(entry["type"])
    members = ",".join(_abi_type(member) for member in entry["components"])
    return f"({members}){entry['type'].removeprefix('tuple')}"


def _refuse_stale(name: str, sources: Mapping[str, str]) -> None:
    folder = Path(__file__).resolve().parents[3] / "contracts"
    if not (folder / f"{PROTOCOL}.vy").is_file():
        return  # an installed package: the sources are elsewhere
    now = {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in folder.glob("*.vy")}
    changed = sorted(set(now.items()) ^ set(sources.items()))
    if changed:
        raise ArtefactsStale(
            f"{changed[0][0]} changed after {name} was compiled; "
            "run `python tools/compile_contracts.py`"
        )
