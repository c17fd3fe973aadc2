"""Whether what was made again is what was made before, figure by figure."""

from __future__ import annotations

import math
from collections.abc import Mapping

import pandas as pd

Figures = Mapping[str, Mapping[str, float]]


def compared(recorded: Figures, again: Figures, tolerance: float) -> pd.DataFrame:
    """Every figure of every model, before and again.

    Args:
        recorded: model → metric → value; ``again`` likewise.
        tolerance: largest difference that still agrees, as a fraction of the recorded value, and of a bias, which may
            be next to nothing, of the recorded MAE; 0 asks for the same bits.

    Returns:
        ``model, metric, recorded, again, difference, relative, agrees``, by model and metric. A figure that is missing
        on one side is NaN there and agrees with nothing; NaN on both sides is the same.
    """
    lines = []
    for model in sorted({*recorded, *again}):
        before, after = recorded.get(model, {}), again.get(model, {})
        for metric in sorted({*before, *after}):
            a, b = before.get(metric, math.nan), after.get(metric, math.nan)
            both = metric in before and metric in after
            size = abs(before.get(_basis(metric), a))
            off = b - a
            relative = 0.0 if off == 0 else abs(off) / size if size else math.inf
            same = both and (a == b or (math.isnan(a) and math.isnan(b)) or relative <= tolerance)
            lines.append([model, metric, a, b, off, relative, same])
    columns = ["model", "metric", "recorded", "again", "difference", "relative", "agrees"]
    return pd.DataFrame(lines, columns=columns).astype({"agrees": bool})


def _basis(metric: str) -> str:
    """The metric that a difference is a fraction of."""
    series, _, name = metric.rpartition(".")
    return f"{series}.mae".lstrip(".") if name == "bias" else metric
