# pragma version 0.4.3
"""
@title Titles
@license Apache-2.0
@notice ERC-721 titles with metadata, each naming published content by the
        digest of its identifier. What the three title contracts share.
@dev A title's word holds its owner and 96 bits of its contract's own.
     Minting calls nobody. Only `safeTransferFrom` asks a receiver, after all
     state is written.
"""

from ethereum.ercs import IERC721

import refusals
import words

interface Receiver:
    def onERC721Received(
        operator: address, giver: address, tokenId: uint256, data: Bytes[1024]
    ) -> bytes4: nonpayable


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
    refusals._require(msg.sender == PROTOCOL, "protocol: only by its front door")


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
    refusals._require(owner != empty(address), "title: does not exist")
    return owner


# What owners do


@external
def approve(approved: address, tokenId: uint256):
    owner: address = self._owner(tokenId)
    refusals._require(
        msg.sender == owner or self.isApprovedForAll[owner][msg.sender], "title: not allowed"
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
        answer: bytes4 = extcall Receiver(to).onERC721Received(msg.sender, owner, tokenId, data)
        refusals._require(answer == 0x150b7a02, "title: refused by its receiver")


@internal
def _transfer(owner: address, to: address, title: uint256):
    refusals._require(owner == self._owner(title), "title: not its owner")
    refusals._require(to != empty(address), "title: to nobody")
    refusals._require(
        msg.sender == owner
        or msg.sender == self.approvals[title]
        or self.isApprovedForAll[owner][msg.sender],
        "title: not allowed",
    )
    self.approvals[title] = empty(address)
    self.owners[title] = words._pair(to, self._note(title))
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
    refusals._require(owner != empty(address), "title: of nobody")
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
    @notice ERC-165: itself, ERC-721, and ERC-721's metadata.
    """
    return interfaceId in [0x01ffc9a7, 0x80ac58cd, 0x5b5e139f]


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
    text: uint256[2] = [0, 0]
    for i: uint256 in range(52):
        # The last letter has three bits of the digest, and two of padding.
        quintet: uint256 = ((digest << 2) if i == 51 else (digest >> (253 - 5 * i))) & 31
        letter: uint256 = quintet + (97 if quintet < 26 else 24)  # a..z, then 2..7
        text[i // 32] = (text[i // 32] << 8) | letter
    return convert(
        concat(
            b"ipfs://bafybei",
            convert(text[0], bytes32),
            convert(convert(text[1], uint160), bytes20),
        ),
        String[66],
    )
