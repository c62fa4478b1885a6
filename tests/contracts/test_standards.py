"""What ERC-20, ERC-721, ERC-165, EIP-2612 and EIP-712 demand, a test for each demand.

A test says the demand nearly in the words of the standard. All three title contracts are held to
ERC-721, the two that borrow the code of the first as well.
"""

from collections.abc import Sequence
from typing import Any

import pytest
from eth_abi.abi import encode
from eth_utils.crypto import keccak
from tests.contracts import test_token
from tests.contracts.deployed import Log, encode_call
from tests.contracts.scene import Tick
from tests.contracts.test_token import OWNER
from tests.contracts.twins import Twins

from scatter.adapters.contracts import EVALUATION_JOBS, MODELS, TOKEN, TRAINING_JOBS
from scatter.lifecycle import reasons
from scatter.mechanism.errors import Refused
from scatter.mechanism.units import Address, JobId

ALL_TITLES = (TRAINING_JOBS, EVALUATION_JOBS, MODELS)
NOBODY = "0x" + "00" * 20
OTHER = "0x" + "77" * 20
# Code that answers every call with one word: here the four bytes that a receiver must return.
WILLING = bytes.fromhex("63150b7a0260e01b5f5260205ff3")
UNWILLING = bytes.fromhex("63150b7a0360e01b5f5260205ff3")
REVERTING = bytes.fromhex("5f5ffd")


def put_code(both: Twins, account: str, code: bytes) -> None:
    both.contracts.env.evm.vm.state.set_code(bytes.fromhex(account[2:]), code)


def said(logs: Sequence[Log]) -> list[tuple[Any, ...]]:
    return [(log.event, *log.values.values()) for log in logs]


class TestErc20:
    def call(self, both: Twins, caller: str, function: str, *arguments: Any) -> list[Log]:
        return both.contracts.call(caller, function, *arguments, contract=TOKEN)

    def test_transfer_must_fire_the_transfer_event(
        self, both: Twins, requester: Address, stranger: Address
    ) -> None:
        logs = self.call(both, requester, "transfer", stranger, 5)
        assert said(logs) == [("Transfer", requester.lower(), stranger.lower(), 5)]

    def test_transfers_of_0_must_be_treated_as_normal_and_fire_the_event(
        self, both: Twins, requester: Address, stranger: Address
    ) -> None:
        event = ("Transfer", requester.lower(), stranger.lower(), 0)
        assert said(self.call(both, requester, "transfer", stranger, 0)) == [event]
        logs = self.call(both, stranger, "transferFrom", requester, stranger, 0)
        assert said(logs) == [event]

    def test_transfer_from_must_fire_the_transfer_event(
        self, both: Twins, requester: Address, stranger: Address
    ) -> None:
        self.call(both, requester, "approve", stranger, 5)
        logs = self.call(both, stranger, "transferFrom", requester, OWNER.address, 5)
        assert said(logs) == [("Transfer", requester.lower(), OWNER.address.lower(), 5)]

    def test_transfer_from_should_throw_without_the_owners_word(
        self, both: Twins, requester: Address, stranger: Address
    ) -> None:
        with pytest.raises(Refused, match=reasons.ALLOWANCE_TOO_LOW):
            self.call(both, stranger, "transferFrom", requester, stranger, 1)

    def test_approve_must_fire_the_approval_event_and_overwrites_the_allowance(
        self, both: Twins, requester: Address, stranger: Address
    ) -> None:
        for amount in (7, 3):
            logs = self.call(both, requester, "approve", stranger, amount)
            assert said(logs) == [("Approval", requester.lower(), stranger.lower(), amount)]
            assert both.contracts.read(TOKEN, "allowance", requester, stranger) == amount

    @pytest.mark.parametrize("function", ["transfer", "approve"])
    def test_success_must_be_returned_as_true(
        self, both: Twins, requester: Address, stranger: Address, function: str
    ) -> None:
        data = keccak(text=f"{function}(address,uint256)")[:4]
        data += encode(["address", "uint256"], [stranger, 1])
        answer = both.contracts._execute(requester, TOKEN, data, write=True)
        assert answer.output == (1).to_bytes(32, "big")

    def test_success_of_transfer_from_must_be_returned_as_true(
        self, both: Twins, requester: Address, stranger: Address
    ) -> None:
        self.call(both, requester, "approve", stranger, 1)
        data = encode_call(TOKEN, "transferFrom", [requester, stranger, 1])
        answer = both.contracts._execute(stranger, TOKEN, data, write=True)
        assert answer.output == (1).to_bytes(32, "big")


