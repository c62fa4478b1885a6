"""A job as its author wrote it: the folder's `job.toml`, read strictly.

A job comes from a stranger. Its folder is looked at, never executed, here; every key is known,
every value bounded, and each mistake has one sentence that says where it is and what to write.
"""

import re
import stat
import tomllib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from scatter.learning.model_schema import ModelSchema, parse_schema
from scatter.mechanism.errors import BadInput

JOB_FILE: Final = "job.toml"
RUNTIMES: Final = ("numpy",)
"""The runtimes that come with a node. An operator may build and allow more."""
RECIPES: Final = ("numpy", "torch")
"""Those that every operator can build (`scatter runtime build`)."""

MOST_JOB_FILE_BYTES: Final = 256 << 10
MOST_FUNCTION_BYTES: Final = 1 << 20
MOST_SEED: Final = 2**32 - 1
MOST_DEPTH: Final = 8
"""Of settings: tables in lists in tables."""

_SLUG = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")
KEYS: Final = {"name", "kind", "topic", "runtime", "seed", "limits", "settings", "model"}


class JobKind(StrEnum):
    """What a job's function does."""

    TRAIN = "train"
    EVALUATE = "evaluate"

    @property
    def function_file(self) -> str:
        return f"{self.value}.py"


@dataclass(frozen=True)
class JobLimits:
    """What the author says one run needs. The operator's own limits cap it."""

    wall_seconds: int = 600
    cpus: int = 1
    memory_mb: int = 1024
    processes: int = 64
    open_files: int = 256
    scratch_mb: int = 64
    output_mb: int = 256
    output_files: int = 64


_MOST = JobLimits(
    wall_seconds=14 * 24 * 3600,
    cpus=1 << 10,
    memory_mb=1 << 20,
    processes=1 << 16,
    open_files=1 << 16,
    scratch_mb=1 << 20,
    output_mb=1 << 20,
    output_files=1 << 12,
)


@dataclass(frozen=True)
class JobFile:
    """A job's description, checked."""

    name: str
    kind: JobKind
    topic: str
    """A slug, as on chain."""
    runtime: str
    model: ModelSchema
    """Of the model that training makes or that evaluation scores."""
    seed: int
    """Shared by all who run the job: initial weights, above all."""
    limits: JobLimits = field(default_factory=JobLimits)
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Hyperparameters: TOML values, handed to the job's function as they are."""


def read_job(
    folder: Path, kind: JobKind | None = None, *, runtimes: Collection[str] | None = RUNTIMES
) -> JobFile:
    """Reads a job's folder; `kind` says which one is expected, if that is known.

    Raises BadInput: no `job.toml` or function file, not TOML, unknown, missing or wrong values,
    a runtime that is not in `runtimes`; None lets any name pass, for those who do not run it.
    """
    path = folder / JOB_FILE
    text = _read_small(path, MOST_JOB_FILE_BYTES)
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise BadInput(f"{path} is not valid TOML: {error}.") from error
    except RecursionError as error:
        raise BadInput(f"{path} is nested too deeply.") from error
    job = parse_job(table, str(path), runtimes=runtimes)
    if kind is not None and job.kind is not kind:
        raise BadInput(f"{path}: kind is {job.kind.value!r}, but {kind.value!r} is wanted here.")
    _read_small(folder / job.kind.function_file, MOST_FUNCTION_BYTES)
    return job


