"""What forecasts missed by once their days have come, and what the sums of it come to.

Sums are over series, by cutoff, target day and model version, so that all that is told of years of forecasts is
computed from a table of some thousand rows. Letters of ``core.frame``.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from daycast.core.frame import Float, Panel

Rows = pd.DataFrame

SUMS = (
    "n",
    "abs_error",
    "error",
    "n_naive",
    "abs_error_naive",
    "naive_error",
    "n_80",
    "inside_80",
    "n_95",
    "inside_95",
)
"""Columns of the ledger that add up; see the table ``ledger`` of the store."""

VERSION = ("model", "model_version", "run_id")
"""Columns that name a model version: its number alone would start anew in another registry."""


def judged(rows: Rows, panel: Panel) -> Rows:
    """Forecast rows whose values have come, each beside the seasonal naive forecast of its own cutoff.

    Args:
        rows: ``unique_id, ds, step, y_hat`` and quantiles ``0.025, 0.1, 0.9, 0.975`` (NaN where there is none), raw
            units.
        panel: what came, up to now.

    Returns:
        Those rows with ``y``; ``naive``, the newest value of the same season up to the cutoff, NaN if it is missing;
        ``error``, forecast less value; ``inside_80`` and ``inside_95``, 1 or 0, NaN without those quantiles. Values on
        the edge are inside.
    """
    series = pd.Index(panel.ids).get_indexer(pd.Index(rows["unique_id"].astype(str)))
    at = panel.ds.get_indexer(pd.DatetimeIndex(rows["ds"]))
    here = (series >= 0) & (at >= 0)
    rows, series, at = rows[here], series[here], at[here]
    y = panel.y[series, at]
    naive = _before(panel, series, at, rows["step"].to_numpy())
    found = rows.assign(
        y=y,
        naive=naive,
        error=rows["y_hat"].to_numpy() - y,
        inside_80=_inside(y, rows["0.1"], rows["0.9"]),
        inside_95=_inside(y, rows["0.025"], rows["0.975"]),
    )
    return found[np.isfinite(y)].reset_index(drop=True)


def back(step: NDArray[np.integer], season_length: int) -> NDArray[np.int64]:
    """How many timestamps before a forecast's target the seasonal naive forecast of its cutoff looks: whole seasons."""
    return np.asarray(season_length * np.ceil(step / season_length), dtype=np.int64)


def told(sums: Rows, by: Sequence[str]) -> Rows:
    """The figures of the ledger's rows, by some of their columns.

    Returns:
        ``by``, ``n`` (forecast rows), ``mae``, ``naive_mae`` (seasonal naive), ``bias`` (forecast less value), raw
        units; ``skill``, 1 - mae / naive_mae at the rows that have both: 0 is as good as the seasonal naive, below is
        worse; ``coverage_80``, ``coverage_95``, shares. NaN where there is nothing to tell by.
    """
    one = sums.groupby(list(by), as_index=False, sort=True)[list(SUMS)].sum()
    with np.errstate(divide="ignore", invalid="ignore"):
        beside, naive = one["abs_error_naive"].to_numpy(), one["naive_error"].to_numpy()
        skill = np.where(naive > 0, 1 - beside / naive, np.where(beside > 0, -np.inf, 0.0))
        return one[[*by, "n"]].assign(
            mae=one["abs_error"] / one["n"],
            naive_mae=one["naive_error"] / one["n_naive"],
            skill=np.where(one["n_naive"] > 0, skill, np.nan),
            bias=one["error"] / one["n"],
            coverage_80=one["inside_80"] / one["n_80"],
            coverage_95=one["inside_95"] / one["n_95"],
        )


def serving(sums: Rows, timezone: str) -> Rows:
    """Of each cutoff the rows of the version that served, as more than one may have forecast it.

    That is the one that forecast it last before any of its values came; where all came too late, as in a backfill, the
    first: who makes up for it later rewrites nothing. A value comes when its day is over, or later: not before anybody
    forecast from a later cutoff.

    Args:
        sums: the ledger's rows, ``made_at`` in UTC.
        timezone: of ``ds``.
    """
    if sums.empty:
        return sums
    made = sums.groupby(["cutoff", *VERSION]).agg(made_at=("made_at", "max"), ds=("ds", "min")).reset_index()
    first = sums.groupby("cutoff")["made_at"].min().iloc[::-1].cummin().iloc[::-1].shift(-1)  # of all later cutoffs
    here, newer = (
        at.dt.tz_convert(timezone).dt.tz_localize(None) for at in (made["made_at"], made["cutoff"].map(first))
    )
    over = made["ds"] + pd.Timedelta(days=1)
    late = here >= over.where(~(newer > over), newer)
    order = made["made_at"].astype("int64").where(late, -made["made_at"].astype("int64"))
    served = made.assign(late=late, order=order).sort_values(["late", "order"], kind="stable")
    return sums.merge(served.drop_duplicates("cutoff")[["cutoff", *VERSION]], on=["cutoff", *VERSION])


def _inside(y: Float, low: pd.Series[float], high: pd.Series[float]) -> Float:
    least, most = low.to_numpy(float), high.to_numpy(float)
    return np.where(np.isfinite(least + most), (y >= least) & (y <= most), np.nan)


def _before(panel: Panel, series: NDArray[np.intp], at: NDArray[np.intp], step: NDArray[np.integer]) -> Float:
    past = at - back(step, panel.spec.season_length)
    return np.where(past >= 0, panel.y[series, np.maximum(past, 0)], np.nan)
