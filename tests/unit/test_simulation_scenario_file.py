"""A user's scenario is read strictly: a mistake is refused in one sentence that names the key."""

from decimal import Decimal
from pathlib import Path

import pytest

from scatter.economy.scenario import OfChallenger, OfTrainer, OfValidator, Scenario, Spread
from scatter.mechanism.errors import BadInput
from scatter.mechanism.parameters import HARDENED, PAPER, LotteryShare
from scatter.mechanism.units import UNIT
from scatter.simulation.scenario_file import KEYS, MOST_BYTES, parse_scenario, read_scenario

ROOT = Path(__file__).parents[2]
FULL = """
name = "everything"
profile = "hardened"
jobs = 7
seed = 3
tokens = 200000.5
reward = [1500, 1600.25]
threshold = 0.6
malicious = 0.5

[requesters]
count = 2
malicious = 1
manner = "no-dataset"
cheats = 0.25
work = 3

[trainers]
count = 8
manner = "no-model"
stake = { mean = 900, deviation = 100, least = 500, most = 1200 }
good = [0.7, 0.9]
bad = 0.1

[validators]
count = 4
malicious = 1
manner = "silent"

[challengers]
count = 5
malicious = 0.4
manner = "silent"
lead = 0.75

[parameters]
tax_rate = 0.2
base_penalty = 300
penalty_multiplier = 3
lottery_share = "whole-pool"
committee_proportion = 0.5
"""


@pytest.fixture
def read(tmp_path):
    def from_text(text: str) -> Scenario:
        (tmp_path / "mine.toml").write_text(text)
        return read_scenario(tmp_path / "mine.toml")

    return from_text


def test_every_key_is_taken_over(read):
    scenario = read(FULL)

    assert (scenario.name, scenario.jobs, scenario.seed) == ("everything", 7, 3)
    assert scenario.tokens == 200_000 * UNIT + UNIT // 2
    assert scenario.reward == Spread(1_500 * UNIT, 1_600 * UNIT + UNIT // 4)
    assert scenario.stake == Spread(500 * UNIT, 1_200 * UNIT, 900 * UNIT, 100 * UNIT)
    assert (scenario.good, scenario.bad) == (Spread(7_000, 9_000), Spread(1_000, 1_000))
    assert (scenario.threshold, scenario.lead) == (6_000, 7_500)
    assert (scenario.requesters.malicious, scenario.requesters.cheats) == (1, 2_500)
    assert scenario.requesters.work == 3 * UNIT
    assert scenario.trainers.manner is OfTrainer.NO_MODEL
    assert scenario.validators.manner is OfValidator.SILENT
    assert scenario.challengers.manner is OfChallenger.SILENT
    p = scenario.parameters
    assert (p.base_penalty, p.penalty_multiplier) == (300 * UNIT, 3)
    assert (p.lottery_share, p.least_electorate) == (LotteryShare.WHOLE_POOL, 3)
    assert p.committee_proportion == 5_000


def test_a_share_of_malicious_nodes_counts_for_every_role_that_says_nothing_else(read):
    scenario = read(FULL)

    malicious = [scenario.trainers.malicious, scenario.validators.malicious]
    assert [*malicious, scenario.challengers.malicious] == [4, 1, 2]


def test_a_tax_alone_leaves_the_two_others_in_proportion(read):
    p = read(FULL).parameters

    assert (p.tax_rate, p.trainer_rate, p.validator_rate) == (2_000, 6_222, 1_778)


def test_an_empty_file_is_section_4_1_under_the_files_name(read):
    assert read("") == Scenario(name="mine", parameters=PAPER)
    assert read('profile = "hardened"').parameters == HARDENED


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[trainers]\nstakes = 3", "there is no key trainers.stakes; did you mean trainers.stake?"),
        ("jbos = 3", "there is no key jbos; did you mean jobs?"),
        ("trainers = 3", "trainers must be a table, [trainers]."),
        ("jobs = 1.5", "jobs must be a whole number, not '1.5'."),
        ("jobs = true", "jobs must be a whole number, not 'True'."),
        ("jobs = -1", "jobs must be a whole number, not '-1'."),
        ("jobs = 10001", "jobs must be from 1 to 10000, not 10001."),
        ("threshold = 2", "threshold: '2' is not a score"),
        ("threshold = nan", "threshold: 'NaN' is not a score"),
        ('tokens = "many"', "tokens must be a number, not 'many'."),
        ("tokens = 1e30", "tokens: '1E+30' is not an amount of tokens"),
        ("malicious = 3", "malicious must be a share of all nodes"),
        ("malicious = [1]", "malicious must be a share of all nodes"),
        ("reward = [1]", "reward must be a number, [least, most], or"),
        ("reward = [3, 1]", "reward must lie in order"),
        ("reward = { mean = 1 }", "reward must be a number, [least, most], or"),
        ('name = ""', "name must be up to 80 letters"),
        ('name = "../b"', "name must be up to 80 letters"),
        ('name = ".b"', "name must be up to 80 letters"),
        ('profile = "soft"', "There is no profile 'soft'"),
        ("profile = 3", 'profile must be "paper" or "hardened".'),
        ('[validators]\nmanner = "swop"', "validators.manner must be one of"),
        ("[validators]\nmanner = [1]", "validators.manner must be one of"),
        ("[challengers]\nmalicious = 3", "challengers.malicious must be from 0 to 2, not 3."),
        ("[challengers]\nlead = 1.1", "challengers.lead: '1.1' is not a score"),
        ("[parameters]\ntrainer_rate = 0.9", "parameters: tax_rate, trainer_rate and"),
        ("[parameters]\nlottery_share = 3", "parameters.lottery_share must be"),
        ("[parameters]\nlottery_share = [3]", "parameters.lottery_share must be"),
        ("[parameters]\nvalidator_stake = 200000", "tokens must cover the stake of the validators"),
        ("jobs = ", "is not TOML"),
    ],
)
def test_a_mistake_is_refused_by_its_key(read, text, sentence):
    with pytest.raises(BadInput) as refused:
        read(text)

    assert sentence in str(refused.value)
    assert "mine.toml" in str(refused.value)
    assert "\n" not in str(refused.value)


def test_what_is_no_scenario_is_not_read_to_its_end(tmp_path):
    (tmp_path / "large.toml").write_bytes(b"#" * (MOST_BYTES + 1))

    with pytest.raises(BadInput, match="is larger than 64 kB"):
        read_scenario(tmp_path / "large.toml")
    with pytest.raises(BadInput, match="cannot be read"):
        read_scenario(tmp_path / "absent.toml")


def test_shares_may_be_decimals_without_a_binary_fraction():
    table = {"trainers": {"count": 10, "malicious": Decimal("0.3")}}

    assert parse_scenario(table, "here", default_name="n").trainers.malicious == 3


def test_every_key_is_documented():
    page = (ROOT / "docs" / "simulation.md").read_text()
    missing = [key for key in KEYS if f"`{key.split('.')[-1]}`" not in page]

    assert missing == []
