"""Whether what was made again is what was made before, figure by figure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import zip_longest

import pandas as pd

Figures = Mapping[str, Mapping[tuple[str, int], tuple[float, ...]]]


def compared(recorded: Figures, again: Figures, tolerance: float) -> pd.DataFrame:
    """Every figure of every model, before and again.

    Args:
        recorded: model → metric and step → values, ascending, more than one where a step was logged with several;
            ``again`` likewise.
        tolerance: largest difference that still agrees, as a fraction of the recorded value, and of a bias, which may
            be next to nothing, of the recorded MAE; 0 asks for the same bits.

    Returns:
        ``model, metric, step, recorded, again, difference, relative, agrees``, by model, metric and step. A figure
        that is missing on one side is NaN there and agrees with nothing; NaN on both sides is the same.
    """
    lines = []
    for model in sorted({*recorded, *again}):
        before, after = recorded.get(model, {}), again.get(model, {})
        for metric, step in sorted({*before, *after}):
            basis = next(iter(before.get((_basis(metric), step), ())), None)
            for a, b in zip_longest(before.get((metric, step), ()), after.get((metric, step), ())):
                lines.append([model, metric, step, *_line(a, b, basis, tolerance)])
    columns = ["model", "metric", "step", "recorded", "again", "difference", "relative", "agrees"]
    return pd.DataFrame(lines, columns=columns).astype({"agrees": bool})


def _line(a: float | None, b: float | None, basis: float | None, tolerance: float) -> list[float]:
    """A figure before and again, their difference, also as a fraction of ``basis`` or ``a``, and whether they agree."""
    both = a is not None and b is not None
    a, b = (math.nan if value is None else value for value in (a, b))
    size, off = abs(a if basis is None else basis), b - a
    relative = 0.0 if off == 0 else abs(off) / size if size else math.inf
    return [a, b, off, relative, both and (a == b or (math.isnan(a) and math.isnan(b)) or relative <= tolerance)]


def _basis(metric: str) -> str:
    """The metric that a difference is a fraction of."""
    series, _, name = metric.rpartition(".")
    return f"{series}.mae".lstrip(".") if name == "bias" else metric
