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

AHEAD = pd.Timedelta(days=2)  # that a timestamp's date may be ahead of UTC, of a time zone or a clock

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


def serving(sums: Rows, made: Rows, came: Rows, moves: Rows) -> Rows:
    """Of each cutoff the rows of the version that served, as more than one may have forecast it.

    Those count that forecast it before any of its values was known: from data that end at the cutoff, and before a
    forecast from a later cutoff was made or a later value was judged by. Of these it is the champion of that time, and
    else the last one. Where all were made in hindsight, as in a backfill, the first: who makes up for it later rewrites
    nothing.

    Args:
        sums: the ledger's rows.
        made: forecasts, ``cutoff``, those of ``VERSION``, ``data_version`` and ``made_at``, of some series at least.
        came: values, ``ds``, the ``data_version`` that had them, and ``judged_at``.
        moves: of the champion, ``to_version``, ``run_id`` and ``decided_at``, oldest first. All times in UTC.
    """
    own = sums.groupby(["cutoff", *VERSION], as_index=False)["made_at"].max()
    if not own["cutoff"].duplicated().any():
        return sums
    columns = ["at", "data_version", "known"]
    known = pd.concat(
        [
            own[["cutoff", "made_at"]].set_axis(["at", "known"], axis=1),
            made[["cutoff", "data_version", "made_at"]].set_axis(columns, axis=1),
            came[["ds", "data_version", "judged_at"]].set_axis(columns, axis=1),
        ]
    ).sort_values("at", ignore_index=True)
    # What a clock that ran ahead wrote tells of no time.
    known = known[known["at"] <= known["known"].dt.tz_localize(None) + AHEAD].reset_index(drop=True)
    reach = known.groupby("data_version")["at"].max()
    each = own.merge(made, on=["cutoff", *VERSION], how="left", suffixes=("_newest", ""))
    each["made_at"] = each["made_at"].fillna(each["made_at_newest"])
    # The earliest time at which anything after each cutoff was known.
    first = np.append(np.minimum.accumulate(_ticks(known["known"])[::-1])[::-1], np.iinfo(np.int64).max)
    then = first[known["at"].searchsorted(each["cutoff"], side="right")]
    when = _ticks(each["made_at"])
    late = (when >= then) | (each["data_version"].map(reach) > each["cutoff"]).to_numpy()
    # A move is no later than those after it. Before the first one nobody was champion.
    moved = np.minimum.accumulate(_ticks(moves["decided_at"])[::-1])[::-1]
    champion = np.append(np.array([""], dtype=object), _named(moves["to_version"], moves["run_id"]))
    other = late | (_named(each["model_version"], each["run_id"]) != champion[moved.searchsorted(then)])
    ranked = each.assign(late=late, other=other, order=np.where(late, when, -when))
    ranked = ranked.sort_values(["late", "other", "order"], kind="stable")
    return sums.merge(ranked.drop_duplicates("cutoff")[["cutoff", *VERSION]], on=["cutoff", *VERSION])


def _ticks(times: pd.Series[pd.Timestamp]) -> NDArray[np.int64]:
    return np.asarray(times.dt.as_unit("ns"), dtype="datetime64[ns]").astype(np.int64)


def _named(versions: pd.Series[str], runs: pd.Series[str]) -> NDArray[np.object_]:
    return (versions.astype(str) + " of " + runs.astype(str)).to_numpy(object)


def _inside(y: Float, low: pd.Series[float], high: pd.Series[float]) -> Float:
    least, most = low.to_numpy(float), high.to_numpy(float)
    return np.where(np.isfinite(least + most), (y >= least) & (y <= most), np.nan)


def _before(panel: Panel, series: NDArray[np.intp], at: NDArray[np.intp], step: NDArray[np.integer]) -> Float:
    past = at - back(step, panel.spec.season_length)
    return np.where(past >= 0, panel.y[series, np.maximum(past, 0)], np.nan)
