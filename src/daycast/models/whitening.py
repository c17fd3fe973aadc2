"""The effects of regressors where what they leave unexplained hangs together in time: generalised least squares.

A model's Kalman filter turns a series into one-step errors of a known size each, independent of each other. It is
linear, so the same filter over the series and over every regressor gives a plain regression, whose least squares
estimate is that of maximum likelihood given the model. Source: Durbin and Koopman, Time Series Analysis by State Space
Methods, 2nd ed., section 6.2.3. Letters of ``core.frame``; K regressors.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from daycast.core.frame import Float

if TYPE_CHECKING:
    from statsmodels.tsa.statespace.sarimax import SARIMAX


def effects(space: SARIMAX, parameters: Float, z: Float, x: Float) -> Float:
    """Effects ``(K,)`` of regressors ``x (T, K)`` on ``z (T,)``, NaN where missing, if the rest follows the model.

    Args:
        space: the model without regressors, of a series that is missing where ``z`` is.
        parameters: of the model.
    """
    passed = space.filter(parameters, return_ssm=True)
    gains, sizes = passed.kalman_gain[:, 0], np.sqrt(passed.forecasts_error_cov[0, 0])
    transition, design = space.ssm["transition"], space.ssm["design"][0]
    values = np.column_stack([z, x])
    state, errors = np.zeros((len(transition), values.shape[1])), np.empty_like(values)
    for t, row in enumerate(values):
        errors[t] = row - design @ state
        state = transition @ state
        if np.isfinite(row[0]):
            state += np.outer(gains[:, t], errors[t])
    seen = np.isfinite(z)
    white = errors[seen] / sizes[seen, None]
    return np.asarray(np.linalg.lstsq(white[:, 1:], white[:, 0], rcond=None)[0])
