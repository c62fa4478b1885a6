"""Writes the folders of a new job: the shipped example, with a topic and data to try it."""

import re
import shutil
from collections.abc import Mapping
from pathlib import Path

from scatter.learning.examples import find_examples
from scatter.learning.job_file import JobKind, read_job
from scatter.learning.splits import write_shares
from scatter.mechanism.errors import BadInput

SEED = 1
"""Of the split of the example data."""

_SLUG = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*\Z", re.ASCII)
_TOPIC_LINE = re.compile(r'^topic = "[^"]*"', re.MULTILINE)


def write_job(folder: Path, topic: str, trainers: int) -> Mapping[str, Path]:
    """Writes `training`, `evaluation` and `data` below `folder`, complete or not at all.

    Raises BadInput if `folder` exists or the topic is not a slug.
    """
    if folder.exists():
        raise BadInput(f"{folder} exists already; choose another name")
    if not _SLUG.match(topic):
        raise BadInput(f"{topic!r} is no topic; use lower-case letters, digits and hyphens")
    folder.parent.mkdir(parents=True, exist_ok=True)
    fresh = folder.with_name(f".{folder.name}.new")
    shutil.rmtree(fresh, ignore_errors=True)
    try:
        _write(fresh, topic, trainers)
        fresh.rename(folder)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    return {name: folder / name for name in ("training", "evaluation", "data")}


def _write(folder: Path, topic: str, trainers: int) -> None:
    digits = find_examples() / "digits"
    for name, example, kind in (
        ("training", "digits-train", JobKind.TRAIN),
        ("evaluation", "digits-eval", JobKind.EVALUATE),
    ):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(digits / example, folder / name, ignore=ignored)
        description = folder / name / "job.toml"
        text = _TOPIC_LINE.sub(f'topic = "{topic}"', description.read_text())
        description.write_text(text)
        read_job(folder / name, kind)
    write_shares(digits / "data" / "digits.npz", folder / "data", trainers, seed=SEED)
