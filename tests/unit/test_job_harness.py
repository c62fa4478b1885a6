"""What the author of a job sees: results, or one sentence about the mistake."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from scatter_job.environment import FIXED_ENVIRONMENT

JOB = """
name = "Job"
kind = "{kind}"
topic = "test"
runtime = "numpy"
seed = 5
[settings]
step = 2
[model]
w = {{ dtype = "float32", shape = [2] }}
"""

TRAIN = """
from scatter_job import Trained
import numpy as np
def train(data, base, settings):
"""


@pytest.fixture
def job(tmp_path: Path):
    (tmp_path / "data").mkdir()
    (tmp_path / "models").mkdir()

    def job(kind: str, code: str) -> Path:
        folder = tmp_path / "job"
        folder.mkdir()
        (folder / "job.toml").write_text(JOB.format(kind=kind))
        (folder / f"{kind}.py").write_text(code)
        return folder

    return job


QUICK = {
    **FIXED_ENVIRONMENT,
    "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
}
"""Already as the harness wants it, so that it does not start itself anew."""


def run(verb: str, job: Path, *more: str) -> subprocess.CompletedProcess[str]:
    here = job.parent
    folders = ["--job", job, "--data", here / "data", "--out", here / "out"]
    command = [sys.executable, "-S", "-P", "-m", "scatter_job", verb, *map(str, folders), *more]
    return subprocess.run(
        command, env=QUICK, capture_output=True, text=True, check=False, timeout=60
    )


def evaluate(job: Path, *more: str) -> dict[str, dict[str, float | str]]:
    models = job.parent / "models"
    if not any(models.iterdir()):
        save_file({"w": np.ones(2, np.float32)}, models / "one.safetensors")
    result = run("evaluate", job, "--models", str(models), *more)
    assert result.returncode == 0, result.stderr
    return json.loads((job.parent / "out" / "scores.json").read_text())


def test_trains_from_nothing(job):
    folder = job(
        "train",
        TRAIN + "    w = np.full(2, settings['step'] + settings['seed'], np.float32)\n"
        "    return Trained({'w': w}, 3, {'loss': 0.5, 'fresh': base is None})\n",
    )

    result = run("train", folder)

    assert result.returncode == 0, result.stderr
    assert load_file(folder.parent / "out" / "model.safetensors")["w"].tolist() == [7, 7]
    report = json.loads((folder.parent / "out" / "metrics.json").read_text())
    assert report == {"examples": 3, "metrics": {"loss": 0.5, "fresh": 1.0}}


def test_trains_from_a_base(job):
    folder = job("train", TRAIN + "    return Trained({'w': base['w'] + 1}, 1)\n")
    save_file({"w": np.ones(2, np.float32)}, folder.parent / "models" / "base.safetensors")

    run("train", folder, "--models", str(folder.parent / "models"))

    assert load_file(folder.parent / "out" / "model.safetensors")["w"].tolist() == [2, 2]


def test_repeats_itself(job):
    folder = job(
        "train",
        "import random\n" + TRAIN + "    w = np.array([random.random(), np.random.rand()], 'f')\n"
        "    return Trained({'w': w}, 1, {'hash': hash('a') % 1000})\n",
    )

    results = []
    for seed in ("1", "1", "2"):
        run("train", folder, "--seed", seed)
        files = sorted((folder.parent / "out").iterdir())
        results.append([path.read_bytes() for path in files])

    assert results[0] == results[1]
    assert results[0] != results[2]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("return 3", "train must return a Trained, not int"),
        ("return Trained({'w': [1, 2]}, 1)", "'w' must be a numpy array, not list"),
        ("return Trained({'v': np.ones(2, 'f')}, 1)", "'v' is not in the job's [model] table"),
        ("return Trained({}, 1)", "'w' is missing from the weights"),
        ("return Trained({'w': np.ones(2)}, 1)", "'w' must be float32 [2], not float64 [2]"),
        ("return Trained({'w': np.ones(3, 'f')}, 1)", "'w' must be float32 [2], not float32 [3]"),
        ("return Trained({'w': np.full(2, np.nan, 'f')}, 1)", "training diverged"),
        ("return Trained({'w': np.ones(2, 'f')}, 0)", "examples must be a whole number"),
        ("return Trained({'w': np.ones(2, 'f')}, 1, {'loss': 'low'})", "Metric 'loss' must be"),
        ("return Trained({'w': np.ones(2, 'f')}, 1, {'loss': np.nan})", "Metric 'loss' must be"),
        ("raise KeyError('labels')", "The job raised KeyError: 'labels'"),
        ("raise SystemExit(0)", "The job raised SystemExit: 0"),
    ],
)
def test_ends_a_failed_training_with_the_reason(job, body, message):
    result = run("train", job("train", f"{TRAIN}    {body}\n"))

    assert result.returncode == 1
    assert message in result.stderr.splitlines()[-1]


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("x = 1", "train.py must define a function named train"),
        ("train = 1", "train.py must define a function named train"),
        ("def train(:", "The job raised SyntaxError"),
    ],
)
def test_says_that_the_function_is_missing(job, code, message):
    assert message in run("train", job("train", code)).stderr.splitlines()[-1]


def test_says_that_the_job_is_of_the_other_kind(job):
    assert 'kind = "evaluate"' in run("evaluate", job("train", "")).stderr


def test_scores_every_model_by_name(job):
    folder = job("evaluate", "def evaluate(weights, data, settings): return weights['w'].mean()\n")
    for name, value in {"a": 0.25, "b": 1}.items():
        tensor = np.full(2, value, np.float32)
        save_file({"w": tensor}, folder.parent / "models" / f"{name}.safetensors")

    assert evaluate(folder) == {"a": {"score": 0.25}, "b": {"score": 1.0}}


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("return 1.7", "must return a number between 0 and 1, not 1.7"),
        ("return float('nan')", "must return a number between 0 and 1, not nan"),
        ("return 'good'", "must return a number, not str"),
        ("return True", "must return a number, not bool"),
        ("return None", "must return a number, not NoneType"),
        ("return 1j", "must return a number, not complex"),
        ("return weights['nope']", "KeyError: 'nope'"),
    ],
)
def test_says_why_a_model_has_no_score(job, body, message):
    folder = job("evaluate", f"def evaluate(weights, data, settings):\n    {body}\n")

    assert message in evaluate(folder)["one"]["error"]


def test_a_model_that_breaks_the_evaluation_costs_no_other_its_score(job):
    folder = job(
        "evaluate",
        "import os, time\n"
        "def evaluate(weights, data, settings):\n"
        "    act = int(weights['w'][0])\n"
        "    if act == 2: os.abort()\n"
        "    if act == 3: os._exit(0)\n"
        "    while act == 4: pass\n"
        "    return act / 1\n",
    )
    models = folder.parent / "models"
    for name, act in {"a-good": 1, "b-abort": 2, "c-exit": 3, "d-loop": 4, "e-good": 1}.items():
        save_file({"w": np.full(2, act, np.float32)}, models / f"{name}.safetensors")
    (models / "f-text.safetensors").write_text("not a model")

    scores = evaluate(folder, "--seconds", "1.5")

    assert scores["a-good"] == scores["e-good"] == {"score": 1.0}
    assert "ended without a score" in scores["b-abort"]["error"]
    assert "ended without a score" in scores["c-exit"]["error"]
    assert "longer than its share" in scores["d-loop"]["error"]
    assert "not a model in the safetensors format" in scores["f-text"]["error"]


def test_starts_anew_with_the_environment_that_makes_it_repeat(job):
    folder = job("train", "import os\nraise ValueError(os.environ['PYTHONHASHSEED'])")
    loose = {key: value for key, value in QUICK.items() if key not in FIXED_ENVIRONMENT}
    command = [sys.executable, "-S", "-m", "scatter_job", "train", "--job", str(folder)]
    command += ["--data", str(folder), "--out", str(folder / "out")]

    result = subprocess.run(command, env=loose, capture_output=True, text=True, check=False)

    assert result.stderr.splitlines()[-1] == "The job raised ValueError: 0"


def test_does_not_import_the_node(job):
    folder = job(
        "evaluate",
        "import sys\n"
        "def evaluate(weights, data, settings): return float('scatter' not in sys.modules)\n",
    )

    assert evaluate(folder) == {"one": {"score": 1.0}}
