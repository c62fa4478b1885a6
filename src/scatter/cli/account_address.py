"""The account of a keystore file."""

from pathlib import Path

from eth_utils.address import is_address, to_checksum_address

from scatter.adapters.keystore import read_address
from scatter.mechanism.errors import BadInput
from scatter.mechanism.units import Address


def keystore_address(keystore: Path) -> Address:
    """Its checksummed address (ERC-55), without the password. Raises BadInput."""
    address = read_address(keystore)
    if not is_address(address):
        raise BadInput(f"{keystore} names no account; import the key anew")
    return Address(to_checksum_address(address))
