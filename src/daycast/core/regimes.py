"""Which regime a day belongs to: a stretch of days, such as a pandemic, whose pattern is not that of the days before.

Unlike an event, a regime does not come back, and neither its beginning nor its end is known ahead. So the column is
*held* (``core.frame``): at a cutoff, the newest regime is taken to go on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from daycast.core.events import NONE


@dataclass(frozen=True)
class Regime:
    """One regime, from its first day ``since`` to its last ``until``, or ``None`` while it goes on."""

    name: str
    since: date
    until: date | None = None


def levels(regimes: Sequence[Regime]) -> tuple[str, ...]:
    """Every name there can be, ``NONE`` first."""
    return (NONE, *(regime.name for regime in regimes))


def labels(ds: pd.DatetimeIndex, regimes: Sequence[Regime]) -> NDArray[np.object_]:
    """The regime that each timestamp lies in, ``NONE`` outside all of them, ``(T,)``; regimes must not overlap."""
    out = np.full(len(ds), NONE, dtype=object)
    days = ds.normalize()
    for regime in regimes:
        inside = days >= pd.Timestamp(regime.since)
        if regime.until is not None:
            inside &= days <= pd.Timestamp(regime.until)
        out[inside] = regime.name
    return out
