"""How a model came about: training curves and the search for its hyperparameters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from daycast.adapters.report.style import BLUE, COLORS, GREY, ORANGE, bars_grid, figure, thousands, whole_numbers


def curves(values: Mapping[str, Sequence[float]], title: str, file: Path) -> Path:
    """Training curves, an epoch per value: ``train_loss`` dashed, ``val_loss`` solid, a colour per member ``_<i>``."""
    from matplotlib.ticker import ScalarFormatter

    with figure(file, title) as (ax,):
        for name, line in values.items():
            member = name.rpartition("_")[2]
            color = COLORS[int(member) % len(COLORS)] if member.isdigit() else BLUE
            style = "--" if name.startswith("train") else "-"
            marker = "o" if len(line) == 1 else None
            ax.plot(range(1, len(line) + 1), line, style, color=color, marker=marker, label=name, linewidth=1.3)
        ax.set_yscale("log")
        ax.yaxis.set_major_formatter(ScalarFormatter())
        ax.yaxis.set_minor_formatter(ScalarFormatter())
        ax.set_xlim(0.5, max(map(len, values.values())) + 0.5)
        whole_numbers(ax.xaxis)
        ax.set_xlabel("epoch")
        ax.set_ylabel("loss, transformed units")
    return file


def tuning_history(trials: Sequence[tuple[int, float | None]], metric: str, title: str, file: Path) -> Path:
    """Value by trial with the best so far; pruned and failed trials, which have none, as ticks below.

    Args:
        trials: (number from 0, value or ``None``) in the order they ran.
    """
    from matplotlib.ticker import MaxNLocator

    values = [(number + 1, value) for number, value in trials if value is not None]
    with figure(file, title) as (ax,):
        numbers, found = [n for n, _ in values], [v for _, v in values]
        ax.plot(numbers, found, marker="o", linestyle="none", color=GREY, label="finished trial")
        ax.step(numbers, np.minimum.accumulate(found), where="post", color=BLUE, label="best so far")
        without = [number + 1 for number, value in trials if value is None]
        if without:
            ax.plot(
                without, [ax.get_ylim()[0]] * len(without), marker="|", linestyle="none", color=ORANGE, label="pruned"
            )
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
        whole_numbers(ax.xaxis)
        ax.set_xlabel("trial")
        ax.set_ylabel(f"{metric} on the validation folds")
        if max(found) >= 1000:
            thousands(ax.yaxis)
    return file


def importances(shares: Mapping[str, float], title: str, file: Path) -> Path:
    """A bar per hyperparameter: its share in the variance of the value."""
    with figure(file, title, height=1.2 + 0.45 * len(shares)) as (ax,):
        names = list(shares)[::-1]
        bars = ax.barh(names, [shares[name] for name in names], color=BLUE)
        ax.bar_label(bars, fmt=lambda v: f" {v:.0%}", fontsize=9)
        bars_grid(ax)
        ax.set_xlabel("share in the variance of the value")
        ax.margins(x=0.1)
    return file
