"""The key of an account in a file: encrypted with a password, in the format of Ethereum clients.

Any wallet reads it (Web3 Secret Storage, version 3, scrypt). The file belongs to its owner alone
(mode 0600) and is written whole or not at all; an existing one is never overwritten.
"""

import json
import os
import secrets
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from eth_account import Account
from eth_account.signers.local import LocalAccount
from eth_utils.address import is_hex_address, to_checksum_address

from scatter.adapters.transactions import load_signer
from scatter.mechanism.errors import BadInput, ScatterError
from scatter.mechanism.units import Address

SCRYPT_WORK = 1 << 17
"""Takes 128 MiB and about 0.4 s per try of a password. A power of two."""

LIGHT_SCRYPT_WORK = 1 << 12
"""For the keys of a demo, which guard nothing: twelve of them open in a moment."""

MOST_SCRYPT_WORK = 1 << 20
SCRYPT_BLOCK = 8
MOST_FILE_BYTES = 1 << 14
SECRET_BYTES = 32
PRIVATE = 0o600


class WrongPassword(ScatterError):
    """The password does not open this keystore file. Try again, or look for a copy."""


def create_key(path: Path, password: str, *, work: int = SCRYPT_WORK) -> LocalAccount:
    """Makes a new account and keeps its key at `path`; raises BadInput if the file exists."""
    return import_key(path, secrets.token_bytes(SECRET_BYTES), password, work=work)


def import_key(path: Path, key: bytes, password: str, *, work: int = SCRYPT_WORK) -> LocalAccount:
    """Keeps an existing 32-byte key at `path`; raises BadInput if it is none or the file exists."""
    try:
        account = load_signer(key)
    except ValueError as error:
        raise BadInput("This is not a private key: it must be 32 bytes, and not zero.") from error
    kept = Account.encrypt(key, password, kdf="scrypt", iterations=work)
    try:
        _write(path, kept)
    except OSError as error:
        if path.exists():
            raise BadInput(f"{path} exists already; a key is never overwritten.") from error
        raise BadInput(
            f"The keystore file {path} cannot be written: {error.strerror}. Choose another place."
        ) from error
    return account


def _write(path: Path, kept: Mapping[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("w", dir=path.parent) as file:
        Path(file.name).chmod(PRIVATE)
        json.dump(kept, file)
        file.flush()
        os.fsync(file.fileno())
        # A hard link fails where the name is taken; a rename would overwrite.
        path.hardlink_to(file.name)


def load_key(path: Path, password: str) -> LocalAccount:
    """Opens the file at `path`.

    Raises BadInput if it is missing, open to others, or no keystore file; WrongPassword.
    """
    kept = _read(path)
    _refuse_unbearable(kept, path)
    try:
        key = Account.decrypt(kept, password)
    except (KeyError, TypeError, NotImplementedError) as error:
        raise _not_a_keystore(path) from error
    except ValueError as error:
        if "MAC" in str(error):
            raise WrongPassword(f"The password does not open {path}.") from error
        raise _not_a_keystore(path) from error
    return load_signer(bytes(key))


def read_address(path: Path) -> Address:
    """The account that a keystore file names, without its password, so it is not proven."""
    address = _read(path).get("address")
    if not is_hex_address(address):
        raise _not_a_keystore(path)
    return Address(to_checksum_address(address))


def _read(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            content = file.read(MOST_FILE_BYTES)
    except FileNotFoundError as error:
        raise BadInput(f"There is no keystore file {path}. Create or import a key.") from error
    except OSError as error:
        raise BadInput(f"The keystore file {path} cannot be read: {error.strerror}.") from error
    if mode & 0o077:
        raise BadInput(f"Others may read {path}. Run: chmod 600 {path}")
    try:
        kept = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise _not_a_keystore(path) from error
    if not isinstance(kept, dict):
        raise _not_a_keystore(path)
    return kept


def _refuse_unbearable(kept: dict[str, Any], path: Path) -> None:
    """A file made by others must not ask for gigabytes or hours."""
    crypto = kept.get("crypto", kept.get("Crypto"))
    if not isinstance(crypto, dict) or not isinstance(crypto.get("kdfparams"), dict):
        raise _not_a_keystore(path)
    work = crypto["kdfparams"]
    n, r, p, c = (work.get(name, 1) for name in ("n", "r", "p", "c"))
    if not all(isinstance(one, int) for one in (n, r, p, c)):
        raise _not_a_keystore(path)
    if n * r * p > MOST_SCRYPT_WORK * SCRYPT_BLOCK or c > 10_000_000:
        raise BadInput(f"{path} asks for too much work to be opened; import the key anew.")


def _not_a_keystore(path: Path) -> BadInput:
    return BadInput(f"{path} is not a keystore file of an Ethereum account.")
