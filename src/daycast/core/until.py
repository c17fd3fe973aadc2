"""A canonical frame as it stood on an earlier day: what had been observed by then, and no series that began later."""

from __future__ import annotations

import pandas as pd

from daycast.core.frame import FrameSpec
from daycast.errors import HistoryError


def until(frame: pd.DataFrame, spec: FrameSpec, as_of: pd.Timestamp) -> pd.DataFrame:
    """The rows of ``frame`` with nothing observed after the day ``as_of``; what is known ahead stays, as it was then.

    Held columns need no change: whoever reads them takes the value at the last observation (``core.held``).

    Raises:
        HistoryError: nothing had been observed by then.
    """
    seen = frame["ds"].dt.normalize() <= as_of
    told = frame.assign(**{column: frame[column].where(seen) for column in ("y", *spec.past)})
    begun = told.loc[told["y"].notna(), "unique_id"].unique()
    if not len(begun):
        raise HistoryError(
            f"an observation by {as_of.date()}",
            f"the data start on {frame.loc[frame['y'].notna(), 'ds'].min().date()}",
            "choose a later --as-of, or bring older data",
        )
    return told[told["unique_id"].isin(begun)].reset_index(drop=True)
