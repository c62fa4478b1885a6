"""A whole demo with its defaults, on a machine with nothing but Python, seen from all sides."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file
from tests.system.evidence import Evidence, is_running, recompute

from scatter.lifecycle.payments import TrainerPaid, ValidatorPaid
from scatter.mechanism.units import UNIT, WHOLE

MOST_GAS = 2_800_000
MOST_TRANSACTIONS = 24


def test_every_payment_is_what_the_specification_says(plain_demo: Evidence) -> None:
    assert recompute(plain_demo) == [list(paid) for paid in plain_demo.payments]
    kinds = [type(payment) for payment in plain_demo.payments[0]]
    assert kinds.count(TrainerPaid) == 5
    assert kinds.count(ValidatorPaid) == 3


def test_all_balances_over_json_rpc_add_up_to_the_supply(plain_demo: Evidence) -> None:
    assert sum(plain_demo.balances.values()) == plain_demo.supply
    assert plain_demo.report["supply_ok"] is True


def test_every_change_of_an_account_is_the_sum_of_its_payouts(plain_demo: Evidence) -> None:
    for entry in plain_demo.report["accounts"].values():
        changes = sum(payout["change"] for payout in entry["payouts"])
        assert entry["after"] - entry["before"] == changes, entry["name"]


def test_the_reported_balances_are_those_on_chain(plain_demo: Evidence) -> None:
    for account, entry in plain_demo.report["accounts"].items():
        assert entry["after"] - entry["role_stake"] == plain_demo.balances[account]


def test_the_cheater_loses_exactly_its_stake(plain_demo: Evidence) -> None:
    cheater = plain_demo.cast.trainers[-1]
    entry = plain_demo.entry(cheater.name)

    assert entry["malicious"] is True
    assert entry["before"] - entry["after"] == cheater.stake


def test_nobody_that_is_honest_loses_anything(plain_demo: Evidence) -> None:
    for entry in plain_demo.report["accounts"].values():
        if entry["role"] != "requester" and not entry["malicious"]:
            assert entry["after"] >= entry["before"], entry["name"]


def test_each_payout_names_its_equation_and_inputs(plain_demo: Evidence) -> None:
    (paid,) = [p for p in plain_demo.entry("trainer 1")["payouts"] if p["kind"] == "TrainerPaid"]
    inputs = paid["inputs"]

    assert paid["equation"] == "4"
    assert paid["amount"] == inputs["pool"] * inputs["weight"] // inputs["total_weight"]


def test_the_report_has_the_promised_shape(plain_demo: Evidence) -> None:
    report = plain_demo.report

    assert {"local", "mean_local", "global", "centralised"} == report["accuracy"].keys()
    assert {"transactions", "total", "failed", "by_call"} == report["gas"].keys()
    assert report["options"]["seed"] == 1
    assert report["verdicts"] == ["normal"]
    assert {"set-up", "open", "training", "commit", "challenge"} <= report["seconds"].keys()


def test_the_reported_scores_are_those_of_the_committee(plain_demo: Evidence) -> None:
    (job,) = plain_demo.jobs()
    for place, trainer in enumerate(job.models):
        scores = [member.scores[place] for member in job.committee.values() if member.scores]
        average = sum(scores) // len(scores) / WHOLE
        assert plain_demo.report["accuracy"]["local"][trainer.account] == average


def test_the_aggregate_beats_the_mean_of_the_honest(plain_demo: Evidence) -> None:
    accuracy = plain_demo.report["accuracy"]

    assert accuracy["mean_local"] < accuracy["global"] <= 1
    assert accuracy["centralised"] >= 0.9


def test_the_aggregate_opens_and_is_finite(plain_demo: Evidence) -> None:
    tensors = load_file(plain_demo.folder / "global.safetensors")

    assert tensors
    assert all(np.isfinite(tensor).all() for tensor in tensors.values())


def test_it_says_that_it_ran_on_the_embedded_chain_and_unconfined(plain_demo: Evidence) -> None:
    assert plain_demo.report["chain"] == "embedded (py-evm)"
    assert plain_demo.report["sandbox"] == "plain process (unsafe)"


def test_an_honest_job_stays_within_its_gas(plain_demo: Evidence) -> None:
    gas = plain_demo.report["gas"]

    assert gas["failed"] == 0
    assert gas["transactions"] <= MOST_TRANSACTIONS
    assert gas["total"] <= MOST_GAS
    assert gas["total"] == sum(cost["gas"] for cost in gas["by_call"].values())


def test_a_person_sees_every_phase_in_its_order(plain_demo: Evidence) -> None:
    assert list(plain_demo.phases) == [
        *("OPEN", "TRAINING", "DATASET", "COMMIT", "REVEAL", "CHALLENGE", "SETTLED"),
    ]


def test_no_secret_is_in_a_log_or_in_the_report(plain_demo: Evidence) -> None:
    secrets = {actor.key.hex() for actor in plain_demo.cast.actors}
    for home in (plain_demo.folder / "nodes").iterdir():
        secrets |= {(home / name).read_text().strip() for name in ("password", "token")}
        secrets.add((home / "data" / "peer.key").read_text().strip())
    assert len(secrets) == 4 * len(plain_demo.cast.actors)

    for file in public_files(plain_demo.folder):
        text = file.read_text().lower()
        assert not [secret for secret in secrets if secret.lower() in text], file.name


def public_files(folder: Path) -> Iterable[Path]:
    yield from (folder / "report.json", folder / "deployment.json")
    yield from folder.glob("nodes/*/log")


def test_no_log_has_an_error_or_a_traceback(plain_demo: Evidence) -> None:
    for log in plain_demo.folder.glob("nodes/*/log"):
        text = log.read_text()
        assert "Traceback" not in text, text
        assert "[error" not in text, text


def test_no_process_is_left(plain_demo: Evidence) -> None:
    assert len(plain_demo.pids) == 13
    assert [pid for pid in plain_demo.pids if is_running(pid)] == []


def test_nothing_is_left_of_its_own_work(plain_demo: Evidence) -> None:
    left = {entry.name for entry in plain_demo.folder.iterdir()}

    assert "work" not in left
    assert {"global.safetensors", "report.json", "nodes", "shares"} <= left


@pytest.mark.parametrize("part", ["requester", "trainer 1"])
def test_everybody_began_with_the_paper_s_supply(plain_demo: Evidence, part: str) -> None:
    assert plain_demo.entry(part)["before"] == 100_000 * UNIT
