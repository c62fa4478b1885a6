"""What a value is that the contracts logged."""

from dataclasses import dataclass
from typing import TypeVar, dataclass_transform

Entry = TypeVar("Entry")


@dataclass_transform(kw_only_default=True, frozen_default=True)
def entry(cls: type[Entry]) -> type[Entry]:
    """Makes a dataclass of keyword fields, hashable, and frozen to the type checker only.

    A simulation makes dozens of entries per job, and one that is frozen at run time takes twice as
    long to make: its own constructor has to go round the guard, once per field.
    """
    return dataclass(kw_only=True, unsafe_hash=True, slots=True)(cls)
