"""A model's key on its way over the chain, where everybody sees the letter and one can read it.

Sealed by HPKE (RFC 9180; X25519, HKDF-SHA256, AES-256-GCM) to a key pair that the asker makes for
this one letter. Whoever was sent a wrong key shows it by giving the pair's private half away: then
everybody can open the letter, and see that what is inside is not what was committed to.
"""

from dataclasses import dataclass
from typing import Final, NewType

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

from scatter.mechanism.units import Address
from scatter.sealing.files import Key, SealBroken

LetterKey = NewType("LetterKey", bytes)
"""32 bytes: the private half of the pair to which one letter is sealed."""

LETTER_BYTES: Final = 32 + 32 + 16
"""What HPKE makes of a key: its encapsulated share, the key, the tag."""

_SUITE: Final = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)
_ASKS: Final = b"\x01"
_DISCLOSES: Final = b"\x00"
_HALF: Final = 32


@dataclass(frozen=True)
class Request:
    """A public half: seal the key to this."""

    public: bytes


@dataclass(frozen=True)
class Disclosure:
    """The private half of an earlier request: open the answer, and see that it is wrong."""

    private: LetterKey


def new_letter_key() -> LetterKey:
    """A key pair for one letter, by its private half."""
    return LetterKey(X25519PrivateKey.generate().private_bytes_raw())


def public_half(private: LetterKey) -> bytes:
    return X25519PrivateKey.from_private_bytes(private).public_key().public_bytes_raw()


def encode_request(private: LetterKey) -> bytes:
    """33 bytes that ask for a letter sealed to this pair."""
    return _ASKS + public_half(private)


def encode_disclosure(private: LetterKey) -> bytes:
    """33 bytes that give the private half away."""
    return _DISCLOSES + private


def read_request(text: bytes) -> Request | Disclosure | None:
    """What an asker wrote; None for anything else than the above."""
    if len(text) != 1 + _HALF:
        return None
    if text[:1] == _ASKS:
        return Request(text[1:])
    return Disclosure(LetterKey(text[1:])) if text[:1] == _DISCLOSES else None


def seal_letter(key: Key, request: Request, context: bytes, asker: Address) -> bytes:
    """80 bytes with `key` inside, for `asker` and for the model of `context` alone.

    Raises SealBroken for a public half that fits no pair.
    """
    try:
        public = X25519PublicKey.from_public_bytes(request.public)
        return _SUITE.encrypt(key, public, _info(context, asker))
    except ValueError as error:
        raise SealBroken("The request for a key names no key to seal it to.") from error


def open_letter(letter: bytes, private: LetterKey, context: bytes, asker: Address) -> Key:
    """The key inside; raises SealBroken when the letter is none, or for another."""
    if len(letter) != LETTER_BYTES:
        raise SealBroken(f"A letter has {LETTER_BYTES} bytes, this one {len(letter)}.")
    try:
        pair = X25519PrivateKey.from_private_bytes(private)
        return Key(_SUITE.decrypt(letter, pair, _info(context, asker)))
    except (InvalidTag, ValueError) as error:
        raise SealBroken("The letter is not sealed to this key, or for another model.") from error


def _info(context: bytes, asker: Address) -> bytes:
    return b"scatter/letter/v1\0" + context + bytes.fromhex(asker[2:])
