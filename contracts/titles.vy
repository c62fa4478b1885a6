# pragma version 0.4.3
"""
@title Titles
@license Apache-2.0
@notice ERC-721 titles with metadata, each naming published content by the
        digest of its identifier. What the three title contracts share.
@dev Their external functions are compiled once, into TrainingJobToken.
     A title's word holds its owner and 96 bits of its contract's own.
     Minting calls nobody. Only `safeTransferFrom` asks a receiver, after all
     state is written.
"""

from ethereum.ercs import IERC721

import refusals
import words

interface Receiver:
    def onERC721Received(
        operator: address, giver: address, tokenId: uint256, data: Bytes[1024]
    ) -> uint256: nonpayable


RECEIVED: constant(uint256) = 353_073_666  # 0x150b7a02, what a receiver must answer

PROTOCOL: immutable(address)

owners: HashMap[uint256, uint256]  # owner 160 | note 96
balances: HashMap[address, uint256]
digests: HashMap[uint256, bytes32]
approvals: HashMap[uint256, address]
isApprovedForAll: public(HashMap[address, HashMap[address, bool]])


@deploy
def __init__(protocol: address):
    PROTOCOL = protocol


# What a contract does with its titles


@view
@internal
def _only_the_protocol():
    refusals._require(msg.sender == PROTOCOL, refusals.ONLY_BY_THE_FRONT_DOOR)


@internal
def _mint(owner: address, title: uint256, digest: bytes32, note: uint256):
    """
    @notice Creates a title, without a word to its owner.
    """
    self.owners[title] = words._pair(owner, note)
    self.balances[owner] += 1
    self.digests[title] = digest
    log IERC721.Transfer(sender=empty(address), receiver=owner, token_id=title)


@view
@internal
def _note(title: uint256) -> uint256:
    return (self.owners[title] >> 160)


@view
@internal
def _owner(title: uint256) -> address:
    owner: address = words._account(self.owners[title])
    refusals._require(owner != empty(address), refusals.NO_SUCH_TITLE)
    return owner


# What owners do


@external
def approve(approved: address, tokenId: uint256):
    owner: address = self._owner(tokenId)
    refusals._require(
        msg.sender == owner or self.isApprovedForAll[owner][msg.sender], refusals.TITLE_NOT_ALLOWED
    )
    self.approvals[tokenId] = approved
    log IERC721.Approval(owner=owner, approved=approved, token_id=tokenId)


@external
def setApprovalForAll(operator: address, approved: bool):
    self.isApprovedForAll[msg.sender][operator] = approved
    log IERC721.ApprovalForAll(owner=msg.sender, operator=operator, approved=approved)


@external
def transferFrom(owner: address, to: address, tokenId: uint256):
    self._transfer(owner, to, tokenId)


@external
def safeTransferFrom(owner: address, to: address, tokenId: uint256, data: Bytes[1024] = b""):
    self._transfer(owner, to, tokenId)
    if to.is_contract:
        answer: uint256 = extcall Receiver(to).onERC721Received(msg.sender, owner, tokenId, data)
        refusals._require(answer >> 224 == RECEIVED, refusals.TITLE_REFUSED)


@internal
def _transfer(owner: address, to: address, title: uint256):
    refusals._require(owner == self._owner(title), refusals.NOT_THE_TITLES_OWNER)
    refusals._require(to != empty(address), refusals.TITLE_TO_NOBODY)
    refusals._require(
        msg.sender == owner
        or msg.sender == self.approvals[title]
        or self.isApprovedForAll[owner][msg.sender],
        refusals.TITLE_NOT_ALLOWED,
    )
    self.approvals[title] = empty(address)
    # In place of one owner the other; the note stays.
    self.owners[title] ^= convert(owner, uint256) ^ convert(to, uint256)
    self.balances[owner] -= 1
    self.balances[to] += 1
    log IERC721.Transfer(sender=owner, receiver=to, token_id=title)


# What anybody reads


@view
@external
def ownerOf(tokenId: uint256) -> address:
    return self._owner(tokenId)


@view
@external
def balanceOf(owner: address) -> uint256:
    refusals._require(owner != empty(address), refusals.TITLE_OF_NOBODY)
    return self.balances[owner]


@view
@external
def getApproved(tokenId: uint256) -> address:
    self._owner(tokenId)
    return self.approvals[tokenId]


@view
@external
def supportsInterface(interfaceId: bytes4) -> bool:
    """
    @notice ERC-165: itself (0x01ffc9a7), ERC-721 (0x80ac58cd), and its metadata (0x5b5e139f).
    @dev As numbers, since the compiler keeps four bytes in a word of 32.
    """
    number: uint256 = convert(interfaceId, uint256)
    return number in [33_540_519, 2_158_778_573, 1_532_892_063]


@view
@external
def tokenURI(tokenId: uint256) -> String[66]:
    """
    @notice Where the content is: ipfs:// and its CIDv1 (dag-pb, sha2-256) in base32.
    @dev 36 bytes make 58 letters. The six of the prefix are constant and end
         on two zero bits, so 52 letters hold 2 + 256 + 2 bits.
    """
    self._owner(tokenId)
    digest: uint256 = convert(self.digests[tokenId], uint256)
    high: uint256 = 0  # the first twenty letters
    low: uint256 = 0
    skipped: uint256 = 258
    for i: uint256 in range(52):
        skipped = unsafe_sub(skipped, 5)
        # The last letter has three bits of the digest, and two of padding.
        quintet: uint256 = ((digest << 2) if i == 51 else (digest >> skipped)) & 31
        letter: uint256 = unsafe_add(quintet, 97 if quintet < 26 else 24)  # a..z, then 2..7
        high = (high << 8) | (low >> 248)
        low = (low << 8) | letter
    return convert(
        concat(b"ipfs://bafybei", convert(convert(high, uint160), bytes20), convert(low, bytes32)),
        String[66],
    )
