"""A sweep's files: `sweep.csv`, `sweep.json`, and the picture `break-even`."""

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scatter.economy.gains import ROLES
from scatter.simulation.figures import COLOURS, GREY, STYLE, finish, new_figure, save
from scatter.simulation.sweep import Sweep

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLUMNS = ("role", "malicious", "nodes", "tokens_per_job")
PICTURE = "break-even"


def write_sweep(folder: Path, sweep: Sweep) -> None:
    """The numbers and the picture, into a folder that is there."""
    with (folder / "sweep.csv").open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        keys = [axis.name for axis in (sweep.x, sweep.second) if axis is not None]
        writer.writerow([*keys, *COLUMNS])
        writer.writerows(_rows(sweep))
    _draw(folder, sweep)


def summarise_sweep(sweep: Sweep) -> dict[str, Any]:
    """Everything as one document."""
    keys = [axis.name for axis in (sweep.x, sweep.second) if axis is not None]
    return {
        "keys": keys,
        "jobs": sweep.jobs,
        "points": [dict(zip([*keys, *COLUMNS], row, strict=True)) for row in _rows(sweep)],
        "break_even": [
            {
                "role": found.role,
                "curve": None if found.value is None else str(found.value),
                "honest_loses_from": found.loses,
                "cheating_pays_as_much_from": found.beaten,
            }
            for found in sweep.break_evens()
        ],
    }


def _rows(sweep: Sweep) -> Iterator[list[Any]]:
    for curve in sweep.curves:
        for value, gains in zip(sweep.x.values, curve.points, strict=True):
            place = [str(value)] if curve.value is None else [str(value), str(curve.value)]
            for gain in gains:
                yield [*place, gain.role, gain.malicious, gain.nodes, round(gain.tokens, 4)]


def _draw(folder: Path, sweep: Sweep) -> None:
    """A panel for each role: honest nodes whole, malicious ones broken."""
    from matplotlib import rc_context

    with rc_context(STYLE):
        figure = new_figure(7.2, 6.0)
        panels = figure.subplots(3, 1, sharex=True)
        for axes, role in zip(panels, ROLES[:3], strict=True):
            axes.axhline(0, color=GREY, linewidth=0.9, linestyle=(0, (1, 2)))
            _draw_role(axes, sweep, role)
            axes.set_title(f"{role.capitalize()}s")
            finish(axes, "" if sweep.second is None else sweep.second.name)
        if sweep.x.numbers is None:
            words = [str(value) for value in sweep.x.values]
            panels[-1].set_xticks(range(len(words)), words)
        panels[-1].set_xlabel(sweep.x.name)
        figure.supylabel("Tokens gained per job and node", fontsize=STYLE["font.size"])
        save(folder, PICTURE, figure)


def _draw_role(axes: "Axes", sweep: Sweep, role: str) -> None:
    for colour, curve in zip(_colours(len(sweep.curves)), sweep.curves, strict=True):
        for malicious in (False, True):
            points = curve.along(sweep.x, role, malicious=malicious)
            if not points:
                continue
            word = "malicious" if malicious else "honest"
            value = "" if curve.value is None else f", {curve.value}"
            axes.plot(
                [x for x, _ in points],
                [y for _, y in points],
                color=colour if sweep.second is not None else COLOURS[5 if malicious else 0],
                linestyle=(0, (4, 1.5)) if malicious else "-",
                marker="o",
                markersize=2.5,
                linewidth=1.3,
                label=word + value,
            )
    evens = [found for found in sweep.break_evens() if found.role == role]
    for colour, found in zip(_colours(len(evens)), evens, strict=True):
        if found.beaten is None:
            continue
        if sweep.second is not None:
            axes.axvline(found.beaten, color=colour, linewidth=0.7)
            continue
        axes.axvline(found.beaten, color=GREY, linewidth=0.9)
        axes.annotate(
            f" {found.beaten:.2f}",
            (found.beaten, 1.0),
            xycoords=("data", "axes fraction"),
            va="top",
            fontsize=7,
            color=GREY,
        )


def _colours(count: int) -> list[str]:
    return [COLOURS[place % len(COLOURS)] for place in range(count)]
