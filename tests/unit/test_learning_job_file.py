"""What a job's author may write, and the sentence for each mistake."""

from pathlib import Path

import pytest

from scatter.learning.examples import find_examples
from scatter.learning.job_file import JobKind, JobLimits, is_topic, parse_job, read_job
from scatter.learning.model_schema import TensorType
from scatter.mechanism.errors import BadInput


@pytest.fixture
def table():
    return {
        "name": "Digits",
        "kind": "train",
        "topic": "handwritten-digits",
        "runtime": "numpy",
        "model": {"w": {"dtype": "float32", "shape": [2, 3]}},
    }


@pytest.fixture
def folder(tmp_path: Path):
    (tmp_path / "job.toml").write_text(
        'name = "Digits"\nkind = "train"\ntopic = "digits"\nruntime = "numpy"\n'
        '[model]\nw = { dtype = "float32", shape = [2, 3] }\n'
    )
    (tmp_path / "train.py").write_text("def train(data, base, settings): ...\n")
    return tmp_path


def test_reads_a_job_and_fills_in_what_it_leaves_open(folder):
    job = read_job(folder)

    assert (job.name, job.kind, job.topic, job.seed) == ("Digits", JobKind.TRAIN, "digits", 0)
    assert job.limits == JobLimits()
    assert job.model.tensors == {"w": TensorType("float32", (2, 3))}
    assert job.model.size == 24


@pytest.mark.parametrize(("name", "kind"), [("digits-train", "train"), ("digits-eval", "evaluate")])
def test_reads_the_jobs_that_are_shipped(name, kind):
    job = read_job(find_examples() / "digits" / name)

    assert job.kind == kind


def test_both_shipped_jobs_speak_of_the_same_model():
    digits = find_examples() / "digits"

    assert read_job(digits / "digits-train").model == read_job(digits / "digits-eval").model


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"nmae": "x"}, "unknown key 'nmae'"),
        ({"name": None}, "name is missing"),
        ({"name": ""}, "name must be text"),
        ({"name": "a\x1b[31m"}, "name must be text"),
        ({"name": "x" * 201}, "at most 200"),
        ({"kind": "destroy"}, 'write "train" or "evaluate"'),
        ({"runtime": "torch"}, "runtime 'torch' is not installed"),
        ({"topic": "Digits"}, "not a slug"),
        ({"topic": "a--b"}, "not a slug"),
        ({"topic": "digits\n"}, "topic must be text"),
        ({"topic": "x" * 65}, "at most 64"),
        ({"seed": -1}, "seed must be a whole number"),
        ({"seed": True}, "seed must be a whole number"),
        ({"limits": {"memory_mb": -1}}, "memory_mb must be a whole number from 1"),
        ({"limits": {"gpus": 1}}, "unknown key 'gpus'"),
        ({"limits": 3}, r"\[limits\] must be a table"),
        ({"settings": []}, r"\[settings\] must be a table"),
        ({"settings": {"seed": 1}}, "seed stands at the top"),
        ({"settings": {"a": [[[[[[[[[]]]]]]]]]}}, "nested more than 8 deep"),
        ({"model": None}, r"\[model\] must be a table"),
        ({"model": {}}, "one entry per tensor"),
        ({"model": {"w": {"dtype": "float32"}}}, "exactly the entries dtype and shape"),
        ({"model": {"w": {"dtype": "object", "shape": [1]}}}, "dtype is 'object'"),
        ({"model": {"w": {"dtype": "float32", "shape": [0]}}}, "positive whole numbers"),
        ({"model": {"w": {"dtype": "float32", "shape": [1] * 9}}}, "at most 8"),
        ({"model": {"../w": {"dtype": "float32", "shape": [1]}}}, "cannot name a tensor"),
        ({"model": {"__metadata__": {"dtype": "float32", "shape": [1]}}}, "cannot name a tensor"),
        ({"model": {"w": {"dtype": "float32", "shape": [1 << 20, 1 << 20]}}}, "at most 4294967296"),
    ],
)
def test_says_what_is_wrong(table, change, message):
    changed = {key: value for key, value in {**table, **change}.items() if value is not None}

    with pytest.raises(BadInput, match=message):
        parse_job(changed, "job.toml")


def test_refuses_dates_wherever_they_hide(folder):
    with (folder / "job.toml").open("a") as file:
        file.write("[settings.inner]\nwhen = [2020-01-01]\n")

    with pytest.raises(BadInput, match=r"settings\].inner.when: dates"):
        read_job(folder)


def test_needs_a_job_file(tmp_path):
    with pytest.raises(BadInput, match=r"job.toml does not exist"):
        read_job(tmp_path)


def test_needs_the_function_file(folder):
    (folder / "train.py").unlink()

    with pytest.raises(BadInput, match=r"train.py does not exist"):
        read_job(folder)


def test_does_not_follow_links_out_of_the_folder(folder):
    (folder / "train.py").unlink()
    (folder / "train.py").symlink_to("/etc/passwd")

    with pytest.raises(BadInput, match="must be a regular file"):
        read_job(folder)


def test_says_which_kind_it_wanted(folder):
    with pytest.raises(BadInput, match="'evaluate' is wanted here"):
        read_job(folder, JobKind.EVALUATE)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"name = ", "not valid TOML"),
        (b"x = " + b"[" * 200_000, "TOML|nested"),
        (b"\xff\xfe", "not UTF-8"),
        (b"#" * (1 << 19), "at most 262144"),
    ],
)
def test_refuses_files_that_are_not_toml(folder, text, message):
    (folder / "job.toml").write_bytes(text)

    with pytest.raises(BadInput, match=message):
        read_job(folder)


def test_a_topic_is_a_slug():
    assert is_topic("a1-b2")
    assert not any(map(is_topic, ["", "-a", "a-", "a--b", "A", "a_b", "ä", "a" * 65]))
