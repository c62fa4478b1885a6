"""The one table at the end, the same as JSON, and the machine that it was taken on."""

import os
import platform
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.figures import Row

MOST_LOAD = 1.0
"""Of all processors together, at the start; above it times mean little."""
LEAST_FREE_BYTES = 4 << 30
WIDTH = 150

_COLOURS = {"met": "green", "missed": "red", "unknown": "yellow", "": ""}


@dataclass(frozen=True)
class Machine:
    """Where and under what load the figures were taken."""

    cores: int
    load: float
    """The average of the last minute, at the start."""
    python: str
    system: str
    files: str
    """Where the benchmarks keep their files."""

    def __str__(self) -> str:
        return (
            f"{self.cores} cores, load {self.load:.1f} at the start, Python {self.python}, "
            f"{self.system}, files in {self.files}"
        )


def look_at_machine(files: Path) -> Machine:
    return Machine(
        cores=len(os.sched_getaffinity(0)),
        load=os.getloadavg()[0],
        python=platform.python_version(),
        system=f"{platform.system()} {platform.machine()}",
        files=str(files),
    )


def find_room() -> Path:
    """A folder in memory where there is room, so that code is measured and not a disk."""
    in_memory = Path("/dev/shm")
    with suppress(OSError):
        room = os.statvfs(in_memory)
        if room.f_bavail * room.f_frsize >= LEAST_FREE_BYTES and os.access(in_memory, os.W_OK):
            return in_memory
    return Path(tempfile.gettempdir())


def as_table(rows: Sequence[Row]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("what", overflow="fold")
    table.add_column("unit")
    for name in ("ours", "best"):
        table.add_column(name, justify="right")
    table.add_column("peer", overflow="fold")
    for name in ("its own", "best", "ratio"):
        table.add_column(name, justify="right")
    table.add_column("target", no_wrap=True)
    table.add_column("", no_wrap=True)
    for row in rows:
        table.add_row(
            row.what,
            row.unit,
            show_number(row.ours.median if row.ours else None),
            show_number(row.ours.best if row.ours and row.ours.repeated else None),
            row.peer,
            show_number(row.peers.median if row.peers else None),
            show_number(row.peers.best if row.peers and row.peers.repeated else None),
            show_number(row.ratio),
            str(row.target or ""),
            f"[{_COLOURS[row.verdict]}]{row.verdict}[/]" if row.verdict else "",
        )
    return table


def show_number(value: float | None) -> str:
    """Three digits that count, and whole numbers in full."""
    if value is None:
        return ""
    if value == int(value) or abs(value) >= 1_000:
        return f"{value:,.0f}"
    return f"{value:.3g}" if abs(value) < 100 else f"{value:.0f}"


def as_json(machine: Machine, rows: Sequence[Row], failures: Sequence[str]) -> dict[str, Any]:
    """Everything that was measured, each single value included."""
    return {
        "machine": asdict(machine),
        "rows": [
            asdict(row) | {"ratio": row.ratio, "verdict": row.verdict or None} for row in rows
        ],
        "failures": list(failures),
    }


def show(machine: Machine, rows: Sequence[Row], failures: Sequence[str]) -> None:
    console = Console()
    if not console.is_terminal:
        console = Console(width=WIDTH)
    console.print(as_table(rows))
    console.print(f"\n{machine}", highlight=False, soft_wrap=True)
    console.print("ours and its own: medians; ratio: best by best; MB: 10^6 bytes", highlight=False)
    if machine.load > MOST_LOAD:
        console.print(
            f"[yellow]The load was above {MOST_LOAD:g}: times mean little, ratios more.[/]"
        )
    for failure in failures:
        console.print(f"[red]{failure}[/]", highlight=False, soft_wrap=True)
