"""Weights of a blend: what mix of several models' forecasts would have had the least error on the folds they share.

Letters of ``core.frame``, and ``M`` models, ``R`` rows.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from daycast.core.frame import Float
from daycast.errors import DataError

MOST = 20_000
"""Rows that weights are found on; of more, evenly spread ones. They are a handful of numbers."""

LEAST = 50
"""Rows per model from which a horizon step has weights of its own: with fewer they follow the noise."""


def weights(forecasts: Float, actual: Float, scale: Float) -> Float:
    """Weights ``(M,)``, none below 0 and summing to 1, that minimise the mean absolute error in units of ``scale``.

    A linear programme (least absolute deviations) on rows where every model has a forecast and something was observed.

    Args:
        forecasts: ``(M, R)``, raw units.
        actual: ``(R,)``; NaN where nothing was observed.
        scale: typical size of the row's series, ``(R,)``, so that each series counts alike; rows without one are left
            out.

    Raises:
        DataError: no row is whole.
    """
    from scipy import optimize, sparse

    rows = np.flatnonzero(_whole(forecasts, actual, scale))
    if not len(rows):
        raise DataError(
            "rows with an observed value and a forecast of every member",
            f"none of {len(actual)}",
            "look at the members' forecasts of the validation folds",
        )
    rows = rows[:: -(-len(rows) // MOST)]
    x, y = (forecasts[:, rows] / scale[rows]).T, actual[rows] / scale[rows]
    many, models = x.shape
    # Variables: weights, then the absolute error of each row, above both the error and its negative.
    costs = np.concatenate([np.zeros(models), np.full(many, 1 / many)])
    errors = sparse.eye(many)
    bounds = sparse.block_array([[sparse.csr_array(x), -errors], [sparse.csr_array(-x), -errors]])
    whole_share = sparse.csr_array(np.concatenate([np.ones(models), np.zeros(many)])[None])
    found = optimize.linprog(costs, bounds, np.concatenate([y, -y]), whole_share, [1.0], method="highs")
    share = np.clip(found.x[:models], 0.0, None)
    return np.asarray(share / share.sum())


def by_step(forecasts: Float, actual: Float, scale: Float, step: NDArray[np.integer], horizon: int) -> Float:
    """Weights of each horizon step, ``(M, H)``: one model may be good tomorrow and another in two weeks.

    Steps with fewer than ``LEAST`` rows a model take the weights found over the rows of all steps.

    Args:
        step: horizon step of each row, from 1, ``(R,)``; the others as ``weights`` takes them.
        horizon: H.

    Raises:
        DataError: no row is whole.
    """
    shared = weights(forecasts, actual, scale)
    found = np.repeat(shared[:, None], horizon, axis=1)
    whole = _whole(forecasts, actual, scale)
    for h in range(horizon):
        own = whole & (step == h + 1)
        if np.count_nonzero(own) >= LEAST * len(forecasts):
            found[:, h] = weights(forecasts[:, own], actual[own], scale[own])
    return found


def cross_fitted(
    forecasts: Float, actual: Float, scale: Float, step: NDArray[np.integer], horizon: int, fold: NDArray[np.integer]
) -> Float:
    """Every row mixed with weights from the rows of other folds, ``(R,)``: on their own they look too good.

    Of a single fold they are its own.

    Args:
        fold: number of each row's fold, ``(R,)``; the others as ``by_step`` takes them.

    Raises:
        DataError: no row is whole.
    """
    made = np.full(len(actual), np.nan)
    for k in np.unique(fold):
        own = fold == k
        others = own if own.all() else ~own
        found = by_step(forecasts[:, others], actual[others], scale[others], step[others], horizon)
        made[own] = mixed(forecasts[:, own], found[:, step[own] - 1])
    return made


def mixed(forecasts: Float, share: Float) -> Float:
    """The weighted mean over models, ``(...)``, of ``forecasts (M, ...)`` with weights that broadcast to them.

    Where a model has no forecast (NaN) the others share its weight; NaN where none with a weight has one.
    """
    own = np.where(np.isfinite(forecasts), share, 0.0)
    total = own.sum(axis=0)
    mean = (np.nan_to_num(forecasts) * own).sum(axis=0) / np.where(total > 0, total, 1.0)
    return np.asarray(np.where(total > 0, mean, np.nan))


def _whole(forecasts: Float, actual: Float, scale: Float) -> NDArray[np.bool_]:
    """Rows where every model has a forecast, something was observed and the series has a scale, ``(R,)``."""
    return np.asarray(np.isfinite(forecasts).all(axis=0) & np.isfinite(actual) & (scale > 0))
