"""Records and key replies as they travel, and back, with every field checked.

Addresses are 20 bytes and digests 32. What both sides of a key request know already (job, trainer,
asker, holder) is not sent back: the signature covers it.
"""

from typing import Any

from eth_utils.address import to_canonical_address, to_checksum_address

from scatter.adapters.peers.streams import StreamBroken
from scatter.mechanism.units import Address, Digest, JobId
from scatter.ports.peers import KeyReply, PeerRecord


def write_record(record: PeerRecord) -> list[object]:
    return [
        to_canonical_address(record.account),
        record.peer_id,
        list(record.addresses),
        record.gateway,
        record.issued_at,
        record.signature,
    ]


def read_record(value: object) -> PeerRecord:
    """Unverified. Raises StreamBroken when the shape is wrong."""
    match value:
        case [bytes(account), str(peer_id), list(addresses), str(gateway), int(issued), bytes(sig)]:
            if not isinstance(issued, bool) and all(isinstance(one, str) for one in addresses):
                return PeerRecord(
                    read_account(account), peer_id, tuple(addresses), gateway, issued, sig
                )
    raise StreamBroken("a record of another shape")


def write_reply(reply: KeyReply) -> list[object]:
    return [reply.model, reply.key_commitment, reply.key, reply.signature]


def read_reply(
    value: object, *, job: JobId, trainer: Address, asker: Address, holder: Address
) -> KeyReply:
    """Unverified. Raises StreamBroken when the shape is wrong."""
    match value:
        case [bytes(model), bytes(commitment), bytes(key), bytes(signature)]:
            return KeyReply(
                job, trainer, Digest(model), Digest(commitment), key, asker, holder, signature
            )
    raise StreamBroken("a key reply of another shape")


def read_account(value: object) -> Address:
    if not isinstance(value, bytes) or len(value) != 20:
        raise StreamBroken("an account that is not 20 bytes")
    return Address(to_checksum_address(value))


def read_number(message: dict[str, Any], name: str) -> int:
    """A number that fits 64 bits."""
    value = message.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 2**64:
        raise StreamBroken(f"a message without the number {name!r}")
    return value
