"""Somebody who looks at a stranger's job for this node, without running anything of it."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeAlias

from scatter.learning.inspection import Inspection

Inspect: TypeAlias = Callable[[Path], Awaitable[Inspection]]
"""Says what a job's folder holds. A folder that cannot be looked at within bounds is one with a
suspicion, never an exception.
"""
