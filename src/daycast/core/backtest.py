"""Forecasts made at past cutoffs, what came of them, and how far off they were."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from daycast.core import quantiles, split
from daycast.core.forecast import Forecaster, predict, rows
from daycast.core.frame import Table
from daycast.core.split import Fold
from daycast.errors import DataError, HistoryError


def forecasts(
    model: Forecaster,
    table: Table,
    fold: Fold,
    series: tuple[str, ...] | None = None,
    levels: Sequence[float] = (),
) -> pd.DataFrame:
    """Forecast from each of the fold's cutoffs, with a model already fitted at its ``fit_cutoff``.

    The model sees every series; ``series`` only chooses whose rows are returned. A series with nothing observed in the
    fold's fit history has no rows: no model could know it, so leaving it out favours none.

    Args:
        levels: those at which the model's own quantiles are asked for, ascending; none of a model that learns none.

    Returns:
        Rows ``unique_id, cutoff, ds, step, y_hat`` and own quantiles ``q0.025`` …, as the model gives them, in raw
        units. They hold no actual value.

    Raises:
        DataError: ``series`` names one that does not exist.
        HistoryError: a series named, or every series, has nothing observed in the fit history.
        ModelError: the model has no such quantiles.
    """
    wanted = split.history(table, fold)
    if series is not None:
        wanted = wanted.only(series)
    known = [name for name, values in zip(wanted.ids, wanted.y, strict=True) if np.isfinite(values).any()]
    if not known or (series is not None and len(known) < len(wanted.ids)):
        unseen = sorted(set(wanted.ids) - set(known))
        raise HistoryError(
            f"observed values up to {fold.fit_cutoff.date()} in the series to forecast",
            f"none in {unseen[:5]}",
            "move the folds to later dates, or leave these series out",
        )
    origins = split.origins(table, fold.cutoffs, fold.horizon)
    made = rows(predict(model, origins), origins)
    if levels:
        made = quantiles.beside(made, quantiles.learned(model, origins, levels, fold.horizon), levels)
    return made[made["unique_id"].isin(known)].reset_index(drop=True)


def with_actuals(rows: pd.DataFrame, table: Table) -> pd.DataFrame:
    """The rows with what came, ``y`` in raw units, NaN where nothing was observed (yet). For the scorer alone.

    Raises:
        DataError: a series or timestamp is not the table's.
    """
    panel = table.panel
    at = pd.Index(panel.ids).get_indexer(pd.Index(rows["unique_id"]))
    when = panel.ds.get_indexer(pd.DatetimeIndex(rows["ds"]))
    stray = (at < 0) | ((when < 0) & (rows["ds"] <= panel.cutoff).to_numpy())
    if stray.any():
        first = rows.loc[stray].iloc[0]
        raise DataError(
            "forecast rows of series and timestamps that the data have",
            f"{int(stray.sum())} others, first {first['unique_id']} at {first['ds']}",
            "score forecasts with the version of the data that they were made from, or a newer one",
        )
    return rows.assign(y=np.where(when >= 0, panel.y[at, when], np.nan))
