"""Figures of published rows from forecasts, and how they compare with what was published. Letters of ``core.frame``."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from daycast.core import metrics
from daycast.core.frame import Float

NOISE_MEAN = 4.5  # of integers from 0 to 9
NOISE_DEVIATION = math.sqrt((10**2 - 1) / 12)
"""Standard deviation of independent integers, uniform from 0 to 9: the RMSE of whoever knows their mean."""


@dataclass(frozen=True)
class Line:
    """One published number beside ours.

    Attributes:
        row: name of the row; ``title`` for people.
        figure: what is measured, such as ``rail mae +1``.
        published: the number as published, or NaN.
        measured: the number as measured for this project before, with other code, or NaN.
        mean, low, high: ours as published, over the seeds; NaN if nothing was made.
        spread: standard deviation over the seeds (of a sample); NaN of fewer than two.
        seeds: how many, 0 for a model without a seed or if nothing was made.
        off: relative difference of ``mean`` from ``published``, or where nothing was from ``measured``, a fraction; NaN
            without both.
        tuned: ours by the pipeline's model ``by``, at the same rows; NaN if there is none.
    """

    row: str
    title: str
    figure: str
    published: float
    measured: float
    mean: float
    spread: float
    low: float
    high: float
    seeds: int
    off: float
    tuned: float
    by: str


def line(
    about: tuple[str, str, str],
    of: tuple[float | None, float | None],
    ours: Sequence[float],
    seeded: bool,
    tuned: tuple[float, str],
) -> Line:
    """Put a number that was published, or measured before, and ours side by side.

    Args:
        about: row, title and figure.
        of: as published, and as measured before.
        ours: one value per seed, or one alone; empty if nothing was made as published.
        seeded: whether the values come from seeds.
        tuned: the value of the pipeline's model, and its name.
    """
    published, measured = (float("nan") if value is None else value for value in of)
    told = measured if math.isnan(published) else published
    values = np.asarray(ours, dtype=np.float64)
    made = len(values) > 0
    mean = float(values.mean()) if made else float("nan")
    return Line(
        *about,
        published,
        measured,
        mean,
        float(values.std(ddof=1)) if len(values) > 1 else float("nan"),
        float(values.min()) if made else float("nan"),
        float(values.max()) if made else float("nan"),
        len(values) if seeded else 0,
        mean / told - 1 if told else float("nan"),
        *tuned,
    )


def cutoffs(first: pd.Timestamp, last: pd.Timestamp, horizon: int) -> pd.DatetimeIndex:
    """Daily cutoffs whose ``horizon`` targets all lie in ``first .. last``."""
    return pd.date_range(first - pd.Timedelta(days=1), last - pd.Timedelta(days=horizon))


def figure(rows: pd.DataFrame, at: pd.DatetimeIndex, series: str, step: int | None, metric: str) -> float:
    """A metric of one series at one step, or the mean over all steps, from forecasts made ``at`` these cutoffs.

    Args:
        rows: ``unique_id, cutoff, ds, step, y_hat, y`` in raw units; others than asked for are left out.

    Returns:
        In units of y, MAPE as a fraction; NaN if not every one of the cutoffs is among the rows.
    """
    own = rows[(rows["unique_id"] == series) & rows["cutoff"].isin(at)]
    if own["cutoff"].nunique() < len(at):
        return float("nan")
    by_step = metrics.score(own.drop(columns=[c for c in own if str(c).startswith("q0")]), {series: 1.0}).by_step
    chosen = by_step if step is None else by_step[by_step["step"] == step]
    return float(chosen[metric].mean())


def noise(seed: int, values: int) -> Float:
    """Independent integers, uniform from 0 to 9, as floats ``(values,)``."""
    return np.random.default_rng(seed).integers(0, 10, values).astype(np.float64)
