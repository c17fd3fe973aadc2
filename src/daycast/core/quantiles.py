"""Quantiles that a forecaster has learned itself, in raw units, as arrays and as columns of forecast rows.

They say what the model believes; what it is entitled to is found on its backtest (``core.conformal.head_offsets``).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import numpy as np
import pandas as pd

from daycast.core.forecast import Forecaster, Origin
from daycast.core.frame import Float
from daycast.errors import ModelError, OutputError


@runtime_checkable
class Distributional(Forecaster, Protocol):
    """A forecaster with a distribution around its point forecast."""

    def quantiles(self, origins: Sequence[Origin], levels: Sequence[float]) -> Float:
        """Quantiles ``(O, N, H, Q)`` in raw units, never falling from one level to a higher one; H as of ``predict``.

        Raises:
            ModelError: it has learned none, or not these levels, or none that hold over H steps.
        """
        ...


def learned(model: Forecaster, origins: Sequence[Origin], levels: Sequence[float], steps: int) -> Float:
    """A model's own quantiles ``(O, N, H, Q)``, held at the dataset's floor as its point forecasts are.

    NaN beyond the first ``steps`` and beyond the model's horizon: a forecast that was fed back as history is no
    observation, so quantiles given it leave out how far off it may be.

    Raises:
        ModelError: the model has no quantiles, or as its ``quantiles``.
        OutputError: the array has another shape than the origins ask for.
    """
    if not isinstance(model, Distributional):
        raise ModelError("a model that learns a distribution", type(model).__name__, "ask for its point forecasts")
    history, horizon = origins[0].history, len(origins[0].future.ds)
    known = min(steps, model.horizon, horizon)
    made = model.quantiles([Origin(o.history, o.future.head(known)) for o in origins], levels)
    shape = (len(origins), len(history.ids), known, len(levels))
    if made.shape != shape:
        expected = f"quantiles of shape (origins, series, steps, levels) {shape}"
        raise OutputError(expected, f"{made.shape}", "mend the model")
    made = made if history.spec.floor is None else np.maximum(made, history.spec.floor)
    return np.pad(made, ((0, 0), (0, 0), (0, horizon - known), (0, 0)), constant_values=np.nan)


def beside(forecasts: pd.DataFrame, quantiles: Float, levels: Sequence[float]) -> pd.DataFrame:
    """Rows of ``core.forecast.rows`` with quantiles ``(O, N, H, Q)`` of the same origins as columns ``q0.025`` …"""
    columns = quantiles.reshape(-1, len(levels)).T
    return forecasts.assign(**{f"q{level:g}": column for level, column in zip(levels, columns, strict=True)})
