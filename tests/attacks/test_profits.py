"""Every attack of the library, played on the contracts under both profiles: where does it pay?

The tests of one attack carry its name: `pytest tests/attacks/test_profits.py -k "split stakes"`.
"""

import re

import pytest
from tools.attack_page import PAGE, play, put_into

from scatter.mechanism.parameters import PROFILES
from scatter.simulation.attacks.library import ATTACKS
from scatter.simulation.attacks.measuring import Measured, measure_all
from scatter.simulation.attacks.plot import Plot
from scatter.simulation.runs import Ground

Found = dict[tuple[type[Plot], str], Measured]

ONLY_UNDER_PAPER = {"lottery farming"}
"""What `hardened` is there for."""


@pytest.fixture(scope="module")
def measured() -> list[Measured]:
    return play()


@pytest.fixture(scope="module")
def found(measured: list[Measured]) -> Found:
    return {(one.attack, one.profile): one for one in measured}


def by_name(attack: type[Plot]) -> str:
    return attack.name


@pytest.mark.parametrize("attack", ATTACKS, ids=by_name)
def test_pays_under_no_profile_unless_that_is_known(found: Found, attack: type[Plot]) -> None:
    hardened, paper = found[attack, "hardened"], found[attack, "paper"]

    if not attack.known:
        assert not hardened.pays
        assert paper.pays is (attack.name in ONLY_UNDER_PAPER)


@pytest.mark.parametrize("attack", [a for a in ATTACKS if a.known], ids=by_name)
def test_what_is_known_and_not_cured_does_harm(found: Found, attack: type[Plot]) -> None:
    """Otherwise it is cured, and the page should say so."""
    for profile in PROFILES:
        one = found[attack, profile]
        assert one.pays or one.difference == -200 * 10**18, "the delay costs one fine"


def test_names_are_not_used_twice() -> None:
    assert len({attack.name for attack in ATTACKS}) == len(ATTACKS)


def test_the_page_shows_what_was_measured(measured: list[Measured]) -> None:
    page = PAGE.read_text()
    assert page == put_into(page, measured), "run `make attacks`"


def test_the_page_says_plainly_what_still_pays(measured: list[Measured]) -> None:
    pays = [one.attack for one in measured if one.profile == "hardened" and one.pays]
    _, section = PAGE.read_text().split("## What still pays under `hardened`")
    said = re.findall(r"^\| ([^|]+) \| (yes|no) \|", section, re.MULTILINE)

    assert said == [(a.name, "yes" if a.is_of_a_minority() else "no") for a in pays]


def test_the_specification_says_the_same_to_the_last_unit(measured: list[Measured]) -> None:
    again = measure_all(list(PROFILES), Ground.SPECIFICATION, lambda name, done: None)

    assert again == measured
