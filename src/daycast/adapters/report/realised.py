"""How forecasts turned out, as pictures."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from daycast.adapters.report.style import BLUE, GREY, figure, thousands


def realised(windows: pd.DataFrame, title: str, unit: str, file: Path) -> Path:
    """Error of the forecasts by cutoff, against that of the seasonal naive.

    Args:
        windows: ``cutoff, mae, naive_mae``, raw units, oldest first.
    """
    with figure(file, title) as (ax,):
        ax.plot(windows["cutoff"], windows["naive_mae"], color=GREY, linewidth=1.2, label="seasonal naive")
        ax.plot(windows["cutoff"], windows["mae"], color=BLUE, linewidth=1.6, marker=".", label="forecast")
        ax.set_ylabel(f"mean absolute error, {unit}")
        ax.set_xlabel("cutoff")
        ax.set_ylim(bottom=0)
        thousands(ax.yaxis)
    return file
