"""Calls and logs of the seven contracts, to and from bytes.

A log is decoded by name: the event `TrainerJoined(job, trainer, stake)` becomes the dataclass of
the same name, its fields in snake case. What does not decode is the endpoint's fault, since the
contracts are ours: it raises, and nothing is guessed.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from enum import IntEnum
from typing import Any, Generic, TypeVar, get_type_hints

from eth_abi.abi import decode, encode
from eth_abi.exceptions import DecodingError
from eth_utils.abi import (
    event_abi_to_log_topic,
    function_abi_to_4byte_selector,
    get_abi_input_types,
    get_abi_output_types,
)
from eth_utils.address import to_checksum_address

from scatter.adapters.contracts import Contract
from scatter.adapters.rpc import WORD, BadAnswer, data, quantity
from scatter.adapters.rpc import fields as fields_of
from scatter.mechanism.units import Address, BlockNumber

MOST_LOG_BYTES = 1 << 16
"""Of one log's data; the largest of ours, a committee of 16, has 1.2 kB."""

ERROR_SELECTOR = bytes.fromhex("08c379a0")
"""Of `Error(string)`, in which contracts put their reason."""

T = TypeVar("T")


@dataclass(frozen=True)
class Log:
    """One log, checked for form only."""

    address: Address
    topics: tuple[bytes, ...]
    data: bytes
    block: BlockNumber
    block_hash: bytes
    index: int
    """In its block."""


class Calls:
    """The functions of one contract."""

    def __init__(self, contract: Contract) -> None:
        self._functions: dict[str, Any] = {
            entry["name"]: entry for entry in contract.abi if entry["type"] == "function"
        }

    def encode(self, name: str, *arguments: Any) -> bytes:
        function = self._functions[name]
        selector = function_abi_to_4byte_selector(function)
        return bytes(selector) + encode(get_abi_input_types(function), arguments)

    def decode(self, name: str, output: bytes) -> tuple[Any, ...]:
        """What a view returned; raises BadAnswer."""
        return _decode(get_abi_output_types(self._functions[name]), output, name)


@dataclass(frozen=True)
class _Shape(Generic[T]):
    made: type[T]
    indexed: tuple[tuple[str, str], ...]
    """Field and ABI type, in the order of the topics."""
    plain: tuple[tuple[str, str], ...]
    """The same for what is in the data."""
    hints: Mapping[str, Any]


class Logs(Generic[T]):
    """The events of one contract that have a dataclass among `family`."""

    def __init__(self, contract: Contract, family: Sequence[type[T]]) -> None:
        made = {cls.__name__: cls for cls in family}
        self._shapes: dict[bytes, _Shape[T]] = {}
        self._others: set[bytes] = set()
        for entry in contract.abi:
            if entry["type"] != "event":
                continue
            topic = bytes(event_abi_to_log_topic(entry))  # type: ignore[arg-type]
            if entry["name"] in made:
                self._shapes[topic] = _shape(entry, made[entry["name"]])
            else:
                self._others.add(topic)

    def topics_with(self, field: str) -> list[str]:
        """The first topics of the events whose first indexed field is `field`."""
        return [
            "0x" + topic.hex()
            for topic, shape in self._shapes.items()
            if shape.indexed and shape.indexed[0][0] == field
        ]

    def topic_of(self, made: type[T]) -> str:
        """The first topic of this event."""
        return next(
            "0x" + topic.hex() for topic, shape in self._shapes.items() if shape.made is made
        )

    def decode(self, log: Log, **stamp: Any) -> T | None:
        """The event, or None for one of the contract's that has no dataclass.

        `stamp` are fields that do not come from the log itself. Raises BadAnswer.
        """
        shape = self._shapes.get(log.topics[0]) if log.topics else None
        if shape is None:
            if log.topics and log.topics[0] in self._others:
                return None
            raise BadAnswer(f"a log of {log.address} in block {log.block} is none of its events")
        if len(log.topics) != len(shape.indexed) + 1 or len(log.data) > MOST_LOG_BYTES:
            raise BadAnswer(f"a {shape.made.__name__} in block {log.block} has the wrong size")
        values = _decode([kind for _, kind in shape.indexed], b"".join(log.topics[1:]), "topics")
        values += _decode([kind for _, kind in shape.plain], log.data, shape.made.__name__)
        taken = {
            name: _convert(value, kind, shape.hints[name])
            for (name, kind), value in zip((*shape.indexed, *shape.plain), values, strict=True)
        }
        return shape.made(**taken, **stamp)


def parse_log(raw: Any) -> Log:
    """A log as JSON-RPC gives it; raises BadAnswer."""
    entry = fields_of(raw, "a log")
    topics = entry.get("topics")
    if not isinstance(topics, list) or len(topics) > 4 or entry.get("removed") is True:
        raise BadAnswer("not a log: wrong topics, or removed")
    return Log(
        address=Address(to_checksum_address(data(entry.get("address"), 20))),
        topics=tuple(data(topic, WORD) for topic in topics),
        data=data(entry.get("data")),
        block=BlockNumber(quantity(entry.get("blockNumber"))),
        block_hash=data(entry.get("blockHash"), WORD),
        index=quantity(entry.get("logIndex")),
    )


def reason_of(message: str, revert: bytes) -> str:
    """The reason that a contract gave, from revert data, else from the endpoint's message."""
    if revert[:4] == ERROR_SELECTOR:
        try:
            return str(_decode(["string"], revert[4:], "a reason")[0])
        except BadAnswer:
            return "execution reverted"
    return re.sub(r"^.*execution reverted:?\s*", "", message) or "execution reverted"


def _shape(entry: Mapping[str, Any], made: type[T]) -> _Shape[T]:
    places: dict[bool, list[tuple[str, str]]] = {True: [], False: []}
    for one in entry["inputs"]:
        places[one["indexed"]].append((_snake_case(one["name"]), one["type"]))
    known = {field.name for field in fields(made)}  # type: ignore[arg-type]
    strange = {name for name, _ in places[True] + places[False]} - known
    if strange:
        raise BadAnswer(f"{made.__name__} has no field {', '.join(sorted(strange))}")
    return _Shape(made, tuple(places[True]), tuple(places[False]), get_type_hints(made))


def _snake_case(name: str) -> str:
    return re.sub(r"[A-Z]", lambda letter: "_" + letter[0].lower(), name)


def _decode(types: Sequence[str], encoded: bytes, what: str) -> tuple[Any, ...]:
    try:
        return tuple(decode(types, encoded))
    except (DecodingError, UnicodeDecodeError, OverflowError) as error:
        raise BadAnswer(f"{what} does not decode: {str(error)[:200]}") from error


def _convert(value: Any, kind: str, hint: Any) -> Any:
    if kind.endswith("[]"):
        return tuple(_convert(one, kind[:-2], None) for one in value)
    if kind == "address":
        return Address(to_checksum_address(value))
    if isinstance(hint, type) and issubclass(hint, IntEnum):
        try:
            return hint(value)
        except ValueError as error:
            raise BadAnswer(f"there is no {hint.__name__} {value}") from error
    return value
