"""A user's own scenario, from a TOML file; `docs/simulation.md` explains every key."""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar

from scatter.economy.scenario import (
    Crowd,
    OfChallenger,
    OfRequester,
    OfTrainer,
    OfValidator,
    Scenario,
    Spread,
)
from scatter.mechanism.errors import BadInput
from scatter.mechanism.parameters import LotteryShare, Parameters, profile
from scatter.mechanism.units import WHOLE, BasisPoints, Score, Tokens
from scatter.node.amounts import read_score, read_tokens

MOST_BYTES = 1 << 16

_NAME = re.compile(r"\w[\w .-]{0,79}\Z")
"""It is also the name of a folder."""

TOP = {"name", "profile", "jobs", "seed", "tokens", "reward", "threshold", "malicious"}
CROWD = {"count", "malicious", "manner", "cheats", "work"}
MORE = {
    "requesters": set[str](),
    "trainers": {"stake", "good", "bad"},
    "validators": set[str](),
    "challengers": {"lead"},
}
MANNERS = {
    "requesters": OfRequester,
    "trainers": OfTrainer,
    "validators": OfValidator,
    "challengers": OfChallenger,
}
RATES = ("tax_rate", "trainer_rate", "validator_rate", "committee_proportion")
AMOUNTS = ("validator_stake", "challenger_stake", "base_penalty", "least_reward")
NUMBERS = ("penalty_multiplier", "least_committee", "most_committee", "least_electorate")
SHARES = {"whole-pool": LotteryShare.WHOLE_POOL, "half-of-the-fine": LotteryShare.HALF_OF_THE_FINE}

KEYS = {
    *TOP,
    *(f"{role}.{key}" for role, more in MORE.items() for key in CROWD | more),
    *(f"parameters.{key}" for key in (*RATES, *AMOUNTS, *NUMBERS, "lottery_share")),
}
"""Every key, with its table."""

S = TypeVar("S", OfRequester, OfTrainer, OfValidator, OfChallenger)
Table = Mapping[str, Any]


def read_scenario(path: Path) -> Scenario:
    """Raises BadInput, naming the file and the key."""
    return parse_scenario(read_table(path), str(path), default_name=path.stem)


def read_table(path: Path) -> dict[str, Any]:
    """The file as it stands. Raises BadInput."""
    try:
        with path.open("rb") as file:
            text = file.read(MOST_BYTES + 1)
        if len(text) > MOST_BYTES:
            raise BadInput(f"{path} is larger than {MOST_BYTES >> 10} kB: not a scenario.")
        return tomllib.loads(text.decode(), parse_float=Decimal)
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error.strerror}.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadInput(f"{path} is not TOML: {error}.") from error


def parse_scenario(table: Table, where: str, *, default_name: str) -> Scenario:
    """What a table says; what it leaves out is as in section 4.1. Raises BadInput."""
    try:
        _refuse_unknown(table)
        return _parse(table, default_name)
    except BadInput as error:
        raise BadInput(f"{where}: {error}") from error


def _refuse_unknown(table: Table) -> None:
    for key, value in table.items():
        is_table = key in MORE or key == "parameters"
        if is_table and not isinstance(value, dict):
            raise BadInput(f"{key} must be a table, [{key}].")
        for found in [f"{key}.{inner}" for inner in value] if is_table else [key]:
            if found not in KEYS:
                near = get_close_matches(found, KEYS, 1)
                hint = f"; did you mean {near[0]}?" if near else "."
                raise BadInput(f"there is no key {found}{hint}")


def _parse(table: Table, default_name: str) -> Scenario:
    usual = Scenario(name="usual")
    trainers = table.get("trainers", {})
    name = table.get("name", default_name)
    if not isinstance(name, str) or not _NAME.match(name):
        raise BadInput("name must be up to 80 letters, digits, spaces, dots, hyphens.")
    lead = table.get("challengers", {}).get("lead")
    return Scenario(
        name=name,
        parameters=_parameters(table),
        jobs=_whole("jobs", table.get("jobs", usual.jobs)),
        seed=_whole("seed", table.get("seed", usual.seed)),
        tokens=_tokens("tokens", table["tokens"]) if "tokens" in table else usual.tokens,
        reward=_spread("reward", table.get("reward"), _tokens, usual.reward),
        threshold=_score("threshold", table["threshold"])
        if "threshold" in table
        else usual.threshold,
        stake=_spread("trainers.stake", trainers.get("stake"), _tokens, usual.stake),
        good=_spread("trainers.good", trainers.get("good"), _score, usual.good),
        bad=_spread("trainers.bad", trainers.get("bad"), _score, usual.bad),
        lead=usual.lead if lead is None else BasisPoints(_score("challengers.lead", lead)),
        requesters=_crowd("requesters", table, usual.requesters, OfRequester),
        trainers=_crowd("trainers", table, usual.trainers, OfTrainer),
        validators=_crowd("validators", table, usual.validators, OfValidator),
        challengers=_crowd("challengers", table, usual.challengers, OfChallenger),
    )


