"""ScatterToken as a token: ERC-20 and EIP-2612."""

from typing import Any

import pytest
from eth_account import Account
from eth_account.messages import encode_typed_data
from tests.contracts.scene import Tick
from tests.contracts.twins import Twins
from tests.unit.vectors.reading import START

from scatter.adapters.contracts import TOKEN
from scatter.lifecycle import reasons
from scatter.mechanism.errors import Refused
from scatter.mechanism.parameters import PAPER
from scatter.mechanism.units import UNIT, Address

NOBODY = "0x" + "00" * 20
OWNER = Account.from_key(b"\x01" * 32)
ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141


def call(both: Twins, caller: str, function: str, *arguments: Any) -> Any:
    return both.contracts.call(caller, function, *arguments, contract=TOKEN)


def balance(both: Twins, account: str) -> int:
    return both.contracts.read(TOKEN, "balanceOf", account)


def test_the_supply_is_fixed(both: Twins) -> None:
    assert both.contracts.read(TOKEN, "totalSupply") == PAPER.supply
    assert both.contracts.read(TOKEN, "decimals") == 18
    assert both.contracts.read(TOKEN, "symbol") == "SCT"


class TestTransfer:
    def test_moves_tokens_and_says_so(
        self, both: Twins, requester: Address, stranger: Address
    ) -> None:
        [log] = call(both, requester, "transfer", stranger, 5 * UNIT)

        assert balance(both, requester) == 99_995 * UNIT
        assert balance(both, stranger) == 100_005 * UNIT
        assert list(log.values.values()) == [requester.lower(), stranger.lower(), 5 * UNIT]

    def test_to_oneself_changes_nothing(self, both: Twins, requester: Address) -> None:
        call(both, requester, "transfer", requester, 5 * UNIT)
        assert balance(both, requester) == 100_000 * UNIT

    def test_refuses_more_than_there_is(self, both: Twins, requester: Address) -> None:
        for amount in (100_000 * UNIT + 1, 2**128, 2**256 - 1):
            with pytest.raises(Refused, match=reasons.BALANCE_TOO_LOW):
                call(both, requester, "transfer", OWNER.address, amount)

    def test_refuses_to_lose_tokens_for_ever(self, both: Twins, requester: Address) -> None:
        for receiver in (NOBODY, both.contracts.at[TOKEN]):
            with pytest.raises(Refused, match=reasons.TO_NOBODY):
                call(both, requester, "transfer", receiver, 1)


class TestTransferFrom:
    def test_spends_an_allowance(self, both: Twins, requester: Address, stranger: Address) -> None:
        call(both, requester, "approve", stranger, 7)

        call(both, stranger, "transferFrom", requester, OWNER.address, 5)

        assert balance(both, OWNER.address) == 5
        assert both.contracts.read(TOKEN, "allowance", requester, stranger) == 2
        with pytest.raises(Refused, match=reasons.ALLOWANCE_TOO_LOW):
            call(both, stranger, "transferFrom", requester, OWNER.address, 3)

    def test_an_unlimited_allowance_stays(
        self, both: Twins, requester: Address, stranger: Address
    ) -> None:
        call(both, requester, "approve", stranger, 2**256 - 1)
        call(both, stranger, "transferFrom", requester, OWNER.address, 5)
        assert both.contracts.read(TOKEN, "allowance", requester, stranger) == 2**256 - 1


class TestPermit:
    def sign(self, both: Twins, spender: str, **changes: int) -> list[Any]:
        message = {"owner": OWNER.address, "spender": spender, "value": 9, "nonce": 0}
        message |= {"deadline": START + 100} | changes
        types = {
            "Permit": [
                {"name": "owner", "type": "address"},
                {"name": "spender", "type": "address"},
                {"name": "value", "type": "uint256"},
                {"name": "nonce", "type": "uint256"},
                {"name": "deadline", "type": "uint256"},
            ]
        }
        domain = {
            "name": "Scatter",
            "version": "1",
            "chainId": both.contracts.env.evm.patch.chain_id,
            "verifyingContract": both.contracts.at[TOKEN],
        }
        signed = OWNER.sign_message(encode_typed_data(domain, types, message))
        words = [signed.r.to_bytes(32, "big"), signed.s.to_bytes(32, "big")]
        return [OWNER.address, spender, 9, message["deadline"], signed.v, *words]

    def test_anybody_sends_it_once(self, both: Twins, tick: Tick, stranger: Address) -> None:
        both.contracts.move_to(tick())
        permit = self.sign(both, stranger)

        call(both, stranger, "permit", *permit)

        assert both.contracts.read(TOKEN, "allowance", OWNER.address, stranger) == 9
        assert both.contracts.read(TOKEN, "nonces", OWNER.address) == 1
        with pytest.raises(Refused, match=reasons.WRONG_SIGNATURE):
            call(both, stranger, "permit", *permit)

    def test_refuses_a_late_one(self, both: Twins, tick: Tick, stranger: Address) -> None:
        both.contracts.move_to(tick(seconds=101))
        with pytest.raises(Refused, match=reasons.PERMIT_EXPIRED):
            call(both, stranger, "permit", *self.sign(both, stranger))

    def test_refuses_a_changed_one(self, both: Twins, tick: Tick, stranger: Address) -> None:
        both.contracts.move_to(tick())
        permit = self.sign(both, stranger)
        permit[2] = 10
        with pytest.raises(Refused, match=reasons.WRONG_SIGNATURE):
            call(both, stranger, "permit", *permit)

    def test_refuses_the_second_form_of_a_signature(
        self, both: Twins, tick: Tick, stranger: Address
    ) -> None:
        both.contracts.move_to(tick())
        *rest, v, r, s = self.sign(both, stranger)
        mirrored = (ORDER - int.from_bytes(s, "big")).to_bytes(32, "big")
        with pytest.raises(Refused, match=reasons.WRONG_SIGNATURE):
            call(both, stranger, "permit", *rest, 55 - v, r, mirrored)

    def test_refuses_in_nobody_s_name(self, both: Twins, tick: Tick, stranger: Address) -> None:
        both.contracts.move_to(tick())
        broken = [NOBODY, stranger, 9, START + 100, 27, bytes(32), bytes(32)]
        with pytest.raises(Refused, match=reasons.WRONG_SIGNATURE):
            call(both, stranger, "permit", *broken)
