"""Is a series stationary, and are residuals uncorrelated? Tests and estimates by statsmodels."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np
import pandas as pd

from daycast.core.frame import Float

LEAST_STEPS = 30  # fewer observations in a row say nothing either way
LEVEL = 0.05  # significance of both tests
CONSTANT = 1e-9  # a range below this share of the largest value counts as none


def stationarity(y: Float, ids: Sequence[str], most_steps: int = 1461) -> pd.DataFrame:
    """Augmented Dickey-Fuller and KPSS tests, per series, of a level that stays.

    The two ask from opposite sides: a small ``adf_p`` speaks against a unit root, a small ``kpss_p`` against a constant
    level. Each series is judged on its longest run without a missing value, and of that on its end.

    Args:
        y: values in any units ``(N, T)``, before or after a transform.
        ids: names, ``(N,)``.
        most_steps: timestamps that are looked at; the tests' time grows with them (four years of days by default).

    Returns:
        Columns ``unique_id``, ``adf_p``, ``kpss_p`` (known within 0.01 .. 0.1 only, the ends standing for what lies
        beyond), ``steps`` (timestamps judged) and ``verdict``: ``stationary``, ``not stationary``, ``unclear`` where
        the tests disagree, or ``not testable`` (p-values NaN) for a run
        below 30 timestamps, or one without variation or noise.

    Source:
        Dickey and Fuller 1979; Kwiatkowski, Phillips, Schmidt and Shin 1992; ``statsmodels.tsa.stattools``.
    """
    rows = []
    for name, values in zip(ids, y, strict=True):
        run = _longest_run(values)[-most_steps:]
        adf, kpss = _p_values(run)
        rows.append((name, adf, kpss, len(run), _verdict(adf, kpss)))
    return pd.DataFrame(rows, columns=["unique_id", "adf_p", "kpss_p", "steps", "verdict"])


def autocorrelation(residuals: Float, lags: int) -> Float:
    """Autocorrelation at lags 0 .. ``lags`` of ``residuals (T,)``, ``(lags+1,)``; missing values are left out.

    NaN where it can't be told: lags of T and more, and everywhere for residuals without variation.
    """
    from statsmodels.tsa.stattools import acf

    out = np.full(lags + 1, np.nan)
    if not _varies(residuals[~np.isnan(residuals)]):
        return out
    known = acf(residuals, nlags=min(lags, len(residuals) - 1), missing="conservative", result_object=False)
    out[: len(known)] = known
    return out


def _longest_run(values: Float) -> Float:
    """The longest stretch of ``values (T,)`` without NaN, the later one of equals."""
    holes = np.flatnonzero(np.isnan(np.concatenate([[np.nan], values, [np.nan]])))
    lengths = np.diff(holes)
    widest = len(lengths) - 1 - int(np.argmax(lengths[::-1]))
    return values[holes[widest] : holes[widest + 1] - 1]


def _varies(values: Float) -> bool:
    return len(values) > 1 and float(np.ptp(values)) > CONSTANT * float(np.abs(values).max())


def _p_values(run: Float) -> tuple[float, float]:
    """p-values of ADF and KPSS, both NaN where they can't be told."""
    from statsmodels.tools.sm_exceptions import InterpolationWarning, SingularMatrixWarning
    from statsmodels.tsa.stattools import adfuller, kpss

    if len(run) < LEAST_STEPS or not _varies(run):
        return np.nan, np.nan
    # An exact pattern, such as a straight line, leaves no noise to estimate: statsmodels then warns and divides by 0.
    with warnings.catch_warnings(), np.errstate(divide="ignore", invalid="ignore"):
        warnings.simplefilter(
            "ignore", InterpolationWarning
        )  # p lies beyond the published table, as the docstring says
        warnings.simplefilter("ignore", SingularMatrixWarning)
        adf = adfuller(run, result_object=False)[1]
        level = kpss(run, regression="c", nlags="auto", result_object=False)[1]
    return (float(adf), float(level)) if np.isfinite(adf) and np.isfinite(level) else (np.nan, np.nan)


def _verdict(adf: float, kpss: float) -> str:
    if np.isnan(adf):
        return "not testable"
    if (adf < LEVEL) == (kpss < LEVEL):
        return "unclear"
    return "stationary" if adf < LEVEL else "not stationary"
