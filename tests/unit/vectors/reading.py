"""Reads `jobs.json`: jobs played call by call, with the balances they must end in.

The same vectors are for the specification and for the contracts. A call is
`[second, caller, call, arguments...]`; each is in a block of its own, `wait for blocks` mines empty
ones, and a string instead of a call is a prelude. Amounts are in tokens; the treasury gives every
name of the cast its first balance. Accounts that a vector does not name end as they began.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak

from scatter.lifecycle.commitments import commit_to_dataset, commit_to_scores
from scatter.lifecycle.vocabulary import Role, Verdict
from scatter.mechanism.parameters import Parameters, local, profile
from scatter.mechanism.units import UNIT, Address, Digest, JobId, Score, Seconds, Tokens

SALT = keccak(text="salt")
DATASET = Digest(keccak(text="dataset"))
START = 1_800_000_000
"""Second 0 of the vectors."""


@dataclass(frozen=True)
class Call:
    """One call, its arguments ready for `Ledger` or a contract."""

    second: int
    caller: Address
    name: str
    """As `Ledger` names it, or `wait`."""
    arguments: tuple[Any, ...]


@dataclass(frozen=True)
class Vector:
    name: str
    parameters: Parameters
    order: Mapping[str, Any]
    calls: tuple[Call, ...]
    verdict: Verdict
    lottery: Tokens
    balances: Mapping[str, Tokens]
    """Of the whole cast, at the end."""
    stakes: Mapping[str, Tokens]
    """Role stakes of the whole cast, at the end."""


def read_vectors() -> list[Vector]:
    book = json.loads((Path(__file__).parent / "jobs.json").read_text())
    return [_vector(book, entry) for entry in book["vectors"]]


def read_equations() -> Mapping[str, list[dict[str, Any]]]:
    return json.loads((Path(__file__).parent / "equations.json").read_text())


def address_of(name: str) -> Address:
    """The account of a role's name: the last 20 bytes of its hash."""
    return Address(to_checksum_address(keccak(text=name)[-20:]))


def tokens(amount: str) -> Tokens:
    return Tokens(int(Decimal(amount).scaleb(18)))


def order(**changes: Any) -> dict[str, Any]:
    """The arguments of `create`: 1000 tokens for three trainers, threshold and floor one half."""
    return {
        "training_job": Digest(keccak(text="training job")),
        "evaluation_job": Digest(keccak(text="evaluation job")),
        "dataset_commitment": commit_to_dataset(DATASET, SALT),
        "topic": "digits",
        "reward": Tokens(1_000 * UNIT),
        "threshold": Score(5_000),
        "floor": Score(5_000),
        "most_trainers": 3,
        "least_stake": Tokens(1),
        "training_time": Seconds(100),
    } | changes


def _vector(book: Mapping[str, Any], entry: Mapping[str, Any]) -> Vector:
    changes = dict(entry["order"])
    if "reward" in changes:
        changes["reward"] = tokens(changes["reward"])
    lines = list(_flatten(book["preludes"], entry["calls"]))
    at_first = {name: tokens(amount) for name, amount in book["cast"].items()}
    bonds = {who: tokens(rest[1]) for _, who, call, *rest in lines if call == "register"}
    expected = entry["expected"]
    free = {name: Tokens(amount - bonds.get(name, 0)) for name, amount in at_first.items()}
    named = {name: tokens(amount) for name, amount in expected["balances"].items()}
    stakes = {name: tokens(amount) for name, amount in expected["stakes"].items()}
    return Vector(
        name=entry["name"],
        parameters=local(profile(entry["profile"])),
        order=order(**changes),
        calls=(*_funding(at_first), *(_call(line) for line in lines)),
        verdict=Verdict[expected["verdict"]],
        lottery=tokens(expected["lottery"]),
        balances=free | named,
        stakes=dict.fromkeys(at_first, Tokens(0)) | bonds | stakes,
    )


def _flatten(preludes: Mapping[str, Any], calls: list[Any]) -> Iterator[list[Any]]:
    for call in calls:
        if isinstance(call, str):
            yield from _flatten(preludes, preludes[call])
        else:
            yield call


def _funding(cast: Mapping[str, Tokens]) -> Iterator[Call]:
    for name, amount in cast.items():
        yield Call(0, address_of("treasury"), "transfer", (address_of(name), amount))


def _call(line: list[Any]) -> Call:
    second, who, name, *rest = line
    job, account = JobId(1), address_of(who)
    match name, rest:
        case "register", [role, amount]:
            return Call(second, account, "register", (Role[role.upper()], tokens(amount)))
        case "create", []:
            return Call(second, account, "create", ())
        case "join", [amount]:
            return Call(second, account, "join", (job, tokens(amount)))
        case "submit", [text]:
            digests = (keccak(text=text), keccak(text=f"key of {text}"))
            return Call(second, account, "submit_model", (job, *digests))
        case "publish", []:
            return Call(second, account, "publish_dataset", (job, DATASET, SALT))
        case "commit", [scores]:
            commitment = commit_to_scores(job, account, scores, SALT)
            return Call(second, account, "commit_scores", (job, commitment))
        case "reveal", [member, scores]:
            arguments = (job, address_of(member), tuple(scores), SALT)
            return Call(second, account, "reveal_scores", arguments)
        case "accuse", [target]:
            return Call(second, account, "accuse", (job, address_of(target)))
        case "vote", [target, guilty]:
            return Call(second, account, "vote", (job, address_of(target), guilty))
        case "wait for blocks", [count]:
            return Call(second, account, "wait", (count,))
        case (("start" | "cancel" | "refrain" | "settle"), []):
            return Call(second, account, name, (job,))
        case "close", []:
            return Call(second, account, "close_training", (job,))
        case "draw", []:
            return Call(second, account, "draw_committee", (job,))
        case _:
            raise ValueError(f"The vectors have no call {name} with {rest}.")
