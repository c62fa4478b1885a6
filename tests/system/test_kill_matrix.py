"""SIGKILL at every step of every role's duty: same payouts, same model, nothing paid for twice.

Real nodes play a whole job (`company.py`); in each play, one node of every role dies at a moment of
the table and is started again. `make test` plays a sample, `make nightly` the table.
"""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack
from itertools import zip_longest

import pytest
from tests.system.company import Company, Outcome, open_company
from tests.system.fail_points import READS, FailPoint

TRANSACTION = ("before", "within", "after")
PUBLISHED = ("before", "after")
RUN = ("within", "after")
EXAMINATION = {
    "fetch evaluation-job": ["after"],
    "fetch dataset": ["after"],
    "fetch training-job": ["after"],
    "request_key": ["after"],
    "keep model-key": ["after"],
    "fetch model": ["after"],
    "run": RUN,
    "keep evidence": ["after"],
}
MATRIX = {
    "requester": {
        "keep dataset": ["after"],
        "add training-job": PUBLISHED,
        "add evaluation-job": PUBLISHED,
        "create": TRANSACTION,
        "start": TRANSACTION,
        "add dataset": PUBLISHED,
        "publish_dataset": TRANSACTION,
        "settle": TRANSACTION,
        "fetch training-job": ["after"],
        "request_key": ["after"],
        "keep model-key": ["after"],
        "fetch model": ["after"],
        # The models are aggregated, and nothing says so yet.
        "keep result": ["before", "after"],
    },
    "trainer 1": {
        "fetch training-job": ["after"],
        "fetch evaluation-job": ["after"],
        "join": TRANSACTION,
        "run": RUN,
        "keep training": ["after"],
        "keep model-key": ["after"],
        "add published": PUBLISHED,
        "keep model": ["after"],
        "submit_model": TRANSACTION,
    },
    "validator 1": EXAMINATION
    | {"keep scores": ["after"], "commit_scores": TRANSACTION, "reveal_scores": TRANSACTION},
    "challenger 1": EXAMINATION
    | {"keep finding": ["after"], "add evidence": PUBLISHED, "accuse": TRANSACTION},
    # It examines as the other one does.
    "challenger 2": {"vote": TRANSACTION},
}
ERRANDS = {"startJob", "closeTraining", "drawCommittee", "settle"}
"""What anybody may do, and others do while the victim is down."""
ERRAND_STEPS = {"start", "close_training", "draw_committee", "settle"}


SAMPLE = {
    "requester": FailPoint("within", "publish_dataset"),
    "trainer 1": FailPoint("within", "run"),
    "validator 1": FailPoint("within", "commit_scores"),
    "challenger 1": FailPoint("after", "accuse"),
}


def plays() -> list[dict[str, FailPoint]]:
    """All rows of the table in as few plays as can be: each kills every role once."""
    columns = [
        [(name, FailPoint(moment, step)) for step, moments in steps.items() for moment in moments]
        for name, steps in MATRIX.items()
    ]
    return [dict(kill for kill in kills if kill) for kills in zip_longest(*columns)]


def name_play(kills: dict[str, FailPoint]) -> str:
    return ", ".join(f"{name} {point}" for name, point in kills.items())


@pytest.fixture(scope="module")
def play(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Outcome]]:
    """Plays the job with these kills."""
    with asyncio.Runner() as runner:
        stack = AsyncExitStack()
        folder = tmp_path_factory.mktemp("company")
        company = runner.run(stack.enter_async_context(open_company(folder)))
        try:
            yield lambda kills: (company, runner.run(company.play(kills)))
        finally:
            runner.run(stack.aclose())


@pytest.fixture(scope="module")
def undisturbed(play) -> tuple[Company, Outcome]:
    return play({})


def check(play, undisturbed, kills):
    _, whole = undisturbed
    _, outcome = play(kills)

    assert outcome.payouts == whole.payouts
    assert outcome.model == whole.model
    more, fewer = outcome.calls - whole.calls, whole.calls - outcome.calls
    assert {*more, *fewer} <= ERRANDS
    assert more.total() <= len(kills)
    assert outcome.failed <= more.total()


def test_a_kill_of_every_role_changes_no_payout_and_nothing_is_paid_for_twice(play, undisturbed):
    check(play, undisturbed, SAMPLE)


@pytest.mark.nightly
@pytest.mark.parametrize("kills", plays(), ids=name_play)
def test_no_kill_at_any_step_changes_a_payout(play, undisturbed, kills):
    check(play, undisturbed, kills)


@pytest.mark.parametrize("name", MATRIX)
def test_the_table_names_every_step_of_a_duty(undisturbed, name):
    company, whole = undisturbed
    taken = company.steps(name) - READS - ERRAND_STEPS
    known = MATRIX[name].keys() - ERRAND_STEPS
    if name == "challenger 2":
        known |= MATRIX["challenger 1"].keys() - {"add evidence", "accuse"}

    assert taken == known
    assert whole.failed == 0
