"""All kinds of hands on the contracts and on the specification, side by side, in any order.

The rules of `Walk` make calls that must succeed; those below add hostile calls. What is refused
must be refused by both in the same words, and what is done must be done by both: the same events,
the same payments, the same verdict (`Twins`). No rule catches what it did not expect.

`docs/assurance.md` says what was seen to fail on a seeded bug.
"""

import secrets
from collections import Counter
from contextlib import ExitStack
from itertools import count
from typing import Any, ClassVar

import pytest
from eth_utils.abi import collapse_if_tuple
from hypothesis import HealthCheck, seed, settings
from hypothesis import Phase as Stage
from hypothesis import strategies as st
from hypothesis.stateful import invariant, precondition, rule, run_state_machine_as_test
from tests.contracts.twins import Twins, twins
from tests.unit.test_lifecycle_walks import (
    EVERYBODY,
    HardenedWalk,
    PaperWalk,
    Walk,
)
from tests.unit.vectors.reading import DATASET, SALT, order

from scatter.adapters.contracts import DEPLOYMENT_ORDER, PROTOCOL, TOKEN, load_contract
from scatter.lifecycle import reasons
from scatter.lifecycle.vocabulary import Role, Verdict
from scatter.mechanism.errors import Refused
from scatter.mechanism.units import MOST_STAKE, UNIT, Address, JobId, Tokens

CALLS = [
    *("create", "join", "start", "cancel", "submit", "close", "draw", "publish"),
    *("commit", "refrain", "reveal", "accuse", "vote", "settle"),
    *("register", "unstake", "withdraw", "transfer"),
]

ORDERS = st.fixed_dictionaries(
    {},
    optional={
        "topic": st.sampled_from(["", "a" * 64, "A", "two words", "x_y", "z-9", "{", "\x00"]),
        "reward": st.sampled_from([0, 1, 99 * UNIT, 100 * UNIT, MOST_STAKE, MOST_STAKE + 1]),
        "threshold": st.sampled_from([0, 5_000, 10_000, 10_001]),
        "floor": st.sampled_from([0, 4_999, 5_000, 5_001, 2**255]),
        "most_trainers": st.sampled_from([0, 1, 64, 65]),
        "least_stake": st.sampled_from([0, 1, MOST_STAKE, MOST_STAKE + 1]),
        "training_time": st.sampled_from([0, 1, 3_600, 3_601, 2**256 - 1]),
        "training_job": st.sampled_from([DATASET, bytes(32)]),
    },
)

FOR_ANYBODY = {
    *("transfer", "transferFrom", "approve", "permit", "setApprovalForAll", "safeTransferFrom"),
}
"""What the six do without their front door."""

INNER_CALLS = [
    (contract, entry["name"], tuple(collapse_if_tuple(i) for i in entry["inputs"]))
    for contract in DEPLOYMENT_ORDER
    for entry in load_contract(contract).abi
    if entry["type"] == "function"
    and entry["stateMutability"] == "nonpayable"
    and contract != PROTOCOL
    and entry["name"] not in FOR_ANYBODY
]