class TestEip2612:
    def test_the_allowance_becomes_the_value_the_nonce_one_more_and_approval_is_logged(
        self, both: Twins, tick: Tick, stranger: Address
    ) -> None:
        both.contracts.move_to(tick())
        permit = test_token.TestPermit().sign(both, stranger)
        logs = both.contracts.call(stranger, "permit", *permit, contract=TOKEN)
        assert said(logs) == [("Approval", OWNER.address.lower(), stranger.lower(), 9)]
        assert both.contracts.read(TOKEN, "nonces", OWNER.address) == 1

    def test_the_current_time_may_equal_the_deadline(
        self, both: Twins, tick: Tick, stranger: Address
    ) -> None:
        both.contracts.move_to(tick(seconds=100))
        permit = test_token.TestPermit().sign(both, stranger)
        both.contracts.call(stranger, "permit", *permit, contract=TOKEN)
        assert both.contracts.read(TOKEN, "allowance", OWNER.address, stranger) == 9

    def test_the_nonce_must_be_the_owners_current_one(
        self, both: Twins, tick: Tick, stranger: Address
    ) -> None:
        both.contracts.move_to(tick())
        permit = test_token.TestPermit().sign(both, stranger, nonce=1)
        with pytest.raises(Refused, match=reasons.WRONG_SIGNATURE):
            both.contracts.call(stranger, "permit", *permit, contract=TOKEN)


def test_the_domain_separator_is_the_hash_of_the_domain_as_eip_712_encodes_it(both: Twins) -> None:
    kind = "EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"
    words = [keccak(text=kind), keccak(text="Scatter"), keccak(text="1")]
    chain = both.contracts.env.evm.patch.chain_id
    at = both.contracts.at[TOKEN]
    encoded = encode(["bytes32"] * 3 + ["uint256", "address"], [*words, chain, at])
    assert both.contracts.read(TOKEN, "DOMAIN_SEPARATOR") == keccak(encoded)


