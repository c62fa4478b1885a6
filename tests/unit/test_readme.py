"""The README prints what its seed leads to: real training, then the equations.

Nothing of a network is needed for that. `tests/system` compares the same lines with a whole demo.
"""

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from tests.unit.readme import printed, readme_accuracies, readme_table

from scatter.demo.cast import THRESHOLD, Cast, DemoOptions, assemble
from scatter.learning.aggregation import aggregate, score_weights
from scatter.learning.examples import find_examples
from scatter.learning.job_file import JobKind, read_job
from scatter.learning.scores import Failed, read_scores
from scatter.learning.splits import write_shares
from scatter.mechanism.equations import (
    divide_reward,
    penalty,
    trainer_payment,
    trainer_weight,
    validator_payment,
)
from scatter.mechanism.parameters import PAPER
from scatter.mechanism.units import WHOLE, Score, Tokens
from scatter.node.amounts import show_tokens
from scatter.roles.examination import write_fresh_model

DIGITS = find_examples() / "digits"
CENTRAL, AGGREGATE = "all data on one machine", "the aggregate"


@pytest.fixture(scope="module")
def cast() -> Cast:
    return assemble(DemoOptions())


@pytest.fixture(scope="module")
def scores(cast: Cast, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Score]:
    """What every model of the demo scores on the pictures that nobody trained on, by name."""
    folder = tmp_path_factory.mktemp("digits")
    models = folder / "models"
    models.mkdir()
    write_shares(DIGITS / "data" / "digits.npz", folder / "shares", len(cast.trainers), seed=1)
    shares = [folder / "shares" / trainer.slug for trainer in cast.trainers]
    job = read_job(DIGITS / "digits-train", JobKind.TRAIN)
    for trainer, share in zip(cast.trainers, shares, strict=True):
        model = models / f"{trainer.slug}.safetensors"
        if trainer.malicious:
            write_fresh_model(model, job.model, (job.seed + int(trainer.account, 16)) % 2**64)
        else:
            train(share, model)
    pool(shares, folder / "everything")
    train(folder / "everything", models / "central.safetensors")
    found = evaluate(folder, models)
    accepted = [
        (models / f"{t.slug}.safetensors", found[t.slug])
        for t in cast.trainers
        if found[t.slug] >= THRESHOLD
    ]
    weights = score_weights([score for _, score in accepted])
    paths = [path for path, _ in accepted]
    (folder / "result").mkdir()
    aggregate(
        list(zip(paths, weights, strict=True)), job.model, folder / "result" / "all.safetensors"
    )
    names = {trainer.slug: trainer.name for trainer in cast.trainers} | {"central": CENTRAL}
    return {names[slug]: score for slug, score in found.items()} | {
        AGGREGATE: evaluate(folder, folder / "result")["all"]
    }


def train(data: Path, model: Path) -> None:
    run_job("train", DIGITS / "digits-train", data, model.parent / model.stem)
    (model.parent / model.stem / "model.safetensors").rename(model)


def evaluate(folder: Path, models: Path) -> dict[str, Score]:
    out = folder / f"scores of {models.name}"
    run_job("evaluate", DIGITS / "digits-eval", folder / "shares" / "eval", out, models)
    found = read_scores(out / "scores.json", [path.stem for path in models.glob("*.safetensors")])
    return {name: score for name, score in found.items() if not isinstance(score, Failed)}


def run_job(verb: str, job: Path, data: Path, out: Path, models: Path | None = None) -> None:
    out.mkdir()
    command = [sys.executable, "-m", "scatter_job", verb, "--job", job, "--data", data]
    command += ["--out", out, *(["--models", models] if models else [])]
    subprocess.run(command, check=True, capture_output=True, env=dict(os.environ))


def pool(shares: list[Path], target: Path) -> None:
    """Everybody's pictures in one folder, in the order of the trainers."""
    target.mkdir()
    parts = [dict(np.load(share / "digits.npz")) for share in shares]
    pooled = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    np.savez_compressed(target / "digits.npz", **pooled)


def changes(number: int) -> dict[str, str]:
    return {name: row.change for name, row in readme_table(number).items()}


def show(amounts: Mapping[str, int]) -> dict[str, str]:
    return {name: show_tokens(amount, signed=True) for name, amount in amounts.items()}


def test_the_readme_tells_everybodys_gain_and_loss_to_the_cent(cast, scores):
    parts = divide_reward(cast.rewards[0], PAPER)
    weights = {
        t: trainer_weight(t.stake, scores[t.name])
        for t in cast.trainers
        if scores[t.name] >= THRESHOLD
    }
    gains = {
        t.name: trainer_payment(w, sum(weights.values()), parts.trainers)
        for t, w in weights.items()
    }
    losses = {f"{t.name} (cheats)": -t.stake for t in cast.trainers if t not in weights}
    stake = PAPER.validator_stake
    wage = validator_payment(stake, Tokens(stake * len(cast.validators)), parts.validators)

    assert changes(0) == show(
        {"requester": -cast.rewards[0]}
        | gains
        | losses
        | {v.name: wage for v in cast.validators}
        | {c.name: 0 for c in cast.challengers}
    )
    lottery = parts.tax - sum(losses.values())
    assert f"lottery  {show_tokens(lottery)} SCT" in printed()


def test_the_readmes_rows_add_up():
    for number in (0, 1):
        for name, row in readme_table(number).items():
            before, after, change = (
                round(float(text.replace(",", "")) * 100)
                for text in (row.before, row.after, row.change)
            )
            assert before + change == after, name


def test_the_readme_tells_every_accuracy(cast, scores):
    honest = [scores[t.name] for t in cast.trainers if not t.malicious]
    expected = {
        f"{t.name} (cheats)" if t.malicious else t.name: scores[t.name] for t in cast.trainers
    }
    expected |= {
        "honest trainers, on average": sum(honest) / len(honest),
        AGGREGATE: scores[AGGREGATE],
        CENTRAL: scores[CENTRAL],
    }
    assert readme_accuracies() == {name: f"{score / WHOLE:.3f}" for name, score in expected.items()}


def test_the_readme_tells_what_three_lies_of_a_validator_cost():
    rewards = assemble(DemoOptions(malicious={"validator": 1}, jobs=3)).rewards
    fines = 0
    for offences in range(3):
        fines += penalty(offences, Tokens(PAPER.validator_stake - fines), PAPER)
    taxes = sum(divide_reward(reward, PAPER).tax for reward in rewards)

    assert changes(1) == show({"validator 3 (cheats)": -fines, "challenger 1": fines + taxes})
    text = re.sub(r"\s+", " ", (Path(__file__).parents[2] / "README.md").read_text())
    assert f"with the taxes of the three jobs, {show_tokens(taxes)}." in text