class Machine(Walk):
    """One network, honest and hostile hands, contracts and specification."""

    done: ClassVar[Counter[str]]
    """How often each call was made (a name), and refused by both (`refused` and the name)."""

    def __init__(self) -> None:
        super().__init__()
        self.opened = ExitStack()
        self.both: Twins = self.opened.enter_context(twins(self.parameters))
        self.ledger = self.both
        self.checked = self.ended = 0

    # Hostile hands

    @rule(
        data=st.data(),
        caller=st.sampled_from(EVERYBODY),
        other=st.sampled_from(EVERYBODY),
        number=st.sampled_from([1, 1, 1, 2, 9]),
        call=st.sampled_from(CALLS),
    )
    def try_anything(
        self, data: st.DataObject, caller: Address, other: Address, number: int, call: str
    ) -> None:
        job = JobId(number)
        ledger, block = self.ledger, self.block
        amount = data.draw(st.sampled_from([0, 1, UNIT, 30_000 * UNIT, MOST_STAKE, MOST_STAKE + 1]))
        digest = data.draw(st.sampled_from([DATASET, bytes(32), SALT]))
        scores = data.draw(st.sampled_from([(), (1, 2, 3), (10_001, 0, 0), (1,)]))
        role = data.draw(st.sampled_from(list(Role)))
        attempts = {
            "create": lambda: ledger.create(caller, block, **order(**data.draw(ORDERS))),
            "join": lambda: ledger.join(caller, job, Tokens(amount), block),
            "start": lambda: ledger.start(caller, job, block),
            "cancel": lambda: ledger.cancel(caller, job, block),
            "submit": lambda: ledger.submit_model(caller, job, digest, DATASET, block),
            "close": lambda: ledger.close_training(caller, job, block),
            "draw": lambda: ledger.draw_committee(caller, job, block),
            "publish": lambda: ledger.publish_dataset(caller, job, digest, SALT, block),
            "commit": lambda: ledger.commit_scores(caller, job, digest, block),
            "refrain": lambda: ledger.refrain(caller, job, block),
            "reveal": lambda: ledger.reveal_scores(caller, job, other, scores, SALT, block),
            "accuse": lambda: ledger.accuse(caller, job, other, block),
            "vote": lambda: ledger.vote(caller, job, other, True, block),
            "settle": lambda: ledger.settle(caller, job, block),
            "register": lambda: ledger.register(caller, role, Tokens(amount), block),
            "unstake": lambda: ledger.request_unstake(caller, block),
            "withdraw": lambda: ledger.withdraw(caller, block),
            "transfer": lambda: self.both.transfer(caller, other, Tokens(amount)),
        }
        try:
            attempts[call]()
        except Refused:
            self.done[f"refused {call}"] += 1
        else:
            self.done[call] += 1

    # Rarer than the rest: whatever the state, the answer is the same.
    @precondition(lambda self: self.block.number % 3 == 0)
    @rule(
        thief=st.sampled_from(EVERYBODY),
        victim=st.sampled_from(EVERYBODY),
        call=st.sampled_from(INNER_CALLS),
        noise=st.sampled_from([0, 1, 64]),
    )
    def trespass(
        self, thief: Address, victim: Address, call: tuple[str, str, tuple[str, ...]], noise: int
    ) -> None:
        contracts = self.both.contracts
        contracts.move_to(self.block)
        with pytest.raises(Refused, match=reasons.ALLOWANCE_TOO_LOW):
            contracts.call(thief, "transferFrom", victim, thief, noise + 1, contract=TOKEN)
        contract, function, types = call
        arguments = [_argument(kind, thief, noise) for kind in types]
        with pytest.raises(Refused, match=reasons.ONLY_BY_THE_FRONT_DOOR):
            contracts.call(thief, function, *arguments, contract=contract)
        self.done["refused trespass"] += 1

    # What the contracts themselves must hold

    # What was refused changed nothing: an accepted call writes `accepted`, a refused one does not.
    @precondition(lambda self: self.both.accepted != self.checked)
    @invariant()
    def the_token_contract_holds_what_it_owes(self) -> None:
        self.checked = self.both.accepted
        books, read = self.both.books, self.both.contracts.read
        claims = [*books.escrow.values(), *books.stakes.values(), *books.roles.values()]
        assert min(claims, default=0) >= 0
        held = read(TOKEN, "balanceOf", self.both.contracts.at[TOKEN])
        assert held == read(TOKEN, "lottery") + sum(claims)

    @invariant()
    def count_the_step(self) -> None:
        self.done["step"] += 1

    @precondition(lambda self: self.block.number % 4 == 0 and self.ledger.jobs)
    @rule(data=st.data(), account=st.sampled_from(EVERYBODY))
    def compare_views(self, data: st.DataObject, account: Address) -> None:
        self.both.compare_account(account)
        number = data.draw(st.sampled_from(list(self.ledger.jobs)))
        self.both.compare_part(number, account, self.block)
        self.done["compare"] += 1

    @precondition(lambda self: self.both.accepted != self.ended)
    @rule()
    def strangers_can_end_everything(self) -> None:
        """On a copy of the specification; the contracts follow at the end of the walk."""
        self.ended = self.both.accepted
        super().strangers_can_end_everything()

    def teardown(self) -> None:
        """Strangers and time end every job, on the contracts as well; then nobody lacks a token."""
        try:
            super().teardown()
            self.both.books.check()
            assert self.both.books.balances[self.both.books.token] == self.both.books.lottery
            for job in self.both.jobs.values():
                self.done[f"verdict {job.verdict.name}"] += 1
        finally:
            self.opened.close()


def _argument(kind: str, account: Address, noise: int) -> Any:
    if kind.endswith("]"):
        item, _, length = kind.removesuffix("]").rpartition("[")
        return [_argument(item, account, noise) for _ in range(int(length or 2))]
    if kind.startswith("("):
        return tuple(_argument(item, account, noise) for item in kind[1:-1].split(","))
    return {
        "address": account,
        "bool": bool(noise),
        "bytes32": DATASET,
        "string": "digits",
        "bytes": b"",
    }.get(kind, noise)


def run(walk: type[Walk], steps: int, first_seed: int) -> Counter[str]:
    """Batches of short walks, each batch from a seed of its own; returns what happened."""
    print(f"the first seed is {first_seed}")
    done: Counter[str] = Counter()
    machine = type("Walks", (Machine,), {"parameters": walk.parameters, "done": done})
    for number in count(first_seed):
        if done["step"] >= steps:
            return done
        run_state_machine_as_test(
            seed(number)(machine),
            settings=settings(
                max_examples=5,
                stateful_step_count=100,
                database=None,
                # Shrinking replays a failing walk for minutes and rarely makes it clearer.
                phases=[Stage.explicit, Stage.generate],
                suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
            ),
        )
    raise AssertionError


@pytest.mark.parametrize("walk", [PaperWalk, HardenedWalk])
def test_agree_and_keep_every_token_in_2_500_steps(walk: type[Walk]) -> None:
    done = run(walk, 2_500, first_seed=1)

    # Hands of which nobody is refused, or everybody, would show nothing.
    assert {f"refused {call}" for call in [*CALLS, "trespass"]} <= done.keys()
    assert {"verdict NORMAL", "verdict REQUESTER_MALICIOUS"} <= done.keys()


@pytest.mark.nightly
@pytest.mark.parametrize("walk", [PaperWalk, HardenedWalk])
def test_agree_and_keep_every_token_in_100_000_steps(walk: type[Walk]) -> None:
    done = run(walk, 100_000, first_seed=secrets.randbelow(2**32))

    assert {f"refused {call}" for call in CALLS} <= done.keys()
    assert {f"verdict {verdict.name}" for verdict in Verdict} <= done.keys()
