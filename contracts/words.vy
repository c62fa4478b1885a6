# pragma version 0.4.3
"""
@title Words
@license Apache-2.0
@notice Several small numbers in one storage word. A field is given by the
        number of its lowest bit and its width in bits.
@dev Stateless. The compiler gives every member of a struct a slot of its own;
     a slot costs 22,100 gas when first written, hence words by hand.
"""


@pure
@internal
def _get(word: uint256, low: uint256, width: uint256) -> uint256:
    """
    @notice Reads a field.
    """
    return (word >> low) & ((1 << width) - 1)


@pure
@internal
def _put(word: uint256, low: uint256, width: uint256, field: uint256) -> uint256:
    """
    @notice Returns the word with one field replaced, and every other bit as it was.
    @dev Reverts when the new content does not fit: a cut number would be somebody's money.
    """
    assert field >> width == 0  # dev: wider than its field
    return (word & ~(((1 << width) - 1) << low)) | (field << low)


@pure
@internal
def _pair(account: address, amount: uint256) -> uint256:
    """
    @notice Packs an account (low 160 bits) with an amount of tokens (high 96 bits).
    """
    assert amount >> 96 == 0  # dev: wider than its field
    return (amount << 160) | convert(account, uint256)


@pure
@internal
def _account(word: uint256) -> address:
    """
    @notice Reads the account in the low 160 bits.
    """
    return convert(word & ((1 << 160) - 1), address)


@pure
@internal
def _amount(word: uint256) -> uint256:
    """
    @notice Reads the amount in the high 96 bits.
    """
    return word >> 160


@pure
@internal
def _count(bits: uint256) -> uint256:
    """
    @notice Counts the bits set among the low 64.
    """
    left: uint256 = bits & (2**64 - 1)
    found: uint256 = 0
    for i: uint256 in range(64):
        if left == 0:
            break
        left &= left - 1
        found += 1
    return found
