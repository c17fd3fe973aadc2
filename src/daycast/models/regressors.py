"""Which known features a model takes as regressors. Letters of ``core.frame``; K regressors."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from daycast.core.frame import Float, Panel
from daycast.errors import ConfigError, ModelError


def regressors(history: Panel, chosen: Sequence[str]) -> tuple[str, ...]:
    """The features of ``columns``: numeric ones by name; categorical ones one-hot, the first level left out.

    Those that never change in the history are left out too: its data say nothing of their effect, and an optimiser that
    looks for it does not converge.

    Raises:
        ConfigError: one is not among the known columns.
    """
    names = history.known_names
    found: list[str] = []
    for column in chosen:
        levels = [name for name in names if name.startswith(f"{column}=")]
        if column not in names and not levels:
            plain = sorted({name.split("=", 1)[0] for name in names})
            raise ConfigError(f"known columns among {plain}", f"`{column}`", "change `known` in conf/model/")
        found += levels[1:] if levels else [column]
    return tuple(name for name in found if np.ptp(history.known[:, names.index(name)]))


def columns(known: Float, names: tuple[str, ...], wanted: tuple[str, ...]) -> Float:
    """The features ``wanted`` of ``known (T, F)``, ``(T, K)``. Raises ``ModelError`` where one is missing."""
    missing = [r for r in wanted if r not in names]
    if missing:
        raise ModelError(
            f"the features the model was fitted with, {list(wanted)}",
            f"data without {missing}",
            "forecast with the dataset's configuration of the fit, or train again",
        )
    return known[:, [names.index(r) for r in wanted]]
