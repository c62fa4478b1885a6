"""The curves as pictures: every node's token supply, the validators' stakes, the lottery.

The same run gives the same file. Colours are those of Okabe and Ito, which colour-blind people can
tell apart; a malicious node's line is broken, so that the picture can be read in grey, too.
"""

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scatter.economy.outcome import Node, Run
from scatter.economy.series import LOTTERY, Kind, Point
from scatter.mechanism.errors import BadInput, ScatterError
from scatter.mechanism.units import UNIT

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BLUE, ORANGE, GREEN, PINK = "#0072B2", "#E69F00", "#009E73", "#CC79A7"
SKY, RED, BLACK, GREY = "#56B4E9", "#D55E00", "#000000", "#777777"
COLOURS = (BLUE, ORANGE, GREEN, PINK, SKY, RED)
MOST_NAMED = len(COLOURS)
"""Nodes of a role that get a line with a name; of more, the honest and the malicious do."""

FORMATS = ("png", "svg")
STYLE: dict[Any, Any] = {
    "font.size": 9,
    "font.family": "sans-serif",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "legend.frameon": False,
    "legend.fontsize": 8,
    "svg.hashsalt": "scatter",
    "svg.fonttype": "none",
    "savefig.dpi": 150,
}

FigureNames = tuple[str, str, str]
"""What the files of the three are called; an empty name leaves one out."""
UNNUMBERED: FigureNames = ("token-supply", "stakes", "lottery")

BLOCKS, SUPPLY = "Time (block number)", "Scatter token supply"


class NoMatplotlib(ScatterError):
    """Pictures need matplotlib. Install it with `make .venv/.sim`, or leave out --out."""


def prepare_folder(folder: Path) -> None:
    """Makes the folder for pictures before anything is computed in vain.

    Raises NoMatplotlib; BadInput when it cannot be made.
    """
    if find_spec("matplotlib") is None:
        raise NoMatplotlib
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadInput(f"--out {folder} cannot be made: {error.strerror}.") from error


def draw_figures(folder: Path, run: Run, names: FigureNames) -> None:
    """Token supplies, validators' stakes and lottery."""
    from matplotlib import rc_context

    with rc_context(STYLE):
        for name, draw in zip(names, (_draw_supplies, _draw_stakes, _draw_lottery), strict=True):
            if name:
                save(folder, name, draw(run))


def save(folder: Path, name: str, figure: "Figure") -> None:
    """Writes the picture in every format, the same bytes each time."""
    for suffix in FORMATS:
        metadata = {"Date": None} if suffix == "svg" else {"Software": None}
        figure.savefig(folder / f"{name}.{suffix}", metadata=metadata)


def _draw_supplies(run: Run) -> "Figure":
    """A panel for each role, all over one time."""
    roles = ("trainer", "validator", "challenger", "requester")
    shown = [(role, run.outcome.of(role)) for role in roles if run.outcome.of(role)]
    figure = new_figure(7.2, 1.8 * len(shown) + 0.8)
    heights = [1.8 if role == "trainer" else 1 for role, _ in shown]
    panels = figure.subplots(len(shown), 1, sharex=True, height_ratios=heights, squeeze=False)
    for axes, (role, nodes) in zip(panels[:, 0], shown, strict=True):
        initial = run.scenario.tokens / UNIT
        words = "initial supply" if role == shown[0][0] else None
        axes.axhline(initial, color=GREY, linewidth=0.9, linestyle=(0, (1, 2)), label=words)
        _plot_nodes(axes, run, nodes, Kind.BALANCE)
        axes.set_title(f"{role.capitalize()}s" if len(nodes) > 1 else role.capitalize())
        finish(axes)
    figure.align_ylabels()
    panels[-1, 0].set_xlabel(BLOCKS)
    figure.supylabel(SUPPLY, fontsize=STYLE["font.size"])
    return figure


def _draw_stakes(run: Run) -> "Figure":
    figure = new_figure(6.4, 3.0)
    axes = figure.subplots()
    _plot_nodes(axes, run, run.outcome.of("validator"), Kind.STAKE)
    axes.set_xlabel(BLOCKS)
    axes.set_ylabel("Validator stake")
    finish(axes)
    axes.set_ylim(bottom=0)
    return figure


def _draw_lottery(run: Run) -> "Figure":
    figure = new_figure(6.4, 3.0)
    axes = figure.subplots()
    _plot(axes, run.series.curves[Kind.LOTTERY, LOTTERY], color=BLUE, label=None)
    axes.set_xlabel(BLOCKS)
    axes.set_ylabel("Lottery supply")
    finish(axes)
    axes.set_ylim(bottom=0)
    return figure


def _plot_nodes(axes: "Axes", run: Run, nodes: Sequence[Node], kind: Kind) -> None:
    """A line for each node; where lines may cover each other the later ones are thinner."""
    named = len(nodes) <= MOST_NAMED
    shown: set[bool] = set()
    for place, node in enumerate(nodes):
        label: str | None = f"{node.name} (malicious)" if node.malicious else node.name
        colour = COLOURS[place % MOST_NAMED]
        if not named:
            colour = RED if node.malicious else BLUE
            label = None if node.malicious in shown else "malicious" if node.malicious else "honest"
            shown.add(node.malicious)
        _plot(
            axes,
            run.series.curves[kind, node.name],
            color=colour,
            label=label,
            linestyle=(0, (4, 1.5)) if node.malicious else "-",
            linewidth=max(2.4 - 0.6 * place, 1.2) if 1 < len(nodes) <= 3 else 1.2,
        )


def _plot(
    axes: "Axes",
    points: Sequence[Point],
    *,
    color: str,
    label: str | None,
    linestyle: Any = "-",
    linewidth: float = 1.2,
) -> None:
    axes.plot(
        [point.block for point in points],
        [point.tokens / UNIT for point in points],
        drawstyle="steps-post",
        color=color,
        label=label,
        linestyle=linestyle,
        linewidth=linewidth,
    )


def new_figure(width: float, height: float) -> "Figure":
    """In inches; to be drawn under STYLE."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def finish(axes: "Axes", legend: str = "") -> None:
    """Thousands with a comma, a light grid, and the legend where no curve can be under it."""
    from matplotlib.ticker import FuncFormatter

    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axes.grid(axis="y", linewidth=0.4, alpha=0.5)
    axes.margins(x=0.01)
    if axes.get_legend_handles_labels()[1]:
        axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), handlelength=2.4, title=legend)
