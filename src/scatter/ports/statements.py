"""What an account states to its peers, as EIP-712 typed data: where it is, and what a key is.

A signature binds the statement to one chain and one deployment (the domain), so it means nothing
elsewhere; the struct types keep the two statements apart from one another and from every
transaction. `docs/peers.md` shows both. Everything here works offline: a reply can be
verified by anybody, for ever.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from eth_account import Account
from eth_account.messages import encode_typed_data
from eth_account.signers.local import LocalAccount
from eth_keys.exceptions import BadSignature
from eth_utils.address import is_checksum_address
from eth_utils.exceptions import ValidationError

from scatter.mechanism.errors import BadInput
from scatter.mechanism.units import Address, Digest, JobId
from scatter.ports.addresses import check_gateway, check_peer_id, read_endpoint
from scatter.ports.peers import KeyReply, PeerRecord

MOST_ADDRESSES: Final = 8
KEY_LENGTH: Final = 32
SIGNATURE_LENGTH: Final = 65
MOST_AHEAD_MS: Final = 5 * 60 * 1000
"""How far a record may lie in the future: clocks of honest nodes differ."""
LIFETIME_MS: Final = 24 * 60 * 60 * 1000
"""A record older than this is forgotten; a running node renews its own long before."""

_RECORD_TYPE: Final = {
    "PeerRecord": [
        {"name": "account", "type": "address"},
        {"name": "peerId", "type": "string"},
        {"name": "addresses", "type": "string[]"},
        {"name": "gateway", "type": "string"},
        {"name": "issuedAt", "type": "uint64"},
    ]
}
_REPLY_TYPE: Final = {
    "KeyReply": [
        {"name": "job", "type": "uint256"},
        {"name": "trainer", "type": "address"},
        {"name": "model", "type": "bytes32"},
        {"name": "keyCommitment", "type": "bytes32"},
        {"name": "key", "type": "bytes32"},
        {"name": "asker", "type": "address"},
        {"name": "holder", "type": "address"},
    ]
}


class BadStatement(BadInput):
    """A record or reply is malformed, or not signed by the account it names. It is not used."""


class Untimely(BadStatement):
    """A record is too old, or from the future. Check the clocks of both machines."""


@dataclass(frozen=True)
class Deployment:
    """The domain of every signature: the chain and the `ScatterProtocol` on it."""

    chain_id: int
    protocol: Address


def sign_record(
    signer: LocalAccount,
    deployment: Deployment,
    *,
    peer_id: str,
    addresses: Sequence[str],
    gateway: str,
    issued_at: int,
) -> PeerRecord:
    """States where `signer` is reached. `issued_at` is in milliseconds since 1970.

    Raises BadInput when a bound is broken.
    """
    record = PeerRecord(
        account=Address(signer.address),
        peer_id=peer_id,
        addresses=tuple(addresses),
        gateway=gateway,
        issued_at=issued_at,
        signature=b"",
    )
    _check_record(record)
    return PeerRecord(
        **{**vars(record), "signature": _sign(signer, deployment, _RECORD_TYPE, _record(record))}
    )


def verify_record(record: PeerRecord, deployment: Deployment, *, now: int) -> None:
    """Checks bounds, age and signature; `now` is in milliseconds. Raises BadStatement, or
    Untimely for its age."""
    try:
        _check_record(record)
    except BadInput as error:
        raise BadStatement(f"record: {error}") from error
    if record.issued_at > now + MOST_AHEAD_MS:
        raise Untimely(f"record of {record.account}: issued in the future; check the clock")
    if record.issued_at < now - LIFETIME_MS:
        raise Untimely(f"record of {record.account}: too old")
    signed_by = _recover(deployment, _RECORD_TYPE, _record(record), record.signature)
    if signed_by != record.account:
        raise BadStatement(f"record of {record.account}: not signed by it")


def sign_key_reply(
    signer: LocalAccount,
    deployment: Deployment,
    *,
    job: JobId,
    trainer: Address,
    model: Digest,
    key_commitment: Digest,
    key: bytes,
    asker: Address,
) -> KeyReply:
    """States, as the holder, that `key` opens the model. Raises BadInput for wrong lengths."""
    reply = KeyReply(
        job=job,
        trainer=trainer,
        model=model,
        key_commitment=key_commitment,
        key=key,
        asker=asker,
        holder=Address(signer.address),
        signature=b"",
    )
    _check_reply(reply)
    return KeyReply(
        **{**vars(reply), "signature": _sign(signer, deployment, _REPLY_TYPE, _reply(reply))}
    )


def verify_key_reply(reply: KeyReply, deployment: Deployment) -> None:
    """Checks that `reply.holder` signed exactly this. Raises BadStatement.

    With a key that does not match `reply.key_commitment`, a verified reply proves that the
    holder handed out a wrong key.
    """
    try:
        _check_reply(reply)
    except BadInput as error:
        raise BadStatement(f"key reply: {error}") from error
    if _recover(deployment, _REPLY_TYPE, _reply(reply), reply.signature) != reply.holder:
        raise BadStatement(f"key reply: not signed by {reply.holder}")


def _check_record(record: PeerRecord) -> None:
    if not is_checksum_address(record.account):
        raise BadInput("account: not a checksummed address")
    check_peer_id(record.peer_id)
    if len(record.addresses) > MOST_ADDRESSES:
        raise BadInput(f"{len(record.addresses)} addresses, at most {MOST_ADDRESSES} are allowed")
    for address in record.addresses:
        read_endpoint(address)
    check_gateway(record.gateway)
    if not 0 <= record.issued_at < 2**63:
        raise BadInput("issued at: must lie between 0 and 2^63 milliseconds")


def _check_reply(reply: KeyReply) -> None:
    if not 0 < reply.job < 2**256:
        raise BadInput("job: no such number")
    if not all(map(is_checksum_address, (reply.trainer, reply.asker, reply.holder))):
        raise BadInput("trainer, asker or holder: not a checksummed address")
    if len(reply.key) != KEY_LENGTH:
        raise BadInput(f"key: {KEY_LENGTH} bytes are needed")
    if len(reply.model) != 32 or len(reply.key_commitment) != 32:
        raise BadInput("model or key commitment: 32 bytes are needed")


def _record(record: PeerRecord) -> dict[str, Any]:
    return {
        "account": record.account,
        "peerId": record.peer_id,
        "addresses": list(record.addresses),
        "gateway": record.gateway,
        "issuedAt": record.issued_at,
    }


def _reply(reply: KeyReply) -> dict[str, Any]:
    return {
        "job": reply.job,
        "trainer": reply.trainer,
        "model": reply.model,
        "keyCommitment": reply.key_commitment,
        "key": reply.key,
        "asker": reply.asker,
        "holder": reply.holder,
    }


def _domain(deployment: Deployment) -> dict[str, Any]:
    return {
        "name": "Scatter",
        "version": "1",
        "chainId": deployment.chain_id,
        "verifyingContract": deployment.protocol,
    }


def _sign(
    signer: LocalAccount,
    deployment: Deployment,
    types: dict[str, list[dict[str, str]]],
    message: dict[str, Any],
) -> bytes:
    signable = encode_typed_data(_domain(deployment), types, message)
    return bytes(signer.sign_message(signable).signature)


def _recover(
    deployment: Deployment,
    types: dict[str, list[dict[str, str]]],
    message: dict[str, Any],
    signature: bytes,
) -> Address:
    if len(signature) != SIGNATURE_LENGTH:
        raise BadStatement(f"signature: {SIGNATURE_LENGTH} bytes are needed")
    signable = encode_typed_data(_domain(deployment), types, message)
    try:
        return Address(Account.recover_message(signable, signature=signature))
    except (BadSignature, ValidationError, ValueError) as error:
        raise BadStatement("signature: not one of an account") from error
