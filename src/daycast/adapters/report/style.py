"""What all pictures share: axes, colours, and how they are written."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis

BLUE, ORANGE, GREY = "#1f5fa8", "#d9701a", "#8a8f98"
COLORS = (ORANGE, BLUE, "#3a8f5c", "#8a5fa8", "#b8445a", "#5c6b2f")  # of lines that are alike, such as an ensemble's
TITLE = 110  # characters of a line
MOST_SERIES = 4  # panels in one figure; more can't be read


@contextmanager
def figure(file: Path, title: str, rows: int = 1, height: float = 4.2) -> Iterator[list[Axes]]:
    """Axes of a figure without any global state (fits run in threads), written to ``file`` at the end.

    Title and legend, that of the first axes, stand above all axes.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    canvas = Figure(figsize=(9, height if rows == 1 else 2.6 * rows + 0.6), layout="constrained")
    FigureCanvasAgg(canvas)
    axes = list(canvas.subplots(rows, 1, squeeze=False)[:, 0])
    for ax in axes:
        ax.spines[["top", "right"]].set_visible(False)
        ax.grid(axis="y", color="#e4e6ea", linewidth=0.8)
        ax.set_axisbelow(True)
    yield axes
    # As the title of the legend, also of an empty one: the layout would let a title of the figure overlap it.
    lines, labels = axes[0].get_legend_handles_labels()
    shown = {"title": textwrap.fill(title, TITLE), "title_fontsize": 11, "alignment": "left", "frameon": False}
    canvas.legend(lines, labels, loc="outside upper left", ncols=4, **shown)
    file.parent.mkdir(parents=True, exist_ok=True)
    canvas.savefig(file, dpi=110)


def thousands(axis: Axis) -> None:
    from matplotlib.ticker import FuncFormatter

    axis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:,.0f}"))


def whole_numbers(axis: Axis) -> None:
    from matplotlib.ticker import MaxNLocator

    axis.set_major_locator(MaxNLocator(integer=True))


def bars_grid(ax: Axes) -> None:
    ax.grid(visible=False, axis="y")
    ax.grid(axis="x", color="#e4e6ea", linewidth=0.8)


def band(ax: Axes, rows: pd.DataFrame, label: str | None) -> None:
    if "q0.1" in rows:
        ax.fill_between(rows["ds"], rows["q0.1"], rows["q0.9"], color=BLUE, alpha=0.18, linewidth=0, label=label)
