"""Reads one table of a TOML file, key by key, and remembers which keys were asked for.

Every mistake becomes BadInput with the file, the key and the remedy; keys that nobody asked for
are refused at the end, with the nearest known name.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeVar

from scatter.mechanism.errors import BadInput

Choice = TypeVar("Choice", bound=StrEnum)

MOST_TEXT = 4_096


class Table:
    """One table, at `where` in `file` ("" is the top)."""

    def __init__(self, file: Path, where: str, content: Mapping[str, Any]) -> None:
        self._file = file
        self._where = where
        self._content = content
        self._asked: set[str] = set()

    @property
    def folder(self) -> Path:
        """Where the file lies."""
        return self._file.parent

    def mistake(self, key: str, sentence: str) -> BadInput:
        """The error to raise: "FILE: TABLE.KEY SENTENCE"."""
        return BadInput(f"{self._file}: {self._name(key)} {sentence}")

    def refuse_unknown(self) -> None:
        """Raises BadInput for the first key that was never asked for."""
        for key in self._content:
            if key not in self._asked:
                near = get_close_matches(key, self._asked, n=1)
                known = ", ".join(sorted(self._asked))
                hint = f'did you mean "{near[0]}"?' if near else f"known here: {known}"
                raise self.mistake(key, f"is not a known key; {hint}")

    def table(self, key: str) -> "Table":
        """The table under `key`; an absent one is empty."""
        content = self._take(key, {})
        if not isinstance(content, dict):
            raise self.mistake(key, f"must be a table; write [{key}] and its keys below")
        return Table(self._file, self._name(key), content)

    def tables(self, key: str, *, most: int) -> Iterator["Table"]:
        """The tables of a list of tables; an absent one is empty."""
        entries = self._take(key, [])
        name = self._name(key)
        if not isinstance(entries, list) or not all(isinstance(e, dict) for e in entries):
            raise self.mistake(key, f"must be a list of tables; write [[{name}]] before each")
        if len(entries) > most:
            raise self.mistake(key, f"has {len(entries)} entries; at most {most} are allowed")
        for number, entry in enumerate(entries, start=1):
            yield Table(self._file, f"{name}[{number}]", entry)

    def text(
        self,
        key: str,
        default: str | None = None,
        *,
        matching: re.Pattern[str] | None = None,
        like: str = "",
    ) -> str:
        """A string of at most 4,096 characters."""
        value = self._take(key, default)
        if not isinstance(value, str) or len(value) > MOST_TEXT:
            raise self.mistake(key, "must be a text in quotes")
        if matching is not None and not matching.match(value):
            raise self.mistake(
                key, f'is {value!r}; use lower-case letters, digits and hyphens, such as "{like}"'
            )
        return value

    def texts(self, key: str, *, most: int) -> Sequence[str]:
        """A list of strings; an absent one is empty."""
        value = self._take(key, [])
        if not isinstance(value, list) or not all(isinstance(v, str) for v in value):
            raise self.mistake(key, 'must be a list of texts, such as ["one", "two"]')
        if len(value) > most or any(len(v) > MOST_TEXT for v in value):
            raise self.mistake(key, f"is too long; at most {most} entries are allowed")
        return value

    def amount(self, key: str, default: str | None = None) -> str:
        """A decimal number, in quotes or a whole number without them."""
        value = self._take(key, default)
        if isinstance(value, bool) or not isinstance(value, str | int):
            raise self.mistake(key, 'must be a number in quotes, such as "1000.5"')
        return str(value)

    def integer(self, key: str, default: int, least: int, most: int) -> int:
        """A whole number within bounds."""
        value = self._take(key, default)
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            raise self.mistake(key, f"must be a whole number from {least} to {most}")
        return value

    def number(self, key: str, default: float, least: float, most: float) -> float:
        """A number within bounds."""
        value = self._take(key, default)
        if (
            isinstance(value, bool)
            or not isinstance(value, int | float)
            or not least <= value <= most
        ):
            raise self.mistake(key, f"must be a number from {least:g} to {most:g}")
        return float(value)

    def boolean(self, key: str, default: bool) -> bool:
        """True or false."""
        value = self._take(key, default)
        if not isinstance(value, bool):
            raise self.mistake(key, "must be true or false, without quotes")
        return value

    def choice(self, key: str, choices: type[Choice], default: Choice) -> Choice:
        """One of the values of `choices`."""
        return self._chosen(key, choices, self._take(key, default.value))

    def choices(self, key: str, choices: type[Choice]) -> Sequence[Choice]:
        """A list of values of `choices`."""
        self._required(key)
        return [self._chosen(key, choices, text) for text in self.texts(key, most=len(choices))]

    def path(self, key: str, default: str | None = None) -> Path:
        """A path, relative to the folder of the file."""
        text = self.text(key, default)
        if not text or "\0" in text:
            raise self.mistake(key, "must be a path")
        return (self._file.parent / Path(text).expanduser()).absolute()

    def optional_path(self, key: str) -> Path | None:
        """A path, or None when the key is absent or empty."""
        return self.path(key) if self.text(key, "") else None

    def _take(self, key: str, default: Any) -> Any:
        self._asked.add(key)
        if default is None:
            self._required(key)
        return self._content.get(key, default)

    def _required(self, key: str) -> None:
        if key not in self._content:
            raise self.mistake(key, "is missing; add it")

    def _chosen(self, key: str, choices: type[Choice], value: object) -> Choice:
        for choice in choices:
            if choice.value == value:
                return choice
        near = get_close_matches(str(value), [c.value for c in choices], n=1)
        hint = f'; did you mean "{near[0]}"?' if near else ""
        known = ", ".join(f'"{choice.value}"' for choice in choices)
        raise self.mistake(key, f"has {value!r}, which is none of {known}{hint}")

    def _name(self, key: str) -> str:
        return f"{self._where}.{key}" if self._where else key
