"""Messages on a stream: which protocol is spoken, then CBOR behind a length of 4 bytes.

Every size is checked before memory is spent, and every failure of a peer is a StreamBroken. The
caller sets the time-outs.
"""

import struct
from collections.abc import Sequence
from typing import Any, Final, Protocol

import cbor2
from libp2p.exceptions import BaseLibp2pError

MOST_MESSAGE_BYTES: Final = 64 * 1024
MOST_LINE_BYTES: Final = 256
MOST_NESTING: Final = 8
MOST_ITEMS: Final = 4_096

_MULTISTREAM: Final = "/multistream/1.0.0"
_NOT_SPOKEN: Final = "na"


class StreamBroken(Exception):
    """The peer ended the stream, or did not keep to the protocol; the text says how."""


class Stream(Protocol):
    """What is needed of a yamux stream."""

    async def read(self, n: int | None = None) -> bytes: ...

    async def write(self, data: bytes) -> None: ...

    async def close(self) -> None: ...

    async def reset(self) -> None: ...


async def ask_protocol(stream: Stream, protocol: str, first: object) -> None:
    """Asks for `protocol` and sends the first message in the same packet, sparing a round trip."""
    await _write(stream, _line(_MULTISTREAM) + _line(protocol) + _frame(first))
    for expected in (_MULTISTREAM, protocol):
        if await _read_line(stream) != expected:
            raise StreamBroken(f"the peer does not speak {protocol}")


async def answer_protocol(stream: Stream, spoken: Sequence[str]) -> str:
    """Agrees on one of the protocols `spoken` here (multistream-select 1.0, the answering side)."""
    if await _read_line(stream) != _MULTISTREAM:
        raise StreamBroken("the peer does not speak multistream-select")
    await _write(stream, _line(_MULTISTREAM))
    for _ in range(8):
        wanted = await _read_line(stream)
        if wanted in spoken:
            await _write(stream, _line(wanted))
            return wanted
        await _write(stream, _line(_NOT_SPOKEN))
    raise StreamBroken("the peer asks for nothing that is spoken here")


async def send(stream: Stream, message: object) -> None:
    await _write(stream, _frame(message))


async def receive(stream: Stream) -> dict[str, Any]:
    """The next message, a CBOR map with text keys."""
    (length,) = struct.unpack(">I", await _read_exactly(stream, 4))
    if length > MOST_MESSAGE_BYTES:
        raise StreamBroken(f"a message of {length} bytes, at most {MOST_MESSAGE_BYTES} are allowed")
    data = await _read_exactly(stream, length)
    _check_shape(data)
    try:
        message = cbor2.loads(data)
    except (cbor2.CBORDecodeError, UnicodeDecodeError, TypeError) as error:
        raise StreamBroken("a message that is not CBOR") from error
    if not isinstance(message, dict) or not all(isinstance(key, str) for key in message):
        raise StreamBroken("a message that is not a map of names")
    return message


def _check_shape(data: bytes) -> None:
    """Accepts one CBOR item of integers, bytes, text, lists, maps, true, false and null.

    Tags would let a stranger choose what the decoder builds (patterns, cycles, huge numbers).
    """
    position, open_items, items = 0, [1], 0
    while open_items:
        if open_items[-1] == 0:
            open_items.pop()
            continue
        open_items[-1] -= 1
        items += 1
        if position >= len(data) or items > MOST_ITEMS:
            raise StreamBroken("a message that is cut short or has too many parts")
        major, detail = data[position] >> 5, data[position] & 0x1F
        position += 1
        if major == 7 and detail in (20, 21, 22):
            continue
        if major >= 6 or detail > 27:
            raise StreamBroken("a message with parts that are not used here")
        width = 1 << (detail - 24) if detail >= 24 else 0
        count = int.from_bytes(data[position : position + width]) if width else detail
        position += width
        if major in (2, 3):
            position += count
        elif major in (4, 5):
            if count > MOST_ITEMS or len(open_items) >= MOST_NESTING:
                raise StreamBroken("a message with too many parts")
            open_items.append(count if major == 4 else 2 * count)
    if position != len(data):
        raise StreamBroken("a message whose length is not its own")


def _frame(message: object) -> bytes:
    data = cbor2.dumps(message)
    if len(data) > MOST_MESSAGE_BYTES:
        raise ValueError(f"a message of {len(data)} bytes is too large to send")
    return struct.pack(">I", len(data)) + data


def _line(text: str) -> bytes:
    data = text.encode() + b"\n"
    return bytes([len(data)]) + data


async def _read_line(stream: Stream) -> str:
    """A line behind its length as a varint; ours are below 128 bytes, so one byte long."""
    length = (await _read_exactly(stream, 1))[0]
    if length >= 0x80:
        length = (length & 0x7F) | (await _read_exactly(stream, 1))[0] << 7
    if not 0 < length <= MOST_LINE_BYTES:
        raise StreamBroken("an oversized line")
    line = await _read_exactly(stream, length)
    try:
        return line.removesuffix(b"\n").decode()
    except UnicodeDecodeError as error:
        raise StreamBroken("a line that is not text") from error


async def _read_exactly(stream: Stream, count: int) -> bytes:
    data = bytearray()
    while len(data) < count:
        try:
            chunk = await stream.read(count - len(data))
        except BaseLibp2pError as error:
            raise StreamBroken("the peer closed the stream") from error
        if not chunk:
            raise StreamBroken("the peer closed the stream")
        data += chunk
    return bytes(data)


async def _write(stream: Stream, data: bytes) -> None:
    try:
        await stream.write(data)
    except BaseLibp2pError as error:
        raise StreamBroken("the peer closed the stream") from error