def parse_job(
    table: Mapping[str, Any], where: str, *, runtimes: Collection[str] | None = RUNTIMES
) -> JobFile:
    """Checks the values of a `job.toml`; `where` names it in messages. Raises BadInput."""
    _refuse_unknown(table, KEYS, where)
    kind = _text(table, "kind", where, 16)
    if kind not in list(JobKind):
        raise BadInput(f'{where}: kind is {kind!r}; write "train" or "evaluate".')
    topic = _text(table, "topic", where, 64)
    if not is_topic(topic):
        raise BadInput(
            f"{where}: topic {topic!r} is not a slug; "
            "use lower-case letters, digits and single hyphens, at most 64."
        )
    runtime = _text(table, "runtime", where, 64)
    if runtimes is not None and runtime not in runtimes:
        known = ", ".join(sorted(runtimes))
        raise BadInput(f"{where}: runtime {runtime!r} is not installed here; known: {known}.")
    return JobFile(
        name=_text(table, "name", where, 200),
        kind=JobKind(kind),
        topic=topic,
        runtime=runtime,
        model=parse_schema(table.get("model"), f"{where}: [model]"),
        seed=_whole(table, "seed", where, least=0, most=MOST_SEED, default=0),
        limits=_parse_limits(table.get("limits", {}), f"{where}: [limits]"),
        settings=_parse_settings(table.get("settings", {}), f"{where}: [settings]"),
    )


def is_topic(text: str) -> bool:
    """Whether it is a slug: lower-case letters, digits, single hyphens, at most 64 in all."""
    return len(text) <= 64 and _SLUG.fullmatch(text) is not None


def _parse_limits(table: object, where: str) -> JobLimits:
    if not isinstance(table, dict):
        raise BadInput(f"{where} must be a table.")
    most = vars(_MOST)
    _refuse_unknown(table, most.keys(), where)
    default = vars(JobLimits())
    return JobLimits(
        **{
            key: _whole(table, key, where, least=1, most=most[key], default=default[key])
            for key in most
        }
    )


def _parse_settings(table: object, where: str) -> Mapping[str, Any]:
    if not isinstance(table, dict):
        raise BadInput(f"{where} must be a table.")
    if "seed" in table:
        raise BadInput(f"{where}: seed stands at the top of the file, not here.")
    _refuse_odd_values(table, where)
    return MappingProxyType(table)


def _refuse_odd_values(value: object, where: str, depth: int = MOST_DEPTH) -> None:
    if depth < 0:
        raise BadInput(f"{where}: nested more than {MOST_DEPTH} deep.")
    if isinstance(value, date | datetime | time):
        raise BadInput(f"{where}: dates and times are not supported; write them as text.")
    if isinstance(value, dict):
        for key, inner in value.items():
            _refuse_odd_values(inner, f"{where}.{key}", depth - 1)
    elif isinstance(value, list):
        for inner in value:
            _refuse_odd_values(inner, where, depth - 1)


def _refuse_unknown(table: Mapping[str, Any], known: Collection[str], where: str) -> None:
    for key in table:
        if key not in known:
            raise BadInput(
                f"{where}: unknown key {key[:40]!r}; the keys are {', '.join(sorted(known))}."
            )


def _text(table: Mapping[str, Any], key: str, where: str, most: int) -> str:
    if key not in table:
        raise BadInput(f"{where}: {key} is missing.")
    value = table[key]
    if not isinstance(value, str) or not value or not value.isprintable():
        raise BadInput(f"{where}: {key} must be text on one line, not empty.")
    if len(value) > most:
        raise BadInput(f"{where}: {key} has {len(value)} characters; at most {most} are allowed.")
    return value


def _whole(
    table: Mapping[str, Any], key: str, where: str, *, least: int, most: int, default: int
) -> int:
    value = table.get(key, default)
    if type(value) is not int or not least <= value <= most:
        raise BadInput(f"{where}: {key} must be a whole number from {least} to {most}.")
    return value


def _read_small(path: Path, most: int) -> str:
    try:
        facts = path.lstat()
    except FileNotFoundError as error:
        raise BadInput(f"{path} does not exist; a job's folder must have it.") from error
    except NotADirectoryError as error:
        raise BadInput(f"{path.parent} is not a folder.") from error
    if not stat.S_ISREG(facts.st_mode):
        raise BadInput(f"{path} must be a regular file, not a link or a folder.")
    if facts.st_size > most:
        raise BadInput(f"{path} has {facts.st_size} bytes; at most {most} are allowed.")
    try:
        return path.read_bytes().decode("utf-8")
    except UnicodeDecodeError as error:
        raise BadInput(f"{path} is not UTF-8 text.") from error