def _crowd(role: str, table: Table, usual: Crowd[S], manners: type[S]) -> Crowd[S]:
    said = table.get(role, {})
    count = _whole(f"{role}.count", said.get("count", usual.count))
    manner = said.get("manner", usual.manner)
    # A share of all but the requesters may stand at the top.
    everywhere = 0 if role == "requesters" else _share(table)
    if manner not in list(manners):
        known = ", ".join(f'"{one}"' for one in manners)
        raise BadInput(f"{role}.manner must be one of {known}, not {manner!r}.")
    cheats = said.get("cheats")
    return Crowd(
        count=count,
        manner=manners(manner),
        malicious=_some_of(f"{role}.malicious", said.get("malicious", everywhere), count),
        cheats=usual.cheats if cheats is None else BasisPoints(_score(f"{role}.cheats", cheats)),
        work=_tokens(f"{role}.work", said.get("work", 0)),
    )


def _parameters(table: Table) -> Parameters:
    name = table.get("profile", "paper")
    if not isinstance(name, str):
        raise BadInput('profile must be "paper" or "hardened".')
    usual = profile(name)
    said = table.get("parameters", {})
    values: dict[str, Any] = {}
    for key, value in said.items():
        place = f"parameters.{key}"
        if key in RATES:
            values[key] = BasisPoints(_score(place, value))
        elif key in AMOUNTS:
            values[key] = _tokens(place, value)
        elif key in NUMBERS:
            values[key] = _whole(place, value)
        elif isinstance(value, str) and value in SHARES:
            values[key] = SHARES[value]
        else:
            raise BadInput(f'{place} must be "whole-pool" or "half-of-the-fine", not {value!r}.')
    if "tax_rate" in values and not {"trainer_rate", "validator_rate"} & values.keys():
        # The tax alone was said: the two others keep their proportion.
        left = WHOLE - values["tax_rate"]
        both = usual.trainer_rate + usual.validator_rate
        values["trainer_rate"] = BasisPoints(left * usual.trainer_rate // both)
        values["validator_rate"] = BasisPoints(left - values["trainer_rate"])
    try:
        return replace(usual, **values)
    except BadInput as error:
        raise BadInput(f"parameters: {error}") from error


def _spread(key: str, value: Any, read: Any, usual: Spread) -> Spread:
    """A number, [least, most], or {mean, deviation, least, most}."""
    if value is None:
        return usual
    if isinstance(value, list) and len(value) == 2:
        least, most = (read(key, one) for one in value)
        return Spread(least, most)
    if isinstance(value, dict) and set(value) == {"mean", "deviation", "least", "most"}:
        found = {name: read(f"{key}.{name}", one) for name, one in value.items()}
        return Spread(found["least"], found["most"], found["mean"], found["deviation"])
    if isinstance(value, int | Decimal):
        only = read(key, value)
        return Spread(only, only)
    raise BadInput(f"{key} must be a number, [least, most], or {{ mean, deviation, least, most }}.")


def _some_of(key: str, value: Any, count: int) -> int:
    """A number of nodes, or with a decimal point a share of all of them."""
    if isinstance(value, Decimal):
        return (count * _score(key, value) + WHOLE // 2) // WHOLE
    return _whole(key, value)


def _share(table: Table) -> Decimal:
    value = table.get("malicious", Decimal(0))
    if value in (0, 1) and not isinstance(value, bool):
        return Decimal(value)
    if not isinstance(value, Decimal):
        raise BadInput("malicious must be a share of all nodes, such as 0.25.")
    return value


def _whole(key: str, value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 2**64:
        raise BadInput(f"{key} must be a whole number, not {str(value)[:80]!r}.")
    return value


def _tokens(key: str, value: Any) -> Tokens:
    return Tokens(_read(key, value, read_tokens))


def _score(key: str, value: Any) -> Score:
    return Score(_read(key, value, read_score))


def _read(key: str, value: Any, read: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise BadInput(f"{key} must be a number, not {str(value)[:80]!r}.")
    try:
        return int(read(str(value)))
    except BadInput as error:
        raise BadInput(f"{key}: {error}") from error
