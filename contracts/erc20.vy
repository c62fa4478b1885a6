# pragma version 0.4.3
"""
@title ERC-20
@license Apache-2.0
@notice Balances, allowances and permits (ERC-20, EIP-2612). Nothing is minted or
        burnt after construction.
@dev An account's word also counts its running jobs, so that who pays or joins
     writes one word and not two.
"""

from ethereum.ercs import IERC20

import refusals
import words

PERMIT: constant(bytes32) = keccak256(
    "Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)"
)
DOMAIN: constant(bytes32) = keccak256(
    "EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"
)
# Half of the order of secp256k1: of the two signatures with the same meaning, the lower counts.
HALF_ORDER: constant(uint256) = (
    57896044618658097711785492504343953926418782139537452191302581570759080747168
)

totalSupply: public(immutable(uint256))

accounts: HashMap[address, uint256]  # running jobs 128 | balance 128
allowance: public(HashMap[address, HashMap[address, uint256]])
nonces: public(HashMap[address, uint256])


@deploy
def __init__(treasury: address, supply: uint256):
    """
    @param treasury Receives the whole supply.
    """
    totalSupply = supply
    self.accounts[treasury] = words._put(0, 128, 128, supply)
    log IERC20.Transfer(sender=empty(address), receiver=treasury, value=supply)


# What holders of tokens do (ERC-20, EIP-2612)


@external
def transfer(to: address, amount: uint256) -> bool:
    self._send(msg.sender, to, amount)
    return True


@external
def transferFrom(owner: address, to: address, amount: uint256) -> bool:
    """
    @notice An allowance of 2^256 - 1 is without limit, and stays.
    """
    allowed: uint256 = self.allowance[owner][msg.sender]
    refusals._require(allowed >= amount, refusals.ALLOWANCE_TOO_LOW)
    if allowed != max_value(uint256):
        self.allowance[owner][msg.sender] = allowed - amount
    self._send(owner, to, amount)
    return True


@external
def approve(spender: address, amount: uint256) -> bool:
    self._approve(msg.sender, spender, amount)
    return True


@external
def permit(
    owner: address,
    spender: address,
    amount: uint256,
    deadline: uint256,
    v: uint8,
    r: bytes32,
    s: bytes32,
):
    """
    @notice An approval signed by its owner and sent by anybody (EIP-2612).
    """
    refusals._require(block.timestamp <= deadline, refusals.PERMIT_EXPIRED)
    nonce: uint256 = self.nonces[owner]
    message: bytes32 = keccak256(abi_encode(PERMIT, owner, spender, amount, nonce, deadline))
    digest: bytes32 = keccak256(concat(b"\x19\x01", self._domain(), message))
    signer: address = ecrecover(digest, v, r, s)
    refusals._require(
        signer == owner and owner != empty(address) and convert(s, uint256) <= HALF_ORDER,
        refusals.WRONG_SIGNATURE,
    )
    self.nonces[owner] = nonce + 1
    self._approve(owner, spender, amount)


@view
@external
def DOMAIN_SEPARATOR() -> bytes32:
    return self._domain()


@view
@external
def balanceOf(owner: address) -> uint256:
    return self.accounts[owner] >> 128


@view
@internal
def _domain() -> bytes32:
    return keccak256(
        abi_encode(DOMAIN, keccak256("Scatter"), keccak256("1"), chain.id, self)
    )


@internal
def _approve(owner: address, spender: address, amount: uint256):
    self.allowance[owner][spender] = amount
    log IERC20.Approval(owner=owner, spender=spender, value=amount)


@internal
def _send(sender: address, receiver: address, amount: uint256):
    """
    @dev A gift to this contract would belong to nobody for ever.
    """
    refusals._require(receiver != empty(address) and receiver != self, refusals.TO_NOBODY)
    self._move(sender, receiver, amount)


@internal
def _move(sender: address, receiver: address, amount: uint256):
    """
    @dev The count of running jobs shares the word, below the balance. Balances cannot
         overflow: together they are the supply, below 2^128.
    """
    purse: uint256 = self.accounts[sender]
    refusals._require(purse >> 128 >= amount, refusals.BALANCE_TOO_LOW)
    self.accounts[sender] = purse - (amount << 128)
    self.accounts[receiver] += amount << 128
    log IERC20.Transfer(sender=sender, receiver=receiver, value=amount)


# Who is busy


@internal
def _engage(account: address):
    """
    @notice Counts one more running job.
    """
    self.accounts[account] += 1


@view
@internal
def _is_busy(account: address) -> bool:
    return self.accounts[account] << 128 != 0


@internal
def _release(account: address):
    self.accounts[account] -= 1