@pytest.fixture(params=ALL_TITLES)
def contract(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def title(contract: str, trained_job: JobId) -> int:
    return 64 * trained_job if contract == MODELS else trained_job


@pytest.fixture
def owner(contract: str, requester: Address, trainers: list[Address]) -> Address:
    return trainers[0] if contract == MODELS else requester


class TestErc721:
    def test_transfer_from_moves_the_title_logs_it_and_resets_the_approval(
        self, both: Twins, contract: str, title: int, owner: Address, stranger: Address
    ) -> None:
        both.contracts.call(owner, "approve", stranger, title, contract=contract)
        move = (owner, stranger, title)
        logs = both.contracts.call(stranger, "transferFrom", *move, contract=contract)
        assert said(logs) == [("Transfer", owner.lower(), stranger.lower(), title)]
        assert both.contracts.read(contract, "ownerOf", title) == stranger.lower()
        assert both.contracts.read(contract, "getApproved", title) == NOBODY
        assert both.contracts.read(contract, "balanceOf", owner) == 0
        assert both.contracts.read(contract, "balanceOf", stranger) == 1

    @pytest.mark.parametrize("function", ["transferFrom", "safeTransferFrom"])
    def test_throws_unless_sent_by_owner_operator_or_approved(
        self,
        both: Twins,
        contract: str,
        title: int,
        owner: Address,
        stranger: Address,
        function: str,
    ) -> None:
        with pytest.raises(Refused, match=reasons.TITLE_NOT_ALLOWED):
            both.contracts.call(stranger, function, owner, stranger, title, contract=contract)

    @pytest.mark.parametrize("function", ["transferFrom", "safeTransferFrom"])
    def test_throws_if_from_is_not_the_owner_to_is_zero_or_the_title_is_not_valid(
        self,
        both: Twins,
        contract: str,
        title: int,
        owner: Address,
        stranger: Address,
        function: str,
    ) -> None:
        wrong = {
            reasons.NOT_THE_TITLES_OWNER: (stranger, owner, title),
            reasons.TITLE_TO_NOBODY: (owner, NOBODY, title),
            reasons.NO_SUCH_TITLE: (owner, stranger, 2**255),
        }
        for reason, move in wrong.items():
            with pytest.raises(Refused, match=reason):
                both.contracts.call(owner, function, *move, contract=contract)

    def test_safe_transfer_succeeds_where_the_receiver_returns_the_magic_value(
        self, both: Twins, contract: str, title: int, owner: Address, stranger: Address
    ) -> None:
        put_code(both, stranger, WILLING)
        move = (owner, stranger, title)
        both.contracts.call(owner, "safeTransferFrom", *move, b"words", contract=contract)
        assert both.contracts.read(contract, "ownerOf", title) == stranger.lower()

    def test_safe_transfer_throws_where_it_returns_anything_else(
        self, both: Twins, contract: str, title: int, owner: Address, stranger: Address
    ) -> None:
        put_code(both, stranger, UNWILLING)
        move = (owner, stranger, title)
        with pytest.raises(Refused, match=reasons.TITLE_REFUSED):
            both.contracts.call(owner, "safeTransferFrom", *move, contract=contract)
        assert both.contracts.read(contract, "ownerOf", title) == owner.lower()

    def test_safe_transfer_throws_where_the_receiver_reverts(
        self, both: Twins, contract: str, title: int, owner: Address, stranger: Address
    ) -> None:
        put_code(both, stranger, REVERTING)
        move = (owner, stranger, title)
        with pytest.raises(AssertionError, match="without a reason: Revert"):
            both.contracts.call(owner, "safeTransferFrom", *move, contract=contract)
        assert both.contracts.read(contract, "ownerOf", title) == owner.lower()

    def test_approve_logs_replaces_the_approved_and_zero_takes_it_away(
        self, both: Twins, contract: str, title: int, owner: Address, stranger: Address
    ) -> None:
        for approved in (stranger, NOBODY):
            logs = both.contracts.call(owner, "approve", approved, title, contract=contract)
            assert said(logs) == [("Approval", owner.lower(), approved.lower(), title)]
            assert both.contracts.read(contract, "getApproved", title) == approved.lower()

    def test_an_operator_acts_for_the_owner_until_revoked_and_both_are_logged(
        self, both: Twins, contract: str, title: int, owner: Address, stranger: Address
    ) -> None:
        for allowed in (True, False):
            operator = (stranger, allowed)
            logs = both.contracts.call(owner, "setApprovalForAll", *operator, contract=contract)
            assert said(logs) == [("ApprovalForAll", owner.lower(), stranger.lower(), allowed)]
            assert both.contracts.read(contract, "isApprovedForAll", owner, stranger) is allowed
            if allowed:
                logs = both.contracts.call(stranger, "approve", OTHER, title, contract=contract)
                assert said(logs) == [("Approval", owner.lower(), OTHER.lower(), title)]
        with pytest.raises(Refused, match=reasons.TITLE_NOT_ALLOWED):
            both.contracts.call(stranger, "approve", stranger, title, contract=contract)

    def test_owner_of_get_approved_and_token_uri_throw_for_what_is_no_title(
        self, both: Twins, contract: str, title: int
    ) -> None:
        for view in ("ownerOf", "getApproved", "tokenURI"):
            with pytest.raises(Refused, match=reasons.NO_SUCH_TITLE):
                both.contracts.read(contract, view, title + 2**200)

    def test_balance_of_throws_for_the_zero_address(self, both: Twins, contract: str) -> None:
        with pytest.raises(Refused, match=reasons.TITLE_OF_NOBODY):
            both.contracts.read(contract, "balanceOf", NOBODY)


def test_erc_165_must_use_less_than_30_000_gas_and_be_false_for_ffffffff(
    both: Twins, contract: str
) -> None:
    expected = {"01ffc9a7": 1, "80ac58cd": 1, "5b5e139f": 1, "ffffffff": 0, "00000000": 0}
    for interface, answer in expected.items():
        data = bytes.fromhex("01ffc9a7" + interface + "00" * 28)
        asked = both.contracts._execute(NOBODY, contract, data, write=False)
        assert asked.output == answer.to_bytes(32, "big")
        assert asked.get_gas_used() < 30_000
