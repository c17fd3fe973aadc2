"""Weights of a blend: what mix of several models' forecasts would have had the least error on the folds they share."""

from __future__ import annotations

import numpy as np

from daycast.core.frame import Float
from daycast.errors import DataError

MOST = 20_000
"""Rows that the weights are found on; of more, evenly spread ones. They are a handful of numbers."""


def weights(forecasts: Float, actual: Float, scale: Float) -> Float:
    """Weights ``(M,)``, none below 0 and summing to 1, that minimise the mean absolute error in units of ``scale``.

    A linear programme (least absolute deviations) on rows where every model has a forecast and something was observed.

    Args:
        forecasts: of M models, ``(M, R)``, raw units.
        actual: ``(R,)``; NaN where nothing was observed.
        scale: typical size of the row's series, ``(R,)``, so that each series counts alike; rows without one are left
            out.

    Raises:
        DataError: no row is whole.
    """
    from scipy import optimize, sparse

    whole = np.isfinite(forecasts).all(axis=0) & np.isfinite(actual) & (scale > 0)
    rows = np.flatnonzero(whole)
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
