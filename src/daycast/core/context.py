"""What a model sees when it forecasts: the end of each history, in the form of the windows it was trained on.

Letters of ``core.frame``, and ``G`` groups, ``C`` channels as in ``core.channels``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from daycast.core import transform
from daycast.core.channels import Columns, Layout, channels, scaled
from daycast.core.fill import recent
from daycast.core.frame import Float
from daycast.core.transform import Fitted
from daycast.errors import HistoryError

if TYPE_CHECKING:
    from daycast.core.forecast import Origin


class Context(NamedTuple):
    """Inputs of a prediction, O origins times G groups, the groups of one origin together.

    Attributes:
        past: ``(O·G, L, C+F)`` float32; 0 where nothing could be filled in.
        future: ``(O·G, H, F)`` float32.
        static: ``(O·G, S)`` float32.
        tail: the last ``memory`` raw values of each series, gaps filled, for ``transform.inverse``: float64
            ``(O, N, memory)``; NaN where a series has no value yet.
        seen: whether a series has any value up to the origin, bool ``(O, N)``.
        level: what the network's outputs are added to, in transformed units ``(O, N, H)``, where it learns deviations
            (``core.anchored``).
    """

    past: NDArray[np.float32]
    future: NDArray[np.float32]
    static: NDArray[np.float32]
    tail: Float
    seen: NDArray[np.bool_]
    level: Float | None = None


def context(
    origins: Sequence[Origin],
    fitted: Fitted,
    lookback: int,
    layout: Layout,
    past: Fitted | None = None,
    columns: Columns = slice(None),
) -> Context:
    """What a network sees when it forecasts from ``origins``, channels ordered as in ``Windows.batch``.

    Gaps are filled from the same phase of the season, then only the last ``lookback + fitted.memory`` rows of each
    history are transformed, so the time does not grow with the history.

    Args:
        fitted: the transform of y; ``past`` that of the past covariates, as given to ``windows``.
        columns: the known features that are used, of F.

    Raises:
        HistoryError: a history shorter than ``lookback + fitted.memory``.
    """
    rows = lookback + fitted.memory
    shortest = min(len(o.history.ds) for o in origins)
    if shortest < rows:
        raise HistoryError(
            f"{rows} timestamps of history (lookback {lookback} + lags {fitted.memory})",
            f"{shortest}",
            "forecast from a later date, or bring more history",
        )
    first = origins[0].history
    season = first.spec.season_length
    y = np.stack([recent(o.history.y, rows, season) for o in origins])
    covariates = np.zeros((*y.shape[:2], lookback, first.past.shape[2]))
    for i, origin in enumerate(origins):
        for p in range(covariates.shape[3]):
            covariates[i, :, :, p] = recent(origin.history.past[:, :, p], lookback, season)
    z = transform.forward(fitted, y)[..., fitted.memory :]
    inputs = np.nan_to_num(channels(z, scaled(covariates, past), layout), nan=0.0)
    known = np.stack([o.history.known[-lookback:, columns] for o in origins])
    future = np.stack([o.future.known[:, columns] for o in origins])
    groups = inputs.shape[1]
    inputs = inputs.reshape(-1, *inputs.shape[2:])
    static = first.static if layout == "each" else np.zeros((1, 0))
    return Context(
        np.concatenate([inputs, np.repeat(known, groups, axis=0)], axis=2).astype(np.float32),
        np.repeat(future, groups, axis=0).astype(np.float32),
        np.tile(static, (len(origins), 1)).astype(np.float32),
        y[..., lookback:],
        ~np.isnan(y[..., -1]),
    )
